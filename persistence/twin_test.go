package persistence_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// twin is the state machine in the most obvious way: maps, a copy of everything before
// each Txn, and the copy put back if anything does not hold.
type twin struct {
	recentMax int
	twinState
}

type twinState struct {
	index    uint64
	rows     map[persistence.Key]twinRow
	counters map[string]int64
	history  map[string][]persistence.HistoryRow
	owners   map[messages.ShardID]persistence.Ownership
	last     map[persistence.Table]uint64
	level    uint16
	requests map[string]twinRequest
	recent   []string // oldest first
}

type twinRow struct {
	tag     byte
	version uint64
	data    string
	origin  bool
}

type twinRequest struct {
	hash  [16]byte
	reply persistence.Result
}

func newTwin(recentMax int) *twin {
	return &twin{recentMax: recentMax, twinState: twinState{
		rows:     map[persistence.Key]twinRow{},
		counters: map[string]int64{},
		history:  map[string][]persistence.HistoryRow{},
		owners:   map[messages.ShardID]persistence.Ownership{},
		last:     map[persistence.Table]uint64{},
		requests: map[string]twinRequest{},
	}}
}

func (s twinState) copy() twinState {
	s.rows, s.counters, s.owners = maps.Clone(s.rows), maps.Clone(s.counters), maps.Clone(s.owners)
	s.last, s.requests, s.recent = maps.Clone(s.last), maps.Clone(s.requests), slices.Clone(s.recent)
	s.history = maps.Clone(s.history)
	for name, rows := range s.history {
		s.history[name] = slices.Clone(rows)
	}
	return s
}

func (w *twin) apply(index uint64, txns []*persistence.Txn) []persistence.Result {
	w.index = index
	var results []persistence.Result
	for _, t := range txns {
		before := w.copy()
		r := w.one(t)
		if r.Status != persistence.Committed {
			w.twinState = before
		}
		results = append(results, r)
	}
	return results
}

func (w *twin) one(t *persistence.Txn) persistence.Result {
	if known, ok := w.requests[t.RequestID]; ok && t.RequestID != "" {
		r := known.reply
		r.Status = persistence.Duplicate
		if known.hash != t.PayloadHash {
			r = persistence.Result{Status: persistence.Conflict, Index: r.Index}
		}
		return r
	}
	for _, f := range t.Fences {
		if newest := w.owners[f.Shard].Fence; newest != f.Fence {
			return persistence.Result{Status: persistence.Fenced, Shard: f.Shard, Newest: newest}
		}
	}
	for _, a := range t.Assigns {
		if newest := w.owners[a.Shard].Fence; newest != a.From {
			return persistence.Result{Status: persistence.Fenced, Shard: a.Shard, Newest: newest}
		}
		w.owners[a.Shard] = persistence.Ownership{Owner: a.Owner, Fence: a.From + 1}
	}
	for i, c := range t.Conditions {
		if !w.holds(c) {
			kind, _, _, _ := c.Parts()
			if kind == "unchanged" {
				return refusal(persistence.FailedRight, i)
			}
			return refusal(persistence.FailedCondition, i)
		}
	}
	for i, key := range t.Deletes {
		if w.rows[key].origin {
			return refusal(persistence.FailedDelete, i)
		}
	}
	for _, key := range t.Deletes {
		delete(w.rows, key)
	}
	r := persistence.Result{Status: persistence.Committed, Index: w.index}
	var assigned []uint64
	for _, a := range t.Appends {
		w.last[a.Table]++
		assigned = append(assigned, w.last[a.Table])
		if a.Table == t.Appends[0].Table {
			r.Count++
		}
	}
	if len(assigned) > 0 {
		r.First = assigned[0]
	}
	for i, a := range t.Appends {
		w.rows[persistence.RecordKey(a.Table, assigned[i])] = twinRow{
			tag: a.Tag, version: 1, data: w.fill(a.Value, a.Slots, assigned),
			origin: i == 0 && t.RequestID != "",
		}
	}
	for _, x := range t.Writes {
		key := persistence.Key(w.fill([]byte(x.Key), x.KeySlots, assigned))
		old := w.rows[key]
		w.rows[key] = twinRow{
			tag: x.Tag, version: old.version + 1, data: w.fill(x.Value, x.Slots, assigned), origin: old.origin,
		}
	}
	w.level = max(w.level, t.Level)
	for i, a := range t.Adds {
		if !w.add(a, t.StampedAt, assigned) {
			return refusal(persistence.FailedAdd, i)
		}
		r.After = append(r.After, w.counters[a.Counter])
	}
	w.remember(t, r)
	for _, n := range t.Notes {
		w.last[n.Table]++
		w.rows[persistence.RecordKey(n.Table, w.last[n.Table])] = twinRow{tag: n.Tag, version: 1, data: w.fill(n.Value, n.Slots, assigned)}
	}
	return r
}

