package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Display shows events, which stay, and below them a panel of a few lines that
// changes in place. Where nobody watches, events and a summary line every second
// are plain lines. Its methods may be called from any goroutine.
type Display struct {
	out  io.Writer
	Live bool // on a terminal

	mu    sync.Mutex
	raw   bool      // the terminal goes to a new line only, not back to its left
	panel []string  // last shown
	lines int       // of the panel now on the terminal
	last  string    // plain summary last printed
	at    time.Time // when
}

// NewDisplay shows on out.
func NewDisplay(out io.Writer) *Display { return &Display{out: out, Live: Roomy(out)} }

// Event prints lines that stay, above the panel.
func (d *Display) Event(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	shown := d.lines > 0
	d.erase(&b)
	fmt.Fprintf(&b, format+"\n", args...)
	if shown {
		d.draw(&b)
	}
	d.write(b.String())
}

// Show draws the panel, or prints the summary behind its prefix if it is new and a
// second is over. The prefix, such as the time, alone makes no news.
func (d *Display) Show(panel []string, prefix, summary string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Live {
		var b strings.Builder
		d.erase(&b)
		d.panel = panel
		d.draw(&b)
		d.write(b.String())
		return
	}
	if now := time.Now(); summary != d.last && now.Sub(d.at) >= time.Second {
		d.last, d.at = summary, now
		fmt.Fprintln(d.out, prefix+summary)
	}
}

// SetRaw says whether the terminal is in raw mode.
func (d *Display) SetRaw(raw bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raw = raw
}

// Keep leaves the panel where it is; the next one begins below it.
func (d *Display) Keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines, d.panel = 0, nil
}

// erase takes the panel off the terminal. The caller holds mu.
func (d *Display) erase(b *strings.Builder) {
	if d.lines > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", d.lines)
		d.lines = 0
	}
}

// draw writes the panel, longer lines in several: one that the terminal wraps would be two
// to erase. The caller holds mu.
func (d *Display) draw(b *strings.Builder) {
	width := d.Width()
	for _, line := range d.panel {
		for _, part := range wrapped(line, width) {
			b.WriteString(part + "\n")
			d.lines++
		}
	}
}

// Width is how many characters a line of the panel holds.
func (d *Display) Width() int {
	width, _ := size(d.out, widthDefault, heightDefault)
	return width
}

// wrapped cuts a line between words, as far as that goes, and indents what follows.
func wrapped(line string, width int) (parts []string) {
	const indent = "    "
	runes := []rune(line)
	for len(runes) > width {
		at := width
		for at > width/2 && runes[at] != ' ' {
			at--
		}
		if runes[at] != ' ' {
			at = width
		}
		parts = append(parts, strings.TrimRight(string(runes[:at]), " "))
		runes = append([]rune(indent), []rune(strings.TrimLeft(string(runes[at:]), " "))...)
	}
	return append(parts, string(runes))
}

// A panel needs a terminal that can move its cursor, of at least this size.
const (
	widthMin  = 80
	heightMin = 24
)

// Roomy reports whether a panel can be shown on w: elsewhere there are plain lines.
func Roomy(w io.Writer) bool {
	width, height := size(w, widthDefault, heightDefault)
	return Is(w) && os.Getenv("TERM") != "dumb" && width >= widthMin && height >= heightMin
}

// widthDefault is the width of a terminal that does not tell.
const widthDefault = 120

// write sends all at once, so that nothing flickers. The caller holds mu.
func (d *Display) write(text string) {
	if d.raw {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	_, _ = io.WriteString(d.out, text) // a terminal that is gone sees nothing
}
