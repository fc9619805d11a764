package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// FaultMode is what an injected fault does to a message.
type FaultMode uint8

// The modes of a Fault.
const (
	// FaultPanic and FaultError make the actor fail instead of handling it.
	FaultPanic FaultMode = iota + 1
	FaultError
	// FaultStall and FaultSlow block the actor for Delay before it handles it. They
	// differ in what they are meant for: a stall is longer than Config.StallAfter.
	FaultStall
	FaultSlow
)

// String gives the mode's name on the wire.
func (m FaultMode) String() string {
	switch m {
	case FaultPanic:
		return "panic"
	case FaultError:
		return "error"
	case FaultStall:
		return "stall"
	case FaultSlow:
		return "slow"
	default:
		return fmt.Sprintf("fault(%d)", uint8(m))
	}
}

// ParseFaultMode finds a mode by its name; ok is false for a name of none.
func ParseFaultMode(name string) (mode FaultMode, ok bool) {
	for mode := FaultPanic; mode <= FaultSlow; mode++ {
		if mode.String() == name {
			return mode, true
		}
	}
	return 0, false
}

// Fault is trouble on demand for one actor, or for all of a kind.
type Fault struct {
	Path  string // the actor; empty for all of Kind
	Kind  string
	Mode  FaultMode
	Times int           // messages it happens to
	Delay time.Duration // of FaultStall and FaultSlow
}

// FaultsMax bounds the faults waiting to happen.
const FaultsMax = 100

// FaultDelayMax bounds how long one fault blocks an actor.
const FaultDelayMax = 10 * time.Minute

var errInjected = errors.New("actors: injected fault")

// faults are those waiting to happen. None is the usual case and costs a message
// one look at a word.
type faults struct {
	armed atomic.Bool

	mu   sync.Mutex
	list []*Fault
}

// Validate returns an ErrInvalidSpec that names the first rule f breaks.
func (f Fault) Validate() error {
	switch {
	case (f.Path == "") == (f.Kind == ""):
		return fmt.Errorf("%w: a fault needs a path or a kind", ErrInvalidSpec)
	case f.Mode < FaultPanic || f.Mode > FaultSlow:
		return fmt.Errorf("%w: fault mode %s", ErrInvalidSpec, f.Mode)
	case f.Times < 1:
		return fmt.Errorf("%w: a fault happens at least once", ErrInvalidSpec)
	case f.Mode >= FaultStall && (f.Delay <= 0 || f.Delay > FaultDelayMax):
		return fmt.Errorf("%w: delay must be over 0 and at most %v", ErrInvalidSpec, FaultDelayMax)
	}
	return nil
}

// FaultsWaiting is how many faults have yet to happen, or to happen again.
func (s *System) FaultsWaiting() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return len(s.faults.list)
}

// Inject makes trouble for the next messages of an actor or a kind, to see
// supervision at work. A node does it only when started for that.
func (s *System) Inject(f Fault) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if len(s.faults.list) >= FaultsMax {
		return fmt.Errorf("%w: %d faults are waiting", ErrInvalidSpec, FaultsMax)
	}
	s.faults.list = append(s.faults.list, &f)
	s.faults.armed.Store(true)
	return nil
}

// consume returns the fault that concerns the actor's next message, if any.
func (f *faults) consume(path, kind string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.list {
		if fault.Path != path && (fault.Path != "" || fault.Kind != kind) {
			continue
		}
		if fault.Times--; fault.Times == 0 {
			f.list = append(f.list[:i:i], f.list[i+1:]...)
			f.armed.Store(len(f.list) > 0)
		}
		return *fault, true
	}
	return Fault{}, false
}

// injectFault lets an injected fault happen in place of, or before, the message.
func (c *cell) injectFault() error {
	fault, ok := c.sys.faults.consume(c.path(), c.kind.name)
	if !ok {
		return nil
	}
	switch fault.Mode {
	case FaultPanic:
		panic(errInjected)
	case FaultError:
		return errInjected
	case FaultStall, FaultSlow:
		held := time.NewTimer(fault.Delay)
		defer held.Stop()
		<-held.C
	}
	return nil
}
