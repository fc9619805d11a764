package node

import (
	"context"
	"errors"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
)

// joinActors lets this node's actors talk with those of the others.
func (n *Node) joinActors(context.Context) (err error) {
	n.remote, err = n.system.Join(actors.DefaultRemoteConfig(), n.cfg.Name, n.around.codecs, toActors{n.peers})
	return err
}

// linkActors tells the actors which nodes can be reached, until ctx ends.
func (n *Node) linkActors(ctx context.Context) error {
	told := make(map[messages.NodeID]uint64) // the connection that the actors know of, 0 for none
	for {
		changed := n.peers.Watch()
		for _, s := range n.peers.Statuses() {
			link := s.Links
			if !s.Linked {
				link = 0
			}
			switch link {
			case told[s.Node]:
				continue
			case 0:
				n.remote.LinkDown(s.Node)
			default:
				if err := n.remote.LinkUp(s.Node); err != nil {
					n.log.Warn("actors of a node cannot be reached", "member", string(s.Node), "err", err)
				}
			}
			told[s.Node] = link
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// toActors carries frames of actors to other nodes.
type toActors struct{ links *peers.Peers }

// sendRetry is the pause before a frame is offered again to a link that is full.
const sendRetry = 2 * time.Millisecond

// Send implements actors.Transport. It waits while the link is full.
func (t toActors) Send(to messages.NodeID, frame []byte) error {
	for {
		err := t.links.Tell(to, frame)
		var refusal *messages.Error
		if err == nil || !errors.As(err, &refusal) || refusal.Code != messages.CodeOverloaded {
			return err
		}
		time.Sleep(sendRetry) // of this link's own goroutine
	}
}
