package persistence_test

import (
	"crypto/sha256"
	"encoding/binary"
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
	leaves   [][]byte // of the audit tree
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
	s.leaves = slices.Clone(s.leaves)
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
	if w.level < persistence.LevelAudit && t.Level >= persistence.LevelAudit {
		w.level = t.Level
		for _, key := range slices.Sorted(maps.Keys(w.rows)) {
			if r := w.rows[key]; key.Table() == audited {
				w.leaf(string(key), r.tag, r.version, r.data)
			}
		}
	}
	w.level = max(w.level, t.Level)
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
		w.set(persistence.RecordKey(a.Table, assigned[i]), twinRow{
			tag: a.Tag, version: 1, data: w.fill(a.Value, a.Slots, assigned),
			origin: i == 0 && t.RequestID != "",
		})
	}
	for _, x := range t.Writes {
		key := persistence.Key(w.fill([]byte(x.Key), x.KeySlots, assigned))
		old := w.rows[key]
		w.set(key, twinRow{
			tag: x.Tag, version: old.version + 1, data: w.fill(x.Value, x.Slots, assigned), origin: old.origin,
		})
	}
	for i, a := range t.Adds {
		if !w.add(a, t.StampedAt, assigned) {
			return refusal(persistence.FailedAdd, i)
		}
		r.After = append(r.After, w.counters[a.Counter])
	}
	w.remember(t, r)
	for _, n := range t.Notes {
		w.last[n.Table]++
		w.set(persistence.RecordKey(n.Table, w.last[n.Table]), twinRow{tag: n.Tag, version: 1, data: w.fill(n.Value, n.Slots, assigned)})
	}
	return r
}

func refusal(kind persistence.FailedKind, position int) persistence.Result {
	return persistence.Result{
		Status: persistence.Refused,
		Failed: persistence.Failed{Kind: kind, Position: position},
	}
}

// audited is the one table of the tests whose rows are leaves.
const audited persistence.Table = 1

func (w *twin) set(key persistence.Key, r twinRow) {
	w.rows[key] = r
	if w.level >= persistence.LevelAudit && key.Table() == audited {
		w.leaf(string(key), r.tag, r.version, r.data)
	}
}

func (w *twin) leaf(key string, tag byte, version uint64, data string) {
	b := []byte{1}
	for _, n := range []uint64{uint64(len(w.leaves) + 1), w.index, version} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, tag, 0, byte(len(key)))
	w.leaves = append(w.leaves, append(append(b, key...), data...))
}

// naiveRoot is RFC 6962, section 2.1, word for word.
func naiveRoot(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
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
		seq := uint64(len(w.history[a.Counter]) + 1)
		if w.level >= persistence.LevelAudit && reference == 0 {
			var row []byte
			for _, n := range []uint64{uint64(a.Delta), uint64(after), uint64(stamp)} {
				row = binary.BigEndian.AppendUint64(row, n)
			}
			row = binary.BigEndian.AppendUint64(append(row, a.Row.Event), 0)
			w.leaf(string(binary.BigEndian.AppendUint64([]byte("\xf1"+a.Counter), seq)), a.Row.Event, 0, string(row))
		}
		w.history[a.Counter] = append(w.history[a.Counter], persistence.HistoryRow{
			Seq: seq, Delta: a.Delta, After: after, StampedAt: stamp,
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
	fmt.Fprintf(&b, "tree of %d: %x\n", len(w.leaves), naiveRoot(w.leaves))
	return b.String()
}
