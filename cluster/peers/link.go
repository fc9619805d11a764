package peers

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Why a link is given up.
var (
	errNotTried = errors.New("not tried yet")
	errGone     = errors.New("the node is no longer of the cluster")
	errMoved    = errors.New("the node has another address")
	errSilent   = errors.New("the node is silent")
	errStopping = errors.New("this node stops")
)

// link is the outgoing connection to one other node. Its goroutine, keep, makes and
// loses the connection; others call over it.
type link struct {
	peers  *Peers
	node   messages.NodeID
	client atomic.Pointer[wire.Client] // nil while there is no connection
	nudge  chan struct{}               // there is reason to try at once; holds one
	gone   chan struct{}               // closed when the node is no longer looked for
	chance *rand.Rand                  // of its goroutine alone

	mu     sync.Mutex
	addr   string
	status Status
	clock  clock
	ping   ping
}

func newLink(p *Peers, peer Peer) *link {
	var seed [32]byte
	_, _ = cryptorand.Read(seed[:]) // it never fails
	return &link{
		peers: p, node: peer.Node, addr: peer.Addr,
		nudge: make(chan struct{}, 1), gone: make(chan struct{}), chance: rand.New(rand.NewChaCha8(seed)),
		status: Status{Node: peer.Node, Addr: peer.Addr, Since: time.Now(), Err: errNotTried},
	}
}

// retarget takes what gossip says now. A link that is down tries again at once when
// there is news of the node.
func (l *link) retarget(peer Peer) {
	l.mu.Lock()
	news := l.addr != peer.Addr || peer.Boot != 0 && peer.Boot != l.status.Boot
	l.addr, l.status.Addr = peer.Addr, peer.Addr
	l.mu.Unlock()
	if news {
		l.hurry()
	}
}

// hurry ends a pause between attempts.
func (l *link) hurry() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

func (l *link) address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// keep links to the node again and again until ctx ends or the node is gone. A
// connection that breaks is made again at once, so that the node need not count as down;
// but not when they break as fast as they are made.
func (l *link) keep(ctx context.Context) {
	cfg := &l.peers.cfg
	pause, hasty := cfg.RedialMin, false
	for ctx.Err() == nil && !l.isGone() {
		began := time.Now()
		err := l.once(ctx)
		broken, lasted := errors.Is(err, errBroken), time.Since(began) >= cfg.RedialMax
		if broken && lasted {
			pause, hasty = cfg.RedialMin, false
		}
		if broken && !hasty {
			hasty = !lasted
			continue
		}
		l.down(err)
		l.rest(ctx, pause)
		pause = min(2*pause, cfg.RedialMax)
	}
	l.down(l.ending())
}

// errBroken marks the loss of a connection that worked.
var errBroken = errors.New("the connection is lost")

// once makes the connection and attends to it until it is lost.
func (l *link) once(ctx context.Context) error {
	addr := l.address()
	client, hello, err := l.connect(ctx, addr)
	if err != nil {
		if ctx.Err() == nil {
			l.peers.complain("to "+string(l.node), l.node, addr, err)
		}
		return err
	}
	l.up(client, hello)
	if why := l.peers.suspended.Load(); why != nil {
		client.Abort(*why) // Suspend may have come before it could know of the client
	}
	err = l.attend(ctx, client, addr)
	l.detach(client, err)
	client.Abort(err)
	_ = client.Close()
	return fmt.Errorf("%w: %w", errBroken, err)
}

// rest pauses for about as long as given.
func (l *link) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause/2 + time.Duration(l.chance.Int64N(int64(pause))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.nudge:
	case <-l.gone:
	case <-ctx.Done():
	}
}

func (l *link) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// ending says why keep ends.
func (l *link) ending() error {
	if l.isGone() {
		return errGone
	}
	return errStopping
}

// connect dials and shakes hands. While the node counts as up it has no longer than
// that may last.
func (l *link) connect(ctx context.Context, addr string) (*wire.Client, *messages.Hello, error) {
	if why := l.peers.suspended.Load(); why != nil {
		return nil, nil, *why
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit())
	defer cancel()
	nc, err := l.peers.network.Dial(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	client := wire.NewPeerClient(nc, l.peers.cfg.client())
	hello, err := l.hello(ctx, client, addr)
	if err == nil {
		if refusal := verify(nc, l.node); refusal != nil {
			err = refusal
		}
	}
	if err != nil {
		_ = client.Close()
		return nil, nil, err
	}
	return client, hello, nil
}

// limit is how long the next attempt may take.
func (l *link) limit() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	cfg := &l.peers.cfg
	if !l.status.Up {
		return cfg.DialTimeout
	}
	return max(min(cfg.DialTimeout, time.Until(l.status.LastHeard.Add(cfg.DownAfter))), cfg.RedialMin)
}

// hello says who calls and judges who answers.
func (l *link) hello(ctx context.Context, client *wire.Client, addr string) (*messages.Hello, error) {
	mine, theirs := l.peers.hello(), new(messages.Hello)
	err := client.Call(ctx, messages.MethodNodeHello, &messages.HelloParams{Hello: *mine}, theirs)
	if err != nil {
		return nil, err
	}
	if refusal := expect(l.node, addr, theirs); refusal != nil {
		return nil, refusal
	}
	if refusal := judge(mine, theirs); refusal != nil {
		return nil, refusal
	}
	return theirs, nil
}

// up notes a connection that works.
func (l *link) up(client *wire.Client, hello *messages.Hello) {
	l.mu.Lock()
	s := &l.status
	changed := !s.Up || s.Boot != hello.Boot
	if !s.Up {
		s.Up, s.Since = true, time.Now()
	}
	s.Err = nil
	if s.Boot != hello.Boot {
		l.clock, s.Pong = clock{}, Pong{}
	}
	s.Boot, s.Version, s.Protocol = hello.Boot, hello.Version, agreed(l.peers.hello(), hello)
	s.LastHeard = time.Now()
	l.ping = ping{}
	s.Linked, s.Links = true, s.Links+1
	l.client.Store(client)
	l.mu.Unlock()
	if changed {
		l.peers.log.Info("linked to a node", "member", l.node, "boot", hello.Boot, "version", hello.Version)
	}
	l.peers.notify()
}

// detach notes that a connection is lost. Its node is down where it was silent already.
func (l *link) detach(client *wire.Client, err error) {
	l.client.Store(nil)
	heard := client.Heard()
	l.mu.Lock()
	l.status.LastHeard, l.status.Err, l.status.Linked = heard, err, false
	l.mu.Unlock()
	l.peers.notify()
	if time.Since(heard) >= l.peers.cfg.DownAfter {
		l.down(err)
	}
}

// down notes that the node cannot be called, and why.
func (l *link) down(err error) {
	l.mu.Lock()
	changed := l.status.Up
	if changed {
		l.status.Up, l.status.Since = false, time.Now()
	}
	l.status.Err = err
	l.mu.Unlock()
	if changed {
		if !errors.Is(err, errStopping) {
			l.peers.log.Warn("lost a node", "member", l.node, "err", err)
		}
		l.peers.notify()
	}
}

// snapshot is the status now.
func (l *link) snapshot() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	if client := l.client.Load(); client != nil {
		s.LastHeard = client.Heard()
	}
	return s
}
