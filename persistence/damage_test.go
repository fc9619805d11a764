package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/the-block/bursar/persistence"
)

func restoreFrom(t interface{ Fatal(...any) }, to, from *persistence.FSM) {
	if err := to.Restore(bytes.NewReader(snapshotOf(t, from))); err != nil {
		t.Fatal(err)
	}
}

// someFSM has a little of everything.
func someFSM(t testing.TB) *persistence.FSM {
	fsm := openFSM(t)
	mustApply(t, fsm, 1, entryOf(t, everyTxn()...))
	return fsm
}

// TestDamagedSnapshot cuts a snapshot at every byte and flips every bit: each time the
// restore is refused and the Store stays what it was.
func TestDamagedSnapshot(t *testing.T) {
	whole := snapshotOf(t, someFSM(t))
	fsm := openFSM(t)
	mustApply(t, fsm, 9, entryOf(t, &persistence.Txn{Appends: []persistence.Append{{Table: 1}}}))
	before := digestOf(t, fsm)
	refuse := func(what string, damaged []byte) {
		t.Helper()
		if err := fsm.Restore(bytes.NewReader(damaged)); !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("%s: restore gives %v, want ErrCorrupt", what, err)
		}
	}
	for n := range whole {
		refuse(fmt.Sprintf("cut at %d", n), whole[:n])
	}
	for i := range whole {
		for _, bit := range []byte{1, 1 << (i % 8)} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= bit
			refuse(fmt.Sprintf("byte %d with bits %08b flipped", i, bit), damaged)
		}
	}
	refuse("one byte more", append(bytes.Clone(whole), 0))
	if digestOf(t, fsm) != before || fsm.Store().Applied() != 9 {
		t.Fatal("a refused snapshot changed the Store")
	}
	if err := fsm.Restore(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	if got := fsm.Store().Applied(); got != 1 {
		t.Fatalf("applied = %d after the restore, want 1", got)
	}
}

// TestDamagedProjection changes each byte of the projection file behind the Store's
// back: a snapshot copied from it is refused, or holds the right rows all the same (what
// was damaged had been overwritten, or means the same).
func TestDamagedProjection(t *testing.T) {
	dir := t.TempDir()
	store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	mustApply(t, fsm, 1, entryOf(t, everyTxn()...))
	mustApply(t, fsm, 2, entryOf(t, appendRows(2)))
	want := digestOf(t, fsm)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("projection files %v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	other := openFSM(t)
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		err := other.Restore(bytes.NewReader(snapshotOf(t, fsm)))
		switch {
		case errors.Is(err, persistence.ErrCorrupt):
			refused++
		case err != nil:
			t.Fatalf("byte %d: %v, want ErrCorrupt", i, err)
		case digestOf(t, other) != want:
			t.Fatalf("byte %d: other rows were restored", i)
		}
	}
	if refused < len(whole)*9/10 {
		t.Errorf("%d of %d damages refused", refused, len(whole))
	}
}

// TestDamagedEntry does the same to a log entry: the FSM stops and the Store stays.
func TestDamagedEntry(t *testing.T) {
	whole := entryOf(t, everyTxn()...)
	refuse := func(what string, damaged []byte) {
		t.Helper()
		if _, err := persistence.DecodeBatch(damaged); !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("%s: decoding gives %v, want ErrCorrupt", what, err)
		}
	}
	for n := range whole {
		refuse(fmt.Sprintf("cut at %d", n), whole[:n])
	}
	for i := range whole {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << bit
			refuse(fmt.Sprintf("bit %d of byte %d flipped", bit, i), damaged)
		}
	}
	fsm := openFSM(t)
	mustApply(t, fsm, 1, entryOf(t, &persistence.Txn{Appends: []persistence.Append{{Table: 1}}}))
	before := digestOf(t, fsm)
	if _, err := fsm.Apply(2, whole[:len(whole)-1]); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("apply gives %v, want ErrCorrupt", err)
	}
	if _, err := fsm.Apply(2, whole); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("after a corrupt entry, apply gives %v: it must not go on", err)
	}
	if digestOf(t, fsm) != before || fsm.Store().Applied() != 1 {
		t.Fatal("a refused entry changed the Store")
	}
}

// TestNewerVersion: what a newer program wrote stops the node and changes nothing.
func TestNewerVersion(t *testing.T) {
	known, err := persistence.AppendTxn(nil, submission(1))
	if err != nil {
		t.Fatal(err)
	}
	unknown := bytes.Clone(known)
	unknown[0] = 0x7f
	level := entryOf(t, submission(1), &persistence.Txn{Level: persistence.LevelMax + 1})
	for name, data := range map[string][]byte{
		"an unknown kind of Txn":   persistence.AppendBatch(nil, known, unknown),
		"an unknown feature level": level,
	} {
		t.Run(name, func(t *testing.T) {
			fsm := openFSM(t)
			assignAll(t, fsm)
			before := digestOf(t, fsm)
			if _, err := fsm.Apply(2, data); !errors.Is(err, persistence.ErrUnsupported) {
				t.Fatalf("apply gives %v, want ErrUnsupported", err)
			}
			if digestOf(t, fsm) != before {
				t.Error("the entry left a trace")
			}
		})
	}
}

// TestOpenWipes: a projection that survived a crash is not trusted.
func TestOpenWipes(t *testing.T) {
	dir := t.TempDir()
	store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, persistence.NewFSM(store), 1, entryOf(t, &persistence.Txn{Appends: []persistence.Append{{Table: 1}}}))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if store, err = persistence.Open(dir, persistence.DefaultStoreConfig()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if store.Applied() != 0 || store.Last(1) != 0 {
		t.Errorf("applied %d and last %d after a new start, want 0", store.Applied(), store.Last(1))
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err != nil {
		t.Errorf("a file that is not the Store's is gone: %v", err)
	}
}
