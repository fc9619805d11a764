package operations

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// Operations is one node's part of what operators do.
type Operations struct {
	cfg     Config
	system  *actors.System
	store   *persistence.Store
	journal durable.Journal
	now     func() time.Time // this node's clock

	// Run's own: the audit log is followed up to the row seen. What it says was done
	// before this node's start is history, which is told in fewer words. It is another
	// node's clock that says so: what is done must not depend on it.
	seen    uint64
	started time.Time

	mu     sync.Mutex
	forces supervision.Forces
	index  uint64        // of the log, that the runtime stands for
	moved  chan struct{} // closed when index grows; nil while nobody waits
	untold bool          // forces were restored, and no line says so yet
	// injecting counts faults on their way through the log.
	injecting int
}

// New returns this node's part; Run makes it follow the log.
func New(cfg Config, system *actors.System, store *persistence.Store, journal durable.Journal) (*Operations, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Operations{cfg: cfg, system: system, store: store, journal: journal, now: time.Now}, nil
}

// Run follows the log until ctx ends: it does to this node's breakers what operators
// have committed, wherever they did, and enters into the audit log which of them moved by
// themselves. An error means that the Store cannot be believed: the node must stop.
func (o *Operations) Run(ctx context.Context) error {
	moves, err := o.system.Subscribe(movesMax, actors.EventBreaker)
	if err != nil {
		return fmt.Errorf("hear of breakers: %w", err)
	}
	defer moves.Close()
	var recording sync.WaitGroup
	defer recording.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	recording.Go(func() { o.record(ctx, moves) })
	return o.followLog(ctx)
}

func (o *Operations) followLog(ctx context.Context) error {
	o.started = time.UnixMilli(o.now().UnixMilli()) // as coarse as rows are
	if err := o.load(); err != nil {
		return err
	}
	for {
		if err := o.store.Wait(ctx, o.reached()+1); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the operators: %w", err)
		}
		if err := o.catchUp(); err != nil {
			return err
		}
	}
}

