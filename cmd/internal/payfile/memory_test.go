package payfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// remembered opens a memory that nobody else has.
func remembered(t *testing.T, dir string) *Memory {
	t.Helper()
	m, err := OpenMemory(t.Context(), dir, func() { t.Error("somebody else has it") })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sent remembers that a file went in whole.
func sent(t *testing.T, dir, batchName string, f *File) {
	t.Helper()
	m := remembered(t, dir)
	items := f.Items(batchName)
	begin(t, m, batchName, items)
	for i := range items {
		m.Note(batchName, &f.Rows[i], items[i].RequestID, messages.DisbursementID(i+1))
	}
	m.End(batchName)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, m *Memory, batchName string, items []batch.Item) {
	t.Helper()
	if err := m.Begin(batchName, items); err != nil {
		t.Fatal(err)
	}
}

func doubts(t *testing.T, dir, batchName string, f *File, named bool) *Doubts {
	t.Helper()
	m := remembered(t, dir)
	defer m.Close()
	return m.Doubts(batchName, f, f.Items(batchName), named)
}

const csvHeader = "destination,amount,memo\n"

func TestAChangedRowIsNoticed(t *testing.T) {
	dir := t.TempDir()
	sent(t, dir, "p.csv", csvRows(t, csvHeader+"tb1a,60,\ntb1b,61,x\ntb1c,63,\n"))
	for name, c := range map[string]struct {
		rows, want string
		named      bool
	}{
		"the same file":               {rows: "tb1a,60,\ntb1b,61,x\ntb1c,63,\n"},
		"in another order":            {rows: "tb1c,63,\ntb1a,60,\ntb1b,61,x\n"},
		"a row more":                  {rows: "tb1new,1,\ntb1a,60,\ntb1b,61,x\ntb1c,63,\n"},
		"an amount":                   {rows: "tb1a,60,\ntb1b,62,x\ntb1c,63,\n", want: "changed 3: 61 -> 62"},
		"a payee":                     {rows: "tb1a,60,\ntb1z,61,x\ntb1c,63,\n", want: "changed 3: 61 -> 61"},
		"a memo":                      {rows: "tb1a,60,\ntb1b,61,y\ntb1c,63,\n", want: "changed 3: 61 -> 61"},
		"an amount, on another line":  {rows: "tb1n,1,\ntb1a,60,\ntb1c,63,\ntb1b,62,x\n", want: "changed 5: 61 -> 62"},
		"even where the batch is old": {rows: "tb1a,60,\ntb1b,62,x\ntb1c,63,\n", want: "changed 3: 61 -> 62", named: true},
		"a row less":                  {rows: "tb1a,60,\ntb1c,63,\n", want: "gone 3"},
	} {
		t.Run(name, func(t *testing.T) {
			d := doubts(t, dir, "p.csv", csvRows(t, csvHeader+c.rows), c.named)
			var told []string
			for _, change := range d.Changed {
				told = append(told, fmt.Sprintf("changed %d: %d -> %d", change.Line, change.Paid.Amount, change.Amount))
			}
			if len(d.Changed) == 0 {
				for _, p := range d.Gone {
					told = append(told, fmt.Sprintf("gone %d", p.Line))
				}
			}
			if got := strings.Join(told, "; "); got != c.want || d.Any() != (len(d.Changed) > 0) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	named := csvRows(t, "destination,amount,request_id\ntb1b,62,inv-9\n")
	if d := doubts(t, dir, "p.csv", named, false); d.Any() {
		t.Errorf("a row that names itself is doubted: %+v", d)
	}
}

func TestRowsOfAFileOfAnotherNameAreNoticed(t *testing.T) {
	dir := t.TempDir()
	sent(t, dir, "p.csv", csvRows(t, csvHeader+"tb1a,60,\ntb1a,60,\ntb1b,61,\n"))
	copied := csvRows(t, csvHeader+"tb1b,61,\ntb1a,60,\ntb1c,1,\n")
	d := doubts(t, dir, "copy.csv", copied, false)
	if len(d.Again) != 2 || len(d.Changed) != 0 || d.Again[0].Paid.Batch != "p.csv" || d.Again[0].Line != 2 {
		t.Errorf("doubts %+v", d)
	}
	if d := doubts(t, dir, "june", copied, true); d.Any() {
		t.Errorf("a batch with a name of its own is doubted: %+v", d)
	}
}

func TestARunThatWasCutOffIsNoticed(t *testing.T) {
	dir := t.TempDir()
	f := csvRows(t, csvHeader+"tb1a,60,\ntb1b,61,\n")
	m := remembered(t, dir)
	items := f.Items("p.csv")
	begin(t, m, "p.csv", items)
	m.Note("p.csv", &f.Rows[0], items[0].RequestID, 1)
	m.flush()
	if _, err := m.out.WriteString(`{"batch":"p.csv","li`); err != nil { // and the power went
		t.Fatal(err)
	}
	m.out.Close()
	if d := doubts(t, dir, "p.csv", f, false); d.Any() {
		t.Errorf("the file as it was is doubted: %+v", d)
	}
	mended := csvRows(t, csvHeader+"tb1a,60,\ntb1b,62,\n")
	if d := doubts(t, dir, "p.csv", mended, false); !d.Unfinished {
		t.Errorf("a file that changed after a run was cut off is not doubted: %+v", d)
	}
	sent(t, dir, "p.csv", f)
	if d := doubts(t, dir, "p.csv", mended, false); d.Unfinished || len(d.Changed) != 1 {
		t.Errorf("after a whole run: %+v", d)
	}
}

// Two programs that note at the same time tear each other's lines, and neither sees what the
// other pays: the second waits for the end of the first.
func TestOneProgramAtATimeHasAMemory(t *testing.T) {
	dir := t.TempDir()
	f := csvRows(t, csvHeader+strings.Repeat("tb1a,60,\n", 500))
	first := remembered(t, dir)
	items := f.Items("p.csv")
	begin(t, first, "p.csv", items)
	second, err := OpenMemory(t.Context(), dir, func() {
		for i := range items {
			first.Note("p.csv", &f.Rows[i], items[i].RequestID, messages.DisbursementID(i+1))
		}
		first.End("p.csv")
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	mended := csvRows(t, csvHeader+strings.Repeat("tb1a,60,\n", 499)+"tb1a,61,\n")
	if d := second.Doubts("p.csv", mended, mended.Items("p.csv"), false); len(d.Changed) != 1 || d.Unfinished {
		t.Errorf("the second does not know what the first paid: %+v", d)
	}
	given, giveUp := context.WithCancel(t.Context())
	if m, err := OpenMemory(given, dir, giveUp); !errors.Is(err, context.Canceled) {
		t.Errorf("waited on: %v, %v", m, err)
	}
}

func TestLinesThatCannotBeReadArePassedOverAndDoubted(t *testing.T) {
	dir := t.TempDir()
	f := csvRows(t, csvHeader+"tb1a,60,\ntb1b,61,\n")
	sent(t, dir, "p.csv", f)
	path := filepath.Join(dir, MemoryName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n") // begin, two rows, end
	torn := lines[0] + `{"batch":"x","line":3,"con` + "\n\n{}\n" + lines[1] + "\x00\x00\n" + lines[2] + strings.TrimSpace(lines[3])
	if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	if d := doubts(t, dir, "p.csv", f, false); d.Any() {
		t.Errorf("rows that are all known are doubted: %+v", d)
	}
	d := doubts(t, dir, "p.csv", csvRows(t, csvHeader+"tb1a,60,\ntb1b,62,\n"), false)
	if diff := cmp.Diff(d.Damaged, []int{2, 4, 6}); diff != "" || len(d.Changed) != 1 || d.Unfinished {
		t.Errorf("doubts %+v, damaged (-got +want):\n%s", d, diff)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != torn+"\n" {
		t.Errorf("it became %q, %v", again, err)
	}
}

// Property: whatever was done to the rows of a file that went in, each row that would be
// paid beside one that is gone from its line is told, and none is told that went in as it is.
func TestNoChangeOfAPaidRowIsMissed(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		amounts := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 12).Draw(rt, "amounts")
		now := append([]int(nil), amounts...)
		for range rapid.IntRange(0, 3).Draw(rt, "changes") {
			now[rapid.IntRange(0, len(now)-1).Draw(rt, "row")] = rapid.IntRange(1, 9).Draw(rt, "amount")
		}
		file := func(amounts []int) *File {
			f := new(File)
			for i, amount := range amounts {
				f.Rows = append(f.Rows, Row{Line: i + 2, Payload: messages.Payload{Disbursement: messages.Disbursement{
					Destination: fmt.Sprintf("tb1p%d", i), Amount: messages.Amount(amount), ScheduledEpoch: 1,
				}}})
			}
			return f
		}
		runs++
		name := fmt.Sprintf("run%d", runs)
		sent(t, dir, name, file(amounts))
		d := doubts(t, dir, name, file(now), true)
		told := make(map[int]bool)
		for _, c := range d.Changed {
			told[c.Line] = true
		}
		for i := range now {
			if changed := now[i] != amounts[i]; changed != told[i+2] {
				rt.Fatalf("row %d, %d -> %d, told: %t", i, amounts[i], now[i], told[i+2])
			}
		}
	})
}
