package persistence_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// historyOf is a Store that has applied entries up to last; that at entry other is another
// one, if it is not 0.
func historyOf(t *testing.T, last, other int) *persistence.Store {
	t.Helper()
	store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := persistencetest.NewLog(persistence.NewFSM(store))
	extend(t, log, 1, last, other)
	return store
}

func extend(t *testing.T, log *persistencetest.Log, first, last, other int) {
	t.Helper()
	for i := first; i <= last; i++ {
		value := fmt.Sprint(i)
		if i == other {
			value += " another"
		}
		txn := &persistence.Txn{Appends: []persistence.Append{{Table: 1, Tag: 1, Value: []byte(value)}}}
		if _, err := log.Commit(txn); err != nil {
			t.Fatal(err)
		}
	}
}

// compare sends one Store's checkpoints to another.
func compare(a, b *persistence.Store) (uint64, bool) {
	sent := persistence.AppendCheckpoints(nil, a.Checkpoints())
	return b.Compare(persistence.ParseCheckpoints(string(sent)))
}

// TestTwoHistoriesAreTold at whatever distance the Stores are from one another, and one
// history is never taken for two.
func TestTwoHistoriesAreTold(t *testing.T) {
	for _, c := range []struct {
		a, b, other int
		differs     uint64
		known       bool
	}{
		{30, 30, 0, 0, true},
		{30, 30, 7, 30, true},
		{30, 31, 7, 0, false}, // they have no index in common yet
		{200, 230, 0, 0, true},
		{200, 230, 7, 63, true},
		{200, 230, 100, 127, true},
		{200, 230, 192, 0, true}, // they have none in common from there on
		{200, 2000, 0, 0, true},
		{2000, 200, 7, 63, true},
	} {
		differs, known := compare(historyOf(t, c.b, c.other), historyOf(t, c.a, 0))
		if differs != c.differs || known != c.known {
			t.Errorf("%+v: differ from %d on, known %t", c, differs, known)
		}
	}
}

// TestARestoredStoreComparesAlike: its checkpoints begin with the snapshot.
func TestARestoredStoreComparesAlike(t *testing.T) {
	whole := historyOf(t, 300, 0)
	snapshot, err := persistence.NewFSM(whole).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var state bytes.Buffer
	if _, err := snapshot.WriteTo(&state); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Release(); err != nil {
		t.Fatal(err)
	}
	restored := historyOf(t, 70, 9) // of another history before
	fsm := persistence.NewFSM(restored)
	if err := fsm.Restore(&state); err != nil {
		t.Fatal(err)
	}
	if differs, known := compare(whole, restored); !known || differs != 0 {
		t.Errorf("at the snapshot: differ from %d on, known %t", differs, known)
	}
	extend(t, persistencetest.NewLog(fsm), 301, 500, 0)
	if differs, known := compare(historyOf(t, 450, 0), restored); !known || differs != 0 {
		t.Errorf("after it: differ from %d on, known %t", differs, known)
	}
	if differs, known := compare(historyOf(t, 450, 310), restored); !known || differs != 319 {
		t.Errorf("another history: differ from %d on, known %t", differs, known)
	}
}