// Wait returns once what was committed up to index is in force on this node, or ctx's
// error.
func (o *Operations) Wait(ctx context.Context, index uint64) error {
	for {
		o.mu.Lock()
		if o.index >= index {
			o.mu.Unlock()
			return nil
		}
		if o.moved == nil {
			o.moved = make(chan struct{})
		}
		moved := o.moved
		o.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Forces lists what is forced, by path.
func (o *Operations) Forces() []supervision.Force {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.forces.All()
}

func (o *Operations) reached() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.index
}

// advance notes that the runtime stands for the log up to index.
func (o *Operations) advance(index uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.index = index
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

// load makes the runtime's forces those of the table. The number of the audit log is
// read first: a row that comes in between is followed again, which changes nothing.
func (o *Operations) load() error {
	index := o.store.Applied()
	newest, err := o.store.Counter(CounterAudit)
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	if err := o.restore(); err != nil {
		return err
	}
	o.seen = uint64(newest)
	o.advance(index)
	return nil
}

// restore makes the runtime's forces those of the table, which is no news to anybody.
func (o *Operations) restore() error {
	forced, err := o.readForces()
	if err != nil {
		return fmt.Errorf("read the forces: %w", err)
	}
	var table supervision.Forces
	held := make([]actors.Forced, 0, len(scopes)*len(forced))
	for _, f := range forced {
		if err := table.Put(f); err != nil {
			return fmt.Errorf("force %s of %s: %w", f.State, f.Path, err)
		}
		for _, scope := range scopes {
			held = append(held, actors.Forced{Path: f.Path, Scope: scope, State: f.State})
		}
	}
	if err := o.system.RestoreForces(held); err != nil {
		return fmt.Errorf("restore the forces: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.untold = o.untold || len(forced)+len(o.forces.All()) > 0
	o.forces = table
	return nil
}

func (o *Operations) readForces() (forced []supervision.Force, err error) {
	var broken error
	err = o.store.Scan(persistence.NameKey(TableForces, ""), persistence.TableEnd(TableForces), false, supervision.ForcesMax,
		func(key persistence.Key, v persistence.Value) bool {
			var f supervision.Force
			f, broken = decodeForce(key, v.Tag, v.Data)
			forced = append(forced, f)
			return broken == nil
		})
	if err == nil {
		err = broken
	}
	return forced, err
}

// followMax is how many rows of the audit log are taken at a time.
const followMax = 500

// catchUp follows the audit log to its end.
func (o *Operations) catchUp() error {
	for {
		index := o.store.Applied()
		newest, err := o.store.Counter(CounterAudit)
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		if uint64(newest) > o.seen+AuditMax { // rows that this node did not see are gone
			return o.load()
		}
		if uint64(newest) == o.seen {
			o.advance(index)
			return nil
		}
		if err := o.follow(uint64(newest)); err != nil {
			return err
		}
	}
}

// follow carries out the next rows of the audit log.
func (o *Operations) follow(newest uint64) error {
	to := min(o.seen+followMax, newest)
	var rows []row
	var broken error
	err := o.store.Scan(auditKey(o.seen+1), auditKey(to+1), false, followMax,
		func(_ persistence.Key, v persistence.Value) bool {
			var r row
			r, broken = decodeRow(v.Tag, v.Data)
			rows = append(rows, r)
			return broken == nil
		})
	if err == nil {
		err = broken
	}
	if err != nil {
		return fmt.Errorf("follow the audit log from row %d: %w", o.seen+1, err)
	}
	if uint64(len(rows)) != to-o.seen { // the oldest were taken away meanwhile
		return o.load()
	}
	history := false
	var cleared []string
	for i := range rows {
		if rows[i].at.Before(o.started) {
			history = true
			if rows[i].action == reset {
				cleared = append(cleared, rows[i].path)
			}
			continue
		}
		if err := o.carryOut(&rows[i]); err != nil {
			return err
		}
	}
	o.seen = to
	if !history {
		return nil
	}
	if err := o.restore(); err != nil { // what came of the forces is in the table
		return err
	}
	for _, path := range cleared {
		o.clear(path)
	}
	return nil
}

// carryOut does to this node's breakers what a row says. An inject concerns only the
// node that took it, and only once: who proposed it sees to that. What a breaker did by
// itself it did on its own node.
func (o *Operations) carryOut(r *row) error {
	if state, ok := r.action.state(); ok {
		return o.hold(supervision.Force{Path: r.path, State: state, By: r.who, At: r.at})
	}
	if r.action == reset {
		o.release(r.path)
	}
	return nil
}

// scopes are the two breakers of a path: over the actor itself, and over its children
// and what it guards.
var scopes = [...]breaker.Scope{breaker.Cell, breaker.Own}

func (o *Operations) hold(f supervision.Force) error {
	o.mu.Lock()
	err := o.forces.Put(f)
	o.mu.Unlock()
	for _, scope := range scopes {
		if err == nil {
			err = o.system.Force(actors.Forced{Path: f.Path, Scope: scope, State: f.State})
		}
	}
	if err != nil {
		return fmt.Errorf("force %s of %s: %w", f.State, f.Path, err)
	}
	return nil
}

func (o *Operations) release(path string) {
	o.mu.Lock()
	o.forces.Remove(path)
	o.mu.Unlock()
	for _, scope := range scopes {
		o.system.Reset(path, scope)
	}
}

// clear closes the breakers of a path that opened by themselves.
func (o *Operations) clear(path string) {
	found, _ := o.system.Breakers(actors.BreakerPage{Path: path, NotClosed: true, Limit: len(scopes)})
	for _, b := range found { // the path's own come first
		// Its supervisor may have closed it since it was found.
		if b.Path == path && b.State != breaker.Closed && !b.State.Forced() {
			o.system.Reset(path, b.Scope)
		}
	}
}
