package pack_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages/internal/pack"
)

var limits = pack.Limits{Bytes: 1 << 20, Depth: 32, Elements: 1 << 18}

func scan(b []byte) (int, pack.Verdict) {
	var s pack.Scanner
	return s.Scan(b, limits)
}

func TestKnownKillersAreRefusedAtOnce(t *testing.T) {
	nested := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	for _, c := range []struct {
		name string
		b    []byte
		want pack.Verdict
	}{
		{"an array of 134,217,727", []byte("\xdd\x07\xff\xff\xff"), pack.TooLarge},
		{"an array of 4,294,967,295", []byte("\xdd\xff\xff\xff\xff"), pack.TooLarge},
		{"a map of 4,294,967,295", []byte("\xdf\xff\xff\xff\xff"), pack.TooLarge},
		{"a gigabyte of binary", []byte("\xc6\x40\xff\xff\xff"), pack.TooLarge},
		{"four gigabytes of string", []byte("\xdb\xff\xff\xff\xff"), pack.TooLarge},
		{"four gigabytes of extension", []byte("\xc9\xff\xff\xff\xff\x01"), pack.TooLarge},
		{"a binary in an array that does not fit", []byte("\x91\xc6\x00\x10\x00\x00"), pack.TooLarge},
		{"1 MiB of nested arrays", nested(0x91, 1<<20), pack.TooDeep},
		{"20 MB of nested arrays", nested(0x91, 20_000_000), pack.TooDeep},
		{"nested maps", bytes.Repeat([]byte("\x81\x00"), 1<<19), pack.TooDeep},
		{"33 levels", append(nested(0x91, 32), 0x91, 0x00), pack.TooDeep},
		{"33 levels, the last one empty", append(nested(0x91, 32), 0x90), pack.TooDeep},
		{"300,000 elements", []byte("\xdd\x00\x04\x93\xe0"), pack.TooMany},
		{"elements in many arrays", append([]byte("\xdc\xff\xff"), bytes.Repeat([]byte("\x94\x00\x00\x00\x00"), 65_535)...), pack.TooMany},
		{"the byte that begins nothing", []byte("\xc1"), pack.Garbage},
		{"the same inside", []byte("\x92\x00\xc1"), pack.Garbage},
	} {
		if n, got := scan(c.b); got != c.want || n != 0 {
			t.Errorf("%s: %d, %v, want %v", c.name, n, got, c.want)
		}
	}
}

func TestAStringOfExactlyTheLimitPassesAndOneByteMoreDoesNot(t *testing.T) {
	b := pack.AppendString(nil, strings.Repeat("s", limits.Bytes-5))
	if n, v := scan(b); v != pack.Complete || n != limits.Bytes {
		t.Errorf("got %d, %v", n, v)
	}
	b = pack.AppendString(nil, strings.Repeat("s", limits.Bytes-4))
	if _, v := scan(b); v != pack.TooLarge {
		t.Errorf("got %v", v)
	}
	deep := append(bytes.Repeat([]byte{0x91}, 32), 0x00)
	if n, v := scan(deep); v != pack.Complete || n != len(deep) {
		t.Errorf("32 levels: got %d, %v", n, v)
	}
}

// values draws encoded values and the number of elements in them.
func values(depth int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		kinds := 9
		if depth == 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return pack.AppendUint(nil, rapid.Uint64().Draw(t, "uint"))
		case 1:
			return pack.AppendInt(nil, rapid.Int64().Draw(t, "int"))
		case 2:
			return pack.AppendString(nil, rapid.StringN(0, -1, 70_000).Draw(t, "string"))
		case 3:
			return pack.AppendBool(nil, rapid.Bool().Draw(t, "bool"))
		case 4:
			return pack.AppendNil(nil)
		case 5:
			return pack.AppendFloat(nil, math.Float64bits(rapid.Float64().Draw(t, "float")))
		case 6:
			b, _ := msgpack.Marshal(rapid.SliceOf(rapid.Byte()).Draw(t, "binary"))
			return b
		case 7:
			list := rapid.SliceOfN(values(depth-1), 0, 20).Draw(t, "list")
			return append(pack.AppendArray(nil, len(list)), bytes.Join(list, nil)...)
		default:
			list := rapid.SliceOfN(values(depth-1), 0, 20).Draw(t, "map")
			b := pack.AppendMap(nil, len(list))
			for _, v := range list {
				b = append(pack.AppendString(b, rapid.String().Draw(t, "key")), v...)
			}
			return b
		}
	})
}

