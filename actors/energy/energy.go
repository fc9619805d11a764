package energy

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// deps are the collaborators that all actors of the market share.
type deps struct {
	cfg   Config
	host  *durable.Host
	model *Model
	stats *Stats
	log   *slog.Logger
	// verifier judges signatures.
	verifier durable.Ref
}

// shardOf is the shard whose owner takes what is about a provider.
func (d *deps) shardOf(id messages.ProviderID) messages.ShardID {
	return d.cfg.First + messages.ShardID(uint64(id)%uint64(d.cfg.Shards))
}

func (d *deps) seat(shard messages.ShardID) durable.Seat {
	return durable.Seat{Host: d.host, Shard: shard}
}

// moment is now, in the epoch that a look at the Store tells.
func (d *deps) moment(v *persistence.View) market.Moment {
	return market.Moment{MS: d.host.Wall().UnixMilli(), Epoch: epochOf(v)}
}

// Energy is this node's part of the market: its actors and its read model.
type Energy struct {
	deps
	follower durable.Follower
	root     durable.Ref
}

// New spawns the market's actors on host: on standby, beside an empty read model. Follow
// fills it; the host's Own makes actors active.
func New(cfg Config, host *durable.Host, log *slog.Logger) (*Energy, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Energy{deps: deps{cfg: cfg, host: host, model: newModel(), stats: &Stats{}, log: log}}
	e.follower = durable.Follower{
		Store: host.Store, Tables: []persistence.Table{TableDisputes, TableProviders}, Model: &projection{e},
	}
	if err := e.spawn(); err != nil {
		return nil, fmt.Errorf("spawn the energy market: %w", err)
	}
	return e, nil
}

func (e *Energy) spawn() (err error) {
	d := e.deps // the verifier starts while it is noted here
	if e.verifier, err = e.host.Runtime.Spawn(durable.Spec{
		Name: "energy-signatures", Kind: "energy-signatures", MailboxLimit: e.cfg.MailboxLimit * e.cfg.Shards,
		New: func() durable.Actor { return newVerifier(d) },
	}); err != nil {
		return err
	}
	member := func(shard messages.ShardID, name, kind string, make func() durable.Actor) durable.Member {
		return durable.Member{Shard: shard, Spec: durable.Spec{
			Name: name, Kind: kind, MailboxLimit: e.cfg.MailboxLimit, New: make,
		}}
	}
	members := []durable.Member{
		member(e.cfg.Market, "market", "market", func() durable.Actor { return newMarketActor(e.deps) }),
	}
	for i := range e.cfg.Shards {
		id := e.cfg.First + messages.ShardID(i)
		members = append(members, member(id, fmt.Sprintf("shard-%02d", i), "energy-shard",
			func() durable.Actor { return newShard(e.deps, id) }))
	}
	e.root, err = e.host.SpawnTree("energy", members...)
	return err
}

// Follow builds the read model from the Store and advances it until ctx ends. An error
// means that it cannot be believed any more: the node must stop.
func (e *Energy) Follow(ctx context.Context) error { return e.follower.Run(ctx) }

// CatchUp does what Follow does up to what the Store has applied.
func (e *Energy) CatchUp(ctx context.Context) error { return e.follower.CatchUp(ctx) }

// Wait waits until the read model stands for an index, or ctx ends.
func (e *Energy) Wait(ctx context.Context, index uint64) error { return e.model.wait(ctx, index) }

// Stop ends the market's actors once what they proposed is settled.
func (e *Energy) Stop(ctx context.Context) error { return durable.StopAll(ctx, e.verifier, e.root) }

// Stats gives the counters.
func (e *Energy) Stats() *Stats { return e.stats }

// ShardOf is the shard whose owner takes what is about a provider.
func (e *Energy) ShardOf(id messages.ProviderID) messages.ShardID { return e.shardOf(id) }

// MarketShard is the shard whose owner sets what holds for the whole market.
func (e *Energy) MarketShard() messages.ShardID { return e.cfg.Market }

// IngressShard is the shard whose owner takes a registration: one that is owned here, if
// any is, because the log recognises a repeat wherever it comes from.
func (e *Energy) IngressShard(requestID string) messages.ShardID {
	h := fnv.New64a()
	_, _ = h.Write([]byte(requestID))
	first := h.Sum64() % uint64(e.cfg.Shards)
	for i := range uint64(e.cfg.Shards) {
		if shard := e.ShardOf(messages.ProviderID(first + i)); e.host.Owns(shard) {
			return shard
		}
	}
	return e.ShardOf(messages.ProviderID(first))
}

// CanHave reports whether there can be an actor with this path: that of a provider there
// is, loaded or not.
func (e *Energy) CanHave(path string) bool {
	_, text, _ := strings.Cut(path, "/oracle-")
	id, ok := messages.ParseProviderID(text)
	return ok && uint64(id) < e.host.Store.Last(TableProviders) &&
		path == fmt.Sprintf("/energy/shard-%02d/%s", e.ShardOf(id)-e.cfg.First, oracleName(id))
}

// Register takes a registration.
func (e *Energy) Register(c *Register) { e.host.SendRequest(e.IngressShard(c.ID), c) }

// Command takes a request about one provider. The Store must have applied everything the
// caller can know of: a refusal is given from it.
func (e *Energy) Command(c Command) { e.host.SendRequest(e.ShardOf(c.target()), c) }

// Set takes new settings; the Store must be as for Command.
func (e *Energy) Set(c *SetSettings) { e.host.SendRequest(e.cfg.Market, c) }
