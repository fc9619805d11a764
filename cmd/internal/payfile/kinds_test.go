package payfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
)

func fromUTF16(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

// Files as spreadsheets and programs write them.
func TestFilesOfRealLifeAreRead(t *testing.T) {
	const payments = "tb1a 5 |tb1b 6 "
	for name, c := range map[string]struct{ file, text, want, note string }{
		"names in capitals":             {"p.csv", "Destination,AMOUNT\ntb1a,5\ntb1b,6\n", payments, ""},
		"blanks around names":           {"p.csv", "destination, amount\ntb1a, 5\ntb1b,6 \n", payments, ""},
		"empty rows at the end":         {"p.csv", "destination,amount,memo\ntb1a,5,\ntb1b,6,\n,,\n , ,\n", payments, ""},
		"columns without names":         {"p.csv", "destination,amount,,\ntb1a,5,,\ntb1b,6,,\n", payments, ""},
		"more separators than columns":  {"p.csv", "destination,amount\ntb1a,5,,\ntb1b,6\n", payments, ""},
		"semicolons":                    {"p.csv", "destination;amount;memo\ntb1a;5;\ntb1b;6;\n", payments, `its columns are separated by ';'`},
		"tabs":                          {"p.csv", "destination\tamount\ntb1a\t5\ntb1b\t6\n", payments, `its columns are separated by '\t'`},
		"what a spreadsheet says first": {"p.csv", "sep=;\r\ndestination;amount\r\ntb1a;5\r\ntb1b;6\r\n", payments, `its columns are separated by ';'`},
		"PowerShell's export":           {"p.csv", "\ufeff\"destination\",\"amount\"\r\n\"tb1a\",\"5\"\r\n\"tb1b\",\"6\"\r\n", payments, ""},
		"leading zeros are decimal":     {"p.csv", "destination,amount\ntb1a,005\ntb1b,06\n", payments, ""},
		"JSON behind a mark":            {"p.jsonl", "\ufeff{\"disbursement\": {\"destination\": \"tb1a\", \"amount\": 5}}\n\n{\"disbursement\":{\"destination\":\"tb1b\",\"amount\":6}}", payments, ""},
		"no proposal":                   {"p.jsonl", `{"proposal": {}, "disbursement": {"destination": "tb1a", "amount": 5}}`, "tb1a 5 ", ""},
		"line ends in CSV":              {"p.csv", "destination,amount,memo\ntb1a,5,\"a\r\nb\"\n", "tb1a 5 a\nb", ""},
		"line ends in JSON":             {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5, "memo": "a\r\nb"}}`, "tb1a 5 a\nb", ""},
		"pairs are one character":       {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5, "memo": "\ud83d\ude00 \\ud83d"}}`, "tb1a 5 😀 \\ud83d", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, c.file, c.text)
			var got []string
			for _, r := range f.Rows {
				d := r.Payload.Disbursement
				got = append(got, fmt.Sprintf("%s %d %s", d.Destination, d.Amount, d.Memo))
				if r.Payload.Proposal != nil {
					t.Error("it has a proposal")
				}
			}
			if diff := cmp.Diff(strings.Join(got, "|"), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if note := strings.Join(f.Notes, "|"); note != c.note {
				t.Errorf("noted %q, want %q", note, c.note)
			}
		})
	}
}

