package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// What says what an Event tells of.
type What uint8

// What can happen in a tree. Ordinary starts and stops are not events: there may
// be millions.
const (
	// EventFailed: an actor failed, with Err.
	EventFailed What = iota + 1
	// EventRestarted: a new incarnation serves.
	EventRestarted
	// EventGaveUp: a supervisor ended an actor for good after a failure.
	EventGaveUp
	// EventEscalated: a supervisor failed because its children needed too many restarts.
	EventEscalated
	// EventStalled: one message has taken longer than Config.StallAfter.
	EventStalled
	// EventUnstalled: it has come back, after Took.
	EventUnstalled
	// EventAbandoned: an actor did not end within its Shutdown; nobody waits for it.
	EventAbandoned
	// EventStopBroke: an actor's Stop failed, with Err. Its end goes on.
	EventStopBroke
	// EventBreaker: a breaker moved; Transition says how.
	EventBreaker
)

var whatNames = [...]string{
	EventFailed: "failed", EventRestarted: "restarted", EventGaveUp: "gave_up",
	EventEscalated: "escalated", EventStalled: "stalled", EventUnstalled: "unstalled",
	EventAbandoned: "abandoned", EventStopBroke: "stop_broke", EventBreaker: "breaker",
}

// String gives the name in logs and replies.
func (w What) String() string {
	if w > 0 && int(w) < len(whatNames) {
		return whatNames[w]
	}
	return fmt.Sprintf("what(%d)", uint8(w))
}

// Event is one thing that happened to an actor. Log line, metric, audit row and
// tests all come from it.
type Event struct {
	At   time.Time
	What What
	Path string
	Kind string
	// Err is the failure of EventFailed, EventEscalated and EventStopBroke.
	Err error
	// Message is the Go type of the message that EventFailed failed on, Where the place of
	// a panic. Stack is the panic's, for the log: at most one a kind and minute.
	Message, Where, Stack string
	// Took is how long an unstalled message took.
	Took time.Duration
	// Restarts counts the actor's restarts so far.
	Restarts int
	// Transition is EventBreaker's; nil otherwise.
	Transition *breaker.Event
	// Restored says that the transition is no news: an operator's force of earlier met
	// a breaker that is new.
	Restored bool
}

// Subscription is one reader's bounded queue of events.
type Subscription struct {
	// C gives the events; it is closed by Close.
	C <-chan Event

	events *events
	queue  chan Event
	only   []What
	missed atomic.Uint64
}

// wants reports whether the reader asked for such an event.
func (s *Subscription) wants(w What) bool { return len(s.only) == 0 || slices.Contains(s.only, w) }

// Missed counts events that found the queue full.
func (s *Subscription) Missed() uint64 { return s.missed.Load() }

// Close ends the subscription.
func (s *Subscription) Close() {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	if _, on := s.events.readers[s]; on {
		delete(s.events.readers, s)
		close(s.queue)
	}
}

// readersMax bounds the subscriptions of a system.
const readersMax = 64

// logsPerSecond bounds the log lines of one second that tell of failures,
// restarts and stalls; transitions of breakers are always logged.
const logsPerSecond = 20

// events hands events on.
type events struct {
	log *slog.Logger

	mu       sync.Mutex
	readers  map[*Subscription]struct{}
	second   int64 // the second that logged counts
	logged   int
	silenced int
	open     map[string]breaker.Event // breakers that are not closed, by scope and path
	trips    uint64
}

// Subscribe returns a queue of so many events: of those named, or of all. A reader
// that falls behind misses some, which are counted; nobody waits for it.
// ErrTooManyReaders after 64.
func (s *System) Subscribe(buffer int, only ...What) (*Subscription, error) {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	if len(s.events.readers) >= readersMax {
		return nil, ErrTooManyReaders
	}
	queue := make(chan Event, max(buffer, 1))
	sub := &Subscription{C: queue, queue: queue, only: only, events: &s.events}
	if s.events.readers == nil {
		s.events.readers = make(map[*Subscription]struct{})
	}
	s.events.readers[sub] = struct{}{}
	return sub, nil
}

