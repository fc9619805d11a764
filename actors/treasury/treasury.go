package treasury

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync/atomic"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// Treasury is this node's part of the treasury: its actors and its read model.
type Treasury struct {
	deps
	projection *persistence.Store
	system     *actors.System

	root  actors.Ref
	clock actors.Ref
}

// New spawns the treasury's actors, on standby, beside an empty read model. Follow
// fills it; Own makes actors active.
func New(cfg Config, system *actors.System, store *persistence.Store, journal Journal, log *slog.Logger) (*Treasury, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Treasury{
		deps: newDeps(cfg, store, journal, log), projection: store, system: system,
	}
	if err := t.spawn(); err != nil {
		return nil, fmt.Errorf("spawn the treasury: %w", err)
	}
	return t, nil
}

// newDeps makes the collaborators of actors that own nothing beside an empty read model.
func newDeps(cfg Config, store *persistence.Store, journal Journal, log *slog.Logger) deps {
	return deps{
		cfg: cfg, store: store, model: NewModel(cfg.GraphShards), journal: journal,
		fences: newFences(cfg.Shards()), pace: &pace{}, stats: &Stats{}, log: log,
		addresses: &atomic.Pointer[addresses]{},
	}
}

// spawn builds the tree: the executor first, because the others know its address.
func (t *Treasury) spawn() error {
	var err error
	root := &root{t: t, ready: make(chan error, 1)}
	if t.root, err = t.system.Spawn(actors.Spec{
		Name: "treasury", Kind: "treasury", New: func() actors.Actor { return root },
	}); err != nil {
		return err
	}
	if err = <-root.ready; err != nil {
		return err
	}
	t.clock, err = t.system.Spawn(actors.Spec{
		Name: "clock", Kind: "clock", MailboxLimit: t.cfg.MailboxLimit,
		New: func() actors.Actor { return &clock{deps: t.deps} },
	})
	return err
}

// root supervises the treasury's actors. If it restarts, so do they, and find by
// themselves what they own.
type root struct {
	t     *Treasury
	ready chan error
}

// Start implements actors.Starter.
func (r *root) Start(ctx *actors.Context) error {
	err := r.t.spawnChildren(ctx)
	select {
	case r.ready <- err:
	default:
	}
	return err
}

// Receive implements actors.Actor: nobody sends it anything.
func (*root) Receive(_ *actors.Context, msg any) error {
	return fmt.Errorf("treasury: unknown message %T", msg)
}

func (t *Treasury) spawnChildren(ctx *actors.Context) error {
	limit := t.cfg.MailboxLimit
	executor, err := ctx.Spawn(actors.Spec{
		Name: "executor", Kind: "executor", MailboxLimit: limit,
		New: func() actors.Actor { return &executor{deps: t.deps} },
	})
	if err != nil {
		return err
	}
	to := &addresses{executor: executor, shards: make([]actors.Ref, t.cfg.GraphShards)}
	for i := range to.shards {
		id := messages.ShardID(i)
		to.shards[i], err = ctx.Spawn(actors.Spec{
			Name: fmt.Sprintf("shard-%02d", i), Kind: "shard", MailboxLimit: limit,
			New: func() actors.Actor { return newShard(t.deps, id) },
		})
		if err != nil {
			return err
		}
	}
	t.addresses.Store(to)
	// Whoever changed a fence since they started may have told the actors before them.
	for _, ref := range append([]actors.Ref{executor}, to.shards...) {
		_ = ref.TellInternal(activate{})
	}
	return nil
}

// Own makes this node's actors active for the shards that it owns by the log, each
// under its fence, and puts all others on standby. The Store should have applied the
// entry that made it the owner, and the model too: work it has not seen yet is found
// when it has.
//
// Own may be called at any time and from anywhere, with whatever the Store tells. What
// is the same as before costs nothing, and a fence behind the newest seen is passed
// over.
func (t *Treasury) Own(owned map[messages.ShardID]messages.Fence) {
	for _, shard := range t.fences.set(owned) {
		t.tell(shard, activate{})
	}
}