func TestTheScannerFindsTheEndHoweverTheBytesArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := values(4).Draw(t, "value")
		stream := append(bytes.Clone(value), 0xc0)
		var s pack.Scanner
		for have := 0; ; {
			have = min(have+rapid.IntRange(0, len(stream)/3+1).Draw(t, "more"), len(stream))
			n, v := s.Scan(stream[:have], limits)
			switch {
			case v == pack.Incomplete && have < len(value):
			case v == pack.Complete && have >= len(value) && n == len(value):
				return
			default:
				t.Fatalf("with %d of %d bytes: %d, %v", have, len(value), n, v)
			}
		}
	})
}

func TestSkipAndScanAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := values(4).Draw(t, "value")
		var d pack.Decoder
		d.Reset(append(bytes.Clone(value), 1, 2, 3), "it", false)
		raw := d.Raw()
		if d.Fault() != nil || !bytes.Equal(raw, value) || len(d.Rest()) != 3 {
			t.Fatalf("skipped %d of %d bytes, %v", len(raw), len(value), d.Fault())
		}
	})
}

func TestIntegersAreWhatAnotherCodecWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64().Draw(t, "v")
		var w bytes.Buffer
		enc := msgpack.NewEncoder(&w)
		enc.UseCompactInts(true)
		if err := enc.EncodeInt(v); err != nil {
			t.Fatal(err)
		}
		if got := pack.AppendInt(nil, v); !bytes.Equal(got, w.Bytes()) {
			t.Fatalf("%d: got %x, want %x", v, got, w.Bytes())
		}
		wide, err := msgpack.Marshal(v) // all nine bytes
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{w.Bytes(), wide} {
			var d pack.Decoder
			d.Reset(b, "it", false)
			if got := d.Int(); got != v || d.Fault() != nil {
				t.Fatalf("got %d, %v, want %d", got, d.Fault(), v)
			}
			d.Reset(b, "it", false)
			got := d.Uint()
			if ok := d.Fault() == nil; ok != (v >= 0) || ok && got != uint64(v) {
				t.Fatalf("%d as unsigned: got %d, %v", v, got, d.Fault())
			}
		}
	})
}

func TestNumbersAtTheEdges(t *testing.T) {
	for _, v := range []uint64{0, 127, 128, 255, 256, 65_535, 65_536, 1<<32 - 1, 1 << 32, math.MaxInt64, math.MaxUint64} {
		var d pack.Decoder
		d.Reset(pack.AppendUint(nil, v), "it", false)
		if got := d.Uint(); got != v {
			t.Errorf("got %d, want %d", got, v)
		}
	}
	for _, v := range []int64{-1, -32, -33, -128, -129, -32_768, -32_769, math.MinInt32, math.MinInt32 - 1, math.MinInt64} {
		var d pack.Decoder
		d.Reset(pack.AppendInt(nil, v), "it", false)
		if !d.Negative() {
			t.Errorf("%d does not look negative", v)
		}
		if got := d.Int(); got != v {
			t.Errorf("got %d, want %d", got, v)
		}
	}
	var d pack.Decoder
	d.Reset(pack.AppendUint(nil, 1<<63), "it", false)
	if d.Int(); d.Fault() == nil {
		t.Error("2^63 passed for a signed number")
	}
}