// publish hands e to the readers and the log.
func (s *System) publish(e Event) {
	ev := &s.events
	ev.mu.Lock()
	if e.Transition != nil {
		ev.note(*e.Transition)
	}
	for sub := range ev.readers {
		if !sub.wants(e.What) {
			continue
		}
		select {
		case sub.queue <- e:
		default:
			sub.missed.Add(1)
		}
	}
	due, silenced := ev.ration(e)
	ev.mu.Unlock()
	if silenced > 0 {
		ev.log.Warn("actor events not logged", "count", silenced)
	}
	if due {
		ev.write(e)
	}
}

// openMax bounds the breakers that are remembered as not closed.
const openMax = breaker.CellsMax

func openKey(scope breaker.Scope, path string) string { return scope.String() + " " + path }

func (ev *events) note(t breaker.Event) {
	key := openKey(t.Scope, t.Path)
	if t.To == breaker.Open {
		ev.trips++
	}
	switch {
	case t.To == breaker.Closed:
		delete(ev.open, key)
	case len(ev.open) < openMax:
		if ev.open == nil {
			ev.open = make(map[string]breaker.Event)
		}
		ev.open[key] = t
	}
}

// forget takes the breakers of an ended supervisor off the list of those not closed.
func (ev *events) forget(cells *breaker.Cells) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if len(ev.open) == 0 {
		return
	}
	for b := range cells.All() {
		delete(ev.open, openKey(b.Scope(), b.Path()))
	}
}

// OpenBreakers lists up to limit breakers that are not closed, by the transition
// that brought them there, the newest first.
func (s *System) OpenBreakers(limit int) []breaker.Event {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	out := make([]breaker.Event, 0, len(s.events.open))
	for _, t := range s.events.open {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b breaker.Event) int { return b.At.Compare(a.At) })
	return out[:min(limit, len(out))]
}

// ration reports whether e is to be logged, and how many were not in a second
// that has passed.
func (ev *events) ration(e Event) (due bool, silenced int) {
	if e.Transition != nil {
		return true, 0
	}
	if second := e.At.Unix(); second != ev.second {
		silenced = ev.silenced
		ev.second, ev.logged, ev.silenced = second, 0, 0
	}
	if ev.logged++; ev.logged > logsPerSecond {
		ev.silenced++
		return false, silenced
	}
	return true, silenced
}

// write logs e.
func (ev *events) write(e Event) {
	level := slog.LevelWarn
	if t := e.Transition; t != nil {
		if e.Restored {
			level = slog.LevelDebug
		}
		ev.log.Log(context.Background(), level, "breaker moved", "actor", e.Path, "scope", t.Scope.String(),
			"from", t.From.String(), "to", t.To.String(), "reason", t.Reason.String())
		return
	}
	if e.What == EventRestarted || e.What == EventUnstalled {
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{slog.String("actor", e.Path), slog.String("kind", e.Kind), slog.Int("restarts", e.Restarts)}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	if e.Took != 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	for _, a := range []slog.Attr{slog.String("message", e.Message), slog.String("where", e.Where), slog.String("stack", e.Stack)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	ev.log.LogAttrs(context.Background(), level, "actor "+e.What.String(), attrs...)
}

// tellFailed publishes a failure and remembers it.
func (c *cell) tellFailed(err error, in any) {
	e := Event{At: time.Now(), What: EventFailed, Path: c.path(), Kind: c.kind.name, Err: err, Restarts: int(c.restarts.Load())}
	if in != nil {
		e.Message = typeName(in)
	}
	f := Failure{At: e.At, Path: e.Path, Err: err.Error(), Message: e.Message}
	if broken := new(crash); errors.As(err, &broken) {
		e.Where, f.Where, f.Stack = broken.where, broken.where, broken.stack
		if c.kind.stackDue(e.At) {
			e.Stack = broken.stack
		}
	}
	c.sys.failures.add(f)
	c.sys.publish(e)
}

// emit publishes what happened to the cell.
func (c *cell) emit(what What, err error) {
	c.sys.publish(Event{
		At: time.Now(), What: what, Path: c.path(), Kind: c.kind.name, Err: err,
		Restarts: int(c.restarts.Load()),
	})
}
