package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Step is a stop step.
type Step struct {
	Name string
	Stop func(context.Context) error
}

// StopAll stops parts that were started in this order.
func StopAll(steps ...Step) error {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	for _, s := range steps {
		l.onStop(s.Name, s.Stop)
	}
	return l.stop()
}

// ServeOnly has a node serve both wires and nothing else: nobody leads. What it
// returns stops the node.
func ServeOnly(n *Node) (stop func()) {
	n.parts.run("pages", n.pages.Run)
	n.parts.onStop("calls", n.service.drain)
	n.parts.run("wire", func(ctx context.Context) error { return n.wire.Serve(ctx, n.listener) })
	return func() {
		n.stopping.Store(true)
		_ = n.parts.stop()
	}
}

// Walking serves calls that all walk, one at a time, and are answered by read.
func Walking(read func(messages.Params) (messages.Result, *messages.Error)) wire.Handler {
	s := &service{
		node: new(Node), log: slog.New(slog.DiscardHandler), answers: make([]answer, len(messages.Methods())),
		workers: make(chan struct{}, workersMax), walks: make(chan struct{}, 1),
	}
	for i := range s.answers {
		s.answers[i] = answer{Binding: durable.Binding{Read: read, Any: true, Walks: true}}
	}
	return s
}

// Votes reports whether the node takes part in elections.
func (n *Node) Votes() bool { return n.consensus.Voting() }

// DrainCalls has a node take no more calls, as it does when it stops.
func DrainCalls(ctx context.Context, n *Node) error { return n.service.drain(ctx) }

// Middle is the right time by several clocks' offsets.
func Middle(offsets ...time.Duration) time.Duration { return middle(offsets) }

// Loaded finds an actor of this node's by its path.
func (n *Node) Loaded(path string) (actors.Ref, bool) { return n.system.Lookup(path) }

// DiskOf is what a node notes of another one's disk.
var DiskOf = diskOf

// Cable is a cut between a node and the machine's network.
type Cable struct{ *cut }

// NewCable gives the cable and the networks behind it.
func NewCable() (Cable, cluster.Network, membership.Network) {
	c := &cut{streams: make(map[*cutStream]struct{})}
	return Cable{c}, cutNetwork{c, cluster.TCP{}}, cutGossip{c, membership.Sockets{}}
}

// Pull pulls the cable.
func (c Cable) Pull() { c.sever() }

// Mend mends it.
func (c Cable) Mend() { c.mend() }

// Streams counts the open streams.
func (c Cable) Streams() int { return len(c.streams) }

// Found is what a node found when it compared its state with another's.
type Found struct {
	Leads, Known bool
	Differs      uint64
}

// Differing says whether a node that found this has to stop, while it awaits those that
// cannot be compared yet or not any more.
func Differing(found []Found, await bool) (which string, stop bool) {
	var list []comparison
	for _, f := range found {
		list = append(list, comparison{node: "n", leads: f.Leads, known: f.Known, differs: f.Differs})
	}
	return differing(list, await)
}

// CallersFor is callersFor.
func CallersFor(files uint64, most int) int { return callersFor(files, most) }

// Seat is seat: what a node knows about who archives.
type Seat struct {
	Configured, Mine bool
	Role, HolderRole Role
	Vacant           time.Duration
}

// Decide says what the node does about it: away, claim, leave or keep.
func (s Seat) Decide() string {
	move := seat{configured: s.Configured, mine: s.Mine, role: s.Role, holderRole: s.HolderRole, vacant: s.Vacant}.decide()
	return map[seatMove]string{stayAway: "away", claimSeat: "claim", leaveSeat: "leave", keepSeat: "keep"}[move]
}
