package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Bar shows how far a long work is: one line that changes on a terminal, a plain
// line now and then elsewhere.
type Bar struct {
	out   io.Writer
	live  bool
	total int
	shown time.Time
	every time.Duration
}

// NewBar shows work of so many parts on out.
func NewBar(out io.Writer, total int) *Bar {
	b := &Bar{out: out, live: Is(out), total: total, shown: time.Now(), every: 2 * time.Second}
	if b.live {
		b.every = 100 * time.Millisecond
	}
	return b
}

// Show tells the progress if it is time to.
func (b *Bar) Show(done int, text string) {
	if now := time.Now(); now.Sub(b.shown) >= b.every {
		b.shown = now
		b.draw(done, text)
	}
}

// End leaves the last state on the terminal.
func (b *Bar) End(done int, text string) {
	if b.live {
		b.draw(done, text)
		fmt.Fprintln(b.out)
	}
}

const barWidth = 32

func (b *Bar) draw(done int, text string) {
	percent := 100
	if b.total > 0 {
		percent = 100 * done / b.total
	}
	if !b.live {
		fmt.Fprintf(b.out, "%d of %d (%d %%): %s\n", done, b.total, percent, text)
		return
	}
	filled := barWidth * percent / 100
	fmt.Fprintf(b.out, "\r\x1b[K%s%s %3d %%  %s",
		strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled), percent, text)
}