// tell gives a message of the treasury's own to the actor behind a shard, if it has
// one here.
func (t *Treasury) tell(shard messages.ShardID, msg any) {
	to := t.addresses.Load()
	switch {
	case int(shard) < len(to.shards):
		_ = to.shards[shard].TellInternal(msg)
	case shard == t.cfg.ExecutorShard():
		_ = to.executor.TellInternal(msg)
	case shard == t.cfg.ClockShard():
		_ = t.clock.TellInternal(msg)
	}
}

// Append takes a burst of submissions, plans and accruals and gives each shard its
// part in one message. Every request is answered, in whatever order.
func (t *Treasury) Append(burst []Appendable) {
	shards := t.addresses.Load().shards
	parts := make(map[messages.ShardID]requests, min(len(burst), len(shards)))
	for _, r := range burst {
		shard := t.IngressShard(r.request().ID)
		parts[shard] = append(parts[shard], r)
	}
	for shard, part := range parts {
		if err := shards[shard].Tell(part); err != nil {
			part.Undelivered(err)
		}
	}
}

// ingressHash spreads requests over the shards that propose them.
func ingressHash(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

// Command takes a request about one disbursement. The Store must have applied
// everything the caller can know of: a refusal is given from it. A Queue that asks for
// a payment is the executor's; see QueueShard.
func (t *Treasury) Command(c Command) {
	if q, ok := c.(*Queue); ok && t.Owns(t.ExecutorShard()) && t.QueueShard(q.ID) == t.ExecutorShard() {
		t.Execute(&Execute{Request: q.Request, ID: q.ID})
		return
	}
	shards := t.addresses.Load().shards
	if err := shards[shardOf(c.target(), len(shards))].Tell(c); err != nil {
		c.request().Fail(errorOf(err))
	}
}

// Execute takes a request to pay now; the Store must be as for Command.
func (t *Treasury) Execute(c *Execute) {
	if err := t.addresses.Load().executor.Tell(c); err != nil {
		c.Fail(errorOf(err))
	}
}

// SkipIntent takes an operator's decision; the Store must be as for Command.
func (t *Treasury) SkipIntent(c *SkipIntent) {
	if err := t.addresses.Load().executor.Tell(c); err != nil {
		c.Fail(errorOf(err))
	}
}

// Advance takes a request for one more epoch.
func (t *Treasury) Advance(c *Advance) {
	if err := t.clock.Tell(c); err != nil {
		c.Fail(errorOf(err))
	}
}

// breakersMax bounds the breakers looked at for the executor's.
const breakersMax = 1000

// Breaker is what stands between the executor and the next payment: its own breaker
// over the submitter, or the cell that its supervisor keeps for it, whichever is not
// closed.
func (t *Treasury) Breaker() breaker.State {
	if state := t.stats.Breaker(); state != breaker.Closed {
		return state
	}
	path := t.addresses.Load().executor.Path()
	for _, e := range t.system.OpenBreakers(breakersMax) {
		if e.Path == path {
			return e.To
		}
	}
	return breaker.Closed
}

// Model gives the read model.
func (t *Treasury) Model() *Model { return t.model }

// Stats gives the counters.
func (t *Treasury) Stats() *Stats { return t.stats }

// Config gives the configuration in force.
func (t *Treasury) Config() Config { return t.cfg }

// Stop ends the treasury's actors once what they proposed is settled. They begin
// nothing new.
func (t *Treasury) Stop(ctx context.Context) error {
	t.Own(nil)
	if err := t.clock.Stop(ctx); err != nil {
		return fmt.Errorf("stop the clock: %w", err)
	}
	if err := t.root.Stop(ctx); err != nil {
		return fmt.Errorf("stop the treasury: %w", err)
	}
	return nil
}
