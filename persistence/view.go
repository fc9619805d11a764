package persistence

import (
	"errors"
	"fmt"
	"maps"

	"github.com/tidwall/buntdb"

	"github.com/the-block/bursar/messages"
)

// ViewRowsMax is how many rows a View may touch. One lock guards all rows, so a longer
// look would keep entries from being applied: pages re-enter.
const ViewRowsMax = 1000

// View is the Store at one index: everything read through it is true for Applied. It
// ends with the function it was given to, which must not block or call the Store.
type View struct {
	store *Store
	tx    *buntdb.Tx
	rows  int
	err   error
}

// View calls read with the Store at one index. It returns read's error, ErrViewFull
// if more than ViewRowsMax rows were touched, ErrClosed, or ErrCorrupt for a row that
// does not hold together, which ends the node.
func (s *Store) View(read func(*View) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := s.db.View(func(tx *buntdb.Tx) error {
		v := &View{store: s, tx: tx}
		if err := read(v); err != nil {
			return err
		}
		return v.err
	})
	if errors.Is(err, buntdb.ErrDatabaseClosed) {
		return ErrClosed
	}
	return err
}

// Applied is the index this View is true for.
func (v *View) Applied() uint64 { return v.store.applied.Load() }

// Level is the feature level.
func (v *View) Level() uint16 { return v.store.derived.level }

// Last is the newest number assigned in a table, 0 if there is none.
func (v *View) Last(t Table) uint64 { return v.store.derived.last[t] }

// Owner is who owns the shard, the zero Ownership if nobody ever did.
func (v *View) Owner(shard messages.ShardID) Ownership { return v.store.derived.owners[shard] }

// Get gives the row under key.
func (v *View) Get(key Key) (Value, bool) {
	stored, ok := v.get(key)
	if !ok {
		return Value{}, false
	}
	r, err := parseRow(stored)
	if err != nil {
		v.fail(fmt.Errorf("row %x: %w", string(key), err))
		return Value{}, false
	}
	return Value{Tag: r.tag, Version: r.version, Data: []byte(r.data)}, true
}

// Scan calls fn with up to limit rows from key from up to, but without, to; in reverse
// it begins at the highest. It ends early when fn returns false. A next page begins
// behind the last key seen: at that key plus a zero byte, or in reverse with to = it.
func (v *View) Scan(from, to Key, reverse bool, limit int, fn func(Key, Value) bool) error {
	if from.Table() == 0 || to > Key([]byte{byte(tableReserved)}) {
		return fmt.Errorf("%w: scan from %x to %x", ErrInvalid, string(from), string(to))
	}
	left := limit
	visit := func(key, stored string) bool {
		if Key(key) < from || Key(key) >= to {
			return reverse && Key(key) == to
		}
		if left == 0 || !v.touch() {
			return false
		}
		left--
		r, err := parseRow(stored)
		if err != nil {
			v.fail(fmt.Errorf("row %x: %w", key, err))
			return false
		}
		return fn(Key(key), Value{Tag: r.tag, Version: r.version, Data: []byte(r.data)})
	}
	var err error
	if reverse {
		err = v.tx.DescendLessOrEqual("", string(to), visit)
	} else {
		err = v.tx.AscendGreaterOrEqual("", string(from), visit)
	}
	return errors.Join(err, v.err)
}

// Counter gives a counter's value, 0 if it was never changed.
func (v *View) Counter(name string) int64 {
	value, _ := v.counter(name)
	return value
}

func (v *View) counter(name string) (value int64, rows uint64) {
	stored, ok := v.get(counterKey(name))
	if !ok {
		return 0, 0
	}
	value, rows, err := parseCounter(stored)
	if err != nil {
		v.fail(fmt.Errorf("counter %q: %w", name, err))
	}
	return value, rows
}

// History gives up to limit rows of a counter's history, newest first, of those whose
// Seq is below before; before 0 begins with the newest.
func (v *View) History(name string, before uint64, limit int) []HistoryRow {
	_, rows := v.counter(name)
	seq := rows
	if before > 0 {
		seq = min(seq, before-1)
	}
	var out []HistoryRow
	var block string
	for ; seq > 0 && len(out) < limit && v.err == nil; seq-- {
		if block == "" || seq%HistoryBlock == 0 {
			var ok bool
			if block, ok = v.get(historyKey(name, seq)); !ok {
				v.fail(fmt.Errorf("%w: history of %q has no row %d", ErrCorrupt, name, seq))
				break
			}
		}
		row, err := parseHistoryRow(block, int((seq-1)%HistoryBlock), seq)
		if err != nil {
			v.fail(fmt.Errorf("history of %q: %w", name, err))
			break
		}
		out = append(out, row)
	}
	return out
}

