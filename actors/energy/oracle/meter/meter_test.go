package meter_test

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/energy/oracle/meter"
)

// berlin has clocks that are put forward and back.
func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// read reads a source to its end: what the register says after each point, and the notes.
func read(t *testing.T, format string, source io.Reader, o meter.Options) (points, notes []string, end error) {
	t.Helper()
	o.Say = func(n meter.Note) { notes = append(notes, n.String()) }
	r, err := meter.Open(format, source, o)
	if err != nil {
		t.Fatal(err)
	}
	var register meter.Register
	for {
		p, err := r.Next()
		if err != nil {
			return points, notes, err
		}
		note, ok := register.Take(p)
		if note != "" {
			notes = append(notes, note)
		}
		if ok {
			points = append(points, fmt.Sprintf("%s %d.%06d", time.Unix(p.At, 0).UTC().Format("2006-01-02T15:04"),
				register.Total.KWh(), register.Total%1_000_000))
		}
	}
}

func TestEveryFormatIsRead(t *testing.T) {
	tests := []struct {
		name, format, file string
		options            meter.Options
		points, notes      []string
	}{
		{
			name: "telegrams, fed in", format: "dsmr", file: "p1.txt", options: meter.Options{Export: true},
			points: []string{
				"2025-10-26T00:00 300.003000", "2025-10-26T00:30 300.503000", "2025-10-26T01:00 301.004000",
				"2025-10-26T02:00 301.004000", "2025-10-26T03:00 302.254000",
			},
			notes: []string{
				"line 54: its CRC is 7680, it says A848: the telegram is passed over",
				"line 80: a telegram is cut: passed over",
				"meter E0123456789 was exchanged for E0999999999: going on from its 0.500 kWh",
				"line 125: the last telegram is cut: passed over",
			},
		},
		{
			name: "NEM12, fed in", format: "nem12", file: "nem12.csv", options: meter.Options{Export: true},
			notes: []string{
				"line 2: stream NEM1234567 E1 is another: its days are passed over",
				"line 10: no data for the interval to 2026-02-02 12:30: passed over",
				"line 10: no data for the interval to 2026-02-02 13:00: passed over",
				"line 11: a day of 4 fields where 51 are needed: passed over",
				"line 12: meter METSER1 was exchanged for METSER2",
			},
		},
		{
			name: "Green Button, taken", format: "espi", file: "greenbutton.xml",
			points: []string{"2026-01-01T01:00 0.282000", "2026-01-01T02:00 1.532000", "2026-01-01T03:00 2.432000", "2026-01-01T05:00 3.434000"},
			notes: []string{"the value is estimated", "line 8: the reading from 1767236400 is questionable: passed over",
				"line 11: a reading type of flow direction 19 is not the wanted 1: its blocks are passed over"},
		},
		{
			name: "Green Button, fed in, in thousandths of a Wh", format: "espi", file: "greenbutton.xml", options: meter.Options{Export: true},
			points: []string{"2026-01-01T01:00 1.500500", "2026-01-01T02:00 1.500750"},
			notes:  []string{"line 4: a reading type of flow direction 1 is not the wanted 19: its blocks are passed over"},
		},
		{
			name: "PVOutput, days of which one has 23 hours", format: "pvoutput", file: "pvoutput-daily.csv", options: meter.Options{Zone: berlin(t)},
			points: []string{"2026-03-28T23:00 4.250000", "2026-03-29T22:00 16.251000", "2026-03-31T22:00 24.251000"},
			notes:  []string{`line 3: "" is not a number: passed over`},
		},
		{
			name: "PVOutput, statuses that begin anew each day", format: "pvoutput", file: "pvoutput-status.csv",
			points: []string{"2026-04-01T10:00 1.200000", "2026-04-01T10:05 1.260000", "2026-04-02T06:00 1.270000", "2026-04-02T06:05 1.285000"},
			notes: []string{"line 1: the day's 1260 Wh fell to 1255: passed over",
				"line 2: neither a day's output nor a status: passed over"},
		},
		{
			name: "CSV, an hour twice and one missing", format: "csv", file: "clocks.csv", options: meter.Options{Zone: berlin(t)},
			points: []string{
				"2025-10-25T22:00 1.000000", "2025-10-25T23:00 2.000000", "2025-10-26T00:00 3.000000", "2025-10-26T01:00 4.500000",
				"2025-10-26T02:00 5.500000", "2026-03-29T00:00 7.500000", "2026-03-29T01:30 9.500000", "2026-03-29T06:00 9.500000",
			},
			notes: []string{
				"line 5: 2025-10-26 02:00 comes a second time: clocks were put back",
				"line 8: 2026-03-29 02:30 does not exist: clocks were put forward",
				"1774746000 is not after 1774747800: passed over",
				"line 10: -3 is negative: passed over",
				`line 11: "x" is not a number: passed over`,
				"line 12: no value: passed over",
				"line 13: 1 fields where 2 are needed: passed over",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, err := os.Open(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			points, notes, end := read(t, tt.format, file, tt.options)
			if !errors.Is(end, io.EOF) {
				t.Errorf("it ends with %v", end)
			}
			if diff := cmp.Diff(tt.points, points); diff != "" && tt.points != nil {
				t.Errorf("points: -want +got\n%s", diff)
			}
			estimated := 0
			for i := 0; i < len(notes); i++ {
				if tt.format == "nem12" && notes[i] == "the value is estimated" {
					estimated++
					notes = append(notes[:i], notes[i+1:]...)
					i--
				}
			}
			if diff := cmp.Diff(tt.notes, notes); diff != "" {
				t.Errorf("notes: -want +got\n%s", diff)
			}
			if tt.format != "nem12" {
				return
			}
			// A day of 23 half hours of 0.125, one of 21 of 1.5 (two of 23 have no data), and
			// one of 23 of 0.5: 2.875 + 31.5 + 11.5.
			if last := points[len(points)-1]; estimated != 4 || len(points) != 3*48-2 || last != "2026-02-04T14:00 45.875000" {
				t.Errorf("%d points, %d estimated, the last %q", len(points), estimated, last)
			}
		})
	}
}

func TestASourceThatIsNoneSaysSo(t *testing.T) {
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><feed>&lol2;</feed>`
	tests := []struct{ name, format, text, end, note string }{
		{"an XML bomb", "espi", bomb, "a document type is not allowed", ""},
		{"an entity that nobody defined", "espi", "<feed>&lol;</feed>", "invalid character entity &lol;", ""},
		{"tags within tags", "espi", strings.Repeat("<a>", 1000), "nested deeper than 32", ""},
		{"a text without end", "espi", "<a>" + strings.Repeat("x", 1<<20), "a tag or a text of more than", ""},
		{"an attribute without end", "espi", `<a b="` + strings.Repeat("x", 1<<20), "a tag or a text of more than", ""},
		{"tags that cross", "espi", "<a><b></a></b>", "</a> closes nothing", ""},
		{"a cut document", "espi", "<feed><entry>", "EOF", "line 1: the document is cut within entry"},
		{"a CSV without names", "csv", "when,what\n1,2\n", "names no column timestamp", ""},
		{"a cut NEM12", "nem12", "100,NEM12,1,2,3\n", "EOF", "line 2: there is no 900 record: the file is cut"},
		{"something else", "nem12", "hello\n900\n", "EOF", `line 1: "hello" is not a record of NEM12: passed over`},
		{"a telegram without CRC", "dsmr", "/X\r\n!\r\n", "EOF", "line 2: no CRC behind the telegram (DSMR 4 or later is needed): the telegram is passed over"},
		{"a telegram without end", "dsmr", "/X\r\n" + strings.Repeat("1-0:1.8.1(1*kWh)\r\n", 2000), "EOF", "line 912: a telegram of more than 16384 bytes: passed over"},
		{"a line without end", "csv", strings.Repeat("1", 1<<20) + "\n1700000000,1\n", "EOF", "line 1: a line of more than 65536 bytes: passed over"},
		{"a quote without end", "csv", "1700000000,\"1\n1700000001,2\n", "EOF", `line 1: parse error on line 1, column 14: extraneous or missing " in quoted-field: passed over`},
		{"a register of 65 bits", "csv", "1700000000,18446744073710\n", "EOF", "line 1: 18446744073710 is beyond what 64 bits hold: passed over"},
	}
	for _, tt := range tests {
		_, notes, end := read(t, tt.format, strings.NewReader(tt.text), meter.Options{})
		if end == nil || !strings.Contains(end.Error(), tt.end) {
			t.Errorf("%s: ends with %v, want %q", tt.name, end, tt.end)
		}
		if tt.note != "" && (len(notes) == 0 || notes[0] != tt.note) {
			t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.note)
		}
	}
	if _, err := meter.Open("pdf", nil, meter.Options{}); err == nil || !strings.Contains(err.Error(), "[csv dsmr espi nem12 pvoutput]") {
		t.Errorf("an unknown format: %v", err)
	}
}

