package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/backup"
)

var begin = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// world is a log, the Store that it makes, and the target that it is shipped to.
type world struct {
	t       testing.TB
	fsm     *persistence.FSM
	proof   *persistence.FSM // what is restored goes here, each time anew
	entries []backup.Entry   // of index 1 on
	digests map[uint64]string
	cut     uint64 // entries up to here are gone
	dir     string
	target  backup.Target
	keys    backup.Keys
	writer  *backup.Writer
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, fsm: scratch(t), proof: scratch(t), digests: make(map[uint64]string), dir: filepath.Join(t.TempDir(), "backup")}
	w.target = backup.Dir(w.dir)
	return w
}

func scratch(t testing.TB) *persistence.FSM {
	t.Helper()
	store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return persistence.NewFSM(store)
}

// write appends n entries, a second apart, one in four of Raft's own.
func (w *world) write(n int) {
	w.t.Helper()
	for range n {
		index := uint64(len(w.entries) + 1)
		e := backup.Entry{Index: index, Term: 1 + index/8, At: begin.Add(time.Duration(index) * time.Second), Batch: index%4 != 1}
		if e.Batch {
			txn, err := persistence.AppendTxn(nil, &persistence.Txn{Writes: []persistence.Write{
				{Key: persistence.RecordKey('d', index%5), Tag: byte(index), Value: fmt.Appendf(nil, "value %d", index)},
			}})
			if err != nil {
				w.t.Fatal(err)
			}
			e.Data = persistence.AppendBatch(nil, txn)
			if _, err := w.fsm.Apply(index, e.Data); err != nil {
				w.t.Fatal(err)
			}
		}
		w.entries = append(w.entries, e)
		w.digests[index] = w.facts().Digest
	}
}

func (w *world) facts() backup.Facts {
	facts, err := inspect(w.t.Context(), w.fsm.Store())
	if err != nil {
		w.t.Fatal(err)
	}
	return facts
}

func inspect(_ context.Context, store *persistence.Store) (backup.Facts, error) {
	digest, _, err := store.Digest()
	return backup.Facts{Digest: fmt.Sprintf("%x", digest), Rows: uint64(store.Stats().Rows.Load())}, err
}

// Entries implements backup.Source.
func (w *world) Entries(first, last uint64, fn func(backup.Entry) error) error {
	for index := first; index <= min(last, uint64(len(w.entries))); index++ {
		if index <= w.cut {
			return fmt.Errorf("%w: entry %d", backup.ErrGap, index)
		}
		if err := fn(w.entries[index-1]); err != nil {
			return err
		}
	}
	return nil
}

// Snapshot implements backup.Source.
func (w *world) Snapshot(_ context.Context, fn func(backup.Entry, io.Reader) error) error {
	pinned, err := w.fsm.Snapshot()
	if err != nil {
		return err
	}
	var state bytes.Buffer
	if _, err := pinned.WriteTo(&state); err != nil {
		return err
	}
	at := w.entries[pinned.Index()-1]
	at.Data = nil
	if err := fn(at, &state); err != nil {
		return err
	}
	return pinned.Release()
}

// open makes the writer of a fence.
func (w *world) open(fence uint64) *backup.Writer {
	w.t.Helper()
	cfg := backup.DefaultWriterConfig()
	cfg.Cluster, cfg.Node, cfg.Fence, cfg.Keys = "alpha", "n1", fence, w.keys
	cfg.Level = func() uint16 { return 1 }
	cfg.Prove = func(ctx context.Context, state io.Reader) (backup.Facts, error) {
		if err := w.proof.Restore(state); err != nil {
			return backup.Facts{}, err
		}
		return inspect(ctx, w.proof.Store())
	}
	w.writer = backup.NewWriter(cfg, w.target, w)
	if err := w.writer.Open(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.writer
}

func (w *world) base() *backup.Manifest {
	w.t.Helper()
	m, err := w.writer.Base(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) ship() {
	w.t.Helper()
	if _, err := w.writer.Ship(w.t.Context(), uint64(len(w.entries))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load() *backup.Set {
	w.t.Helper()
	set, err := backup.Load(w.t.Context(), w.target)
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

func (w *world) reader() *backup.Reader {
	return &backup.Reader{Target: w.target, Keys: w.keys, Inspect: inspect}
}

// restore restores a point.
func (w *world) restore(to backup.Point) (*backup.Restored, error) {
	plan, err := w.load().Plan(to)
	if err != nil {
		return nil, err
	}
	return w.reader().Restore(w.t.Context(), plan, w.proof)
}

// verify reads everything back.
func (w *world) verify() (*backup.Restored, error) {
	set, err := backup.Load(w.t.Context(), w.target)
	if err != nil {
		return nil, err
	}
	return w.reader().Verify(w.t.Context(), set, w.proof)
}

// names lists the objects.
func (w *world) names() (names []string) {
	w.t.Helper()
	list, err := w.target.List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range list {
		names = append(names, o.Name)
	}
	return names
}

func (w *world) bytes(name string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) replace(name string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}
