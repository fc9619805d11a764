package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// display shows events, which stay, and below them a panel of a few lines that
// changes in place. Where nobody watches, events and a summary line every second
// are plain lines. Its methods may be called from any goroutine.
type display struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	lines int       // of the panel now on the terminal
	last  string    // plain summary last printed
	at    time.Time // when
}

func newDisplay(out io.Writer) *display { return &display{out: out, live: terminal(out)} }

// event prints lines that stay.
func (d *display) event(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.erase()
	fmt.Fprintf(d.out, format+"\n", args...)
}

// show draws the panel, or prints the summary behind its prefix if it is new and a
// second is over. The prefix, such as the time, alone makes no news.
func (d *display) show(panel []string, prefix, summary string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live {
		d.erase()
		fmt.Fprintln(d.out, strings.Join(panel, "\n"))
		d.lines = len(panel)
		return
	}
	if now := time.Now(); summary != d.last && now.Sub(d.at) >= time.Second {
		d.last, d.at = summary, now
		fmt.Fprintln(d.out, prefix+summary)
	}
}

// keep leaves the panel where it is; the next one begins below it.
func (d *display) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = 0
}

// erase takes the panel off the terminal. The caller holds mu.
func (d *display) erase() {
	if d.lines > 0 {
		fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", d.lines)
		d.lines = 0
	}
}