// Request gives what is remembered of a request id.
func (v *View) Request(id string) (Remembered, bool) {
	r, ok, err := v.store.derived.remembered(v.tx, id)
	if err != nil {
		v.fail(err)
	}
	return r, ok && v.touch()
}

func (v *View) get(key Key) (string, bool) {
	if !v.touch() {
		return "", false
	}
	stored, err := v.tx.Get(string(key))
	if err != nil {
		if !errors.Is(err, buntdb.ErrNotFound) {
			v.fail(err)
		}
		return "", false
	}
	return stored, true
}

func (v *View) touch() bool {
	if v.rows++; v.rows > ViewRowsMax {
		v.fail(ErrViewFull)
		return false
	}
	return true
}

func (v *View) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// Get gives the row under key; see View.Get.
func (s *Store) Get(key Key) (value Value, ok bool, err error) {
	err = s.View(func(v *View) error {
		value, ok = v.Get(key)
		return nil
	})
	return value, ok, err
}

// Scan reads one page of rows; see View.Scan. limit is at most ViewRowsMax.
func (s *Store) Scan(from, to Key, reverse bool, limit int, fn func(Key, Value) bool) error {
	return s.View(func(v *View) error {
		return v.Scan(from, to, reverse, min(limit, ViewRowsMax), fn)
	})
}

// Counter gives a counter's value; see View.Counter.
func (s *Store) Counter(name string) (value int64, err error) {
	err = s.View(func(v *View) error {
		value = v.Counter(name)
		return nil
	})
	return value, err
}

// History reads one page of a counter's history; see View.History.
func (s *Store) History(name string, before uint64, limit int) (rows []HistoryRow, err error) {
	err = s.View(func(v *View) error {
		rows = v.History(name, before, limit)
		return nil
	})
	return rows, err
}

// Request gives what is remembered of a request id.
func (s *Store) Request(id string) (r Remembered, ok bool, err error) {
	err = s.View(func(v *View) error {
		r, ok = v.Request(id)
		return nil
	})
	return r, ok, err
}

// Owner is who owns the shard, the zero Ownership if nobody ever did.
func (s *Store) Owner(shard messages.ShardID) Ownership {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.derived.owners[shard]
}

// OwnersVersion is a number that grows whenever a shard may have got another owner: with
// an entry that assigned one, and with a restored snapshot. It is there before the entry
// is announced, counts from 0 in each process, and costs one atomic read.
func (s *Store) OwnersVersion() uint64 { return s.owners.Load() }

// Owners gives every shard that ever had an owner, and the OwnersVersion it is true for.
// The map is the caller's.
func (s *Store) Owners() (owners map[messages.ShardID]Ownership, version uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.derived.owners), s.owners.Load()
}

// Last is the newest number assigned in a table, 0 if there is none.
func (s *Store) Last(t Table) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.derived.last[t]
}

// Level is the feature level.
func (s *Store) Level() uint16 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.derived.level
}

// remembered looks a request id up.
func (d *derived) remembered(tx *buntdb.Tx, id string) (Remembered, bool, error) {
	place, ok := d.requests.find(id)
	if !ok {
		return Remembered{}, false, nil
	}
	key := placeKey(place)
	stored, err := tx.Get(string(key))
	if err != nil {
		return Remembered{}, false, fmt.Errorf("request row %x: %w", string(key), err)
	}
	var o origin
	var r Remembered
	if key.Table() >= tableReserved {
		var request requestRow
		request, err = parseRequestRow(stored)
		o, r.After, r.Reply = request.origin, request.after, []byte(request.reply)
	} else {
		var record row
		if record, err = parseRow(stored); err == nil {
			o, _, err = parseOrigin(record.origin)
		}
		r.Table = key.Table()
		r.First, _ = key.Number()
		r.Count = uint32(o.count)
	}
	if err != nil {
		return Remembered{}, false, fmt.Errorf("request row %x: %w", string(key), err)
	}
	copy(r.PayloadHash[:], o.hash)
	r.Index = o.index
	return r, o.id == id, nil
}
