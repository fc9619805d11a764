package localcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// Fate is what was done to a node, or happened to it.
type Fate int

const (
	Untouched Fate = iota // left alone
	Killed                // kill -9
	Stopped               // asked to end
	Paused                // its process stands still, its ports stay open
	CutOff                // it runs, but neither hears nor reaches the others
	Died                  // by itself
)

// String says it of a node: "n1 is ...".
func (f Fate) String() string {
	switch f {
	case Untouched:
		return "left alone"
	case Killed:
		return "killed"
	case Stopped:
		return "stopped"
	case Paused:
		return "paused"
	case CutOff:
		return "cut off"
	case Died:
		return "dead"
	}
	return fmt.Sprintf("fate(%d)", int(f))
}

// does says how an order is carried out.
func (f Fate) does() string {
	switch f {
	case Killed:
		return "kill -9"
	case Stopped:
		return "SIGTERM: it hands over what it has, then ends"
	case Paused:
		return "SIGSTOP: it stands still with its ports open"
	case CutOff:
		return "it runs, callers reach it, the other nodes do not"
	case Untouched, Died:
	}
	return ""
}

// Fate is what was done to the node last, and not taken back.
func (n *Node) Fate() Fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fate
}

// ended returns the channel that is closed when a node that was ended on purpose is to
// run again; nil if it was not.
func (n *Node) ended() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fate != Killed && n.fate != Stopped {
		return nil
	}
	return n.back
}

// Do lets the node meet a fate, and refuses where it does not run or where
// something else has to be taken back first.
func (n *Node) Do(f Fate) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.Cfg.Name
	switch {
	case n.process == nil, n.process.Over():
		return fmt.Errorf("%s does not run", name)
	case n.fate == Untouched, f == Killed && (n.fate == Paused || n.fate == CutOff):
	default:
		return fmt.Errorf("%s is %s; bring it back first", name, n.fate)
	}
	at := time.Now()
	if err := n.process.meet(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n.fate, n.back = f, make(chan struct{})
	n.Events("%s is %s (%s)", name, f, f.does())
	n.tell(f, at)
	return nil
}

// BringBack takes back what was done to the node.
func (n *Node) BringBack() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.fate {
	case Killed, Stopped:
		if !n.process.Over() {
			return fmt.Errorf("%s is still ending", n.Cfg.Name)
		}
		close(n.back)
		n.Events("%s is started again", n.Cfg.Name)
	case Paused:
		if err := n.process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		n.Events("%s goes on where it stood", n.Cfg.Name)
	case CutOff:
		if err := n.process.order(orderMend); err != nil {
			return err
		}
		n.Events("%s hears and reaches the others again", n.Cfg.Name)
	case Untouched, Died:
		return fmt.Errorf("nothing was done to %s", n.Cfg.Name)
	}
	n.fate = Untouched
	return nil
}

func (p *Process) meet(f Fate) error {
	switch f {
	case Killed:
		return p.Signal(syscall.SIGKILL)
	case Stopped:
		return p.Signal(syscall.SIGTERM)
	case Paused:
		return p.Signal(syscall.SIGSTOP)
	case CutOff:
		return p.order(orderCut)
	case Untouched, Died:
	}
	return errors.New("nobody can be told to " + f.String())
}

// A leash is a pipe to the standard input of a node that was started. Its end is the
// node's: so no node outlives who started it, however that ended. Down the leash come
// orders, one a line.
const (
	orderCut  = "cut"  // hear and reach no other node
	orderMend = "mend" // until this
)

// Obey carries out the orders that come down a node's leash, and calls ended at its end.
func Obey(leash io.Reader, member *node.Node, ended context.CancelFunc) {
	defer ended()
	for lines := bufio.NewScanner(leash); lines.Scan(); {
		switch lines.Text() {
		case orderCut:
			member.CutOff(true)
		case orderMend:
			member.CutOff(false)
		}
	}
}

// order sends a line down the leash.
func (p *Process) order(line string) error {
	_, err := io.WriteString(p.leash, line+"\n")
	return err
}

// GoneFor is how long the process has been over, 0 while it runs.
func (n *Node) GoneFor() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || !n.process.Over() {
		return 0
	}
	return time.Since(n.process.End)
}
