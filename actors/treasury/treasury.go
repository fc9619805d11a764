package treasury

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/stats"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// Treasury is this node's part of the treasury: its actors and its read model.
type Treasury struct {
	deps
	readmodel.Reader
	follower durable.Follower

	root  durable.Ref
	clock durable.Ref
}

// New spawns the treasury's actors on host, which has room for Config.Shards: on standby,
// beside an empty read model. Follow fills it; Own makes actors active.
func New(cfg Config, host *durable.Host, log *slog.Logger) (*Treasury, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Treasury{deps: deps{
		cfg: cfg, host: host, model: readmodel.New(cfg.GraphShards), pace: &pace{}, stats: &stats.Stats{}, log: log,
	}}
	t.follower = t.model.Follower(host, cfg.ExecutorShard())
	t.Reader = readmodel.NewReader(t.model, host.Store)
	if err := t.spawn(); err != nil {
		return nil, fmt.Errorf("spawn the treasury: %w", err)
	}
	return t, nil
}

// spawn builds the tree.
func (t *Treasury) spawn() (err error) {
	member := func(shard messages.ShardID, name, kind string, make func() durable.Actor) durable.Member {
		return durable.Member{Shard: shard, Spec: durable.Spec{
			Name: name, Kind: kind, MailboxLimit: t.cfg.MailboxLimit, New: make,
		}}
	}
	cfg := executor.Config{Shard: t.cfg.ExecutorShard(), Node: t.cfg.Node, EpochInterval: t.cfg.EpochInterval, Outside: t.cfg.Outside}
	members := []durable.Member{
		member(t.cfg.ExecutorShard(), "executor", "executor", func() durable.Actor { return executor.New(cfg, t.host, t.model, t.stats, t.log) }),
	}
	for i := range t.cfg.GraphShards {
		id := messages.ShardID(i)
		members = append(members, member(id, shardName(id), "shard",
			func() durable.Actor { return newShard(t.deps, id) }))
	}
	if t.root, err = t.host.SpawnTree(rootName, members...); err != nil {
		return err
	}
	t.clock, err = t.host.Spawn(member(t.cfg.ClockShard(), "clock", "clock",
		func() durable.Actor { return newClock(t.deps) }))
	return err
}

// Follow builds the read model from the Store and advances it until ctx ends. It
// owns the model's write side. An error means that the model, or the Store itself,
// cannot be believed any more: the node must stop.
func (t *Treasury) Follow(ctx context.Context) error { return t.follower.Run(ctx) }

// CatchUp does what Follow does up to what the Store has applied, for who has no goroutine
// for it.
func (t *Treasury) CatchUp(ctx context.Context) error { return t.follower.CatchUp(ctx) }

// Append takes a burst of submissions, plans and accruals of one caller and gives it to one
// shard, in order. What a connection sends gets its ids in the order in which it was sent,
// as long as its caller and the owner of the shard stay the same and nothing is refused as
// overloaded. Every request is answered.
func (t *Treasury) Append(burst []Appendable) {
	if len(burst) == 0 {
		return
	}
	durable.Watch(t.host.Deadlines, burst...)
	all := requests(burst)
	if err := t.host.Send(t.IngressShard(burst[0].Base().Who), all); err != nil {
		all.Undelivered(err)
	}
}

// Command takes a request about one disbursement. The Store must have applied
// everything the caller can know of: a refusal is given from it. A Queue that asks for
// a payment is the executor's; see QueueShard.
func (t *Treasury) Command(c Command) {
	if q, ok := c.(*Queue); ok && t.Owns(t.ExecutorShard()) && t.QueueShard(q.ID) == t.ExecutorShard() {
		t.Execute(&executor.Execute{Request: q.Request, ID: q.ID})
		return
	}
	t.host.SendRequest(t.ShardOf(c.target()), c)
}

// Execute takes a request to pay now; the Store must be as for Command.
func (t *Treasury) Execute(c *executor.Execute) { t.host.SendRequest(t.ExecutorShard(), c) }

// Resend takes an operator's order to send bytes again; the Store must be as for Command.
func (t *Treasury) Resend(c *executor.Resend) { t.host.SendRequest(t.ExecutorShard(), c) }

// SkipIntent takes an operator's decision; the Store must be as for Command.
func (t *Treasury) SkipIntent(c *executor.SkipIntent) { t.host.SendRequest(t.ExecutorShard(), c) }

// Advance takes a request for one more epoch.
func (t *Treasury) Advance(c *Advance) { t.host.SendRequest(t.ClockShard(), c) }

// Breaker is what stands between the executor and the next payment.
func (t *Treasury) Breaker() breaker.State {
	return t.host.Runtime.Breaker(t.host.Address(t.ExecutorShard()).Path())
}

// Model gives the read model.
func (t *Treasury) Model() *readmodel.Model { return t.model }

// Stats gives the counters.
func (t *Treasury) Stats() *stats.Stats { return t.stats }

// Config gives the configuration in force.
func (t *Treasury) Config() Config { return t.cfg }

// Stop ends the treasury's actors once what they proposed is settled. They begin
// nothing new.
func (t *Treasury) Stop(ctx context.Context) error {
	t.Own(nil)
	return durable.StopAll(ctx, t.clock, t.root)
}
