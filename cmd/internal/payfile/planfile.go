package payfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// planItem is an item of a plan and the line it begins in.
type planItem struct {
	messages.PlanItem
	line int
}

// place says where an item stands.
func (p *planItem) place() string {
	if p.Ref == "" {
		return fmt.Sprintf("line %d", p.line)
	}
	return fmt.Sprintf("line %d (%s)", p.line, p.Ref)
}

// ReadPlan reads a file of disbursements that depend on one another: a JSON document
// with items if its name ends in .json, one item a line if it ends in .jsonl or
// .ndjson, CSV otherwise. A row gets from absent what it does not name; a payload of
// JSON stands for itself. The error is a *Faults.
func ReadPlan(name string, text []byte, absent messages.Disbursement) (*Plan, error) {
	var faults Faults
	text, err := Text(text)
	if err != nil {
		faults.add("%v", err)
		return nil, faults.err()
	}
	var items []planItem
	var notes []string
	switch {
	case filepath.Ext(name) == ".json":
		items = planDocument(text, absent, &faults)
	case lines(name):
		items = planLines(text, absent, &faults)
	default:
		items, notes = planSheet(text, absent, &faults)
	}
	if len(items) == 0 && faults.Count == 0 {
		faults.add("there is no item in it")
	}
	p := newPlan(items, &faults)
	if faults.Count > 0 {
		return nil, &faults
	}
	p.Notes = notes
	return p, nil
}

// planColumns are what a CSV plan may hold. People who come from workflows say id and
// parents, the wire says ref and after.
var planColumns = []string{"id", "parents", "destination", "amount", "memo", "scheduled_epoch", "ref", "after"}

func planSheet(text []byte, absent messages.Disbursement, faults *Faults) (items []planItem, notes []string) {
	s := readSheet(text, planColumns, faults)
	if len(s.columns) == 0 || faults.Count > 0 && len(s.rows) == 0 {
		return nil, s.notes
	}
	if s.has("id") == s.has("ref") {
		faults.add("there must be one column called id (or ref)")
		return nil, s.notes
	}
	if s.has("parents") && s.has("after") {
		faults.add("the columns parents and after mean the same; keep one")
		return nil, s.notes
	}
	for _, row := range s.rows {
		item := planItem{line: row.line}
		item.Payload.Disbursement = absent
		sound := true
		for i, cell := range row.cells {
			switch name := s.columns[i]; {
			case name == "id" || name == "ref":
				item.Ref = cell
			case name == "parents" || name == "after":
				item.After = strings.Fields(cell)
			case cell == "": // leaves the default
			default:
				if err := setCell(&item.Payload.Disbursement, name, cell); err != nil {
					faults.add("line %d, %s: %v", row.line, name, err)
					sound = false
				}
			}
		}
		if sound {
			items = append(items, item)
		}
	}
	return items, s.notes
}

func planLines(text []byte, absent messages.Disbursement, faults *Faults) (items []planItem) {
	for _, line := range jsonLines(text, faults) {
		if item, ok := readItem(line.text, line.line, absent, faults); ok {
			items = append(items, item)
		}
	}
	return items
}

func planDocument(text []byte, absent messages.Disbursement, faults *Faults) (items []planItem) {
	if len(bytes.TrimSpace(text)) == 0 {
		faults.add("the file is empty")
		return nil
	}
	document, err := readObject(text)
	if err != nil {
		faults.add("%v", err)
		return nil
	}
	for name := range document {
		if name != "items" {
			faults.add("%s: no such field; a plan has items", name)
		}
	}
	list := document["items"]
	begin := bytes.Index(text, list) // its bytes are those of the file
	decoder := json.NewDecoder(bytes.NewReader(list))
	if token, err := decoder.Token(); len(list) > 0 && (err != nil || token != json.Delim('[')) {
		faults.add("items: want a list")
		return nil
	}
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			faults.add("items: %v", jsonError(err))
			return items
		}
		end := begin + int(decoder.InputOffset())
		line := 1 + bytes.Count(text[:end-len(raw)], []byte{'\n'})
		if item, ok := readItem(raw, line, absent, faults); ok {
			items = append(items, item)
		}
	}
	return items
}

// readItem reads an item as it stands in JSON: the wire's names, or those of a workflow's
// row with the payment's fields beside them.
func readItem(text []byte, line int, absent messages.Disbursement, faults *Faults) (planItem, bool) {
	item := planItem{line: line}
	o, err := readObject(text)
	if err == nil {
		err = item.take(o, absent)
	}
	if err != nil {
		faults.add("%s: %v", item.place(), err)
	}
	return item, err == nil
}

func (p *planItem) take(o object, absent messages.Disbursement) (err error) {
	name, err := o.oneOf("ref", "id")
	if err != nil {
		return err
	}
	if p.Ref, err = readRef(o[name]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	delete(o, name)
	if name, err = o.oneOf("after", "parents"); err != nil {
		return err
	}
	if p.After, err = readRefs(o[name]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	delete(o, name)
	payload, whole := o["payload"]
	delete(o, "payload")
	if !whole {
		p.Payload.Disbursement = absent
		return takePayment(&p.Payload.Disbursement, o)
	}
	if len(o) > 0 {
		return errors.New("it has a payload and fields of a payment beside it")
	}
	inner, err := readObject(payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	p.Payload, err = readPayload(inner)
	return err
}

// oneOf tells which of two names that mean the same an object has: the first if neither.
func (o object) oneOf(name, other string) (string, error) {
	_, first := o[name]
	if _, second := o[other]; second {
		if first {
			return "", fmt.Errorf("it has both %s and %s; they mean the same", name, other)
		}
		return other, nil
	}
	return name, nil
}

// readRef reads a ref; a number will do.
func readRef(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var number json.Number
	if err := json.Unmarshal(raw, &number); err != nil {
		return "", fmt.Errorf("%s is no ref: want a text or a number", raw)
	}
	return number.String(), nil
}

func readRefs(raw json.RawMessage) (refs []string, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("want a list of refs")
	}
	for _, one := range list {
		ref, err := readRef(one)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// takePayment takes the fields of a payment that stand in an item itself.
func takePayment(d *messages.Disbursement, o object) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		raw := o[name]
		if string(raw) == "null" {
			continue // leaves the default
		}
		var cell string
		switch name {
		case "amount", "scheduled_epoch":
			cell = string(raw)
		case "destination", "memo":
			if err := json.Unmarshal(raw, &cell); err != nil {
				return fmt.Errorf("%s: %s is no text", name, raw)
			}
			cell = strings.ReplaceAll(cell, "\r\n", "\n")
		default:
			return fmt.Errorf("%s: no such field; there are ref, after, payload, or destination, amount, memo and scheduled_epoch", name)
		}
		if err := setCell(d, name, cell); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
