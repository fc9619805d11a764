package payfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text takes the byte order mark off a text and makes sure that it is UTF-8: every input
// goes through it before anything parses it.
func Text(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return nil, errors.New("it is UTF-16; save it as UTF-8")
	case len(b) >= 4 && b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0, len(b) >= 4 && b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0:
		return nil, errors.New("it is UTF-16 without a byte order mark; save it as UTF-8")
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	for line, rest := 1, b; len(rest) > 0; line++ {
		row, after, _ := bytes.Cut(rest, []byte{'\n'})
		if !utf8.Valid(row) {
			at := invalidAt(row)
			return nil, fmt.Errorf("line %d: byte %d, %#x, is no UTF-8; save it as UTF-8 (is it Latin-1 or Windows-1252?)", line, at+1, row[at])
		}
		rest = after
	}
	return b, nil
}

// invalidAt is the place of the first byte that is no UTF-8.
func invalidAt(b []byte) int {
	for at := 0; at < len(b); {
		r, size := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return len(b)
}

// ErrNumber is returned for what is no whole number of 64 bits in decimal digits.
var ErrNumber = errors.New("is no whole number")

// ParseUint reads a whole number in decimal digits, blanks around it aside. A leading zero
// makes nothing octal; there are no separators, signs or decimals.
func ParseUint(text string) (uint64, error) {
	digits := strings.TrimSpace(text)
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q %w: want whole smallest units in digits, no separators, no decimals", text, ErrNumber)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q %w of 64 bits: it is too large", text, ErrNumber)
	}
	return n, nil
}

// faultsTold is how many faults of a file are told; the others are counted.
const faultsTold = 20

// Faults is all that is wrong with a file. It is an error where Count is not 0.
type Faults struct {
	Told  []string // the first ones
	Count int
	// Cycles holds the refs of each cycle of a plan that is too long to be told whole.
	Cycles [][]string
}

func (f *Faults) add(format string, args ...any) {
	if f.Count++; len(f.Told) < faultsTold {
		f.Told = append(f.Told, fmt.Sprintf(format, args...))
	}
}

// Error tells the faults, one a line.
func (f *Faults) Error() string {
	if f.Count == 1 {
		return f.Told[0]
	}
	text := fmt.Sprintf("%d faults:\n  %s", f.Count, strings.Join(f.Told, "\n  "))
	if more := f.Count - len(f.Told); more > 0 {
		text += fmt.Sprintf("\n  ... and %d more", more)
	}
	return text
}

// err is f, or nil if nothing is wrong.
func (f *Faults) err() error {
	if f.Count == 0 {
		return nil
	}
	return f
}
