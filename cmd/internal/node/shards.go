package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/messages"
)

// routes tells who owns which shard, as far as this node has followed the log.
type routes struct{ table atomic.Pointer[routeTable] }

type routeTable struct {
	owners []messages.NodeID       // by shard; "" where there is none
	counts map[messages.NodeID]int // shards by owner
	orphan int                     // how many have none
}

// counts is how many shards each owner has.
func (r *routes) counts() map[messages.NodeID]int {
	if t := r.table.Load(); t != nil {
		return t.counts
	}
	return nil
}

// owner gives the owner of a shard; known is false while there is none.
func (r *routes) owner(shard messages.ShardID) (owner messages.NodeID, known bool) {
	t := r.table.Load()
	if t == nil || int(shard) >= len(t.owners) || t.owners[shard] == "" {
		return "", false
	}
	return t.owners[shard], true
}

// err says why calls cannot be routed, nil if they can.
func (r *routes) err() error {
	switch t := r.table.Load(); {
	case t == nil:
		return errors.New("catching up with the log")
	case t.orphan > 0:
		return fmt.Errorf("%d of %d shards have no owner yet", t.orphan, len(t.owners))
	}
	return nil
}

// layout says what the shards are for.
func (n *Node) layout() ownership.Layout {
	cfg := n.treasury.Config()
	timed := map[messages.ShardID]bool{cfg.ExecutorShard(): true, cfg.ClockShard(): true, cfg.MarketShard(): true}
	for i := range cfg.EnergyShards {
		timed[messages.ShardID(cfg.GraphShards+i)] = true
	}
	return ownership.Layout{
		Shards: cfg.Shards(),
		Single: map[messages.ShardID]bool{cfg.ExecutorShard(): true, cfg.ClockShard(): true, cfg.MarketShard(): true},
		Timed:  timed,
		Paying: cfg.ExecutorShard(),
	}
}

// part names what a shard is for.
func (n *Node) part(shard messages.ShardID) string {
	switch cfg := n.treasury.Config(); {
	case shard == cfg.ExecutorShard():
		return "executor"
	case shard == cfg.ClockShard():
		return "clock"
	case shard == cfg.MarketShard():
		return "market"
	case int(shard) >= cfg.GraphShards:
		return "energy"
	}
	return "graph"
}

// followOwners makes this node's actors active for the shards that the log gives it,
// and standby for the others, until ctx ends.
func (n *Node) followOwners(ctx context.Context) error {
	var told uint64 // the Store's goroutine alone touches it
	cancel := n.store.Subscribe(func(uint64) {
		if version := n.store.OwnersVersion(); version != told {
			told = version
			select {
			case n.reown <- struct{}{}:
			default:
			}
		}
	})
	defer cancel()
	defer n.treasury.Own(nil)
	defer n.kinds.Own(nil)
	for {
		if err := n.takeOwners(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-n.reown:
		case <-ctx.Done():
			return nil
		}
	}
}

// takeOwners acts on what the Store says now. An actor finds its work in the model,
// which must have seen all that the owner before it has done, and does it behind the
// breakers that operators have forced.
func (n *Node) takeOwners(ctx context.Context) error {
	state, err := ownership.Read(n.store, n.treasury.Config().Shards())
	if err != nil {
		return err
	}
	if err := n.treasury.Model().Wait(ctx, state.Index); err != nil {
		return err
	}
	if err := n.energy.Wait(ctx, state.Index); err != nil {
		return err
	}
	if err := n.operations.Wait(ctx, state.Index); err != nil {
		return err
	}
	owned := state.Owned(n.cfg.Name, n.boot)
	if n.standsStill() {
		owned = nil // what the log says here is old
	}
	n.treasury.Own(owned)
	n.kinds.Own(owned)
	table := &routeTable{owners: make([]messages.NodeID, len(state.Shards)), counts: make(map[messages.NodeID]int)}
	for i, o := range state.Shards {
		if table.owners[i] = o.Owner; o.Owner == "" {
			table.orphan++
		} else {
			table.counts[o.Owner]++
		}
	}
	n.routes.table.Store(table)
	return nil
}

// whileLeading runs do whenever this node leads and is ready, for as long as that
// lasts, and returns when ctx or do has ended.
func (n *Node) whileLeading(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			state, changed := n.consensus.Watch()
			if !state.Leading || !state.Ready {
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					return nil
				}
			}
			if err := n.leadOnce(ctx, state.Term, do); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
}

// leadOnce runs do until this node does not lead in that term any more.
func (n *Node) leadOnce(ctx context.Context, term uint64, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer cancel()
		for {
			state, changed := n.consensus.Watch()
			if !state.Leading || !state.Ready || state.Term != term {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	err := do(ctx)
	cancel()
	<-over
	return err
}

// place moves shards while this node leads.
func (n *Node) place(ctx context.Context) error { return n.keeper.Run(ctx, n.live) }
