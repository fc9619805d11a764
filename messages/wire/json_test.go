package wire_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/the-block/bursar/messages/wire"
)

func TestJSONThereAndBack(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{}`, `{}`},
		{`[]`, `[]`},
		{` { "a" : [ 1 , -2 , true , false , null , "s" ] } `, `{"a":[1,-2,true,false,null,"s"]}`},
		{`18446744073709551615`, `18446744073709551615`},
		{`-9223372036854775808`, `-9223372036854775808`},
		{`9007199254740993`, `9007199254740993`},
		{`18446744073709551616`, `1.8446744073709552e+19`},
		{`2.0`, `2`}, // as a float: no integer parameter takes it
		{`1e400`, `null`},
		{`"\u00e9\n\t\"\\\/\u0001"`, `"é\n\t\"\\/\u0001"`},
		{`"\ud83d\ude00"`, `"😀"`},
		{`"\ud800"`, `"` + "\uFFFD" + `"`},
		{`{"a":1,"a":2}`, `{"a":1,"a":2}`},
		{strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 32) + strings.Repeat("]", 32)},
	} {
		packed, err := wire.PackJSON([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got, err := wire.AppendJSON(nil, packed); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, in := range []string{
		``, ` `, `{`, `}`, `{"a"}`, `[1,]`, `[1 2]`, `01`, `+1`, `.5`, `nul`, `"`, `"\x"`, `'a'`, "\"\n\"", "\"\xff\"",
		`{1:2}`, `[]]`, `{} {}`, strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat("[", 1_000_000),
		"[" + strings.Repeat("1,", 300_000) + "1]",
	} {
		if packed, err := wire.PackJSON([]byte(in)); err == nil {
			t.Errorf("%.40s: %.40x", in, packed)
		}
	}
}

func TestWhatJSONCannotSayIsNull(t *testing.T) {
	for in, want := range map[string]string{
		"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00": `null`, // not a number
		"\xd4\x01\x02":                         `null`, // an extension
		"\xc4\x02\x0a\xff":                     `"0aff"`,
		"\xa2\xff\xfe":                         "\"\uFFFD\uFFFD\"",
		"\x81\x05\x06":                         `{"5":6}`,
		"\x81\x90\xc0":                         `{"[]":null}`,
	} {
		if got, err := wire.AppendJSON(nil, []byte(in)); err != nil || string(got) != want {
			t.Errorf("%x: got %s, %v, want %s", in, got, err, want)
		}
	}
}

// FuzzJSON: what is packed and unpacked again means what the standard library reads.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"payload":{"disbursement":{"amount":"5","memo":"\u00e9","x":[1.5,-2,null,true]}}}`))
	f.Add([]byte(`"\ud83d\ude00"`))
	f.Add([]byte(`[-0, -0.0, 2.0, 1e20, 1e400, 18446744073709551616]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		packed, err := wire.PackJSON(in)
		if err != nil {
			return
		}
		out, err := wire.AppendJSON(nil, packed)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if got, want := compact(t, out), compact(t, in); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

// compact reads JSON with the standard library and writes every number in one way.
func compact(t *testing.T, in []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	out, err := json.Marshal(plainNumbers(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case json.Number:
		if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return strconv.FormatUint(u, 10)
		}
		if i, err := v.Int64(); err == nil {
			return strconv.FormatInt(i, 10)
		}
		f, err := v.Float64()
		if err != nil {
			return nil // too large for a float
		}
		if f == 0 {
			return "0"
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return v
}

// FuzzUnpack: any bytes at all become JSON or an error.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x81\xa1a\x93\x01\xc0\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xdf\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4_096 {
			return // the nesting is bounded by the scan, not here
		}
		if out, err := wire.AppendJSON(nil, in); err == nil && !json.Valid(out) {
			t.Fatalf("%x: %s", in, out)
		}
	})
}
