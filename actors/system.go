package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/supervision/breaker"
)

// System is one node's tree of actors and the workers that run them.
type System struct {
	cfg   Config
	log   *slog.Logger
	proto *actor.ActorSystem
	pool  *pool
	root  *cell
	calls sync.Pool
	slabs slabs
	dead  deadLetters
	kinds kinds
	live  atomic.Int64

	events   events
	keepers  keepers
	budget   *breaker.Budget
	forces   forces
	stalls   stalls
	failures failures
	faults   faults
	sampler  sampler
	// began is where the coarse clock starts: coarse is the watchdog's last look at
	// the time, in nanoseconds since then. It is free to read and up to half of
	// Config.StallAfter behind.
	began  time.Time
	coarse atomic.Int64

	mu      sync.Mutex
	waiting map[*cell]chan struct{} // closed when the actor has ended

	halt    chan struct{} // ends the watchdog
	stopped chan struct{} // closed once the root has ended
	cause   error         // why, if not by Stop; guarded by mu
	halted  sync.Once
	tasks   sync.WaitGroup
}

// New builds a system and starts its workers; Stop ends them.
func New(cfg Config, log *slog.Logger) (*System, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &System{
		cfg: cfg, log: log,
		proto:   newActorSystem(log),
		pool:    newPool(cfg.Workers, cfg.WorkersMax, cfg.Quota),
		waiting: make(map[*cell]chan struct{}),
		halt:    make(chan struct{}),
		stopped: make(chan struct{}),
		budget:  breaker.NewBudget(breaker.CellsMax),
		began:   time.Now(),
	}
	s.events.log = log
	s.coarse.Store(1)
	s.pool.start()
	guard := Spec{New: func() Actor { return guardian{} }, Kind: "root"}
	s.root = s.newCell(guard, &line{supervision: cfg.Supervision}, nil)
	s.root.kind.active.Add(1)
	s.live.Add(1)
	props := newProps(func() *cell { return s.root })
	if _, err := s.proto.Root.SpawnNamed(props, ""); err != nil {
		return nil, fmt.Errorf("actors: spawn the root: %w", err)
	}
	s.tasks.Go(s.watch)
	return s, nil
}

// guardian is the root's actor: it has children and nothing to say.
type guardian struct{}

func (guardian) Receive(*Context, any) error { return nil }

// now is the coarse clock's time.
func (s *System) now() time.Time { return s.began.Add(time.Duration(s.coarse.Load())) }

func (s *System) newCell(spec Spec, line *line, parent *cell) *cell {
	kind := spec.Kind
	if kind == "" {
		kind = spec.Name
	}
	limit := spec.MailboxLimit
	if limit == 0 {
		limit = s.cfg.MailboxLimit
	}
	c := &cell{sys: s, parent: parent, create: spec.New, line: line, kind: s.kinds.named(kind), held: true}
	c.context.cell = c
	c.box.limit, c.box.slabs = uint32(limit), &s.slabs
	c.box.mode = held // until its first start
	c.set(Starting)
	return c
}

// Spawn starts an actor below the root. Inside an actor use Context.Spawn.
func (s *System) Spawn(spec Spec) (Ref, error) {
	var ref Ref
	var err error
	if !s.onRoot(func() { ref, err = s.root.spawn(spec) }) {
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrStopping)
	}
	return ref, err
}

// onRoot runs do on the root's turn and waits; false if the root has ended.
func (s *System) onRoot(do func()) bool {
	done := make(chan struct{})
	s.root.postSystem(executeOrder{func() { do(); close(done) }})
	select {
	case <-done:
		return true
	case <-s.stopped:
		return false
	}
}

// Done is closed when the tree has ended: by Stop, or because the root's
// supervision gave up; Err says which.
func (s *System) Done() <-chan struct{} { return s.stopped }

// Err is the failure that ended the tree, nil if none did.
func (s *System) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

func (s *System) gaveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause = err
}

// Lookup finds the actor at a path such as "/treasury/shard-07".
func (s *System) Lookup(path string) (Ref, bool) {
	c := s.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			break
		}
		if c = c.relatives().child(name); c == nil {
			return Ref{}, false
		}
	}
	return c.ref(), true
}

// relatives reads the family from outside the actor's turn.
func (c *cell) relatives() *family {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	return c.family
}

// Stop ends all actors, youngest first below the root, each after it has handled
// what it had accepted, and then the workers. If ctx ends first, the error names
// actors that are still there and Stop may be called again; what hangs in a
// message keeps its goroutine.
func (s *System) Stop(ctx context.Context) error {
	s.root.requestStop(EndStopped)
	select {
	case <-s.stopped:
	case <-ctx.Done():
		return fmt.Errorf("stop: %w; still there: %s", ctx.Err(), strings.Join(s.lingering(10), ", "))
	}
	s.halted.Do(func() {
		close(s.halt)
		s.pool.close()
		s.proto.Shutdown()
	})
	s.tasks.Wait()
	if !s.pool.wait(ctx.Done()) {
		return fmt.Errorf("stop: %w; in a message still: %s", ctx.Err(), strings.Join(s.pool.busy(10), ", "))
	}
	return nil
}

// lingering names up to most actors that have not ended, deepest first: a parent
// waits for its children.
func (s *System) lingering(most int) []string {
	var names []string
	var walk func(c *cell)
	walk = func(c *cell) {
		for _, child := range c.relatives().list() {
			if len(names) >= most {
				return
			}
			walk(child)
		}
		if l := c.box.load(); len(names) < most {
			names = append(names, fmt.Sprintf("%s (%s, %d messages)", c.path(), c.currentState(), l.depth))
		}
	}
	walk(s.root)
	return names
}

// ended returns a channel that is closed once the actor has ended.
func (c *cell) ended() <-chan struct{} {
	s := c.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.currentState() == Ended {
		done := make(chan struct{})
		close(done)
		return done
	}
	done := s.waiting[c]
	if done == nil {
		done = make(chan struct{})
		s.waiting[c] = done
	}
	return done
}

// tellEnded wakes those who wait for the actor's end.
func (s *System) tellEnded(c *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.waiting[c]; done != nil {
		close(done)
		delete(s.waiting, c)
	}
	if c == s.root {
		close(s.stopped)
	}
}

// asError makes an error of what recover returned.
func asError(reason any) error {
	switch r := reason.(type) {
	case nil:
		return ErrGoexit
	case error:
		return fmt.Errorf("panic: %w", r)
	default:
		return errors.New("panic: " + fmt.Sprint(r))
	}
}
