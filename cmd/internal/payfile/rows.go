package payfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// Row is one payment of a file and the line it begins in.
type Row struct {
	Line int
	// RequestID is what the file itself calls it, "" if it does not.
	RequestID string
	Payload   messages.Payload
	// Deps are the disbursements it waits for, as a node will read them.
	Deps []messages.DisbursementID
}

// File is a file of payments that was read and judged to be sound by itself.
type File struct {
	Rows []Row
	// Notes say how it was read, where that may surprise.
	Notes []string
}

// lines reports whether a file holds one JSON object a line.
func lines(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".jsonl" || ext == ".ndjson"
}

// Read reads a file of payments: one JSON payload a line if its name ends in .jsonl or
// .ndjson, CSV otherwise. The error is a *Faults with all that can be said against it
// without asking a node.
func Read(name string, text []byte) (*File, error) {
	var faults Faults
	text, err := Text(text)
	if err != nil {
		faults.add("%v", err)
		return nil, faults.err()
	}
	var f File
	if lines(name) {
		f.readLines(text, &faults)
	} else {
		f.readSheet(text, &faults)
	}
	if len(f.Rows) == 0 && faults.Count == 0 {
		faults.add("there is no payment in it")
	}
	seen := make(map[string]int)
	for i := range f.Rows {
		r := &f.Rows[i]
		var refusal *messages.Error
		if r.Deps, refusal = disbursement.Check(r.Payload); refusal != nil {
			faults.add("line %d: %v", r.Line, refusal)
		}
		switch before, twice := seen[r.RequestID]; {
		case r.RequestID == "":
		case len(r.RequestID) > messages.RequestIDMax:
			faults.add("line %d: its request_id has %d bytes, at most %d are allowed", r.Line, len(r.RequestID), messages.RequestIDMax)
		case twice:
			faults.add("line %d: its request_id %q is that of line %d, too", r.Line, r.RequestID, before)
		}
		seen[r.RequestID] = r.Line
	}
	return &f, faults.err()
}

// rowColumns are what a CSV file of payments may hold.
var rowColumns = []string{"destination", "amount", "memo", "scheduled_epoch", "request_id"}

func (f *File) readSheet(text []byte, faults *Faults) {
	s := readSheet(text, rowColumns, faults)
	f.Notes = s.notes
	if faults.Count > 0 && len(s.rows) == 0 {
		return
	}
	for _, name := range rowColumns[:2] {
		if !s.has(name) {
			faults.add("the column %s is missing", name)
		}
	}
	if faults.Count > 0 && (!s.has("destination") || !s.has("amount")) {
		return
	}
	for _, line := range s.rows {
		r := Row{Line: line.line, Payload: onePayment()}
		sound := true
		for i, cell := range line.cells {
			name := s.columns[i]
			if name == "request_id" {
				r.RequestID = cell
			} else if err := setCell(&r.Payload.Disbursement, name, cell); err != nil {
				faults.add("line %d, %s: %v", line.line, name, err)
				sound = false
			}
		}
		if sound {
			f.Rows = append(f.Rows, r)
		}
	}
}

// onePayment is a payload whose defaults are filled in: due at once.
func onePayment() messages.Payload {
	return messages.Payload{Disbursement: messages.Disbursement{ScheduledEpoch: 1}}
}

// setCell puts a cell where its column says.
func setCell(d *messages.Disbursement, column, cell string) (err error) {
	var n uint64
	switch column {
	case "destination":
		d.Destination = cell
	case "memo":
		d.Memo = cell
	case "amount":
		n, err = ParseUint(cell)
		d.Amount = messages.Amount(n)
	case "scheduled_epoch":
		if n, err = ParseUint(cell); errors.Is(err, ErrNumber) {
			err = fmt.Errorf("%q is no epoch: want a whole number in digits", cell)
		}
		d.ScheduledEpoch = messages.Epoch(n)
	}
	return err
}

func (f *File) readLines(text []byte, faults *Faults) {
	for _, line := range jsonLines(text, faults) {
		r := Row{Line: line.line}
		o, err := readObject(line.text)
		if err == nil {
			r.RequestID, err = o.takeRequestID()
		}
		if err == nil {
			r.Payload, err = readPayload(o)
		}
		if err != nil {
			faults.add("line %d: %v", line.line, err)
			continue
		}
		f.Rows = append(f.Rows, r)
	}
}

// Sum is what a file's payments are together, which 64 bits may not hold.
type Sum struct {
	Payments int
	Waiting  int // payments that wait for others
	amount   big.Int
}

func (s *Sum) add(p *messages.Payload, waits bool) {
	s.Payments++
	if waits {
		s.Waiting++
	}
	s.amount.Add(&s.amount, new(big.Int).SetUint64(uint64(p.Disbursement.Amount)))
}

// Amount is the sum of all amounts, in decimal digits.
func (s *Sum) Amount() string { return s.amount.String() }

// AtMost reports whether the sum of all amounts is at most so much.
func (s *Sum) AtMost(n uint64) bool { return s.amount.Cmp(new(big.Int).SetUint64(n)) <= 0 }

// Sum adds up a file.
func (f *File) Sum() *Sum {
	sum := new(Sum)
	for i := range f.Rows {
		sum.add(&f.Rows[i].Payload, len(f.Rows[i].Deps) > 0)
	}
	return sum
}

// Misspelt tells the rows that seem to name dependencies in their memos and name none.
func (f *File) Misspelt() (told []string) {
	for i := range f.Rows {
		if words := Misspelt(&f.Rows[i].Payload, f.Rows[i].Deps); words != "" {
			told = append(told, fmt.Sprintf("line %d: %q in its memo names no dependency", f.Rows[i].Line, words))
		}
	}
	return told
}

// content is what a row pays, without its place and name.
type content [sha256.Size]byte

func contentOf(p *messages.Payload) content { return sha256.Sum256(messages.AppendPayload(nil, p)) }

// Items gives each row its request id: that of the file, or a hash over the batch's name,
// the payload and how often the same payload stood further up. So the same file submits
// nothing twice, rows may be added or moved in between, and two equal rows are two
// payments.
func (f *File) Items(batchName string) []batch.Item {
	seen := make(map[content]int, len(f.Rows))
	items := make([]batch.Item, len(f.Rows))
	for i := range f.Rows {
		r := &f.Rows[i]
		items[i] = batch.Item{RequestID: r.RequestID, Payload: r.Payload}
		if r.RequestID != "" {
			continue
		}
		c := contentOf(&r.Payload)
		seen[c]++
		identity := fmt.Sprintf("%q %x %d", batchName, c, seen[c])
		sum := sha256.Sum256([]byte(identity))
		items[i].RequestID = "row-" + hex.EncodeToString(sum[:20])
	}
	return items
}
