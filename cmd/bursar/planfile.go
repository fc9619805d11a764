package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// readPlan reads a file of disbursements that depend on one another: a JSON document
// with items if its name ends in .json, one item a line if it ends in .jsonl or
// .ndjson, CSV otherwise. A row gets from absent what it does not name; a payload of
// JSON stands for itself.
func readPlan(name string, in io.Reader, absent messages.Disbursement) ([]messages.PlanItem, error) {
	var items []messages.PlanItem
	var err error
	switch filepath.Ext(name) {
	case ".json":
		items, err = readPlanJSON(in, absent)
	case ".jsonl", ".ndjson":
		items, err = readPlanLines(in, absent)
	default:
		items, err = readPlanCSV(in, absent)
	}
	if err == nil && len(items) == 0 {
		err = errors.New("there is no item in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return items, nil
}

// planColumns are what a CSV plan may hold, by the names in its first line. People
// who come from workflows say id and parents, the wire says ref and after.
var planColumns = map[string]func(*messages.PlanItem, string) error{
	"id":      setRef,
	"ref":     setRef,
	"parents": setAfter,
	"after":   setAfter,
}

func setRef(item *messages.PlanItem, cell string) error {
	item.Ref = cell
	return nil
}

func setAfter(item *messages.PlanItem, cell string) error {
	item.After = strings.Fields(cell)
	return nil
}

// setPlanCell puts a cell where its column says. An empty destination or amount
// leaves the default.
func setPlanCell(item *messages.PlanItem, column, cell string) error {
	if set := planColumns[column]; set != nil {
		return set(item, cell)
	}
	if cell == "" {
		return nil
	}
	return columns[column](&item.Payload, cell)
}

func readPlanCSV(in io.Reader, absent messages.Disbursement) ([]messages.PlanItem, error) {
	reader := csv.NewReader(in)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the line with the names of the columns: %w", err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	if err := checkPlanHeader(header); err != nil {
		return nil, err
	}
	var items []messages.PlanItem
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := reader.FieldPos(0)
		item := messages.PlanItem{Payload: messages.Payload{Disbursement: absent}}
		for i, cell := range cells {
			if err := setPlanCell(&item, header[i], cell); err != nil {
				return nil, fmt.Errorf("line %d, %s: %w", line, header[i], err)
			}
		}
		items = append(items, item)
	}
}

func checkPlanHeader(header []string) error {
	refs := 0
	for i, name := range header {
		if planColumns[name] == nil && columns[name] == nil {
			return fmt.Errorf("no column is called %q; there are id, parents, destination, amount, memo and scheduled_epoch", name)
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("there are two columns called %s", name)
		}
		if name == "id" || name == "ref" {
			refs++
		}
	}
	if refs != 1 {
		return fmt.Errorf("there must be one column called id (or ref), there are %d", refs)
	}
	if slices.Contains(header, "parents") && slices.Contains(header, "after") {
		return errors.New("the columns parents and after mean the same; keep one")
	}
	return nil
}

// jsonItem is a plan's item as it stands in a file: the wire's names, or those of a
// workflow's row with the payment's fields beside them.
type jsonItem struct {
	Ref     jsonRef      `json:"ref"`
	ID      jsonRef      `json:"id"`
	After   []jsonRef    `json:"after"`
	Parents []jsonRef    `json:"parents"`
	Payload *jsonPayload `json:"payload"`

	Destination    *string          `json:"destination"`
	Amount         *messages.Amount `json:"amount"`
	Memo           *string          `json:"memo"`
	ScheduledEpoch *messages.Epoch  `json:"scheduled_epoch"`
}

// jsonRef is a ref; a number will do.
type jsonRef string

// UnmarshalJSON takes a string, or a number as it is written.
func (r *jsonRef) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		var number json.Number
		if err := json.Unmarshal(b, &number); err != nil {
			return fmt.Errorf("%s is no ref: want a string or a number", b)
		}
		*r = jsonRef(number)
		return nil
	}
	var text string
	err := json.Unmarshal(b, &text)
	*r = jsonRef(text)
	return err
}

func (j *jsonItem) item(absent messages.Disbursement) (messages.PlanItem, error) {
	item := messages.PlanItem{Ref: string(j.Ref + j.ID)}
	for _, ref := range slices.Concat(j.After, j.Parents) {
		item.After = append(item.After, string(ref))
	}
	flat := j.Destination != nil || j.Amount != nil || j.Memo != nil || j.ScheduledEpoch != nil
	switch {
	case j.Ref != "" && j.ID != "":
		return item, fmt.Errorf("item %s has both ref and id", j.Ref)
	case j.After != nil && j.Parents != nil:
		return item, fmt.Errorf("item %s has both after and parents", item.Ref)
	case j.Payload != nil && flat:
		return item, fmt.Errorf("item %s has a payload and fields of a payment beside it", item.Ref)
	case j.Payload != nil:
		item.Payload = j.Payload.payload()
	default:
		item.Payload.Disbursement = messages.Disbursement{
			Destination: or(j.Destination, absent.Destination), Amount: or(j.Amount, absent.Amount),
			Memo: or(j.Memo, absent.Memo), ScheduledEpoch: or(j.ScheduledEpoch, absent.ScheduledEpoch),
		}
	}
	return item, nil
}

func readPlanJSON(in io.Reader, absent messages.Disbursement) ([]messages.PlanItem, error) {
	var document struct {
		Items []jsonItem `json:"items"`
	}
	if err := decodeOne(in, &document); err != nil {
		return nil, err
	}
	items := make([]messages.PlanItem, len(document.Items))
	for i := range document.Items {
		var err error
		if items[i], err = document.Items[i].item(absent); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func readPlanLines(in io.Reader, absent messages.Disbursement) ([]messages.PlanItem, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, rowBytesMax)
	var items []messages.PlanItem
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line jsonItem
		if err := decodeOne(bytes.NewReader(lines.Bytes()), &line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		item, err := line.item(absent)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		items = append(items, item)
	}
	return items, lines.Err()
}

// decodeOne reads exactly one JSON value, and none of its names may be unknown.
func decodeOne(in io.Reader, into any) error {
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}
