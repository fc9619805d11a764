package persistence_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// everyResult has one of each verdict, as the FSM gives them.
func everyResult() []persistence.Result {
	return []persistence.Result{
		{Status: persistence.Committed, Index: 42, First: 1000, Count: 1},
		{Status: persistence.Committed, Index: 42, After: []int64{0, -1, math.MaxInt64}},
		{Status: persistence.Fenced, Shard: 65535, Newest: 7},
		{Status: persistence.Refused, Failed: persistence.Failed{Kind: persistence.FailedCondition, Position: 131071}},
		{Status: persistence.Refused, Failed: persistence.Failed{Kind: persistence.FailedAdd}},
		{Status: persistence.Duplicate, Index: 3, After: []int64{5}, Reply: []byte("done")},
		{Status: persistence.Conflict, Index: math.MaxUint64},
		{Status: persistence.Committed, Index: 42},
	}
}

func drawResult(t *rapid.T) persistence.Result {
	return persistence.Result{
		Status: persistence.Status(rapid.ByteRange(1, 5).Draw(t, "status")),
		Index:  rapid.SampledFrom([]uint64{0, 9, 10, math.MaxUint64}).Draw(t, "index"),
		First:  rapid.Uint64().Draw(t, "first"),
		Count:  rapid.Uint32().Draw(t, "count"),
		After:  rapid.SliceOfN(rapid.Int64(), 0, 3).Draw(t, "after"),
		Shard:  messages.ShardID(rapid.Uint16().Draw(t, "shard")),
		Newest: messages.Fence(rapid.Uint64().Draw(t, "newest")),
		Failed: persistence.Failed{
			Kind:     persistence.FailedKind(rapid.ByteRange(0, 4).Draw(t, "kind")),
			Position: rapid.IntRange(0, 1<<17).Draw(t, "position"),
		},
		Reply: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "reply"),
	}
}

func TestResultsRoundTrip(t *testing.T) {
	check := func(want []persistence.Result) string {
		data := persistence.AppendResults([]byte("before"), want)
		got, err := persistence.DecodeResults(data[len("before"):])
		if err != nil {
			return err.Error()
		}
		return cmp.Diff(got, want, cmpopts.EquateEmpty())
	}
	for n := range everyResult() {
		if diff := check(everyResult()[:n+1]); diff != "" {
			t.Errorf("of the first %d (-got +want):\n%s", n+1, diff)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		if diff := check(rapid.SliceOfN(rapid.Custom(drawResult), 0, 5).Draw(rt, "results")); diff != "" {
			rt.Fatalf("(-got +want):\n%s", diff)
		}
	})
}

// TestGoldenResults keeps the answers of older nodes readable: the file never changes, only
// new ones come.
func TestGoldenResults(t *testing.T) {
	path := filepath.Join("testdata", "results-1.hex")
	data := persistence.AppendResults(nil, everyResult())
	if *update {
		writeGolden(t, path, data)
	}
	golden := readGolden(t, path)
	if !bytes.Equal(data, golden) {
		t.Errorf("the results' bytes are\n%x\nwant\n%x", data, golden)
	}
	got, err := persistence.DecodeResults(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, everyResult(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// TestResultsOfAnEntry holds the verdicts of a real entry, and that a full one is small.
func TestResultsOfAnEntry(t *testing.T) {
	fsm := openFSM(t)
	want := mustApply(t, fsm, 1, entryOf(t, everyTxn()...))
	got, err := persistence.DecodeResults(persistence.AppendResults(nil, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	full := make([]persistence.Result, persistence.BatchTxnsMax)
	for i := range full {
		full[i] = persistence.Result{Status: persistence.Committed, Index: 1 << 40, First: 1<<20 + uint64(i), Count: 1}
	}
	if n := len(persistence.AppendResults(nil, full)); n > 8*len(full) {
		t.Errorf("%d commits take %d bytes", len(full), n)
	}
}

func TestDamagedResults(t *testing.T) {
	data := persistence.AppendResults(nil, everyResult())
	for i := range data {
		if _, err := persistence.DecodeResults(data[:i]); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
		data[i] ^= 1 << (i % 8)
		if _, err := persistence.DecodeResults(data); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		data[i] ^= 1 << (i % 8)
	}
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"a newer format":    {[]byte{0xc2, 0}, persistence.ErrUnsupported},
		"an unknown part":   {[]byte{0xc1, 1, 1, 1 << 6}, persistence.ErrUnsupported},
		"an unknown status": {[]byte{0xc1, 1, 6, 0}, persistence.ErrUnsupported},
		"more to come":      {[]byte{0xc1, 2, 1, 0}, persistence.ErrCorrupt},
		"more than said":    {[]byte{0xc1, 1, 1, 0, 0}, persistence.ErrCorrupt},
		"too many":          {[]byte{0xc1, 0xff, 0xff, 0x7f, 1, 0}, persistence.ErrCorrupt},
	} {
		if _, err := persistence.DecodeResults(withCRC(c.body)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func withCRC(body []byte) []byte {
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return binary.BigEndian.AppendUint32(body[:len(body):len(body)], sum)
}

// FuzzDecodeResults: no bytes panic or allocate beyond their size, and what decodes
// encodes to something that decodes the same. The checksum is put right, or nothing would
// ever get behind it.
func FuzzDecodeResults(f *testing.F) {
	for n := range everyResult() {
		data := persistence.AppendResults(nil, everyResult()[n:])
		f.Add(data[:len(data)-crc32.Size])
	}
	f.Add([]byte{0xc1, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := persistence.DecodeResults(withCRC(body))
		if err != nil {
			return
		}
		second, err := persistence.DecodeResults(persistence.AppendResults(nil, first))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(second, first, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-second +first):\n%s", diff)
		}
	})
}
