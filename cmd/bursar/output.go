package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

// format is the value of --output: text for people, json for programs.
type format string

func (f *format) flag(command *cobra.Command) {
	*f = "text"
	command.Flags().Var(f, "output", "text for people or json for programs")
}

func (f *format) String() string { return string(*f) }

// Type names the value in the help.
func (f *format) Type() string { return "format" }

// Set takes one of the two formats.
func (f *format) Set(text string) error {
	if text != "text" && text != "json" {
		return fmt.Errorf("%q is neither text nor json", text)
	}
	*f = format(text)
	return nil
}

func (f format) json() bool { return f == "json" }

// fact is one line of an answer.
type fact struct {
	name  string
	value any
}

// printFacts prints a title and a list of facts, or one JSON object of the facts.
func printFacts(w io.Writer, form format, title string, facts []fact) error {
	if form.json() {
		return printJSON(w, object(facts))
	}
	fmt.Fprintln(w, title)
	width := 0
	for _, f := range facts {
		width = max(width, len(f.name))
	}
	for _, f := range facts {
		fmt.Fprintf(w, "  %-*s  %s\n", width, strings.ReplaceAll(f.name, "_", " "), text(f.value))
	}
	return nil
}

// unixTime is in seconds; people read it as a date.
type unixTime uint64

// text writes a value as people read it.
func text(value any) string {
	switch v := value.(type) {
	case unixTime:
		return time.Unix(int64(v), 0).Format(time.RFC3339)
	case uint64:
		return terminal.Group(v)
	case int:
		return terminal.Group(uint64(v))
	case []fact:
		parts := make([]string, 0, len(v))
		for _, f := range v {
			parts = append(parts, f.name+" "+text(f.value))
		}
		return strings.Join(parts, ", ")
	default:
		return terminal.Visible(fmt.Sprint(v))
	}
}

// object is a JSON object whose fields keep their order.
type object []fact

// MarshalJSON writes the fields in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value := f.value
		if nested, ok := value.([]fact); ok {
			value = object(nested)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", f.name, encoded)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// visibleJSON writes what nobody sees, or what turns text around, as JSON escapes it. Within
// JSON such characters stand in strings only, so it means the same.
func visibleJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || !messages.Hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

func printJSON(w io.Writer, value any) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := io.WriteString(w, visibleJSON(b.String()))
	return err
}
