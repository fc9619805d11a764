package supervision

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// TickMax is how many cells, and how many due restarts, one Tick handles at most.
// What is left over is due at once, so that a supervisor with many failing
// children still reads its mailbox.
const TickMax = 256

// Supervisor decides about the children of one supervisor. Its methods take what
// happened and return what to do. It belongs to one goroutine.
type Supervisor struct {
	path     string
	spec     Spec
	cells    *breaker.Cells
	ordered  []*child          // Spec.Children, in order
	children map[string]*child // these, and those of the template that failed lately
	history  History           // restarts of the children whose giving up fails the supervisor
	dues     dues
	made     int  // children of the template seen so far: their order
	done     bool // stopped or escalated
}

// New returns the supervisor at path, its children not yet started. The cells may
// be those of an earlier incarnation at that path: what its children's breakers
// know outlives it.
func New(path string, spec Spec, cells *breaker.Cells) (*Supervisor, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("supervisor %s: %w", path, err)
	}
	s := &Supervisor{path: path, spec: spec, cells: cells, children: make(map[string]*child, len(spec.Children))}
	for i, c := range spec.Children {
		added := &child{spec: c, order: i, index: -1}
		s.ordered = append(s.ordered, added)
		s.children[c.Name] = added
	}
	return s, nil
}

// ChildPath returns the path of the child with the given name: what its cell is
// called.
func (s *Supervisor) ChildPath(name string) string { return s.path + "/" + name }

// Cells returns the breakers, to make gates from and to show.
func (s *Supervisor) Cells() *breaker.Cells { return s.cells }

// Start starts the named children in their order.
func (s *Supervisor) Start() []Action {
	var actions []Action
	for _, c := range s.ordered {
		if c.status == waiting {
			c.status = running
			actions = append(actions, Action{Kind: Start, Child: c.spec.Name})
		}
	}
	return actions
}

// Failed tells that the child failed (a panic, a storage or a submitter error) in
// a call admitted with p at now. The random number, 0 <= random < 1, is for the
// backoff. A failure of a child that is already down counts for its breaker and
// does no more.
func (s *Supervisor) Failed(name string, p breaker.Pass, now time.Time, random float64) []Action {
	c := s.known(name)
	if s.done || c == nil {
		return nil
	}
	actions := s.count(name, p, now)
	switch {
	case c.status != running:
		return actions
	case c.spec.Restart == Temporary:
		return append(actions, s.end(c))
	}
	return s.recover(actions, c, now, random)
}

// Exited tells that the child ended by its own will at now. That is no failure to
// its breaker; a permanent child restarts all the same.
func (s *Supervisor) Exited(name string, now time.Time, random float64) []Action {
	c := s.known(name)
	switch {
	case s.done || c == nil || c.status != running:
		return nil
	case c.spec.Restart == Permanent:
		return s.recover(nil, c, now, random)
	}
	return []Action{s.end(c)}
}

// Stopped tells that the runtime has ended the child on purpose: unloaded while
// idle, or stopped by who made it. A restart that was due is off; its cell stays.
func (s *Supervisor) Stopped(name string) {
	if c := s.children[name]; c != nil {
		s.end(c)
	}
}

// OwnFailed tells that what the supervisor guards itself failed at now, in a call
// its own breaker admitted with tok. No child restarts for that.
func (s *Supervisor) OwnFailed(tok breaker.Token, now time.Time) []Action {
	return s.report(nil, s.cells.Own().Failure(tok, now))
}

// Force puts a breaker under an operator's force at now (breaker.ForcedOpen or
// breaker.ForcedClosed): that of the named child, or the supervisor's own for "".
func (s *Supervisor) Force(name string, to breaker.State, now time.Time) []Action {
	if name == own {
		return s.moved(nil, s.cells.Own().Force(to, now), now)
	}
	event := s.cells.Force(s.ChildPath(name), to, now)
	return s.moved([]Action{s.attach(name)}, event, now)
}

// Reset removes the force from a breaker and clears it at now: that of the named
// child, or the supervisor's own for "".
func (s *Supervisor) Reset(name string, now time.Time) []Action {
	if name == own {
		return s.moved(nil, s.cells.Own().Reset(now), now)
	}
	event := s.cells.Reset(s.ChildPath(name), now)
	return s.moved([]Action{s.attach(name)}, event, now)
}

// Stop ends the supervisor: its children stop in reverse order, those of the
// template first.
func (s *Supervisor) Stop() []Action {
	if s.done {
		return nil
	}
	return s.stopAll(nil)
}

// Next returns when Tick wants to be called, or false while nothing is pending.
// Ask again after every event, and after every transition that a gate or the own
// breaker returned to someone else.
func (s *Supervisor) Next(now time.Time) (time.Time, bool) {
	if s.done {
		return time.Time{}, false
	}
	next, ok := s.cells.Next(now)
	if len(s.dues) > 0 && (!ok || s.dues[0].due.Before(next)) {
		return s.dues[0].due, true
	}
	return next, ok
}

