package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/buntdb"

	"github.com/the-block/bursar/messages"
)

// carryOut puts a Txn that holds into effect: assigns, feature level, deletes, appends,
// writes, history rows, the request id, notes. Its adds are in effect already. An error is one of the
// database and stops the node.
func (f *FSM) carryOut(t *Txn, r *Result) error {
	f.assignNumbers(t, r)
	for _, step := range [...]func(*Txn, *Result) error{
		f.assign, f.raise, f.delete, f.append, f.write, f.record, f.remember, f.note,
	} {
		if err := step(t, r); err != nil {
			return err
		}
	}
	return nil
}

// assignNumbers numbers the Appends, before anything is written: a slot may cite any.
func (f *FSM) assignNumbers(t *Txn, r *Result) {
	f.assigned = f.assigned[:0]
	for i := range t.Appends {
		f.assigned = append(f.assigned, f.number(t.Appends[i].Table))
		if t.Appends[i].Table == t.Appends[0].Table {
			r.Count++
		}
	}
	if r.Count > 0 {
		r.First = f.assigned[0]
	}
}

func (f *FSM) assign(t *Txn, _ *Result) error {
	for i := range t.Assigns {
		a := &t.Assigns[i]
		owner := Ownership{Owner: messages.NodeID(strings.Clone(string(a.Owner))), Fence: a.From + 1}
		f.store.derived.owners[a.Shard] = owner
		f.assigns = true
		if err := f.setAnnounced(string(ownerKey(a.Shard)), ownerRow(owner)); err != nil {
			return err
		}
	}
	return nil
}

func (f *FSM) raise(t *Txn, _ *Result) error {
	d := f.store.derived
	if t.Level <= d.level {
		return nil
	}
	if t.Level > LevelMax {
		return fmt.Errorf("%w: feature level %d, this program knows up to %d", ErrUnsupported, t.Level, LevelMax)
	}
	covered := d.level >= LevelAudit
	d.level = t.Level
	if d.level >= LevelAudit && !covered {
		if err := f.coverOldRows(); err != nil {
			return err
		}
	}
	return f.set(string([]byte{byte(tableLevel)}), string([]byte{byte(t.Level >> 8), byte(t.Level)}))
}

func (f *FSM) delete(t *Txn, _ *Result) error {
	for _, key := range t.Deletes {
		previous, err := f.tx.Delete(string(key))
		if errors.Is(err, buntdb.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d := f.store.derived
		d.dropped(string(key), previous)
		if c := d.columns[key.Table()]; c != nil {
			if n, ok := key.Number(); ok && n > 0 {
				c.remove(n)
			}
		}
		f.changes = append(f.changes, change{key: keep(key), deleted: true})
	}
	return nil
}

func (f *FSM) append(t *Txn, r *Result) error {
	for i := range t.Appends {
		a := &t.Appends[i]
		var origin string
		if i == 0 && t.RequestID != "" {
			f.origin = appendOrigin(f.origin[:0], t.RequestID, &t.PayloadHash, int(r.Count), f.index)
			origin = string(f.origin)
			f.store.derived.requests.add(t.RequestID, requestPlace(a.Table, f.assigned[0]))
		}
		key := RecordKey(a.Table, f.assigned[i])
		if err := f.put(string(key), row{tag: a.Tag, version: 1, origin: origin}, a.Value, a.Slots); err != nil {
			return err
		}
	}
	return nil
}

func (f *FSM) write(t *Txn, _ *Result) error {
	for i := range t.Writes {
		w := &t.Writes[i]
		key := w.Key
		if len(w.KeySlots) > 0 {
			b := []byte(key)
			f.fill(b, w.KeySlots)
			key = Key(b)
		}
		r, _, err := f.get(key)
		if err != nil {
			return err
		}
		r.tag, r.version = w.Tag, r.version+1
		if err := f.put(keep(key), r, w.Value, w.Slots); err != nil {
			return err
		}
	}
	return nil
}

// put writes a record: r, with value as its data, its slots filled. r has the leaf of the row
// before it, if there was one.
func (f *FSM) put(key string, r row, value []byte, slots []Slot) error {
	table := Table(key[0])
	previous, audited := r.leaf, f.audits(key)
	if audited {
		r.leaf = f.number(tableTree)
	}
	f.scratch = r.appendHeader(f.scratch[:0])
	header := len(f.scratch)
	f.scratch = append(f.scratch, value...)
	data := f.scratch[header:]
	f.fill(data, slots)
	if err := f.setAnnounced(key, string(f.scratch)); err != nil {
		return err
	}
	d := f.store.derived
	if c := d.columns[table]; c != nil {
		if n, ok := Key(key).Number(); ok && n > 0 && n <= d.last[table] {
			c.set(n, r.tag, data)
		}
	}
	if !audited {
		return nil
	}
	return f.leaf(&Leaf{Number: r.leaf, Index: f.index, Key: Key(key), Tag: r.tag, Version: r.version, Data: data}, previous)
}

// fill writes the assigned numbers and the log index into their places.
func (f *FSM) fill(b []byte, slots []Slot) {
	for _, s := range slots {
		n := f.index
		if s.Number != SlotIndex {
			n = f.assigned[s.Number]
		}
		binary.BigEndian.PutUint64(b[s.Offset:], n)
	}
}

// record writes the history rows of the adds. Their values after are those of r.
func (f *FSM) record(t *Txn, r *Result) error {
	for i := range t.Adds {
		a := &t.Adds[i]
		if a.Delta == 0 {
			continue
		}
		c := f.counters.byName[a.Counter]
		c.dirty = true
		if a.Row == nil {
			continue
		}
		reference := a.Row.Reference
		if reference >= slotIDBase {
			reference = f.assigned[reference-slotIDBase]
		}
		row := HistoryRow{
			Delta:     a.Delta,
			After:     r.After[i],
			StampedAt: t.StampedAt,
			Event:     a.Row.Event,
			Reference: reference,
		}
		if f.store.derived.level >= levelTimes && c.rows > 0 {
			last, err := c.lastStamp(f.tx)
			if err != nil {
				return err
			}
			row.StampedAt = max(row.StampedAt, last)
		}
		if err := c.record(f.tx, row, f.set); err != nil {
			return err
		}
		if err := f.historyLeaf(c, &row); err != nil {
			return err
		}
	}
	return nil
}

// remember keeps the request id of a Txn without Appends: in the ring of recent ones,
// where it takes the place of the oldest, or for ever.
func (f *FSM) remember(t *Txn, r *Result) error {
	if t.RequestID == "" || len(t.Appends) > 0 {
		return nil
	}
	table := tableForever
	if t.Keep != KeepForever {
		table = tableRecent
	}
	place := f.number(table)
	if table == tableRecent {
		place %= f.requestsRecentMax
	}
	value := appendRequestRow(nil, t.RequestID, &t.PayloadHash, f.index, r.After, t.Reply)
	dropped, err := f.replace(string(RecordKey(table, place)), string(value))
	if err != nil {
		return err
	}
	requests := &f.store.derived.requests
	if dropped != "" {
		o, err := parseRequestRow(dropped)
		if err != nil {
			return err
		}
		requests.remove(o.id, requestPlace(table, place))
	}
	requests.add(t.RequestID, requestPlace(table, place))
	return nil
}

func (f *FSM) note(t *Txn, _ *Result) error {
	for i := range t.Notes {
		n := &t.Notes[i]
		if err := f.put(string(RecordKey(n.Table, f.number(n.Table))), row{tag: n.Tag, version: 1}, n.Value, n.Slots); err != nil {
			return err
		}
	}
	return nil
}
