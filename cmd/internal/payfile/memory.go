package payfile

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// MemoryName is the file, beside the files of payments, that remembers what of them went
// in.
const MemoryName = ".bursar-submitted.jsonl"

// Memory is what went in of the files of a directory. A node recognises each row by its
// request id and never pays one twice; a Memory notices what a node cannot: that a row was
// changed, or stands in a file of another name. It is lines of JSON, appended only, and
// locked from OpenMemory to Close: who opens it sees all that earlier ones noted.
type Memory struct {
	paid    map[string][]Paid // by batch, in the order in which they went in
	open    map[string]string // batches whose last run did not end: the file's digest
	seen    map[string]bool   // request ids in paid
	damaged []int             // lines that cannot be read
	out     *os.File
	w       *bufio.Writer
	err     error // of the last write
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

// OpenMemory reads the memory of a directory, and makes one where there is none. It calls
// busy, once, if it must wait until another program closes the same memory.
func OpenMemory(ctx context.Context, dir string, busy func()) (*Memory, error) {
	file, err := os.OpenFile(filepath.Join(dir, MemoryName), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	m := &Memory{
		paid: make(map[string][]Paid), open: make(map[string]string), seen: make(map[string]bool),
		out: file, w: bufio.NewWriter(file),
	}
	if err := errors.Join(lock(ctx, file, busy), m.read()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// lockRetry is how often a lock is tried that somebody else has: a wait for it in the
// kernel would not end with the context.
const lockRetry = 20 * time.Millisecond

func lock(ctx context.Context, file *os.File, busy func()) error {
	for waits := 0; ; waits++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock "+file.Name(), err)
		}
		if waits == 0 {
			busy()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockRetry):
		}
	}
}

// read reads what there is. Lines that make no sense are passed over and remembered; half a
// line at the end was cut off when it was written, and goes.
func (m *Memory) read() error {
	text, err := io.ReadAll(m.out)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	n := 0
	for row := range bytes.Lines(text[:whole]) {
		if n++; !m.readLine(row) && len(bytes.TrimSpace(row)) > 0 {
			m.damaged = append(m.damaged, n)
		}
	}
	if m.readLine(text[whole:]) { // whole but for its end, as some editors leave it
		_, err = m.out.WriteString("\n")
		return err
	}
	return m.out.Truncate(int64(whole))
}

// readLine takes a line in, and reports whether it is one.
func (m *Memory) readLine(row []byte) bool {
	var line struct {
		Paid
		Begin string `json:"begin"`
		End   bool   `json:"end"`
	}
	if json.Unmarshal(row, &line) != nil {
		return false
	}
	switch {
	case line.Begin != "":
		m.open[line.Batch] = line.Begin
	case line.End:
		delete(m.open, line.Batch)
	case line.RequestID == "":
		return false
	case !m.seen[line.RequestID]:
		m.seen[line.RequestID] = true
		m.paid[line.Batch] = append(m.paid[line.Batch], line.Paid)
	}
	return true
}

// Begin notes that the rows of a batch are about to be sent. Unless it fails, a run that
// does not come to its end is noticed, even after a power cut.
func (m *Memory) Begin(batchName string, items []batch.Item) error {
	m.write(run{Batch: batchName, Begin: digest(items)})
	m.flush()
	return errors.Join(m.err, m.out.Sync())
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

// flush makes what was noted outlive the program.
func (m *Memory) flush() { m.err = errors.Join(m.err, m.w.Flush()) }

// Close ends the memory and tells whether all of it was written.
func (m *Memory) Close() error {
	m.flush()
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
	// Damaged are the lines of the memory that cannot be read, if the file has rows that
	// are not in the others: each may be paid already, as something else.
	Damaged []int
	Changed []Change
	Again   []Again
	// Gone are rows that went in and are not in the file any more. They are paid all the
	// same.
	Gone []Paid
}

// Any reports whether there is something to ask about.
func (d *Doubts) Any() bool {
	return d.Unfinished || len(d.Damaged) > 0 || len(d.Changed) > 0 || len(d.Again) > 0
}

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
	if fresh > 0 {
		d.Damaged = m.damaged
	}
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