func refusal(kind persistence.FailedKind, position int) persistence.Result {
	return persistence.Result{
		Status: persistence.Refused,
		Failed: persistence.Failed{Kind: kind, Position: position},
	}
}

func (w *twin) holds(c persistence.Condition) bool {
	kind, key, n, tags := c.Parts()
	row, exists := w.rows[key]
	switch kind {
	case "exists":
		return exists
	case "absent":
		return !exists
	case "version", "unchanged":
		return exists && row.version == uint64(n)
	case "in":
		return exists && strings.Contains(tags, string([]byte{row.tag}))
	case "not in":
		return exists && !strings.Contains(tags, string([]byte{row.tag}))
	case "below":
		return w.counters[string(key)] < n
	case "at least":
		return w.counters[string(key)] >= n
	}
	panic(kind)
}

func (w *twin) fill(value []byte, slots []persistence.Slot, assigned []uint64) string {
	b := slices.Clone(value)
	for _, s := range slots {
		n := w.index
		if s.Number != persistence.SlotIndex {
			n = assigned[s.Number]
		}
		for i := range 8 {
			b[int(s.Offset)+i] = byte(n >> (56 - 8*i))
		}
	}
	return string(b)
}

func (w *twin) add(a persistence.Add, stamp int64, assigned []uint64) bool {
	old := w.counters[a.Counter]
	after := old + a.Delta
	if a.Delta > 0 && after < old || a.Delta < 0 && after > old || after < a.Min || after > a.Max {
		return false
	}
	w.counters[a.Counter] = after
	if a.Row != nil && a.Delta != 0 {
		reference := a.Row.Reference
		for k, n := range assigned {
			if reference == persistence.SlotID(uint16(k)) {
				reference = n
			}
		}
		if rows := w.history[a.Counter]; w.level >= 2 && len(rows) > 0 {
			stamp = max(stamp, rows[len(rows)-1].StampedAt)
		}
		w.history[a.Counter] = append(w.history[a.Counter], persistence.HistoryRow{
			Seq: uint64(len(w.history[a.Counter]) + 1), Delta: a.Delta, After: after, StampedAt: stamp,
			Event: a.Row.Event, Reference: reference,
		})
	}
	return true
}

func (w *twin) remember(t *persistence.Txn, r persistence.Result) {
	if t.RequestID == "" {
		return
	}
	kept := persistence.Result{Index: r.Index, First: r.First, Count: r.Count}
	if len(t.Appends) == 0 {
		kept.After = slices.Clone(r.After)
		kept.Reply = append([]byte{}, t.Reply...)
	}
	w.requests[t.RequestID] = twinRequest{t.PayloadHash, kept}
	if len(t.Appends) > 0 || t.Keep == persistence.KeepForever {
		return
	}
	w.recent = append(w.recent, t.RequestID)
	if len(w.recent) > w.recentMax {
		delete(w.requests, w.recent[0])
		w.recent = w.recent[1:]
	}
}

// describe writes everything a reader can see, in one order.
func (w *twin) describe(names []string, ids []string, shards []messages.ShardID) string {
	var b strings.Builder
	fmt.Fprintln(&b, "level", w.level)
	for _, key := range slices.Sorted(maps.Keys(w.rows)) {
		r := w.rows[key]
		fmt.Fprintf(&b, "row %x %d %d %x\n", string(key), r.tag, r.version, r.data)
	}
	for _, name := range names {
		fmt.Fprintln(&b, "counter", name, w.counters[name])
		for _, r := range slices.Backward(w.history[name]) {
			fmt.Fprintf(&b, "history %+v\n", r)
		}
	}
	for _, shard := range shards {
		fmt.Fprintf(&b, "owner %d %+v\n", shard, w.owners[shard])
	}
	for _, id := range ids {
		r, ok := w.requests[id]
		fmt.Fprintf(&b, "request %s %t %x %d %d %d %v %q\n",
			id, ok, r.hash, r.reply.Index, r.reply.First, r.reply.Count, r.reply.After, r.reply.Reply)
	}
	for _, table := range []persistence.Table{1, 2} {
		fmt.Fprintln(&b, "last", table, w.last[table])
	}
	return b.String()
}
