package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// ownRetry is how long the node waits after the log did not take its claim.
const ownRetry = 100 * time.Millisecond

// own follows consensus. Whenever this node begins to lead, it builds the read
// model, claims every shard with a new fence, and makes its actors active; when it
// ceases to lead, its actors go on standby.
func (n *Node) own(ctx context.Context) error {
	for {
		state, changed := n.consensus.Watch()
		if state.Leading && state.Ready {
			if err := n.lead(ctx, changed); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// lead serves for as long as consensus stands as it does. It returns when all that
// it began has ended, so that nothing of an old claim outlives it.
func (n *Node) lead(ctx context.Context, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		n.serving.shut()
		n.treasury.Own(nil)
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.treasury.Follow(ctx) })
	group.Go(func() error { return n.claim(ctx) })
	group.Go(func() error {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	return group.Wait()
}

// claim makes this node the owner of every shard and its actors active.
func (n *Node) claim(ctx context.Context) error {
	for ctx.Err() == nil {
		owned, err := n.assign(ctx)
		if err == nil {
			// An actor finds its work in the model, which must have seen all that the
			// owner before it has done, and does it behind the breakers that operators
			// have forced.
			applied := n.store.Applied()
			if n.treasury.Model().Wait(ctx, applied) != nil || n.operations.Wait(ctx, applied) != nil {
				return nil // ctx has ended
			}
			n.treasury.Own(owned)
			n.serving.open()
			n.log.InfoContext(ctx, "owns all shards", "component", "ownership", "shards", len(owned))
			return nil
		}
		if errors.Is(err, persistence.ErrInvalid) {
			return err
		}
		n.log.WarnContext(ctx, "the log did not take the claim; it is tried again", "component", "ownership", "err", err)
		select {
		case <-time.After(ownRetry):
		case <-ctx.Done():
		}
	}
	return nil
}

// assign proposes the node's ownership of every shard, each under the fence after
// the newest, and returns the fences once they are committed.
func (n *Node) assign(ctx context.Context) (map[messages.ShardID]messages.Fence, error) {
	shards := n.treasury.Config().Shards()
	owned := make(map[messages.ShardID]messages.Fence, shards)
	txn := &persistence.Txn{StampedAt: time.Now().UnixMilli()}
	for i := range shards {
		shard := messages.ShardID(i)
		from := n.store.Owner(shard).Fence
		txn.Assigns = append(txn.Assigns, persistence.Assign{Shard: shard, Owner: n.cfg.Name, From: from})
		owned[shard] = from + 1
	}
	done := make(verdict, 1)
	if err := n.journal.Propose(persistence.Proposal{Txn: txn, Sink: done}); err != nil {
		return nil, fmt.Errorf("claim the shards: %w", err)
	}
	select {
	case o := <-done:
		switch {
		case o.Err != nil:
			return nil, fmt.Errorf("claim the shards: %w", o.Err)
		case o.Result.Status != persistence.Committed:
			return nil, fmt.Errorf("claim the shards: %s, shard %d has fence %d", o.Result.Status, o.Result.Shard, o.Result.Newest)
		}
		return owned, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// verdict waits for the outcome of one proposal.
type verdict chan persistence.Outcome

// Committed implements persistence.Sink.
func (v verdict) Committed(outcomes []persistence.Outcome) { v <- outcomes[0] }
