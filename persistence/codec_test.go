package persistence_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

var update = flag.Bool("update", false, "rewrite golden files")

var sameTxn = cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(persistence.Condition{})}

// everyTxn uses every part of a Txn. Its bytes are the golden file.
func everyTxn() []*persistence.Txn {
	record := persistence.RecordKey(1, 7)
	return []*persistence.Txn{
		{
			Appends: []persistence.Append{
				{Table: 1, Tag: 1, Value: []byte("first, with 8 bytes: ........"), Slots: []persistence.Slot{{Offset: 21, Number: 1}}},
				{Table: 1, Tag: 2, Value: []byte("second")},
			},
			RequestID: "req-1", PayloadHash: [16]byte{1, 2, 3, 15: 16}, StampedAt: 1_700_000_000_123,
		},
		{
			Conditions: []persistence.Condition{
				persistence.Absent(record), persistence.Exists(persistence.RecordKey(1, 1)),
				persistence.VersionIs(persistence.RecordKey(1, 1), 1), persistence.TagIn(persistence.RecordKey(1, 2), 2, 3),
				persistence.TagNotIn(persistence.RecordKey(1, 2), 4), persistence.CounterBelow("epoch", 5),
				persistence.CounterAtLeast("epoch", -1),
			},
			Writes: []persistence.Write{{
				Key: persistence.NameKey(2, "name........"), Tag: 9, Value: []byte("at index ........"),
				Slots:    []persistence.Slot{{Offset: 9, Number: persistence.SlotIndex}},
				KeySlots: []persistence.Slot{{Offset: 5, Number: 0}},
			}},
			Appends:   []persistence.Append{{Table: 3}},
			Deletes:   []persistence.Key{record},
			StampedAt: -1,
		},
		{
			Adds: []persistence.Add{
				{Counter: "treasury", Delta: 500, Max: math.MaxInt64, Row: &persistence.Row{Event: 1, Reference: 42}},
				{Counter: "epoch", Delta: 1, Min: 1, Max: 1},
			},
			Assigns:   []persistence.Assign{{Shard: 63, Owner: "n1"}, {Shard: 64, Owner: "n2"}},
			RequestID: "req-2", Keep: persistence.KeepForever, Reply: []byte("reply"), Level: 1,
		},
		{Fences: []persistence.ShardFence{{Shard: 63, Fence: 1}}, RequestID: "req-3", Reply: []byte{0}},
	}
}

func assignAll(t testing.TB, fsm *persistence.FSM) {
	var x persistence.Txn
	for shard := range 64 {
		x.Assigns = append(x.Assigns, persistence.Assign{Shard: messages.ShardID(shard), Owner: "n1"})
	}
	mustApply(t, fsm, 1, entryOf(t, &x))
}

// TestGoldenEntry keeps old logs readable: the file never changes, only new ones come.
func TestGoldenEntry(t *testing.T) {
	testGolden(t, "entry-1.hex", everyTxn())
	testGolden(t, "entry-2.hex", []*persistence.Txn{
		{
			Writes: []persistence.Write{{Key: persistence.RecordKey(1, 7), Tag: 1, Value: []byte("who may")}},
			Notes: []persistence.Append{
				{Table: 9, Tag: 1, Value: []byte("at index ........"), Slots: []persistence.Slot{{Offset: 9, Number: persistence.SlotIndex}}},
				{Table: 9, Tag: 2},
			},
			RequestID: "req-1", Reply: []byte("reply"), Level: persistence.LevelNotes,
		},
		{
			Conditions: []persistence.Condition{persistence.Unchanged(persistence.RecordKey(1, 7), 1)},
			Appends:    []persistence.Append{{Table: 3}},
			Notes:      []persistence.Append{{Table: 9, Value: []byte("........"), Slots: []persistence.Slot{{Number: 0}}}},
		},
	})
}

func testGolden(t *testing.T, name string, txns []*persistence.Txn) {
	t.Helper()
	path := filepath.Join("testdata", name)
	data := entryOf(t, txns...)
	if *update {
		writeGolden(t, path, data)
	}
	golden := readGolden(t, path)
	if !bytes.Equal(data, golden) {
		t.Errorf("the entry's bytes are\n%x\nwant\n%x", data, golden)
	}
	encoded, err := persistence.DecodeBatch(golden)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range txns {
		got, err := persistence.DecodeTxn(encoded[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, want, sameTxn); diff != "" {
			t.Errorf("transaction %d (-got +want):\n%s", i, diff)
		}
	}
	fsm := openFSM(t)
	for i, r := range mustApply(t, fsm, 1, golden) {
		if r.Status != persistence.Committed {
			t.Errorf("transaction %d: %+v", i, r)
		}
	}
}

func readGolden(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTxnRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := drawTxn(rt)
		data, err := persistence.AppendTxn([]byte("before"), want)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := persistence.DecodeTxn(bytes.TrimPrefix(data, []byte("before")))
		if err != nil {
			rt.Fatal(err)
		}
		if want.RequestID == "" {
			want.Reply, want.PayloadHash = nil, [16]byte{}
		}
		if diff := cmp.Diff(got, want, sameTxn); diff != "" {
			rt.Fatalf("(-got +want):\n%s", diff)
		}
	})
}

