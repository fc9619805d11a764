package persistence_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence"
)

// TestSelectTwin holds Select, page by page, against a filter over all records, across
// the edge of a column page, with records changed and deleted, before and after a
// restore.
func TestSelectTwin(t *testing.T) {
	type record struct {
		tag     byte
		columns [2]uint64
		gone    bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		cfg := persistence.DefaultStoreConfig()
		cfg.Columns = map[persistence.Table]persistence.Columns{1: {Count: 2, Extract: func(_ byte, data []byte, into []uint64) {
			into[0], into[1] = binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
		}}}
		store, err := persistence.Open(t.TempDir(), cfg)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		fsm := persistence.NewFSM(store)
		base := rapid.SampledFrom([]int{0, 4090}).Draw(rt, "base")
		records := make([]record, base, base+20)
		draw := func() record {
			return record{
				tag:     rapid.ByteRange(1, 3).Draw(rt, "tag"),
				columns: [2]uint64{rapid.Uint64Range(0, 4).Draw(rt, "a"), rapid.Uint64Range(0, 4).Draw(rt, "b")},
			}
		}
		value := func(r record) []byte {
			return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.columns[0]), r.columns[1])
		}
		var x persistence.Txn
		for range rapid.IntRange(0, 20).Draw(rt, "more") {
			records = append(records, draw())
		}
		for _, r := range records {
			x.Appends = append(x.Appends, persistence.Append{Table: 1, Tag: r.tag, Value: value(r)})
		}
		half := len(x.Appends) / 2
		y := persistence.Txn{Appends: x.Appends[half:]}
		x.Appends = x.Appends[:half]
		mustApply(rt, fsm, 1, entryOf(rt, &x, &y))
		var z persistence.Txn
		for range rapid.IntRange(0, 5).Draw(rt, "changes") {
			if len(records) == 0 {
				break
			}
			i := rapid.IntRange(0, len(records)-1).Draw(rt, "which")
			key := persistence.RecordKey(1, uint64(i+1))
			if rapid.Bool().Draw(rt, "delete") {
				records[i] = record{gone: true}
				mustApply(rt, fsm, store.Applied()+1, entryOf(rt, &persistence.Txn{Deletes: []persistence.Key{key}}))
				continue
			}
			records[i] = draw()
			z = persistence.Txn{Writes: []persistence.Write{{Key: key, Tag: records[i].tag, Value: value(records[i])}}}
			mustApply(rt, fsm, store.Applied()+1, entryOf(rt, &z))
		}
		if rapid.Bool().Draw(rt, "restore") {
			restoreFrom(rt, fsm, fsm)
		}
		q := persistence.Selection{
			Table:   1,
			Limit:   rapid.IntRange(1, 7).Draw(rt, "limit"),
			Tags:    rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 2).Draw(rt, "tags"),
			Examine: rapid.SampledFrom([]int{0, 1, 5, 1000}).Draw(rt, "examine"),
		}
		for range rapid.IntRange(0, 2).Draw(rt, "ranges") {
			q.Ranges = append(q.Ranges, persistence.Range{
				Column: rapid.IntRange(0, 1).Draw(rt, "column"),
				Min:    rapid.Uint64Range(0, 4).Draw(rt, "min"),
				Max:    rapid.Uint64Range(0, 4).Draw(rt, "max"),
			})
		}
		var want, got []uint64
		for i, r := range slices.Backward(records) {
			matches := !r.gone && (len(q.Tags) == 0 || slices.Contains(q.Tags, r.tag))
			for _, in := range q.Ranges {
				matches = matches && r.columns[in.Column] >= in.Min && r.columns[in.Column] <= in.Max
			}
			if matches {
				want = append(want, uint64(i+1))
			}
		}
		for pages := 0; ; pages++ {
			numbers, next := store.Select(q)
			if len(numbers) > q.Limit {
				rt.Fatalf("%d numbers, limit %d", len(numbers), q.Limit)
			}
			got = append(got, numbers...)
			if next == 0 {
				break
			}
			if q.Before > 0 && next >= q.Before {
				rt.Fatalf("next page at %d after one at %d", next, q.Before)
			}
			q.Before = next
		}
		if diff := cmp.Diff(got, want); diff != "" {
			rt.Fatalf("selected (-got +want):\n%s", diff)
		}
	})
}
