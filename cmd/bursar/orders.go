package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// fate is what was done to a node, or happened to it.
type fate int

const (
	alone   fate = iota // left alone
	killed              // kill -9
	stopped             // asked to end
	paused              // its process stands still, its ports stay open
	cutOff              // it runs, but neither hears nor reaches the others
	died                // by itself
)

// String says it of a node: "n1 is ...".
func (f fate) String() string {
	switch f {
	case alone:
		return "left alone"
	case killed:
		return "killed"
	case stopped:
		return "stopped"
	case paused:
		return "paused"
	case cutOff:
		return "cut off"
	case died:
		return "dead"
	}
	return fmt.Sprintf("fate(%d)", int(f))
}

// does says how an order is carried out.
func (f fate) does() string {
	switch f {
	case killed:
		return "kill -9"
	case stopped:
		return "SIGTERM: it hands over what it has, then ends"
	case paused:
		return "SIGSTOP: it stands still with its ports open"
	case cutOff:
		return "it runs, callers reach it, the other nodes do not"
	case alone, died:
	}
	return ""
}

// now is the node's fate.
func (m *member) now() fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fate
}

// ended returns the channel that is closed when a node that was ended on purpose is to
// run again; nil if it was not.
func (m *member) ended() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fate != killed && m.fate != stopped {
		return nil
	}
	return m.back
}

// suffer lets the node meet a fate, and refuses where it does not run or where
// something else has to be taken back first.
func (m *member) suffer(f fate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := m.cfg.Name
	switch {
	case m.process == nil, m.process.over():
		return fmt.Errorf("%s does not run", name)
	case m.fate == alone, f == killed && (m.fate == paused || m.fate == cutOff):
	default:
		return fmt.Errorf("%s is %s; bring it back first", name, m.fate)
	}
	at := time.Now()
	if err := m.process.meet(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.fate, m.back = f, make(chan struct{})
	m.events("%s is %s (%s)", name, f, f.does())
	m.tell(f, at)
	return nil
}

// bringBack takes back what was done to the node.
func (m *member) bringBack() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch m.fate {
	case killed, stopped:
		if !m.process.over() {
			return fmt.Errorf("%s is still ending", m.cfg.Name)
		}
		close(m.back)
		m.events("%s is started again", m.cfg.Name)
	case paused:
		if err := m.process.self.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		m.events("%s goes on where it stood", m.cfg.Name)
	case cutOff:
		if err := m.process.order(orderMend); err != nil {
			return err
		}
		m.events("%s hears and reaches the others again", m.cfg.Name)
	case alone, died:
		return fmt.Errorf("nothing was done to %s", m.cfg.Name)
	}
	m.fate = alone
	return nil
}

// over reports whether the process has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) meet(f fate) error {
	switch f {
	case killed:
		return p.self.Signal(syscall.SIGKILL)
	case stopped:
		return p.self.Signal(syscall.SIGTERM)
	case paused:
		return p.self.Signal(syscall.SIGSTOP)
	case cutOff:
		return p.order(orderCut)
	case alone, died:
	}
	return errors.New("nobody can be told to " + f.String())
}

// order sends a line down the leash.
func (p *process) order(line string) error {
	_, err := io.WriteString(p.leash, line+"\n")
	return err
}