// repeating is a source of n bytes that repeats a text.
type repeating struct {
	text string
	at   int
	left int
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && n < r.left {
		c := copy(p[n:min(len(p), r.left)], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}
	r.left -= n
	return n, nil
}

// A source of any size is read in the same memory.
func TestAGibibyteIsStreamed(t *testing.T) {
	for name, source := range map[string]io.Reader{
		"lines":    &repeating{text: "1700000000,12.5\n", left: 32 << 20},
		"one line": &repeating{text: strings.Repeat("1", 4096), left: 1 << 30},
	} {
		r, err := meter.Open("csv", source, meter.Options{Say: func(meter.Note) {}})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for err == nil {
			_, err = r.Next()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: ends with %v", name, err)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
			t.Errorf("%s: the heap grew by %d bytes", name, grown)
		}
	}
}

// Numbers are read exactly, and rounded at the seventh digit of a kWh.
func TestNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Uint64Range(0, 1<<40).Draw(t, "whole")
		digits := rapid.StringMatching(`[0-9]{0,12}`).Draw(t, "digits")
		text := fmt.Sprintf("%d.%s", whole, digits)
		if digits == "" && rapid.Bool().Draw(t, "without a point") {
			text = fmt.Sprint(whole)
		}
		exact, ok := new(big.Rat).SetString(text + "0")
		if digits == "" {
			exact, ok = new(big.Rat).SetInt(new(big.Int).SetUint64(whole)), true
		}
		if !ok {
			t.Fatal(text)
		}
		exact.Mul(exact, big.NewRat(1_000_000, 1))
		exact.Add(exact, big.NewRat(1, 2))
		want := new(big.Int).Quo(exact.Num(), exact.Denom()).Uint64()
		r, err := meter.Open("csv", strings.NewReader("1700000000,"+text), meter.Options{Say: func(n meter.Note) { t.Fatal(n) }})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := r.Next(); err != nil || uint64(p.Energy) != want {
			t.Errorf("%s is %d, %v, want %d", text, p.Energy, err, want)
		}
	})
}