func TestWhatIsWrongWithAFileIsToldWithItsPlace(t *testing.T) {
	const header = "destination,amount,memo\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"empty":                    {"p.csv", "", "the file is empty"},
		"blank lines":              {"p.jsonl", "\n \n", "the file is empty"},
		"a header only":            {"p.csv", header, "there is no payment in it"},
		"a column misspelt":        {"p.csv", "destination,amont\ntb1a,1\n", `no column is called "amont"; did you mean amount?`},
		"a column of another kind": {"p.csv", "destination,amount,colour\ntb1a,1,red\n", `no column is called "colour"; there are destination, amount, memo, scheduled_epoch and request_id`},
		"an epoch in words":        {"p.csv", "destination,amount,scheduled_epoch\ntb1a,1,soon\n", `line 2, scheduled_epoch: "soon" is no epoch: want a whole number in digits`},
		"a column twice":           {"p.csv", "destination,amount,Amount\ntb1a,1,2\n", "there are two columns called amount"},
		"a column missing":         {"p.csv", "destination,memo\ntb1a,1\n", "the column amount is missing"},
		"separators in a number":   {"p.csv", header + "tb1a,\"5,006\",\n", `line 2, amount: "5,006" is no whole number: want whole smallest units in digits, no separators, no decimals`},
		"decimals":                 {"p.csv", header + "tb1a,50.00,\n", `line 2, amount: "50.00" is no whole number`},
		"hexadecimal":              {"p.csv", header + "tb1a,0x10,\n", `"0x10" is no whole number`},
		"underscores":              {"p.csv", header + "tb1a,1_000,\n", `"1_000" is no whole number`},
		"too large":                {"p.csv", header + "tb1a,18446744073709551616,\n", "of 64 bits: it is too large"},
		"a short row":              {"p.csv", header + "tb1a,5,\ntb1b,5\n", "line 3: 3 columns expected, 2 found"},
		"a long row":               {"p.csv", header + "tb1a,5,a,b\n", "line 2: 3 columns expected, 4 found"},
		"Latin-1":                  {"p.csv", header + "tb1a,5,caf\xe9\n", "line 2: byte 11, 0xe9, is no UTF-8"},
		"Latin-1 in JSON":          {"p.jsonl", "{}\n{\"memo\": \"\xe9\"}", "line 2: byte 11, 0xe9, is no UTF-8"},
		"UTF-16":                   {"p.csv", fromUTF16(header), "it is UTF-16; save it as UTF-8"},
		"UTF-16 without a mark":    {"p.csv", fromUTF16(header)[2:], "it is UTF-16 without a byte order mark"},
		"a bare quotation mark":    {"p.csv", header + "tb1a,5,a\"b\n", "line 2, character 9: a quotation mark out of place"},
		"what a node refuses":      {"p.csv", header + "alice,5,\n", "line 2: validation_failed: "},
		"no amount":                {"p.csv", header + "tb1a,,\n", `line 2, amount: "" is no whole number`},
		"nothing to pay":           {"p.csv", header + "tb1a,0,\n", "line 2: validation_failed: "},
		"fractions in JSON":        {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5000.5}}`, "line 1: payload.disbursement.amount: "},
		"a field misspelt":         {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amont": 5}}`, "line 1: payload.disbursement.amont: no such field"},
		"a field in capitals":      {"p.jsonl", `{"disbursement": {"destination": "tb1a", "Amount": 5}}`, "line 1: payload.disbursement.Amount: no such field"},
		"a field twice":            {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5, "amount": 6}}`, "is there twice; leave one out"},
		"an object twice":          {"p.jsonl", `{"disbursement": {}, "disbursement": {"destination": "tb1a", "amount": 5}}`, "is there twice; leave one out"},
		"half of a character":      {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5, "memo": "\ud83d x"}}`, `line 1: \ud83d is half of a character`},
		"two objects in a line":    {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 1}} {}`, "line 1: something follows the object"},
		"a line cut off":           {"p.jsonl", `{"disbursement": {"destination": `, "line 1: the JSON ends in the middle"},
		"no object":                {"p.jsonl", `[1]`, "line 1: it is no JSON object"},
		"a request id twice":       {"p.csv", "destination,amount,request_id\ntb1a,1,x\ntb1b,2,x\n", `line 3: its request_id "x" is that of line 2, too`},
		"a request id too long":    {"p.csv", "destination,amount,request_id\ntb1a,1," + strings.Repeat("x", messages.RequestIDMax+1) + "\n", "its request_id has"},
		"an empty request id":      {"p.jsonl", `{"disbursement": {"destination": "tb1a", "amount": 5}, "request_id": ""}`, "line 1: request_id: empty; leave it out"},
		"something without names":  {"p.csv", "destination,amount,\ntb1a,1,7\n", `line 2: "7" stands in a column without a name`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(c.file, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAllFaultsAreToldAtOnceAndCounted(t *testing.T) {
	text := "destination,amount\n"
	for range 25 {
		text += "tb1a,x\nalice,1\n"
	}
	_, err := Read("p.csv", []byte(text))
	told := err.Error()
	if lines := strings.Count(told, "\n"); lines != faultsTold+1 || !strings.HasPrefix(told, "50 faults:\n  line 2, amount") ||
		!strings.HasSuffix(told, "... and 30 more") {
		t.Errorf("told:\n%s", told)
	}
}

func TestAFileMayNameItsRows(t *testing.T) {
	f := csvRows(t, "destination,amount,request_id\ntb1a,1,inv-7\ntb1b,2,\n")
	items := f.Items("b")
	if items[0].RequestID != "inv-7" || !strings.HasPrefix(items[1].RequestID, "row-") {
		t.Errorf("request ids %q and %q", items[0].RequestID, items[1].RequestID)
	}
	line := read(t, "p.jsonl", `{"request_id": "inv-7", "disbursement": {"destination": "tb1a", "amount": 1}}`)
	if line.Items("b")[0].RequestID != "inv-7" {
		t.Error("not so in JSON lines")
	}
	if total := f.Sum().Amount(); total != "3" {
		t.Errorf("total %s, want 3", total)
	}
}

func TestNumbersAreDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n")
		zeros := strings.Repeat("0", rapid.IntRange(0, 5).Draw(t, "zeros"))
		if got, err := ParseUint(fmt.Sprintf(" %s%d ", zeros, n)); err != nil || got != n {
			t.Fatalf("got %d, %v, want %d", got, err, n)
		}
	})
	for _, text := range []string{"", " ", "+1", "-1", "1e3", "0b1", "٣", "１", "1 0", "1,0", "1.0", "0x1", "1_0"} {
		if n, err := ParseUint(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}

// Whatever bytes a file holds, it is read or refused, and what is read can be sent.
func TestAnyBytesAreReadOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := []string{"destination", "amount", "memo", ",", ";", "\t", "\n", "\r\n", "\"", "tb1a", "5", "0", "{", "}", ":", "\"disbursement\"",
			"\"destination\"", "\\ud800", "\ufeff", "\xff", "[", "]", "items", "id", "parents"}
		text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "text"), ""))
		for _, name := range []string{"p.csv", "p.jsonl"} {
			f, err := Read(name, text)
			if err == nil && len(f.Items("b")) == 0 {
				t.Fatalf("%q is sound and holds nothing", text)
			}
		}
		for _, name := range []string{"p.csv", "p.jsonl", "p.json"} {
			if p, err := ReadPlan(name, text, messages.Disbursement{}); err == nil && len(p.Items) == 0 {
				t.Fatalf("%q is a sound plan and holds nothing", text)
			}
		}
	})
}

func TestWhatIsWrongWithAPlanIsToldWithLineAndRef(t *testing.T) {
	const header = "id,parents,destination,amount\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"an unknown parent": {"p.csv", header + "a,,tb1a,1\nb,nobody,tb1b,1\n", `line 3 (b) waits for "nobody", which is not in the file`},
		"a ref twice":       {"p.csv", header + "a,,tb1a,1\na,,tb1b,1\n", "line 3 (a): line 2 has that ref already"},
		"no ref":            {"p.csv", header + ",,tb1a,1\n", "line 2: its ref has 0 bytes; want 1 to"},
		"what is refused":   {"p.csv", header + "a,,tb1a,1\nb,a,tb1b,0\n", "line 3 (b): validation_failed: "},
		"a cycle":           {"p.csv", header + "a,c,tb1a,1\nb,a,tb1b,1\nc,b,tb1c,1\n", "cycle: a -> c -> b -> a"},
		"no id column":      {"p.csv", "parents,destination,amount\n,tb1a,1\n", "there must be one column called id (or ref)"},
		"lines of JSON":     {"p.jsonl", "{\"ref\": \"a\", \"destination\": \"tb1a\", \"amount\": 1}\n{\"refs\": \"b\"}\n", "line 2: refs: no such field"},
		"fractions":         {"p.jsonl", `{"ref": "a", "destination": "tb1a", "amount": 5000.5}`, `line 1 (a): amount: "5000.5" is no whole number`},
		"a document's line": {"p.json", "{\"items\": [\n {\"ref\": \"a\", \"destination\": \"tb1a\", \"amount\": 1},\n {\"ref\": \"b\", \"x\": 1}]}", "line 3 (b): x: no such field"},
		"both names":        {"p.json", `{"items": [{"ref": "a", "id": "b"}]}`, "it has both ref and id"},
		"no list":           {"p.json", `{"items": {}}`, "items: want a list"},
		"no items":          {"p.json", `{"item": []}`, "item: no such field; a plan has items"},
		"nothing":           {"p.json", `{"items": []}`, "there is no item in it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadPlan(c.file, []byte(c.text), messages.Disbursement{ScheduledEpoch: 1})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEveryCycleIsToldAndALongOneByItsEnds(t *testing.T) {
	text := "id,parents,destination,amount\nx,y,tb1a,1\ny,x,tb1a,1\n"
	for i := range 100 {
		text += fmt.Sprintf("n%d,n%d,tb1a,1\n", i, (i+1)%100)
	}
	_, err := ReadPlan("p.csv", []byte(text), messages.Disbursement{ScheduledEpoch: 1})
	var faults *Faults
	if !errors.As(err, &faults) || faults.Count != 2 || len(faults.Cycles) != 1 || len(faults.Cycles[0]) != 101 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"cycle: x -> y -> x", "cycle of 100: n"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if len(err.Error()) > 400 {
		t.Errorf("it takes %d bytes to tell", len(err.Error()))
	}
}
