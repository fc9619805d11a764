package payfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// MemoryName is the file, beside the files of payments, that remembers what of them went
// in.
const MemoryName = ".bursar-submitted.jsonl"

// Memory is what went in of the files of a directory. A node recognises each row by its
// request id and never pays one twice; a Memory notices what a node cannot: that a row was
// changed, or stands in a file of another name. It is lines of JSON, appended only.
type Memory struct {
	paid map[string][]Paid // by batch, in the order in which they went in
	open map[string]string // batches whose last run did not end: the file's digest
	seen map[string]bool   // request ids in paid
	out  *os.File
	w    *bufio.Writer
	err  error // of the last write
}

// Paid is a row that went in.
type Paid struct {
	Batch       string                  `json:"batch"`
	Line        int                     `json:"line"`
	Content     string                  `json:"content"`
	RequestID   string                  `json:"request_id"`
	Destination string                  `json:"destination"`
	Amount      messages.Amount         `json:"amount"`
	ID          messages.DisbursementID `json:"id"`
}

// run marks the begin of a run of a batch by the digest of its rows, or its end.
type run struct {
	Batch string `json:"batch"`
	Begin string `json:"begin,omitempty"`
	End   bool   `json:"end,omitempty"`
}

// OpenMemory reads the memory of a directory, and makes one where there is none.
func OpenMemory(dir string) (*Memory, error) {
	m := &Memory{paid: make(map[string][]Paid), open: make(map[string]string), seen: make(map[string]bool)}
	path := filepath.Join(dir, MemoryName)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := m.read(text); err != nil {
		return nil, fmt.Errorf("%s: %w; move it away if it cannot be mended", path, err)
	}
	if m.out, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	m.w = bufio.NewWriter(m.out)
	// What the last run wrote of a line when it was cut off goes.
	return m, m.out.Truncate(int64(bytes.LastIndexByte(text, '\n') + 1))
}

func (m *Memory) read(text []byte) error {
	for n := 1; len(text) > 0; n++ {
		row, after, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return nil // cut off when it was written
		}
		text = after
		var line struct {
			Paid
			Begin string `json:"begin"`
			End   bool   `json:"end"`
		}
		if len(row) == 0 {
			continue
		}
		if err := json.Unmarshal(row, &line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case line.Begin != "":
			m.open[line.Batch] = line.Begin
		case line.End:
			delete(m.open, line.Batch)
		case !m.seen[line.RequestID]:
			m.seen[line.RequestID] = true
			m.paid[line.Batch] = append(m.paid[line.Batch], line.Paid)
		}
	}
	return nil
}

// Begin notes that the rows of a batch are about to be sent.
func (m *Memory) Begin(batchName string, items []batch.Item) {
	m.write(run{Batch: batchName, Begin: digest(items)})
	m.Flush()
}

// Note notes that a row went in, now or earlier.
func (m *Memory) Note(batchName string, row *Row, requestID string, id messages.DisbursementID) {
	if m.seen[requestID] {
		return
	}
	m.seen[requestID] = true
	c, d := contentOf(&row.Payload), &row.Payload.Disbursement
	m.write(Paid{batchName, row.Line, hex.EncodeToString(c[:16]), requestID, d.Destination, d.Amount, id})
}

// End notes that every row of a batch has its outcome.
func (m *Memory) End(batchName string) { m.write(run{Batch: batchName, End: true}) }

func (m *Memory) write(line any) {
	text, err := json.Marshal(line)
	if err == nil {
		_, err = m.w.Write(append(text, '\n'))
	}
	m.err = errors.Join(m.err, err)
}

// Flush makes what was noted outlive the program.
func (m *Memory) Flush() { m.err = errors.Join(m.err, m.w.Flush()) }

// Close ends the memory and tells whether all of it was written.
func (m *Memory) Close() error {
	m.Flush()
	return errors.Join(m.err, m.out.Close())
}