func TestInvalidTxn(t *testing.T) {
	key := persistence.RecordKey(1, 1)
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		txn  persistence.Txn
		want error
	}{
		"fence 0":                  {persistence.Txn{Fences: []persistence.ShardFence{{Shard: 1}}}, persistence.ErrInvalid},
		"condition without a kind": {persistence.Txn{Conditions: []persistence.Condition{{}}}, persistence.ErrInvalid},
		"no tags":                  {persistence.Txn{Conditions: []persistence.Condition{persistence.TagIn(key)}}, persistence.ErrInvalid},
		"empty key":                {persistence.Txn{Deletes: []persistence.Key{""}}, persistence.ErrInvalid},
		"reserved table":           {persistence.Txn{Writes: []persistence.Write{{Key: "\xf0treasury"}}}, persistence.ErrInvalid},
		"append to table 0":        {persistence.Txn{Appends: []persistence.Append{{}}}, persistence.ErrInvalid},
		"long key":                 {persistence.Txn{Writes: []persistence.Write{{Key: persistence.Key("\x01" + long)}}}, persistence.ErrInvalid},
		"long request id":          {persistence.Txn{RequestID: long}, persistence.ErrInvalid},
		"long reply":               {persistence.Txn{RequestID: "r", Reply: []byte(long)}, persistence.ErrInvalid},
		"nameless counter":         {persistence.Txn{Adds: []persistence.Add{{}}}, persistence.ErrInvalid},
		"slot beyond the value": {persistence.Txn{Writes: []persistence.Write{{
			Key: key, Value: make([]byte, 8), Slots: []persistence.Slot{{Offset: 1, Number: persistence.SlotIndex}},
		}}}, persistence.ErrInvalid},
		"slot of no append": {persistence.Txn{Writes: []persistence.Write{{
			Key: key, Value: make([]byte, 8), Slots: []persistence.Slot{{}},
		}}}, persistence.ErrInvalid},
		"slot over the table byte": {persistence.Txn{Writes: []persistence.Write{{
			Key: key, KeySlots: []persistence.Slot{{Number: persistence.SlotIndex}},
		}}}, persistence.ErrInvalid},
		"row that cites no append": {persistence.Txn{Adds: []persistence.Add{{
			Counter: "a", Delta: 1, Max: 1, Row: &persistence.Row{Reference: persistence.SlotID(0)},
		}}}, persistence.ErrInvalid},
		"shard assigned twice": {persistence.Txn{Assigns: []persistence.Assign{
			{Shard: 1, Owner: "a"}, {Shard: 1, Owner: "b"},
		}}, persistence.ErrInvalid},
		"nobody's shard": {persistence.Txn{Assigns: []persistence.Assign{{Shard: 1}}}, persistence.ErrInvalid},
		"too large":      {persistence.Txn{Appends: []persistence.Append{{Table: 1, Value: make([]byte, persistence.TxnBytesMax)}}}, persistence.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := persistence.AppendTxn(nil, &c.txn); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// FuzzDecodeTxn: no bytes panic or allocate beyond their size, and what decodes encodes
// to something that decodes the same.
func FuzzDecodeTxn(f *testing.F) {
	encoded, err := persistence.DecodeBatch(readGolden(f, filepath.Join("testdata", "entry-1.hex")))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range encoded {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := persistence.DecodeTxn(data)
		if err != nil {
			return
		}
		again, err := persistence.AppendTxn(nil, first)
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		second, err := persistence.DecodeTxn(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(second, first, sameTxn); diff != "" {
			t.Fatalf("(-second +first):\n%s", diff)
		}
	})
}

// FuzzApply: an entry with a right checksum around any Txn bytes applies or is refused
// as a whole, and never panics.
func FuzzApply(f *testing.F) {
	encoded, err := persistence.DecodeBatch(readGolden(f, filepath.Join("testdata", "entry-1.hex")))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range encoded {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fsm := someFSM(t)
		before := digestOf(t, fsm)
		if _, err := fsm.Apply(2, persistence.AppendBatch(nil, data)); err != nil && digestOf(t, fsm) != before {
			t.Fatalf("refused with %v, and left a trace", err)
		}
	})
}

// TestGoldenSnapshot restores a snapshot written by the first version: it must give the
// Store that the golden entry gives.
func TestGoldenSnapshot(t *testing.T) {
	path := filepath.Join("testdata", "snapshot-1.hex")
	want := someFSM(t)
	if *update {
		writeGolden(t, path, snapshotOf(t, want))
	}
	fsm := openFSM(t)
	if err := fsm.Restore(bytes.NewReader(readGolden(t, path))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, fsm.Store()), describe(t, want.Store())); diff != "" {
		t.Errorf("restored (-got +want):\n%s", diff)
	}
	if digestOf(t, fsm) != digestOf(t, want) {
		t.Error("the restored rows are not those of today's program")
	}
}

func writeGolden(t testing.TB, path string, data []byte) {
	t.Helper()
	var lines strings.Builder
	for rest := hex.EncodeToString(data); rest != ""; {
		n := min(64, len(rest))
		lines.WriteString(rest[:n] + "\n")
		rest = rest[n:]
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConditionString(t *testing.T) {
	var got []string
	for _, c := range everyTxn()[1].Conditions {
		got = append(got, c.String())
	}
	want := []string{
		"010000000000000007 is absent", "010000000000000001 exists", "010000000000000001 has version 1",
		"010000000000000002 is 2 or 3", "010000000000000002 is not 4", "epoch < 5", "epoch >= -1",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