// Tick does what is due at now, at most TickMax of each kind: breakers turn
// half-open, probes expire, empty cells are forgotten, children restart.
func (s *Supervisor) Tick(now time.Time) []Action {
	if s.done {
		return nil
	}
	events, forgotten := s.cells.Tick(now, TickMax)
	var actions []Action
	for i := range events {
		actions = s.moved(actions, &events[i], now)
	}
	for _, path := range forgotten {
		actions = append(actions, Action{Kind: Attach, Child: s.name(path)})
	}
	for range TickMax {
		if len(s.dues) == 0 || s.dues[0].due.After(now) {
			break
		}
		c := heap.Pop(&s.dues).(*child)
		if c.status == running {
			s.forget(c, now)
			continue
		}
		actions = s.restart(actions, c, now)
	}
	return actions
}

// known returns what is remembered of a child, beginning with its first failure
// for one of the template; nil for a name that the spec does not allow.
func (s *Supervisor) known(name string) *child {
	if c := s.children[name]; c != nil || s.spec.Template.Restart == 0 || name == own {
		return c
	}
	c := &child{spec: s.spec.Template, order: len(s.ordered) + s.made, status: running, index: -1}
	c.spec.Name = name
	s.made++
	s.children[name] = c
	return c
}

// count reports the failure to the child's breaker.
func (s *Supervisor) count(name string, p breaker.Pass, now time.Time) []Action {
	path := s.ChildPath(name)
	before := s.cells.Cell(path)
	events := s.cells.Failure(path, p, now)
	var actions []Action
	if s.cells.Cell(path) != before {
		actions = append(actions, s.attach(name))
	}
	for i := range events {
		actions = s.report(actions, &events[i])
	}
	return actions
}

// recover decides how a running child that went down comes up again.
func (s *Supervisor) recover(actions []Action, c *child, now time.Time, random float64) []Action {
	if behind, blocked := s.blocked(c); blocked {
		return s.refuse(actions, c, behind, now)
	}
	n := c.history.Count(s.spec.Intensity, now)
	allowed := c.history.Allow(s.spec.Intensity, now)
	if c.spec.GiveUp == FailSupervisor {
		allowed = s.history.Allow(s.spec.Intensity, now)
	}
	if !allowed {
		return s.giveUp(actions, c, now)
	}
	return s.suspend(actions, c, now.Add(s.spec.Backoff.Delay(n, random)))
}

// giveUp is what happens when the intensity is exhausted.
func (s *Supervisor) giveUp(actions []Action, c *child, now time.Time) []Action {
	if c.spec.GiveUp == FailSupervisor {
		return append(s.stopAll(actions), Action{Kind: Escalate})
	}
	event := s.cells.Trip(s.ChildPath(c.spec.Name), breaker.RestartsExhausted, now)
	actions = s.report(actions, event)
	if behind, blocked := s.blocked(c); blocked {
		return s.refuse(actions, c, behind, now)
	}
	// No breaker could open: an operator holds it closed, or the budget is spent.
	return s.suspend(actions, c, now.Add(s.spec.Backoff.Max))
}

// suspend takes the child's group down until due.
func (s *Supervisor) suspend(actions []Action, c *child, due time.Time) []Action {
	actions, group := s.takeDown(actions, c)
	for _, m := range group {
		m.status = suspended
		s.schedule(m, due)
		actions = append(actions, Action{Kind: Suspend, Child: m.spec.Name, Until: due})
	}
	return actions
}

// refuse takes the child's group down until the breaker of behind lets it restart.
func (s *Supervisor) refuse(actions []Action, c *child, behind string, now time.Time) []Action {
	actions, group := s.takeDown(actions, c)
	until := s.opensAgain(behind, now)
	for _, m := range group {
		s.unschedule(m)
		m.status, m.behind = refusing, behind
		actions = append(actions, Action{Kind: Refuse, Child: m.spec.Name, Until: until})
	}
	return actions
}

// takeDown stops the running siblings that restart with c, in reverse order, and
// returns the children that come up again, in order.
func (s *Supervisor) takeDown(actions []Action, c *child) ([]Action, []*child) {
	c.status = suspended
	group := slices.Clone(s.group(c))
	for _, m := range slices.Backward(group) {
		if m.status != running {
			continue
		}
		keep := m.spec.Restart != Temporary
		actions = append(actions, Action{Kind: Stop, Child: m.spec.Name, Timeout: m.spec.Shutdown, Keep: keep})
		m.status = suspended
		if !keep {
			actions = append(actions, s.end(m))
		}
	}
	return actions, slices.DeleteFunc(group, func(m *child) bool { return m.status == ended || m.status == waiting })
}

// group returns the children that restart when c fails, in their order.
func (s *Supervisor) group(c *child) []*child {
	switch s.spec.Strategy {
	case AllForOne:
		return s.ordered
	case RestForOne:
		return s.ordered[c.order:]
	case OneForOne:
	}
	return []*child{c}
}

