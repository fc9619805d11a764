package supervision

import (
	"fmt"
	"math"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// ChildrenMax is how many children a Spec may name. Children that share a Template
// are not bounded here: a supervisor keeps nothing of one that has not failed.
const ChildrenMax = 10_000

// Strategy says who restarts when one child fails. The zero value is none.
type Strategy uint8

// The strategies.
const (
	OneForOne  Strategy = iota + 1 // the child that failed
	AllForOne                      // every child
	RestForOne                     // the child that failed and those started after it
)

var strategyNames = [...]string{OneForOne: "one_for_one", AllForOne: "all_for_one", RestForOne: "rest_for_one"}

// String gives the strategy's name in logs and replies.
func (s Strategy) String() string {
	if s >= OneForOne && s <= RestForOne {
		return strategyNames[s]
	}
	return fmt.Sprintf("strategy(%d)", uint8(s))
}

// RestartType says whether a child that ended is started again. The zero value is none.
type RestartType uint8

// The restart types.
const (
	Permanent RestartType = iota + 1 // always
	Transient                        // after a failure, not after a normal end
	Temporary                        // never; its failure concerns no sibling
)

var restartNames = [...]string{Permanent: "permanent", Transient: "transient", Temporary: "temporary"}

// String gives the restart type's name in logs and replies.
func (r RestartType) String() string {
	if r >= Permanent && r <= Temporary {
		return restartNames[r]
	}
	return fmt.Sprintf("restart(%d)", uint8(r))
}

// GiveUp says what happens when a child needs more restarts than the intensity
// allows.
type GiveUp uint8

const (
	// FailSupervisor stops every child and fails the supervisor: its parent decides. Each
	// restart of such a child counts for the supervisor as a whole.
	FailSupervisor GiveUp = iota
	// IsolateChild opens the child's breaker and leaves its siblings alone: for children
	// that come and go, of which one must not stop the others. Each such child has
	// a count of its own. Only with OneForOne.
	IsolateChild
)

// String gives the name in logs and replies.
func (g GiveUp) String() string {
	switch g {
	case FailSupervisor:
		return "fail_supervisor"
	case IsolateChild:
		return "isolate_child"
	}
	return fmt.Sprintf("give_up(%d)", uint8(g))
}

// ChildSpec describes one child.
type ChildSpec struct {
	Name     string        // unique among its siblings; the last part of its path
	Restart  RestartType   // whether it starts again
	GiveUp   GiveUp        // what happens when it restarts too often
	Shutdown time.Duration // how long it may take to stop before it is abandoned; more than 0
}

// Intensity is the most restarts within a period: Restarts 0 never restarts.
type Intensity struct {
	Restarts int
	Period   time.Duration
}

// Backoff spaces restarts out: restart n (from 0) of a child within the period
// waits min(Max, Initial * Factor^n), of which Jitter (0 to 1) is left to chance.
type Backoff struct {
	Initial time.Duration
	Max     time.Duration
	Factor  float64
	Jitter  float64
}

// Delay returns the wait before restart n, counted from 0. The random number,
// 0 <= random < 1, places it within [(1-Jitter) * full, full].
func (b Backoff) Delay(n int, random float64) time.Duration {
	if b.Initial == 0 {
		return 0 // the factor may be infinite by now
	}
	full := math.Min(float64(b.Max), float64(b.Initial)*math.Pow(b.Factor, float64(n)))
	return time.Duration(full * (1 - b.Jitter*random))
}

// Spec describes a supervisor.
type Spec struct {
	Strategy Strategy

	// Children are started in this order and stopped in the reverse one.
	Children []ChildSpec

	// Template describes every child that is not named in Children, such as actors
	// made on demand; its Name is empty. Without one (Restart 0) there are none. Only
	// with OneForOne.
	Template ChildSpec

	// Intensity bounds restarts. Higher rides out longer trouble, lower gives up
	// sooner.
	Intensity Intensity

	Backoff Backoff
	Breaker breaker.Config
}

// DefaultSpec returns a one-for-one supervisor without children: at most 10
// restarts a minute, after 10 ms to 10 s.
func DefaultSpec() Spec {
	return Spec{
		Strategy:  OneForOne,
		Intensity: Intensity{Restarts: 10, Period: time.Minute},
		Backoff:   Backoff{Initial: 10 * time.Millisecond, Max: 10 * time.Second, Factor: 2, Jitter: 0.5},
		Breaker:   breaker.DefaultConfig(),
	}
}

// DefaultTemplate returns what children made on demand are like: permanent,
// isolated, with 5 s to stop.
func DefaultTemplate() ChildSpec {
	return ChildSpec{Restart: Permanent, GiveUp: IsolateChild, Shutdown: 5 * time.Second}
}

// Validate returns an error that names the first rule s breaks.
func (s Spec) Validate() error {
	if s.Strategy < OneForOne || s.Strategy > RestForOne {
		return fmt.Errorf("strategy is missing")
	}
	if len(s.Children) > ChildrenMax {
		return fmt.Errorf("%d children, want at most %d", len(s.Children), ChildrenMax)
	}
	names := make(map[string]bool, len(s.Children))
	for _, child := range s.Children {
		switch {
		case child.Name == "":
			return fmt.Errorf("a child has no name")
		case names[child.Name]:
			return fmt.Errorf("child %s is named twice", child.Name)
		}
		names[child.Name] = true
		if err := child.validate(s.Strategy); err != nil {
			return fmt.Errorf("child %s: %w", child.Name, err)
		}
	}
	if s.Template != (ChildSpec{}) {
		switch {
		case s.Strategy != OneForOne:
			return fmt.Errorf("template: only with one_for_one, not %s", s.Strategy)
		case s.Template.Name != "":
			return fmt.Errorf("template: has the name %s", s.Template.Name)
		}
		if err := s.Template.validate(s.Strategy); err != nil {
			return fmt.Errorf("template: %w", err)
		}
	}
	if err := s.Intensity.validate(); err != nil {
		return fmt.Errorf("intensity: %w", err)
	}
	if err := s.Backoff.validate(); err != nil {
		return fmt.Errorf("backoff: %w", err)
	}
	if err := s.Breaker.Validate(); err != nil {
		return fmt.Errorf("breaker: %w", err)
	}
	return nil
}

func (c ChildSpec) validate(strategy Strategy) error {
	switch {
	case c.Restart < Permanent || c.Restart > Temporary:
		return fmt.Errorf("restart type is missing")
	case c.GiveUp > IsolateChild:
		return fmt.Errorf("give_up is %d, want fail_supervisor or isolate_child", c.GiveUp)
	case c.GiveUp == IsolateChild && strategy != OneForOne:
		return fmt.Errorf("isolate_child: only with one_for_one, not %s", strategy)
	case c.Shutdown <= 0:
		return fmt.Errorf("shutdown is %v, want more than 0", c.Shutdown)
	}
	return nil
}

func (i Intensity) validate() error {
	switch {
	case i.Restarts < 0:
		return fmt.Errorf("restarts is %d, want 0 or more", i.Restarts)
	case i.Period <= 0:
		return fmt.Errorf("period is %v, want more than 0", i.Period)
	}
	return nil
}

func (b Backoff) validate() error {
	switch {
	case b.Initial < 0 || b.Max < b.Initial:
		return fmt.Errorf("initial %v, max %v, want 0 <= initial <= max", b.Initial, b.Max)
	case !(b.Factor >= 1) || math.IsInf(b.Factor, 0):
		return fmt.Errorf("factor is %v, want at least 1", b.Factor)
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return fmt.Errorf("jitter is %v, want 0 to 1", b.Jitter)
	}
	return nil
}

// History remembers restarts. The zero value has none.
type History struct{ restarts []time.Time }

// Allow records a restart at now and reports whether it stays within limit. It
// forgets restarts that have left the period, so a History never grows past
// limit.Restarts entries.
func (h *History) Allow(limit Intensity, now time.Time) bool {
	if h.Count(limit, now) >= limit.Restarts {
		return false
	}
	h.restarts = append(h.restarts, now)
	return true
}

// Count returns the number of restarts within the period that ends at now, and
// forgets older ones.
func (h *History) Count(limit Intensity, now time.Time) int {
	begin := now.Add(-limit.Period)
	gone := 0
	for gone < len(h.restarts) && !h.restarts[gone].After(begin) {
		gone++
	}
	h.restarts = h.restarts[gone:]
	return len(h.restarts)
}