// digest tells one list of rows from another, whatever their order.
func digest(items []batch.Item) string {
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].RequestID
	}
	slices.Sort(ids)
	hash := sha256.New()
	for _, id := range ids {
		fmt.Fprintf(hash, "%q", id)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// Change is a row that takes the place of one that went in.
type Change struct {
	Line   int // of the file as it is now
	Paid   Paid
	Amount messages.Amount // that would be paid in addition
}

// Again is a row that went in before with a file of another name.
type Again struct {
	Line int
	Paid Paid
}

// Doubts are what a Memory has against sending a file as it is. Nothing of it is wrong by
// itself: whoever sends the file says so.
type Doubts struct {
	// Unfinished says that the last run of the batch did not end, and that the file has
	// other rows now: whether rows of then went in is not known for all of them.
	Unfinished bool
	Changed    []Change
	Again      []Again
	// Gone are rows that went in and are not in the file any more. They are paid all the
	// same.
	Gone []Paid
}

// Any reports whether there is something to ask about.
func (d *Doubts) Any() bool { return d.Unfinished || len(d.Changed) > 0 || len(d.Again) > 0 }

// Doubts compares a file with what went in before. named says that whoever sends it gave
// the batch a name, and so means its rows to be paid beside those of any other.
func (m *Memory) Doubts(batchName string, f *File, items []batch.Item, named bool) *Doubts {
	d := new(Doubts)
	here := make(map[string]bool, len(items)) // request ids of the file
	for i := range items {
		here[items[i].RequestID] = true
	}
	known := make(map[string]bool)
	gone := make(map[int]Paid) // by line
	for _, p := range m.paid[batchName] {
		known[p.RequestID] = true
		if !here[p.RequestID] {
			gone[p.Line] = p
			d.Gone = append(d.Gone, p)
		}
	}
	elsewhere := m.elsewhere(batchName)
	fresh := 0
	var unmatched []int
	for i := range items {
		r := &f.Rows[i]
		if known[items[i].RequestID] {
			continue
		}
		fresh++
		if r.RequestID != "" {
			continue // whoever names rows says which of them are the same
		}
		if p, ok := elsewhere.take(contentOf(&r.Payload)); ok && !named {
			d.Again = append(d.Again, Again{r.Line, p})
			continue
		}
		unmatched = append(unmatched, i)
	}
	d.changed(f, unmatched, gone)
	begun, open := m.open[batchName]
	d.Unfinished = open && fresh > 0 && begun != digest(items)
	return d
}

// changed pairs new rows with those that are gone: of the same line, or else with the same
// payee.
func (d *Doubts) changed(f *File, fresh []int, gone map[int]Paid) {
	byPayee := make(map[string][]int) // lines of rows that are gone, ascending
	for _, p := range d.Gone {
		byPayee[p.Destination] = append(byPayee[p.Destination], p.Line)
	}
	for _, i := range fresh {
		r := &f.Rows[i]
		p, ok := gone[r.Line]
		if !ok {
			for _, line := range byPayee[r.Payload.Disbursement.Destination] {
				if p, ok = gone[line]; ok {
					break
				}
			}
		}
		if ok {
			delete(gone, p.Line)
			d.Changed = append(d.Changed, Change{r.Line, p, r.Payload.Disbursement.Amount})
		}
	}
}

// pool holds rows of other batches by their content, each to be found once.
type pool map[string][]Paid

func (m *Memory) elsewhere(batchName string) pool {
	p := make(pool)
	for _, name := range slices.Sorted(maps.Keys(m.paid)) {
		if name == batchName {
			continue
		}
		for _, row := range m.paid[name] {
			p[row.Content] = append(p[row.Content], row)
		}
	}
	return p
}

func (p pool) take(c content) (Paid, bool) {
	key := hex.EncodeToString(c[:16])
	rows := p[key]
	if len(rows) == 0 {
		return Paid{}, false
	}
	p[key] = rows[1:]
	return rows[0], true
}
