package durable_test

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// Two tables that the mirror holds, and one between them that it does not read.
const (
	tableLow   persistence.Table = 'b'
	tableOther persistence.Table = 'c'
	tableHigh  persistence.Table = 'd'
)

// mirror is a read model of the simplest kind: the rows themselves, and one counter.
type mirror struct {
	rows    map[persistence.Key]string
	counter int64
	index   uint64
	change  func() // meanwhile the log goes on
	drafts  int
}

func (m *mirror) Advance(index uint64, changes []persistence.Change) error {
	for i := range changes {
		m.carry(&changes[i])
	}
	m.index = index
	return nil
}

func (m *mirror) Draft() durable.Draft {
	m.drafts++
	return &mirrorDraft{mirror{rows: make(map[persistence.Key]string), change: m.change}, m}
}

func (m *mirror) carry(c *persistence.Change) {
	if name, value, ok := c.Counter(); ok && name == "counter" {
		m.counter = value
	}
	switch c.Key.Table() {
	case tableLow, tableHigh:
		if m.rows[c.Key] = string(c.Value.Data); c.Deleted {
			delete(m.rows, c.Key)
		}
	}
}

type mirrorDraft struct {
	mirror
	of *mirror
}

func (d *mirrorDraft) At(v *persistence.View) { d.counter = v.Counter("counter") }

func (d *mirrorDraft) Change(c *persistence.Change) error {
	d.carry(c)
	d.change()
	return nil
}

func (d *mirrorDraft) Show(index uint64) error {
	d.of.rows, d.of.counter, d.of.index = d.rows, d.counter, index
	return nil
}

// Whatever is committed while a model is built, and however far it falls behind, it is what
// the Store holds once it has caught up.
func TestAReadModelIsWhatTheStoreHolds(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		cfg := persistence.DefaultStoreConfig()
		cfg.RecentChanges = 8
		store, err := persistence.Open(dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		log := persistencetest.NewLog(persistence.NewFSM(store))
		key := func(n int) persistence.Key {
			table := []persistence.Table{tableLow, tableOther, tableHigh}[n%3]
			if n%2 == 0 {
				return persistence.NameKey(table, fmt.Sprint("name-", n))
			}
			return persistence.RecordKey(table, uint64(n))
		}
		commit := func() {
			n := rapid.IntRange(0, 40).Draw(t, "row")
			txn := &persistence.Txn{Writes: []persistence.Write{{
				Key: key(n), Tag: 1, Value: []byte{byte(rapid.IntRange(0, 255).Draw(t, "value"))},
			}}}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				txn.Writes, txn.Deletes = nil, []persistence.Key{key(n)}
			case 1:
				txn.Adds = []persistence.Add{{Counter: "counter", Delta: 1, Max: 1 << 40}}
			}
			if _, err := log.Commit(txn); err != nil {
				t.Fatal(err)
			}
		}
		left := rapid.IntRange(0, 60).Draw(t, "meanwhile")
		m := &mirror{rows: make(map[persistence.Key]string), change: func() {
			if left > 0 && rapid.Bool().Draw(t, "goes on") {
				left--
				commit()
			}
		}}
		f := &durable.Follower{Store: store, Tables: []persistence.Table{tableLow, tableHigh}, Model: m}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range rapid.IntRange(0, 20).Draw(t, "commits") {
				commit()
			}
			if err := f.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			for m.index < store.Applied() { // more came while it caught up
				if err := f.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			want := mirror{rows: make(map[persistence.Key]string)}
			for _, table := range []persistence.Table{tableLow, tableHigh} {
				err := store.Scan(persistence.NameKey(table, ""), persistence.TableEnd(table), false, 1000,
					func(k persistence.Key, v persistence.Value) bool {
						want.rows[k] = string(v.Data)
						return true
					})
				if err != nil {
					t.Fatal(err)
				}
			}
			want.counter, _ = store.Counter("counter")
			if !maps.Equal(m.rows, want.rows) || m.counter != want.counter || m.index != store.Applied() {
				t.Fatalf("at %d the model is %v, %d; at %d the Store holds %v, %d",
					m.index, m.rows, m.counter, store.Applied(), want.rows, want.counter)
			}
		}
	})
}