// Whatever happens to the meters, the register says what went through them, but for
// what an old meter counted behind its last telegram.
func TestTheRegisterLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 100_000_000_000 // five digits of kWh
		var register meter.Register
		var truth, lost uint64
		raw, serial, at := uint64(0), 0, int64(1_700_000_000)
		for i := range rapid.IntRange(1, 50).Draw(t, "points") {
			used := rapid.Uint64Range(0, size/200).Draw(t, "used")
			if rapid.IntRange(0, 9).Draw(t, "jump") == 0 && raw < size-size/100 && i > 0 { // grow fast, to run over at times
				used = size - size/200 - raw
			}
			truth, raw, at = truth+used, raw+used, at+60
			if rapid.IntRange(0, 9).Draw(t, "exchange") == 0 && i > 0 {
				lost, serial = lost+used, serial+1
				raw = rapid.Uint64Range(0, 1_000_000).Draw(t, "mounted")
			}
			raw %= size
			p := meter.Point{At: at, Energy: meter.Energy(raw), Cumulative: true, Serial: fmt.Sprint("S", serial), Quality: meter.Measured}
			if _, ok := register.Take(p); !ok {
				t.Fatalf("point %d is passed over", i)
			}
			if _, ok := register.Take(p); ok {
				t.Fatal("a point is taken twice")
			}
			if got := uint64(register.Total) + lost; got != truth {
				t.Fatalf("the register says %d, and %d are lost; %d went through", register.Total, lost, truth)
			}
		}
	})
}

func TestAFallingRegisterIsPassedOver(t *testing.T) {
	var r meter.Register
	for i, p := range []struct {
		kwh  meter.Energy
		want bool
	}{{500_000, true}, {400_000, false}, {500_001, true}, {99_999, false}, {1, false}, {500_002, true}} {
		note, ok := r.Take(meter.Point{At: int64(i + 1), Energy: p.kwh * 1_000_000, Cumulative: true, Quality: meter.Measured})
		if ok != p.want || !ok && !strings.Contains(note, "fell") {
			t.Errorf("%d kWh: taken %v, %q", p.kwh, ok, note)
		}
	}
	if r.Total.KWh() != 500_002 {
		t.Errorf("the register says %d kWh", r.Total.KWh())
	}
}

func FuzzReaders(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i := range meter.Formats() {
			f.Add(b, uint8(i), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, format uint8, export bool) {
		formats := meter.Formats()
		notes := 0
		r, err := meter.Open(formats[int(format)%len(formats)], strings.NewReader(string(b)),
			meter.Options{Export: export, Say: func(meter.Note) { notes++ }})
		if err != nil {
			t.Fatal(err)
		}
		var register meter.Register
		points := 0
		for {
			p, err := r.Next()
			if err != nil {
				break
			}
			points++
			last := register
			if _, ok := register.Take(p); !ok && register != last {
				t.Fatal("a point that was passed over changed the register")
			}
			if register.Total < last.Total || register.At < last.At && last.At > 0 {
				t.Fatalf("the register ran backwards: %+v, %+v", last, register)
			}
		}
		if points+notes > len(b)+2 {
			t.Fatalf("%d bytes give %d points and %d notes", len(b), points, notes)
		}
	})
}
