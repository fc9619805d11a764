package values_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages/values"
)

type add struct {
	N    int               `msgpack:"n"`
	Tags map[string]uint64 `msgpack:"tags"`
}

type total int

type tree struct{ Left, Right *tree }

func codec(tb testing.TB, samples ...any) *values.Codec {
	tb.Helper()
	c, err := values.New(samples...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestAValueArrivesAsItWasWithItsType(t *testing.T) {
	c := codec(t, add{}, &tree{}, total(0), "", false)
	for _, want := range []any{
		add{N: -5, Tags: map[string]uint64{"a": 1 << 63}}, &tree{Left: &tree{}}, total(7), "text", true, nil,
	} {
		b, err := c.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(b)
		if err != nil {
			t.Errorf("%#v: %v", want, err)
		}
		if diff := cmp.Diff(got, want, cmp.AllowUnexported(add{})); diff != "" {
			t.Errorf("got -, want +\n%s", diff)
		}
	}
}

// The bytes are read by other versions of a program.
func TestTheBytesStayAsTheyAre(t *testing.T) {
	got, err := codec(t, add{}).Encode(add{N: 3})
	if want := "\x92\xa3add\x82\xa1n\x03\xa4tags\xc0"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestOtherVersionsAreUnderstood(t *testing.T) {
	c := codec(t, add{})
	newer, err := msgpack.Marshal([]any{"add", map[string]any{"n": 4, "later": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"a field more": newer, "fields missing": []byte("\x92\xa3add\x81\xa1n\x04")} {
		got, err := c.Decode(b)
		if err != nil || got.(add).N != 4 {
			t.Errorf("%s: %#v, %v", name, got, err)
		}
	}
}

func TestWhatCannotBeCarriedIsNamed(t *testing.T) {
	type other struct{ add }
	for name, c := range map[string]struct {
		samples []any
		want    string
	}{
		"nil":            {[]any{add{}, nil}, "sample 2 is nil"},
		"no name":        {[]any{[]int{}}, "[]int has no name"},
		"one name twice": {[]any{add{}, &add{}}, "have the same name"},
	} {
		if _, err := values.New(c.samples...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := codec(t, add{}).Encode(other{}); err == nil || !strings.Contains(err.Error(), "other was not given") {
		t.Errorf("an unknown type: %v", err)
	}
}

func TestBytesThatAreNoValueAreRefused(t *testing.T) {
	c := codec(t, add{}, &tree{}, total(0))
	for name, b := range map[string]string{
		"nothing": "", "no list": "\x01", "a list of three": "\x93\xa3add\x80\x80", "no name": "\x92\x01\x80",
		"unknown type": "\x92\xa3xxx\x80", "another shape": "\x92\xa3add\x05", "cut": "\x92\xa3add\x82",
		"more behind it": "\x92\xa5total\x01\x01", "too deep": "\x92\xa4tree" + strings.Repeat("\x81\xa4Left", 5000) + "\xc0",
		"a length that is not there": "\x92\xa3add\x81\xa4tags\xdf\xff\xff\xff\xff",
	} {
		if v, err := c.Decode([]byte(b)); err == nil {
			t.Errorf("%s: %#v", name, v)
		}
	}
}

// FuzzDecode feeds any bytes: what is accepted must mean the same after another trip.
func FuzzDecode(f *testing.F) {
	c := codec(f, add{}, &tree{}, total(0), "")
	for _, v := range []any{add{N: 1, Tags: map[string]uint64{"x": 2}}, &tree{Right: &tree{}}, total(1), "s", nil} {
		b, err := c.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := c.Decode(b)
		if err != nil {
			return
		}
		b, err = c.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Decode(b)
		if diff := cmp.Diff(again, v, cmp.AllowUnexported(add{})); err != nil || diff != "" {
			t.Fatalf("%v: got -, want +\n%s", err, diff)
		}
	})
}