func TestBinaryIsWhatAnotherCodecWrites(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 65_535, 65_536, 300_000} {
		v := bytes.Repeat([]byte{7}, n)
		want, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b := pack.AppendBinary(nil, v)
		if !bytes.Equal(b, want) {
			t.Errorf("%d bytes begin with % x, want % x", n, b[:2], want[:2])
		}
		var d pack.Decoder
		d.Reset(b, "it", false)
		if got := d.Binary(); !bytes.Equal(got, v) || d.Fault() != nil || len(d.Rest()) != 0 {
			t.Errorf("%d bytes: got %d, %v", n, len(got), d.Fault())
		}
	}
	for _, b := range [][]byte{pack.AppendString(nil, "s"), pack.AppendNil(nil), {0xc4, 2, 0}, {0xc7, 0, 0}, nil} {
		var d pack.Decoder
		d.Reset(b, "it", false)
		if got := d.Binary(); got != nil || d.Fault() == nil {
			t.Errorf("% x: got % x, %v", b, got, d.Fault())
		}
	}
}

func TestTheReaderReadsEveryKind(t *testing.T) {
	b := pack.AppendArray(nil, 9)
	b = pack.AppendNil(b)
	b = pack.AppendBool(b, true)
	b = pack.AppendUint(b, 300)
	b = pack.AppendInt(b, -300)
	b = pack.AppendFloat(b, math.Float64bits(1.5))
	b = append(b, 0xca, 0x3f, 0xc0, 0, 0) // 1.5 in 32 bits
	b = pack.AppendString(b, "s")
	b = append(b, 0xc4, 1, 7)
	b = pack.AppendMap(b, 0)
	r := pack.NewReader(b)
	for _, want := range []pack.Value{
		{Kind: pack.KindList, Len: 9}, {}, {Kind: pack.KindBool, Uint: 1}, {Kind: pack.KindUint, Uint: 300},
		{Kind: pack.KindInt, Uint: math.MaxUint64 - 299}, {Kind: pack.KindFloat, Uint: math.Float64bits(1.5)},
		{Kind: pack.KindFloat, Uint: math.Float64bits(1.5)}, {Kind: pack.KindString, Bytes: []byte("s")},
		{Kind: pack.KindBinary, Bytes: []byte{7}}, {Kind: pack.KindMap},
	} {
		got := r.Next()
		if got.Kind != want.Kind || got.Uint != want.Uint || got.Len != want.Len || !bytes.Equal(got.Bytes, want.Bytes) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
	if r.Next(); r.Err() == nil {
		t.Error("read beyond the end")
	}
}

// FuzzScan: what the scanner accepts, the decoder passes over completely, in a stream
// as in one piece; what any codec would read from it is bounded.
func FuzzScan(f *testing.F) {
	f.Add([]byte("\x94\x00\x01\xa1m\x91\x80"))
	f.Add([]byte("\xdd\x07\xff\xff\xff"))
	f.Add([]byte("\xc6\x40\xff\xff\xff"))
	f.Add([]byte("\x91\xd4\x01\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, verdict := scan(b)
		var s pack.Scanner
		for i := range len(b) + 1 {
			m, v := s.Scan(b[:i], limits)
			if v == pack.Incomplete {
				continue
			}
			if v != verdict || m != n {
				t.Fatalf("byte by byte: %d, %v; at once: %d, %v", m, v, n, verdict)
			}
			break
		}
		var d pack.Decoder
		d.Reset(b, "it", false)
		raw := d.Raw()
		if verdict == pack.Complete && len(raw) != n {
			t.Fatalf("scanned %d bytes, skipped %d", n, len(raw))
		}
		if verdict == pack.Complete {
			if err := msgpack.Unmarshal(b[:n], new(msgpack.RawMessage)); err != nil {
				t.Fatalf("another codec does not read %x: %v", b[:n], err)
			}
		}
	})
}

func BenchmarkScanSubmit(b *testing.B) {
	msg, err := msgpack.Marshal([]any{0, 1, "gov.treasury.submit_disbursement", []any{map[string]any{
		"request_id": "4c1f6a2e-0b1d-4a58-9c39-3a1b5d1e6f70",
		"payload": map[string]any{"disbursement": map[string]any{
			"destination": "tb1q0123456789abcdef", "amount": 1_250_000, "memo": "depends_on=1,2", "scheduled_epoch": 1,
			"expected_receipts": []any{}}}}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var s pack.Scanner
	for b.Loop() {
		s.Reset()
		if _, v := s.Scan(msg, limits); v != pack.Complete {
			b.Fatal(v)
		}
	}
}
