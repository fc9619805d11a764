package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors"
)

// watchedWithin is how long ago this node looked last whether its disk and its state move.
const watchedWithin = 10 * time.Second

// pulse answers whoever asks, as any actor would.
type pulse struct{}

func (pulse) Receive(ctx *actors.Context, _ any) error {
	ctx.Reply(true)
	return nil
}

// Moves returns nil if this process makes progress of its own: an actor answers, what ends
// a node whose disk hangs runs, and the Store can be read. Waiting for other nodes is no
// standstill, and a new start of this one would not end it. Call it from one goroutine
// at a time, while Run runs.
func (n *Node) Moves(ctx context.Context) error {
	if n.heart == nil {
		ref, err := n.system.Spawn(actors.Spec{Name: "pulse", New: func() actors.Actor { return pulse{} }})
		if err != nil {
			return err
		}
		n.heart = &ref
	}
	if _, err := actors.Ask[bool](ctx, *n.heart, struct{}{}); err != nil {
		return fmt.Errorf("no actor answers: %w", err)
	}
	at := n.consensus.WatchedAt()
	if at.IsZero() {
		at = n.started // Run is about to
	}
	if age := time.Since(at); age > watchedWithin {
		return fmt.Errorf("nobody has looked at its log for %s", age.Round(time.Second))
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		n.store.Applied()
		n.consensus.State()
	}()
	select {
	case <-read:
		return nil
	case <-ctx.Done():
		return errors.New("its state cannot be read")
	}
}
