package persistence

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/buntdb"
)

// FSM applies committed entries to a Store. One goroutine calls it. After an error it
// does nothing more: the Store may differ from those of other nodes, and the process
// must stop.
type FSM struct {
	store *Store
	err   error

	// requestsRecentMax is RequestsRecentMax; tests set it lower.
	requestsRecentMax uint64

	// What follows belongs to the entry being applied and is used again for the next.
	tx        *buntdb.Tx
	index     uint64
	decoder   decoder
	txn       Txn
	counters  overlay
	changes   []change
	scratch   []byte
	origin    []byte
	leafBytes []byte
	assigned  []uint64
	dirty     [256]bool // tables that numbered rows
	assigns   bool      // some shard got a new owner
}

// NewFSM gives the machine that writes store. A Store has one.
func NewFSM(store *Store) *FSM {
	return &FSM{store: store, counters: newOverlay(), requestsRecentMax: RequestsRecentMax}
}

// Store gives the Store the FSM writes.
func (f *FSM) Store() *Store { return f.store }

// Apply applies the entry at index and gives one Result per Txn, in their order. Its
// effects are readable when it returns. It does not keep data.
//
// An error (ErrCorrupt, ErrUnsupported, or one of the file) means that this node must
// stop before it serves anything more; nothing of the entry is applied.
func (f *FSM) Apply(index uint64, data []byte) ([]Result, error) {
	if f.err != nil {
		return nil, f.err
	}
	results, err := f.apply(index, data)
	if err != nil {
		f.err = fmt.Errorf("apply entry %d: %w", index, err)
		return nil, f.err
	}
	f.count(results)
	f.store.announce.move(index)
	return results, nil
}

func (f *FSM) apply(index uint64, data []byte) ([]Result, error) {
	if applied := f.store.Applied(); index <= applied {
		return nil, fmt.Errorf("%w: entry %d is already applied", ErrInvalid, applied)
	}
	b, err := openBatch(data)
	if err != nil {
		return nil, err
	}
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	f.index = index
	s.checkpoints.pass(s.applied.Load(), index, s.derived.checksum.sum)
	// The last entry's belong to the Store's recent changes.
	f.changes = make([]change, 0, b.count)
	f.counters.clear()
	f.assigns = false
	var results []Result
	err = s.db.Update(func(tx *buntdb.Tx) error {
		f.tx = tx
		if results, err = f.batch(&b, string(data)); err != nil {
			return err
		}
		rows, err := tx.Len()
		s.stats.Rows.Store(int64(rows))
		return errors.Join(err, f.flush())
	})
	f.tx = nil
	if errors.Is(err, buntdb.ErrDatabaseClosed) {
		return nil, ErrClosed
	}
	if err != nil {
		return nil, err
	}
	s.recent.push(index, f.changes)
	if f.assigns {
		s.owners.Add(1)
	}
	s.applied.Store(index)
	return results, nil
}

// batch applies the Txns of an entry one after the other: each sees the effects of
// those before it. text is the entry as a string, which decoded keys share.
func (f *FSM) batch(b *batch, text string) ([]Result, error) {
	results := make([]Result, 0, b.count)
	for b.next() {
		if err := f.decoder.txn(&f.txn, b.txn, text[b.at:b.at+len(b.txn)]); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", len(results), err)
		}
		r, err := f.one(&f.txn)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", len(results), err)
		}
		results = append(results, r)
	}
	return results, b.err
}

// one judges a Txn and, if it holds, carries it out. Nothing is changed before the
// last check has passed, except that adds are taken back when a later one fails.
func (f *FSM) one(t *Txn) (Result, error) {
	r, err := f.judge(t)
	if err != nil || r.Status != Committed {
		return r, err
	}
	r.Index = f.index
	return r, f.carryOut(t, &r)
}

// flush writes what is written once per entry: counters and sequences.
func (f *FSM) flush() error {
	for _, c := range f.counters.touched {
		if !c.dirty {
			continue
		}
		if err := c.write(f.set, f.setAnnounced); err != nil {
			return err
		}
	}
	if err := f.store.derived.tree.flush(f.store.derived.last[tableTree], f.set); err != nil {
		return err
	}
	for t := range f.dirty {
		if !f.dirty[t] {
			continue
		}
		f.dirty[t] = false
		key := []byte{byte(tableSequence), byte(t)}
		last := RecordKey(0, f.store.derived.last[t])[1:]
		if err := f.set(string(key), string(last)); err != nil {
			return err
		}
	}
	return nil
}

// number gives the next number of a table.
func (f *FSM) number(t Table) uint64 {
	f.store.derived.last[t]++
	f.dirty[t] = true
	return f.store.derived.last[t]
}

// set writes a row of this package's tables.
func (f *FSM) set(key, value string) error {
	_, err := f.replace(key, value)
	return err
}

// setAnnounced writes a row and tells consumers.
func (f *FSM) setAnnounced(key, value string) error {
	f.changes = append(f.changes, change{key: key, value: value})
	return f.set(key, value)
}

func (f *FSM) replace(key, value string) (previous string, err error) {
	previous, replaced, err := f.tx.Set(key, value, nil)
	if err != nil {
		return "", err
	}
	f.store.derived.wrote(key, value)
	if replaced {
		f.store.derived.dropped(key, previous)
	}
	return previous, nil
}

// get gives a stored row; ok is false if there is none.
func (f *FSM) get(key Key) (r row, ok bool, err error) {
	stored, err := f.tx.Get(string(key))
	if errors.Is(err, buntdb.ErrNotFound) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, err
	}
	if r, err = parseRow(stored); err != nil {
		return row{}, false, fmt.Errorf("row %x: %w", string(key), err)
	}
	return r, true, nil
}

func (f *FSM) count(results []Result) {
	stats := &f.store.stats
	stats.Entries.Add(1)
	var verdicts [Refused + 1]uint64
	for i := range results {
		verdicts[results[i].Status]++
	}
	for status, n := range verdicts {
		if n > 0 {
			stats.verdict(Status(status)).Add(n)
		}
	}
}

// keep copies a key that shares the entry, so that a row does not hold on to it.
func keep(key Key) string { return strings.Clone(string(key)) }
