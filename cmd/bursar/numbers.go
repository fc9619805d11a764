package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/messages"
)

// uintVar is a flag for a whole number in decimal digits: pflag's own reads 0100 as 64.
func uintVar[T ~uint64](flags *pflag.FlagSet, p *T, name, short string, value T, usage string) {
	*p = value
	flags.VarP(&decimal[T]{p}, name, short, usage)
}

// intVar is uintVar for a number that may be negative.
func intVar(flags *pflag.FlagSet, p *int, name string, value int, usage string) {
	*p = value
	flags.Var((*signed)(p), name, usage)
}

// requestIDVar is the flag --request-id: "" is a slip, such as a variable of a script without
// a value, and not the same as none.
func requestIDVar(flags *pflag.FlagSet, p *string) {
	flags.Var((*requestID)(p), "request-id", "makes a repeat harmless (default: a new one)")
}

type requestID string

// String is the id.
func (r *requestID) String() string { return string(*r) }

// Type names the value in the help.
func (r *requestID) Type() string { return "string" }

// Set takes the id.
func (r *requestID) Set(text string) error {
	if text == "" || len(text) > messages.RequestIDMax {
		return fmt.Errorf("it has %d bytes, want 1 to %d; without the flag there is a new one", len(text), messages.RequestIDMax)
	}
	*r = requestID(text)
	return nil
}

type decimal[T ~uint64] struct{ n *T }

// String writes the number.
func (d *decimal[T]) String() string { return strconv.FormatUint(uint64(*d.n), 10) }

// Type names the value in the help.
func (d *decimal[T]) Type() string { return "uint64" }

// Set reads the number.
func (d *decimal[T]) Set(text string) error {
	n, err := payfile.ParseUint(text)
	if err == nil {
		*d.n = T(n)
	}
	return err
}

type signed int

// String writes the number.
func (s *signed) String() string { return strconv.Itoa(int(*s)) }

// Type names the value in the help.
func (s *signed) Type() string { return "int" }

// Set reads the number.
func (s *signed) Set(text string) error {
	digits, negative := strings.CutPrefix(text, "-")
	n, err := payfile.ParseUint(digits)
	if err != nil {
		return err
	}
	if n > 1<<31-1 {
		return strconv.ErrRange
	}
	if *s = signed(n); negative {
		*s = -*s
	}
	return nil
}
