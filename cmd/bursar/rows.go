package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// rowBytesMax is the longest row of a file: more than any payload the wire takes.
const rowBytesMax = 2 << 20

// row is one disbursement of a file and the line it begins in.
type row struct {
	line    int
	payload messages.Payload
}

// readRows reads a file of disbursements: JSON lines if its name ends in .jsonl or
// .ndjson, CSV otherwise. All rows are read before the first is submitted, so that a
// slip in the last line is found before any money moves.
func readRows(name string, in io.Reader) ([]row, error) {
	var rows []row
	var err error
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson":
		rows, err = readJSONLines(in)
	default:
		rows, err = readCSV(in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rows, nil
}

// columns are what a CSV file may hold, by the names in its first line.
var columns = map[string]func(*messages.Payload, string) error{
	"destination": func(p *messages.Payload, cell string) error {
		p.Disbursement.Destination = cell
		return nil
	},
	"amount":          func(p *messages.Payload, cell string) error { return parseUint(cell, &p.Disbursement.Amount) },
	"scheduled_epoch": func(p *messages.Payload, cell string) error { return parseUint(cell, &p.Disbursement.ScheduledEpoch) },
	"memo": func(p *messages.Payload, cell string) error {
		p.Disbursement.Memo = cell
		return nil
	},
}

func parseUint[T ~uint64](cell string, into *T) error {
	n, err := strconv.ParseUint(strings.TrimSpace(cell), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no whole number of 64 bits", cell)
	}
	*into = T(n)
	return nil
}

func readCSV(in io.Reader) ([]row, error) {
	reader := csv.NewReader(in)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the line with the names of the columns: %w", err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	var rows []row
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := reader.FieldPos(0)
		r := row{line: line, payload: onePayment()}
		for i, cell := range cells {
			if err := columns[header[i]](&r.payload, cell); err != nil {
				return nil, fmt.Errorf("line %d, %s: %w", line, header[i], err)
			}
		}
		rows = append(rows, r)
	}
}

func checkHeader(header []string) error {
	for i, name := range header {
		if columns[name] == nil {
			return fmt.Errorf("no column is called %q; there are destination, amount, memo and scheduled_epoch", name)
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("there are two columns called %s", name)
		}
	}
	for _, name := range []string{"destination", "amount"} {
		if !slices.Contains(header, name) {
			return fmt.Errorf("the column %s is missing", name)
		}
	}
	return nil
}

// onePayment is a payload whose defaults are filled in: due at once.
func onePayment() messages.Payload {
	return messages.Payload{Disbursement: messages.Disbursement{ScheduledEpoch: 1}}
}

// jsonPayload is a payload as it stands in a line: the wire's names. Names that the
// wire would ignore are refused here, because a file is written by hand.
type jsonPayload struct {
	Proposal *struct {
		Title       string                    `json:"title"`
		Summary     string                    `json:"summary"`
		Deps        []messages.DisbursementID `json:"deps"`
		Attachments []struct {
			Name string `json:"name"`
			URI  string `json:"uri"`
		} `json:"attachments"`
		Quorum struct {
			OperatorsPPM messages.PPM `json:"operators_ppm"`
			BuildersPPM  messages.PPM `json:"builders_ppm"`
		} `json:"quorum"`
		VoteWindowEpochs     *messages.Epoch `json:"vote_window_epochs"`
		TimelockEpochs       *messages.Epoch `json:"timelock_epochs"`
		RollbackWindowEpochs *messages.Epoch `json:"rollback_window_epochs"`
	} `json:"proposal"`
	Disbursement struct {
		Destination      string          `json:"destination"`
		Amount           messages.Amount `json:"amount"`
		Memo             string          `json:"memo"`
		ScheduledEpoch   *messages.Epoch `json:"scheduled_epoch"`
		ExpectedReceipts []struct {
			Account string          `json:"account"`
			Amount  messages.Amount `json:"amount"`
		} `json:"expected_receipts"`
	} `json:"disbursement"`
}

func (j *jsonPayload) payload() messages.Payload {
	payload := onePayment()
	d := &payload.Disbursement
	d.Destination, d.Amount, d.Memo = j.Disbursement.Destination, j.Disbursement.Amount, j.Disbursement.Memo
	d.ScheduledEpoch = or(j.Disbursement.ScheduledEpoch, 1)
	for _, receipt := range j.Disbursement.ExpectedReceipts {
		d.ExpectedReceipts = append(d.ExpectedReceipts, messages.Receipt(receipt))
	}
	if j.Proposal == nil {
		return payload
	}
	p := &messages.Proposal{
		Title: j.Proposal.Title, Summary: j.Proposal.Summary, Deps: j.Proposal.Deps,
		Quorum:               messages.Quorum(j.Proposal.Quorum),
		VoteWindowEpochs:     or(j.Proposal.VoteWindowEpochs, messages.DefaultVoteWindowEpochs),
		TimelockEpochs:       or(j.Proposal.TimelockEpochs, messages.DefaultTimelockEpochs),
		RollbackWindowEpochs: or(j.Proposal.RollbackWindowEpochs, messages.DefaultRollbackWindowEpochs),
	}
	for _, attachment := range j.Proposal.Attachments {
		p.Attachments = append(p.Attachments, messages.Attachment(attachment))
	}
	payload.Proposal = p
	return payload
}

// or is the value that was given, else the default.
func or[T any](given *T, absent T) T {
	if given == nil {
		return absent
	}
	return *given
}

func readJSONLines(in io.Reader) ([]row, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, rowBytesMax)
	var rows []row
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var line jsonPayload
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: something follows the object", n)
		}
		rows = append(rows, row{line: n, payload: line.payload()})
	}
	return rows, lines.Err()
}

// itemsOf gives each row its request id: a hash over the batch's name, the payload
// and how often the same payload stood further up. So the same file submits nothing
// twice, rows may be added, mended or moved in between, and two equal rows are two
// payments.
func itemsOf(batchName string, rows []row) []batch.Item {
	seen := make(map[[sha256.Size]byte]int, len(rows))
	items := make([]batch.Item, len(rows))
	for i := range rows {
		payload := &rows[i].payload
		content := sha256.Sum256(messages.AppendPayload(nil, payload))
		seen[content]++
		identity := fmt.Sprintf("%q %x %d", batchName, content, seen[content])
		sum := sha256.Sum256([]byte(identity))
		items[i] = batch.Item{RequestID: "row-" + hex.EncodeToString(sum[:20]), Payload: *payload}
	}
	return items
}
