// Package terminal is what people see and press: texts that cannot harm a terminal, tables,
// a bar, a panel that changes in place, and single keys. Where nobody watches, all of it is
// plain lines.
package terminal

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/the-block/bursar/messages"
)

// Is reports whether a person watches w.
func Is(w io.Writer) bool {
	file, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

// Checked is an output that remembers the first error of writing to it.
type Checked struct {
	*os.File
	mu  sync.Mutex
	err error
}

// Write writes.
func (c *Checked) Write(b []byte) (int, error) {
	n, err := c.File.Write(b)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = err
		}
	}
	return n, err
}

// WriteString writes, too.
func (c *Checked) WriteString(text string) (int, error) { return c.Write([]byte(text)) }

// ReadFrom keeps io.Copy from going around Write.
func (c *Checked) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// Err is the first error of writing.
func (c *Checked) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// size gives the width and height of the terminal behind w, the given ones where it does
// not tell.
func size(w io.Writer, width, height int) (columns, lines int) {
	if file, ok := w.(interface{ Fd() uintptr }); ok {
		if columns, lines, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 && lines > 0 {
			return columns, lines
		}
	}
	return width, height
}

// heightDefault is how many lines a terminal has that does not say.
const heightDefault = 24

// Height is how many lines the terminal behind w has.
func Height(w io.Writer) int {
	_, height := size(w, widthDefault, heightDefault)
	return height
}

// Visible is messages.Visible, for what is printed.
func Visible(text string) string { return messages.Visible(text) }

// VisibleLines is Visible for a text of several lines.
func VisibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Shorten makes a text one line of at most n characters, all of them visible.
func Shorten(text string, n int) string {
	clean := []rune(Visible(strings.TrimSpace(text)))
	if len(clean) <= n {
		return string(clean)
	}
	return string(clean[:n-1]) + "…"
}

// Group writes a number with commas between groups of three digits.
func Group(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// Plural counts things.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Group(uint64(n)) + " " + thing + "s"
}
