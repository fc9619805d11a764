package actors_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// cables is a network in memory: one cable for each direction, which keeps the order and
// can be cut, slowed down or made to lose frames.
type cables struct {
	t  *testing.T
	mu sync.Mutex
	by map[route]*cable
}

type route struct{ from, to messages.NodeID }

type cable struct {
	frames chan []byte
	cut    chan struct{}
	ended  chan struct{}

	mu    sync.Mutex
	delay time.Duration
	lose  int // frames to lose without a word
	stuck chan struct{}
}

var errCut = errors.New("cable cut")

// port is one node's end of the network.
type port struct {
	net  *cables
	node messages.NodeID
}

// Send implements actors.Transport.
func (p port) Send(to messages.NodeID, frame []byte) error {
	p.net.mu.Lock()
	c := p.net.by[route{p.node, to}]
	p.net.mu.Unlock()
	if c == nil {
		return errCut
	}
	c.mu.Lock()
	stuck := c.stuck
	c.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-c.cut:
		}
	}
	select {
	case c.frames <- append([]byte(nil), frame...):
		return nil
	case <-c.cut:
		return errCut
	}
}

// deliver takes frames to where the cable leads.
func (c *cable) deliver(t *testing.T, from messages.NodeID, to *actors.Remote) {
	defer close(c.ended)
	for {
		select {
		case <-c.cut:
			return
		case frame := <-c.frames:
			c.mu.Lock()
			delay, lost := c.delay, c.lose > 0
			if lost {
				c.lose--
			}
			c.mu.Unlock()
			if delay > 0 {
				select {
				case <-time.After(delay):
				case <-c.cut:
					return
				}
			}
			if lost {
				continue
			}
			if err := to.Receive(from, frame); err != nil {
				t.Errorf("receive: %v", err)
			}
		}
	}
}

// member is one node of a test.
type member struct {
	*actors.System
	name   messages.NodeID
	remote *actors.Remote
	net    *cables
}

func newCables(t *testing.T) *cables {
	n := &cables{t: t, by: make(map[route]*cable)}
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, c := range n.by {
			close(c.cut)
			<-c.ended
		}
	})
	return n
}

// node starts a member; the test stops it, before the cables are cut.
func (n *cables) node(name messages.NodeID, tune ...func(*actors.RemoteConfig)) *member {
	n.t.Helper()
	s, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		n.t.Fatal(err)
	}
	cfg := actors.DefaultRemoteConfig()
	for _, f := range tune {
		f(&cfg)
	}
	r, err := s.Join(cfg, name, notes(n.t), port{n, name})
	if err != nil {
		n.t.Fatal(err)
	}
	m := &member{System: s, name: name, remote: r, net: n}
	n.t.Cleanup(m.end)
	return m
}

// end stops a member's system; it may be called twice.
func (m *member) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.Stop(ctx); err != nil {
		m.net.t.Errorf("stop %s: %v", m.name, err)
	}
}

// lay lays a cable in one direction; the receiver is not told.
func (n *cables) lay(from, to *member) *cable {
	c := &cable{frames: make(chan []byte, 16), cut: make(chan struct{}), ended: make(chan struct{})}
	n.mu.Lock()
	n.by[route{from.name, to.name}] = c
	n.mu.Unlock()
	go c.deliver(n.t, from.name, to.remote)
	return c
}

// link connects two members in both directions and tells both.
func (n *cables) link(a, b *member) (there, back *cable) {
	n.t.Helper()
	there, back = n.lay(a, b), n.lay(b, a)
	if err := errors.Join(a.remote.LinkUp(b.name), b.remote.LinkUp(a.name)); err != nil {
		n.t.Fatal(err)
	}
	return there, back
}

// cut takes the cable from one to the other away, with all that is on it.
func (n *cables) cut(from, to *member) {
	n.mu.Lock()
	c := n.by[route{from.name, to.name}]
	delete(n.by, route{from.name, to.name})
	n.mu.Unlock()
	close(c.cut)
	<-c.ended
}

// unlink cuts both directions and tells both.
func (n *cables) unlink(a, b *member) {
	n.cut(a, b)
	n.cut(b, a)
	a.remote.LinkDown(b.name)
	b.remote.LinkDown(a.name)
}

// note and count are the messages of these tests; secret has no codec, and stamp has
// one on the sender's side of the wire only.
type (
	note   struct{ text string }
	count  uint64
	secret struct{}
)

func notes(t testing.TB) *actors.Codecs {
	t.Helper()
	var c actors.Codecs
	err := errors.Join(
		actors.Register(&c, 1, func(b []byte, l note) []byte { return append(b, l.text...) },
			func(b []byte) (note, error) {
				switch string(b) {
				case "unreadable":
					return note{}, errors.New("a smudge")
				case "explosive":
					panic("boom")
				}
				return note{string(b)}, nil
			}),
		actors.Register(&c, 2, func(b []byte, n count) []byte { return binary.AppendUvarint(b, uint64(n)) },
			func(b []byte) (count, error) {
				n, size := binary.Uvarint(b)
				if size != len(b) || size <= 0 {
					return 0, errors.New("no count")
				}
				return count(n), nil
			}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// dead counts a system's dead letters of a reason.
func dead(s *actors.System, why actors.Reason) uint64 { return s.Stats().DeadLetters[why.String()] }

// inOrder fails the test on a count that is not the next, and remembers how many came.
type inOrder struct {
	t    *testing.T
	came *count
}

func (o inOrder) Receive(_ *actors.Context, msg any) error {
	n, ok := msg.(count)
	if !ok || n != *o.came {
		o.t.Errorf("got %v, want count %d", msg, *o.came)
	}
	*o.came++
	return nil
}

func orderedSpec(t *testing.T, came *count) actors.Spec {
	return actors.Spec{Name: "ordered", New: func() actors.Actor { return inOrder{t, came} }}
}

// tellAll sends counts from first up to end, waiting a moment whenever one is refused for
// a reason that passes.
func tellAll(t *testing.T, ref actors.Ref, first, end count) {
	t.Helper()
	for n := first; n < end; n++ {
		for {
			err := ref.Tell(n)
			if err == nil {
				break
			}
			if !errors.Is(err, &actors.Refused{Reason: actors.QueueFull}) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // virtual
		}
	}
}

func (c *cable) slow(delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = delay
}

func (c *cable) loseNext(frames int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose += frames
}

// block holds Send up until the returned function is called.
func (c *cable) block() (release func()) {
	stuck := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = stuck
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stuck = nil
		close(stuck)
	}
}