// restart brings a child up whose restart is due, unless a breaker has opened
// since.
func (s *Supervisor) restart(actions []Action, c *child, now time.Time) []Action {
	if behind, blocked := s.blocked(c); blocked {
		c.status, c.behind = refusing, behind
		return append(actions, Action{Kind: Refuse, Child: c.spec.Name, Until: s.opensAgain(behind, now)})
	}
	c.status = running
	s.forget(c, now)
	return append(actions, Action{Kind: Restart, Child: c.spec.Name})
}

// blocked tells whether a child must stay down because a breaker is open, and
// whose: the supervisor's own, the child's, or that of a child it restarts with.
func (s *Supervisor) blocked(c *child) (behind string, blocked bool) {
	if shut(s.cells.Own()) {
		return own, true
	}
	for _, m := range s.needs(c) {
		if m.status != ended && shut(s.cells.Cell(s.ChildPath(m.spec.Name))) {
			return m.spec.Name, true
		}
	}
	return own, false
}

// needs returns the children without which c does not run.
func (s *Supervisor) needs(c *child) []*child {
	switch s.spec.Strategy {
	case AllForOne:
		return s.ordered
	case RestForOne:
		return s.ordered[:c.order+1]
	case OneForOne:
	}
	return []*child{c}
}

func shut(b *breaker.Breaker) bool {
	state := b.State()
	return state == breaker.Open || state == breaker.ForcedOpen
}

// opensAgain returns when the breaker behind which a child waits turns half-open.
func (s *Supervisor) opensAgain(behind string, now time.Time) time.Time {
	b := s.cells.Own()
	if behind != own {
		b = s.cells.Cell(s.ChildPath(behind))
	}
	if b.State() == breaker.Open {
		return now.Add(b.RetryAfter(now))
	}
	return time.Time{}
}

// moved reports a transition and, where the breaker lets calls pass again, makes
// the restarts due that waited for it.
func (s *Supervisor) moved(actions []Action, event *breaker.Event, now time.Time) []Action {
	actions = s.report(actions, event)
	if event == nil || event.To == breaker.Open || event.To == breaker.ForcedOpen {
		return actions
	}
	behind := own
	if event.Scope == breaker.Cell {
		behind = s.name(event.Path)
	}
	if s.spec.Strategy == OneForOne && behind != own {
		s.wake(s.children[behind], behind, now)
		return actions
	}
	for _, c := range s.children {
		s.wake(c, behind, now)
	}
	return actions
}

func (s *Supervisor) wake(c *child, behind string, now time.Time) {
	if c != nil && c.status == refusing && c.behind == behind {
		c.status = suspended
		s.schedule(c, now)
	}
}

func (s *Supervisor) schedule(c *child, due time.Time) {
	s.unschedule(c)
	c.due = due
	heap.Push(&s.dues, c)
}

func (s *Supervisor) unschedule(c *child) {
	if c.index >= 0 {
		heap.Remove(&s.dues, c.index)
	}
}

// end notes that the child is not started again.
func (s *Supervisor) end(c *child) Action {
	s.unschedule(c)
	c.status = ended
	if c.order >= len(s.ordered) {
		delete(s.children, c.spec.Name)
	}
	return Action{Kind: Remove, Child: c.spec.Name}
}

// forget drops what is remembered of a running child of the template once its
// restarts have left the period, and comes back later while they have not.
func (s *Supervisor) forget(c *child, now time.Time) {
	switch {
	case c.order < len(s.ordered):
	case c.history.Count(s.spec.Intensity, now) == 0:
		delete(s.children, c.spec.Name)
	default:
		s.schedule(c, now.Add(s.spec.Intensity.Period))
	}
}

// stopAll stops the children in reverse order, those that are down too, and ends
// the machine.
func (s *Supervisor) stopAll(actions []Action) []Action {
	s.done = true
	for len(s.dues) > 0 {
		s.unschedule(s.dues[0])
	}
	if s.spec.Template.Restart != 0 {
		actions = append(actions, Action{Kind: StopOthers, Timeout: s.spec.Template.Shutdown})
	}
	for _, c := range slices.Backward(s.ordered) {
		if c.status != waiting && c.status != ended {
			actions = append(actions, Action{Kind: Stop, Child: c.spec.Name, Timeout: c.spec.Shutdown})
			c.status = ended
		}
	}
	return actions
}

func (s *Supervisor) report(actions []Action, event *breaker.Event) []Action {
	if event == nil {
		return actions
	}
	return append(actions, Action{Kind: Report, Event: event})
}

func (s *Supervisor) attach(name string) Action {
	return Action{Kind: Attach, Child: name, Cell: s.cells.Cell(s.ChildPath(name))}
}

// name is the name of the child at path.
func (s *Supervisor) name(path string) string { return strings.TrimPrefix(path, s.path+"/") }
