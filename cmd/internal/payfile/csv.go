package payfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// sheet is a CSV file: its columns' names as they are known to us, "" for one without a
// name, and its rows.
type sheet struct {
	columns []string
	rows    []sheetRow
	notes   []string
}

type sheetRow struct {
	line  int
	cells []string
}

// readSheet reads a CSV file. Its first line names the columns, of which known lists those
// there may be; case and blanks around a name do not matter. Rows without anything in them,
// as spreadsheets leave them at the end, are left out.
func readSheet(text []byte, known []string, faults *Faults) (s sheet) {
	if len(bytes.TrimSpace(text)) == 0 {
		faults.add("the file is empty")
		return s
	}
	separator, text, line := separatorOf(text)
	if separator != ',' {
		s.notes = append(s.notes, fmt.Sprintf("its columns are separated by %q", separator))
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma, reader.FieldsPerRecord, reader.ReuseRecord = separator, -1, false
	header, err := reader.Read()
	if err != nil {
		faults.add("the line with the names of the columns: %v", csvError(err, line))
		return s
	}
	if !s.name(header, known, faults) {
		return s
	}
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			faults.add("%v", csvError(err, line))
			return s
		}
		at, _ := reader.FieldPos(0)
		s.add(at+line, cells, faults)
	}
}

// separatorOf finds what separates the columns: what stands most often in the first line, or
// what a line sep=; of a spreadsheet says, which it takes away: then one line is gone.
func separatorOf(text []byte) (separator rune, rest []byte, gone int) {
	first, after, _ := bytes.Cut(text, []byte{'\n'})
	if named, ok := bytes.CutPrefix(bytes.TrimSpace(first), []byte("sep=")); ok && len(named) == 1 {
		return rune(named[0]), after, 1
	}
	separator = ','
	for _, other := range []rune{';', '\t'} {
		if bytes.Count(first, []byte(string(other))) > bytes.Count(first, []byte(string(separator))) {
			separator = other
		}
	}
	return separator, text, 0
}

func csvError(err error, gone int) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	switch {
	case errors.Is(parse.Err, csv.ErrQuote), errors.Is(parse.Err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, character %d: a quotation mark out of place (row of line %d); double it within a quoted cell",
			parse.Line+gone, parse.Column, parse.StartLine+gone)
	}
	return fmt.Errorf("line %d: %w", parse.Line+gone, parse.Err)
}

// name takes the names of the columns.
func (s *sheet) name(header, known []string, faults *Faults) bool {
	before := faults.Count
	for _, cell := range header {
		name := strings.ToLower(strings.TrimSpace(cell))
		switch {
		case name == "": // of a spreadsheet, with nothing below
		case !slices.Contains(known, name):
			faults.add("no column is called %q; %s", strings.TrimSpace(cell), meant(name, known))
		case slices.Contains(s.columns, name):
			faults.add("there are two columns called %s", name)
		}
		s.columns = append(s.columns, name)
	}
	return faults.Count == before
}

// meant says which column a name that is none stands for, or which there are.
func meant(name string, known []string) string {
	if near, ok := messages.Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "there are " + listed(known)
}

// listed joins names: a, b and c.
func listed(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// add takes a row.
func (s *sheet) add(line int, cells []string, faults *Faults) {
	if !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
		return
	}
	for len(cells) > len(s.columns) && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) != len(s.columns) {
		faults.add("line %d: %d columns expected, %d found", line, len(s.columns), len(cells))
		return
	}
	for i, name := range s.columns {
		if name == "" && strings.TrimSpace(cells[i]) != "" {
			faults.add("line %d: %q stands in a column without a name", line, cells[i])
			return
		}
	}
	s.rows = append(s.rows, sheetRow{line, cells})
}

// has reports whether there is a column of that name.
func (s *sheet) has(name string) bool { return slices.Contains(s.columns, name) }
