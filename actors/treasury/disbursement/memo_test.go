package disbursement_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
)

func TestParseDependencies(t *testing.T) {
	tests := []struct {
		name string
		memo string
		want []uint64
	}{
		{"an empty memo has none", "", nil},
		{"white space has none", " \t\r\n\u00a0\u2003", nil},
		{"plain words have none", "grant for the motion mine", nil},
		{"duplicates are dropped", `{"depends_on":[123,456,123]}`, []uint64{123, 456}},
		{"the result is ascending", `{"depends_on":[3,1,2]}`, []uint64{1, 2, 3}},
		{"a plain list may have spaces", "depends_on=111, 222", []uint64{111, 222}},
		{"a plain list may start with a colon", "depends_on: 5,4", []uint64{4, 5}},
		{"surrounding white space does not count", "\u00a0\n depends_on=7 \t", []uint64{7}},
		{"strings of digits count in JSON", `{"depends_on":[1,2,"x",null,"3"]}`, []uint64{1, 2, 3}},
		{"strings are trimmed", `{"depends_on":[" 3\t","\u2003\u00344\n"," 5 "]}`, []uint64{3, 5, 44}},
		{"a number over 64 bits vanishes alone", `{"depends_on":[18446744073709551616,5]}`, []uint64{5}},
		{"a plain number over 64 bits vanishes alone", "depends_on=18446744073709551616,5", []uint64{5}},
		{"the largest number counts", "depends_on=18446744073709551615", []uint64{1<<64 - 1}},
		{"fractions do not count, not even whole ones", `{"depends_on":[2.0,1e2,1E0,3]}`, []uint64{3}},
		{"signs do not count", `depends_on=+5,-6,7`, []uint64{7}},
		{"negative numbers do not count", `{"depends_on":[-1,-0,"-2","+3",4]}`, []uint64{4}},
		{"leading zeros are harmless", `depends_on=007,00000000000000000000000000008`, []uint64{7, 8}},
		{"zero is a number", `{"depends_on":[0]}`, []uint64{0}},
		{"other scripts' digits do not count", "depends_on=٣,1", []uint64{1}},
		{"digits apart are no number", `{"depends_on":["1 2","3\u00204",5]}`, []uint64{5}},
		{"blank items do not count", "depends_on=1,,2,", []uint64{1, 2}},
		{"white space within strings is Unicode's", "{\"depends_on\":[\"\u00a05\u2003\",\"\u200b6\"]}", []uint64{5}},
		{"values of other kinds are skipped", `{"depends_on":[[1],{"depends_on":[2]},true,false,null,3]}`, []uint64{3}},
		{"the last of equal keys counts", `{"depends_on":[1,2],"depends_on":[3]}`, []uint64{3}},
		{"the last of equal keys counts if it has no array", `{"depends_on":[1,2],"depends_on":3}`, nil},
		{"a key may be escaped", `{"depends\u005Fon":[1],"x":2}`, []uint64{1}},
		{"a key may be escaped from its first letter on", `{"\u0064epends_on":[1]}`, []uint64{1}},
		{"an escaped key equals a plain one", `{"depends_on":[1],"\u0064epends_on":[2]}`, []uint64{2}},
		{"a longer key is another", `{"depends_on2":[1],"depends_o":[2]}`, nil},
		{"letters of another case are another key", `{"Depends_On":[1]}`, nil},
		{"keys inside are not looked at", `{"meta":{"depends_on":[1]},"a":[{"depends_on":[2]}]}`, nil},
		{"no array under the key", `{"depends_on":"1,2"}`, nil},
		{"an empty array", `{"depends_on":[ ]}`, nil},
		{"an empty object", `{ }`, nil},
		{"an array is no object", `[1,2]`, nil},
		{"a trailing comma is malformed", `{"depends_on":[1,2,]}`, nil},
		{"a leading comma is malformed", `{"depends_on":[,1]}`, nil},
		{"a comma before the end is malformed", `{"depends_on":[1],}`, nil},
		{"words behind the object are malformed", `{"depends_on":[1]} please`, nil},
		{"a fault behind the array takes it along", `{"depends_on":[1],"x":tru}`, nil},
		{"a missing end is malformed", `{"depends_on":[1]`, nil},
		{"a missing quote is malformed", `{"depends_on":[1],"x}`, nil},
		{"a number with a leading zero is malformed", `{"depends_on":[01]}`, nil},
		{"a plus sign is malformed", `{"depends_on":[+1]}`, nil},
		{"a bare point is malformed", `{"depends_on":[1.]}`, nil},
		{"a bare exponent is malformed", `{"depends_on":[1e]}`, nil},
		{"a bare minus is malformed", `{"depends_on":[-]}`, nil},
		{"an unknown escape is malformed", `{"depends_on":[1],"x":"\q"}`, nil},
		{"a short escape is malformed", `{"depends_on":[1],"x":"\u12"}`, nil},
		{"a control character is malformed", "{\"depends_on\":[1],\"x\":\"\t\"}", nil},
		{"brackets must match", `{"depends_on":[1],"x":[{]}]}`, nil},
		{"a byte order mark starts no object", "\ufeff{\"depends_on\":[1]}", nil},
		{"an invalid byte in a string is let pass", "{\"x\":\"\xff\",\"depends_on\":[1]}", []uint64{1}},
		{"an invalid byte outside strings is malformed", "{\"depends_on\":[1\xff]}", nil},
		{"lone surrogates are let pass", `{"\ud800":"\udc00\ud800x","depends_on":["\ud800",1]}`, []uint64{1}},
		{"a word before the list hides it", "see depends_on=1", nil},
		{"another sign hides it", "depends_on 1", nil},
		{"the bare word has none", "depends_on", nil},
		{"the bare sign has none", "depends_on=", nil},
		{"the 101st item and later are not looked at", "depends_on=" + numbers(1, 150), upTo(100)},
		{"not even behind skipped ones", `{"depends_on":[` + strings.Repeat("null,", 99) + `1,2]}`, []uint64{1}},
		{"8,192 bytes are looked at", pad("depends_on=1,", 8192), []uint64{1}},
		{"8,193 bytes are not", pad("depends_on=1,", 8193), nil},
		{"white space around does not make it too long", strings.Repeat(" ", 9000) + "depends_on=1", []uint64{1}},
		{"the deepest nesting is fine", `{"a":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `,"depends_on":[1]}`, []uint64{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, disbursement.ParseDependencies(tt.memo)); diff != "" {
				t.Errorf("ParseDependencies(%.80q): -want +got\n%s", tt.memo, diff)
			}
			if diff := cmp.Diff(tt.want, plainParse(tt.memo)); diff != "" {
				t.Errorf("the plain twin disagrees on %.80q: -want +got\n%s", tt.memo, diff)
			}
		})
	}
}

// plainParse is the obviously right twin of ParseDependencies.
func plainParse(memo string) []uint64 {
	memo = strings.TrimSpace(memo)
	if memo == "" || len(memo) > 8192 {
		return nil
	}
	var ids []uint64
	for i, item := range plainItems(memo) {
		if i == 100 {
			break
		}
		if strings.Trim(item, "0123456789") != "" {
			continue
		}
		if id, err := strconv.ParseUint(item, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// plainItems gives the items of a memo's list as trimmed text.
func plainItems(memo string) []string {
	if memo[0] != '{' {
		rest, ok := strings.CutPrefix(memo, "depends_on=")
		if !ok {
			rest, ok = strings.CutPrefix(memo, "depends_on:")
		}
		if !ok {
			return nil
		}
		items := strings.Split(rest, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		return items
	}
	var object map[string]json.RawMessage
	var array []any
	if json.Unmarshal([]byte(memo), &object) != nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(object["depends_on"]))
	decoder.UseNumber()
	if decoder.Decode(&array) != nil {
		return nil
	}
	items := make([]string, len(array))
	for i, item := range array {
		switch item := item.(type) {
		case json.Number:
			items[i] = item.String()
		case string:
			items[i] = strings.TrimSpace(item)
		default:
			items[i] = "not an id"
		}
	}
	return items
}

// memos draws memos that are nearly lists of dependencies.
func memos() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"{", "}", "[", "]", ",", ":", `"`, `"depends_on"`, `"depends_on":[`, `{"depends_on":[1,2`, "depends_on=", "depends_on:",
		`"depends\u005fon":`, `\u0064`, `"\u0031"`, `" 7 "`, `"8`, `\`, `\n`, `\ud83d\ude00`, `\ud800`, "\xff", "\u00a0", "é", " ", "\n", "\x00",
		"0", "1", "23", "-4", "5.0", "6e1", "007", "18446744073709551615", "18446744073709551616", "null", "true", "false", "x", `"a":`,
	})
	soup := rapid.Map(rapid.SliceOfN(piece, 0, 40), func(pieces []string) string { return strings.Join(pieces, "") })
	item := rapid.OneOf(
		rapid.Map(rapid.Uint64(), func(n uint64) string { return strconv.FormatUint(n, 10) }),
		rapid.Map(rapid.Uint64Range(0, 9), func(n uint64) string { return fmt.Sprintf(`" \u003%d\t"`, n) }),
		rapid.SampledFrom([]string{"1", `"2"`, "-3", "4.0", "null", "[5]", `{"depends_on":[6]}`, `"\ud800"`, `""`, `" "`, "18446744073709551616"}),
	)
	// Characters of an id and around one, as they are and escaped.
	character := rapid.Custom(func(t *rapid.T) string {
		r := rapid.SampledFrom([]rune("0123456789 \t\u00a0\u0085\u2003\u2028\u3000\u200b\ufeffx٣")).Draw(t, "character")
		if rapid.Bool().Draw(t, "escaped") {
			return fmt.Sprintf(`\u%04x`, r)
		}
		return string(r)
	})
	item = rapid.OneOf(item, rapid.Map(rapid.SliceOfN(character, 0, 6), func(list []string) string {
		return `"` + strings.ReplaceAll(strings.Join(list, ""), "\t", `\t`) + `"`
	}))
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	list := rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for i, it := range rapid.SliceOfN(item, 0, 120).Draw(t, "items") {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(space.Draw(t, "space") + it + space.Draw(t, "space"))
		}
		return b.String()
	})
	document := rapid.Custom(func(t *rapid.T) string {
		var members []string
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			key := rapid.SampledFrom([]string{`"depends_on"`, `"depends_o\u006E"`, `"other"`}).Draw(t, "key")
			value := rapid.SampledFrom([]string{"[%s]", "[%s]", `{"depends_on":[%s]}`, `"%.0s"`, "1%.0s"}).Draw(t, "value")
			members = append(members, key+":"+fmt.Sprintf(value, list.Draw(t, "list")))
		}
		return "{" + strings.Join(members, ",") + "}"
	})
	plain := rapid.Map(list, func(items string) string { return "depends_on=" + items })
	return rapid.OneOf(soup, document, plain)
}

func TestParseDependenciesAgreesWithItsPlainTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		memo := memos().Draw(t, "memo")
		if diff := cmp.Diff(plainParse(memo), disbursement.ParseDependencies(memo)); diff != "" {
			t.Fatalf("%q: -plain +got\n%s", memo, diff)
		}
	})
}

// One wrong byte anywhere in a valid document must be seen by both alike.
func TestParseDependenciesAgreesWithItsPlainTwinOnDamagedDocuments(t *testing.T) {
	const memo = ` {"a":{"b":[1,{"c":"d\u0041\n"}],"e":-1.5e+10},"depends_on":[1,"2","\u0033",null,[4]],"f":[true,false,{}]} `
	for i := range len(memo) {
		for b := range 256 {
			damaged := memo[:i] + string([]byte{byte(b)}) + memo[i+1:]
			if diff := cmp.Diff(plainParse(damaged), disbursement.ParseDependencies(damaged)); diff != "" {
				t.Fatalf("%q: -plain +got\n%s", damaged, diff)
			}
		}
		cut := memo[:i]
		if diff := cmp.Diff(plainParse(cut), disbursement.ParseDependencies(cut)); diff != "" {
			t.Fatalf("%q: -plain +got\n%s", cut, diff)
		}
	}
}

// Containers of both kinds, deeper than any word of memory is wide, with one
// closing bracket that may be the wrong one.
func TestParseDependenciesAgreesWithItsPlainTwinInTheDeep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var open, closing []string
		for _, object := range rapid.SliceOfN(rapid.Bool(), 60, 270).Draw(t, "kinds") {
			if object {
				open, closing = append(open, `{"":`), append(closing, "}")
			} else {
				open, closing = append(open, "["), append(closing, "]")
			}
		}
		slices.Reverse(closing)
		if at := rapid.IntRange(0, 2*len(closing)).Draw(t, "wrong"); at < len(closing) {
			closing[at] = "]"
		}
		memo := `{"a":` + strings.Join(open, "") + "0" + strings.Join(closing, "") + `,"depends_on":[1]}`
		if diff := cmp.Diff(plainParse(memo), disbursement.ParseDependencies(memo)); diff != "" {
			t.Fatalf("%q: -plain +got\n%s", memo, diff)
		}
	})
}

// The byte patterns of white space are those of unicode.IsSpace.
func TestParseDependenciesTrimsWhatUnicodeCallsSpace(t *testing.T) {
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		memo := string(r) + "depends_on=1" + string(r) + "," + string(r) + "2" + string(r)
		if got, want := len(disbursement.ParseDependencies(memo)) == 2, unicode.IsSpace(r); got != want {
			t.Errorf("%U: taken for white space: %v, want %v", r, got, want)
		}
	}
}

// The same around an id in JSON, where each may be an escape.
func TestParseDependenciesTrimsEscapesOfWhatUnicodeCallsSpace(t *testing.T) {
	for r := range rune(1 << 16) {
		escape := fmt.Sprintf(`\u%04x`, r)
		for _, memo := range []string{
			`{"depends_on":["` + escape + `8"]}`, `{"depends_on":["8` + escape + `"]}`, `{"depends_on":["8 ` + escape + ` \n"]}`,
		} {
			if got, want := disbursement.ParseDependencies(memo), plainParse(memo); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", memo, got, want)
			}
		}
	}
}

func FuzzParseDependencies(f *testing.F) {
	for _, memo := range []string{
		"", "depends_on=1,2", "depends_on: 3", `{"depends_on":[1,"2",null]}`, `{"depends_on":[1],"depends\u005fon":["\ud800"]}`,
		`{"a":[{"b":-1.5e+3}],"depends_on":[" \u0031\n"]}`, "{\"\xff\":1}", `{"depends_on":[01]}`,
	} {
		f.Add(memo)
	}
	f.Fuzz(func(t *testing.T, memo string) {
		if diff := cmp.Diff(plainParse(memo), disbursement.ParseDependencies(memo)); diff != "" {
			t.Errorf("%q: -plain +got\n%s", memo, diff)
		}
	})
}

func TestParseDependenciesAllocatesItsResultOnly(t *testing.T) {
	for memo, want := range map[string]float64{
		"depends_on=3,2,1":                      1,
		`{"depends_on": [1, 2, "\u0033"]}`:      1,
		"no list":                               0,
		worstMemos()["a deep nest"]:             0,
		worstMemos()["a list of blank strings"]: 0,
	} {
		if got := testing.AllocsPerRun(20, func() { disbursement.ParseDependencies(memo) }); got != want {
			t.Errorf("%.40q: %v allocations, want %v", memo, got, want)
		}
	}
}

func TestCutMemo(t *testing.T) {
	tests := []struct {
		name, memo string
		want       int
	}{
		{"a short memo is whole", "grant", 5},
		{"1,024 bytes are whole", strings.Repeat("x", 1024), 1024},
		{"one byte more is cut", strings.Repeat("x", 1025), 1024},
		{"a character of two bytes is not torn", strings.Repeat("x", 1023) + "éé", 1023},
		{"a character of three bytes is not torn", strings.Repeat("x", 1022) + "日本", 1022},
		{"a character of four bytes is not torn", strings.Repeat("x", 1021) + "😀😀", 1021},
		{"a character that just fits stays", strings.Repeat("x", 1022) + "éé", 1024},
		{"bytes that are no text are cut at the limit", strings.Repeat("\x80", 2000), 1024},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := disbursement.CutMemo(tt.memo); got != tt.memo[:tt.want] {
				t.Errorf("CutMemo keeps %d bytes, want %d", len(got), tt.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		memo := strings.Repeat(rapid.StringN(1, 30, -1).Draw(t, "piece"), 400)
		cut := disbursement.CutMemo(memo)
		if !strings.HasPrefix(memo, cut) || len(cut) > 1024 || !utf8.ValidString(cut) || len(memo)-len(cut) > 0 && len(cut) < 1021 {
			t.Fatalf("%q is cut to %d bytes", memo, len(cut))
		}
	})
}

// numbers lists the numbers from first to last between commas.
func numbers(first, last int) string {
	var list []string
	for n := first; n <= last; n++ {
		list = append(list, strconv.Itoa(n))
	}
	return strings.Join(list, ",")
}

func upTo(last uint64) []uint64 {
	var list []uint64
	for n := uint64(1); n <= last; n++ {
		list = append(list, n)
	}
	return list
}

// pad lengthens a memo to size bytes.
func pad(memo string, size int) string { return memo + strings.Repeat("x", size-len(memo)) }

// fill repeats middle between head and tail, as often as 8,192 bytes allow.
func fill(head, middle, tail string) string {
	return head + strings.Repeat(middle, (8192-len(head)-len(tail))/len(middle)) + tail
}

// worstMemos are memos of 8,192 bytes that try to be slow.
func worstMemos() map[string]string {
	depth := (8192 - len(`{"a":0}`)) / 2
	return map[string]string{
		"plain words":                           strings.Repeat("x", 8192),
		"white space of three bytes":            strings.Repeat("\u2003", 2730),
		"a plain list of commas":                fill("depends_on=", ",", ""),
		"a plain list of digits":                fill("depends_on=", "0", "1"),
		"a plain list of spaces":                fill("depends_on=", "\u2003", ",1"),
		"descending numbers":                    "depends_on=" + descending(100, 60),
		"a deep nest":                           `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`,
		"a deep nest that never ends":           fill(`{"a":`, "[", ""),
		"a deep nest of objects":                `{"a":` + strings.Repeat(`{"":`, 1600) + "0" + strings.Repeat("}", 1600) + "}",
		"a deep nest with spaces":               `{"a":` + strings.Repeat(" [", depth/2) + strings.Repeat(" ]", depth/2) + `}`,
		"a deep nest with neighbours":           `{"a":` + strings.Repeat("[0,", depth/2) + "0" + strings.Repeat("]", depth/2) + `}`,
		"a list of tens":                        fill(`{"depends_on":[`, "10,", "0]}"),
		"a list of zeros with spaces":           fill(`{"depends_on":[`, "0, ", "0]}"),
		"a list of zeros":                       fill(`{"depends_on":[`, "0,", "0]}"),
		"a list of empty lists":                 fill(`{"depends_on":[`, "[],", "0]}"),
		"a list of empty objects":               fill(`{"depends_on":[`, "{},", "0]}"),
		"a list of strings":                     fill(`{"depends_on":[`, `"1",`, "0]}"),
		"a list of blank strings":               fill(`{"depends_on":[`, `" ",`, "0]}"),
		"a list of escapes":                     fill(`{"depends_on":[`, `"\u0031",`, "0]}"),
		"a string of escaped spaces":            fill(`{"depends_on":["`, `\t`, `"]}`),
		"a string of escaped zeros":             fill(`{"depends_on":["`, `\u0030`, `"]}`),
		"a string of wide spaces":               fill(`{"depends_on":["`, "\u2003", `"]}`),
		"a string of wide spaces, escaped once": fill(`{"depends_on":["`, "\u00a0", `\t"]}`),
		"a long string":                         fill(`{"a":"`, "x", `"}`),
		"a long string of escapes":              fill(`{"a":"`, `\n`, `"}`),
		"many keys":                             fill(`{`, `"":0,`, `"":0}`),
		"many equal keys":                       fill(`{`, `"depends_on":[1],`, `"a":0}`),
		"many escaped keys":                     fill(`{`, `"\u0064epends_on":0,`, `"a":0}`),
		"many nearly equal keys":                fill(`{`, `"depends_oo":0,`, `"a":0}`),
		"white space":                           fill(`{`, " ", `"depends_on":[1]}`),
		"literals":                              fill(`{"depends_on":[`, "true,", "0]}"),
		"numbers":                               fill(`{"depends_on":[`, "-0.0e-0,", "0]}"),
		"digits":                                fill(`{"depends_on":[1`, "0", "]}"),
	}
}

// descending lists n numbers of the given width.
func descending(n, width int) string {
	var list []string
	for i := n; i > 0; i-- {
		list = append(list, fmt.Sprintf("%0*d", width, i))
	}
	return strings.Join(list, ",")
}

func BenchmarkParseDependencies(b *testing.B) {
	memos := worstMemos()
	memos["short JSON"] = `{"depends_on": [1, 2, 3, 4, 5]}`
	memos["short plain"] = `depends_on=100,200,300,400,500`
	for name, memo := range memos {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				disbursement.ParseDependencies(memo)
			}
		})
	}
}
