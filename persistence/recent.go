package persistence

import (
	"encoding/binary"
	"sort"
	"sync"

	"github.com/the-block/bursar/messages"
)

// change is a row as it was stored; it shares its strings with the Store.
type change struct {
	key     string
	value   string
	deleted bool
}

// recent is the bounded tail of changes that consumers follow.
type recent struct {
	changesMax, bytesMax int

	mu      sync.RWMutex
	entries []entryChanges // oldest first, from head
	head    int
	changes int
	bytes   int
	floor   uint64 // nothing at or below this index is kept
	newest  uint64
}

type entryChanges struct {
	index   uint64
	changes []change
	bytes   int
}

func newRecent(changesMax, bytesMax int) *recent {
	return &recent{changesMax: changesMax, bytesMax: bytesMax}
}

// push adds the changes of an entry and drops the oldest beyond the bounds. The
// newest entry always stays, whatever its size.
func (r *recent) push(index uint64, changes []change) {
	e := entryChanges{index: index, changes: changes}
	for i := range changes {
		e.bytes += len(changes[i].key) + len(changes[i].value)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = index
	if len(changes) == 0 {
		return
	}
	r.entries = append(r.entries, e)
	r.changes += len(changes)
	r.bytes += e.bytes
	for (r.changes > r.changesMax || r.bytes > r.bytesMax) && len(r.entries)-r.head > 1 {
		old := &r.entries[r.head]
		r.changes -= len(old.changes)
		r.bytes -= old.bytes
		r.floor = old.index
		*old = entryChanges{}
		r.head++
	}
	if r.head > len(r.entries)/2 {
		r.entries = append([]entryChanges(nil), r.entries[r.head:]...)
		r.head = 0
	}
}

// reset forgets everything: the Store became what it was at index by another way.
func (r *recent) reset(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries, r.head, r.changes, r.bytes = nil, 0, 0, 0
	r.floor, r.newest = index, index
}

func (r *recent) since(after uint64, most int) ([]Change, bool) {
	picked, total, ok := r.pick(after, most)
	if !ok || total == 0 {
		return nil, ok
	}
	// The stored strings never change, so they are copied outside the lock.
	out := make([]Change, 0, total)
	for _, e := range picked {
		for i := range e.changes {
			out = append(out, e.changes[i].public(e.index))
		}
	}
	return out, true
}

func (r *recent) pick(after uint64, most int) (picked []entryChanges, total int, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if after < r.floor {
		return nil, 0, false
	}
	kept := r.entries[r.head:]
	from := sort.Search(len(kept), func(i int) bool { return kept[i].index > after })
	to := from
	for to < len(kept) && (to == from || total < most) {
		total += len(kept[to].changes)
		to++
	}
	return append(picked, kept[from:to]...), total, true
}

// public gives the change as readers see it: rows of the caller's tables without
// their header, rows of this package's tables as they are.
func (c *change) public(index uint64) Change {
	out := Change{Index: index, Key: Key(c.key), Deleted: c.deleted}
	if c.deleted {
		return out
	}
	if Table(c.key[0]) >= tableReserved {
		out.Value.Data = []byte(c.value)
		return out
	}
	// The FSM wrote this row a moment ago: it has a header.
	if r, err := parseRow(c.value); err == nil {
		out.Value = Value{Tag: r.tag, Version: r.version, Data: []byte(r.data)}
	}
	return out
}

// Counter gives a counter's name and new value, if the change is one of a counter.
func (c *Change) Counter() (name string, value int64, ok bool) {
	if c.Key.Table() != tableCounter || len(c.Value.Data) < counterRowBytes {
		return "", 0, false
	}
	return c.Key.Name(), int64(binary.BigEndian.Uint64(c.Value.Data)), true
}

// Ownership gives a shard and its new owner, if the change is one of an owner.
func (c *Change) Ownership() (shard messages.ShardID, owner Ownership, ok bool) {
	if c.Key.Table() != tableOwner {
		return 0, Ownership{}, false
	}
	shard, owner, err := parseOwner(string(c.Key), string(c.Value.Data))
	return shard, owner, err == nil
}
