package peers_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// member is a node of a test: its links, what it was asked, what it has logged.
type member struct {
	*peers.Peers
	t    testing.TB
	name messages.NodeID
	end  func()
	log  *journal

	mu      sync.Mutex
	cluster string
	holds   bool          // calls are kept instead of answered
	held    []*wire.Call  // in the order of arrival
	instead peers.Handler // serves in place of the member
}

// serveWith has h serve what comes from now on.
func (m *member) serveWith(h peers.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instead = h
}

// ServePeer implements peers.Handler: it answers a call with what it carries.
func (m *member) ServePeer(from messages.NodeID, calls []*wire.Call) {
	m.mu.Lock()
	instead := m.instead
	m.mu.Unlock()
	if instead != nil {
		instead.ServePeer(from, calls)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range calls {
		if m.holds {
			m.held = append(m.held, c)
		} else {
			m.answer(c)
		}
	}
}

func (m *member) answer(c *wire.Call) {
	switch p := c.Params.(type) {
	case *messages.NodeProposeParams:
		c.Reply(&messages.NodeProposeResult{Index: uint64(len(p.Entry)), Results: p.Entry})
	default:
		c.Reply(&messages.NodeReadIndexResult{Index: 7})
	}
}

// hold keeps calls from now on; release answers them and those to come.
func (m *member) hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds = true
}

func (m *member) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds = false
	for _, c := range m.held {
		m.answer(c)
	}
	m.held = nil
}

func (m *member) join(cluster string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster = cluster
}

func (m *member) id() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster
}

// journal keeps log lines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) count(words string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Count(j.text.Bytes(), []byte(words))
}

// options of a member.
type options struct {
	cfg     peers.Config
	cluster string
	boot    uint64
	network peers.Network
}

// start runs a node on host name, at address name, until the test ends or stop.
func start(t testing.TB, network *clustertest.Network, name string, change ...func(*options)) *member {
	t.Helper()
	o := options{cfg: peers.DefaultConfig(), cluster: "c", boot: 1}
	if network != nil {
		o.network = network.Host(name)
	}
	for _, f := range change {
		f(&o)
	}
	m := &member{t: t, name: messages.NodeID(name), cluster: o.cluster, log: new(journal)}
	if err := m.open(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.end = sync.OnceFunc(func() {
		m.release()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: Run: %v", name, err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	})
	return m
}

// open makes the links of m and listens.
func (m *member) open(o options) (err error) {
	self := peers.Self{
		Node: m.name, Boot: o.boot, Version: "1.2.3", Cluster: m.id,
		Status: func() peers.Pong {
			return peers.Pong{Life: "life of " + string(m.name), Voting: true, Applied: 5, LastIndex: 6, Leader: "n1", Term: 3, Sums: "sums"}
		},
	}
	m.Peers, err = peers.New(o.cfg, self, o.network, m, slog.New(slog.NewTextHandler(m.log, nil)))
	if err != nil {
		return err
	}
	return m.Listen(string(m.name))
}

// knows tells m of others, each at the address of its name.
func (m *member) knows(names ...messages.NodeID) {
	var list []peers.Peer
	for _, name := range names {
		list = append(list, peers.Peer{Node: name, Addr: string(name)})
	}
	m.Set(list)
}

// status is what m knows of another node.
func (m *member) status(node messages.NodeID) peers.Status {
	m.t.Helper()
	s, ok := m.Status(node)
	if !ok {
		m.t.Errorf("%s does not know %s", m.name, node)
	}
	return s
}

// awaits waits until m finds the other up, or down, and returns how long that took.
func (m *member) awaits(node messages.NodeID, up bool) time.Duration {
	m.t.Helper()
	began, timeout := time.Now(), time.After(5*time.Minute)
	for {
		changed := m.Watch()
		if m.status(node).Up == up {
			return time.Since(began)
		}
		select {
		case <-changed:
		case <-timeout:
			m.t.Fatalf("%s: up of %s is not %v: %v", m.name, node, up, m.status(node).Err)
		}
	}
}

// ask calls another node and waits for the answer.
func (m *member) ask(to messages.NodeID, method string, params messages.Params, result messages.Result) error {
	done := make(chan error, 1)
	m.Go(to, method, params, func(r wire.Reply) { done <- r.Decode(result) })
	return <-done
}

func codeOf(err error) messages.Code {
	var e *messages.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// pair runs a test in virtual time with nodes n1 and n2 that are linked to each other.
func pair(t *testing.T, test func(t *testing.T, network *clustertest.Network, n1, n2 *member)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := clustertest.NewNetwork(1, clustertest.Weather{})
		n1, n2 := start(t, network, "n1"), start(t, network, "n2")
		n1.knows("n1", "n2")
		n2.knows("n1", "n2")
		n1.awaits("n2", true)
		n2.awaits("n1", true)
		test(t, network, n1, n2)
		n1.end()
		n2.end()
		synctest.Wait()
		if n := network.Connections("n1") + network.Connections("n2"); n != 0 {
			t.Errorf("%d ends of connections are left", n)
		}
	})
}

func TestNodesLinkAndTellHowTheyAre(t *testing.T) {
	pair(t, func(t *testing.T, _ *clustertest.Network, n1, n2 *member) {
		time.Sleep(time.Second)
		s := n1.status("n2")
		want := peers.Pong{Life: "life of n2", Voting: true, Applied: 5, LastIndex: 6, Leader: "n1", Term: 3, Sums: "sums"}
		if s.Pong != want || s.Boot != 1 || s.Version != "1.2.3" || s.Protocol != peers.Protocol || s.Err != nil {
			t.Errorf("got %+v", s)
		}
		if silent := time.Since(s.LastHeard); silent > peers.DefaultConfig().PingInterval {
			t.Errorf("heard %v ago", silent)
		}
		if _, known := n1.Status("n1"); known {
			t.Error("a node is linked to itself")
		}
		var read messages.NodeReadIndexResult
		if err := n2.ask("n1", messages.MethodNodeReadIndex, nil, &read); err != nil || read.Index != 7 {
			t.Errorf("got %d, %v", read.Index, err)
		}
		if err := n1.ask("n9", messages.MethodNodeReadIndex, nil, nil); codeOf(err) != messages.CodeUnavailable {
			t.Errorf("a node that nobody knows: %v", err)
		}
	})
}

func TestAKilledNodeIsDownAtOnceAndSoIsWhatItWasAsked(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		n2.hold()
		errs := make(chan error, 2)
		n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{Entry: []byte("x")}, func(r wire.Reply) { errs <- r.Err })
		n1.Go("n2", messages.MethodNodeReadIndex, nil, func(r wire.Reply) { errs <- r.Err })
		synctest.Wait()
		began := time.Now()
		network.Kill("n2")
		got := map[messages.Code]int{codeOf(<-errs): 1}
		got[codeOf(<-errs)]++
		if got[messages.CodeOutcomeUnknown] != 1 || got[messages.CodeUnavailable] != 1 {
			t.Errorf("in flight: %v", got)
		}
		n1.awaits("n2", false)
		if took := time.Since(began); took != 0 {
			t.Errorf("noticed after %v", took)
		}
		if err := n1.ask("n2", messages.MethodNodePropose, &messages.NodeProposeParams{}, nil); codeOf(err) != messages.CodeUnavailable {
			t.Errorf("afterwards: %v", err)
		}
		n2.end()
		time.Sleep(10 * time.Second)
		again := start(t, network, "n2", func(o *options) { o.boot = 2 })
		again.knows("n1")
		if took := n1.awaits("n2", true); took > 20*time.Millisecond {
			t.Errorf("a node that is back was linked after %v, though it had called", took)
		}
		if boot := n1.status("n2").Boot; boot != 2 {
			t.Errorf("boot %d", boot)
		}
		again.end()
	})
}

func TestALinkThatBreaksIsMadeAgainAtOnce(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		time.Sleep(2 * time.Second)
		n2.hold()
		lost := make(chan error, 1)
		n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{}, func(r wire.Reply) { lost <- r.Err })
		synctest.Wait()
		before, changed := n1.status("n2"), n1.Watch()
		network.Break("n1", "n2")
		if err := <-lost; codeOf(err) != messages.CodeOutcomeUnknown {
			t.Errorf("in flight: %v", err)
		}
		n2.release()
		synctest.Wait()
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the other connection")
		}
		if s := n1.status("n2"); !s.Up || s.Since != before.Since || !s.Linked || s.Links != before.Links+1 {
			t.Errorf("got %+v, want the next connection of a node that was up all the time", s)
		}
	})
}

func TestARestartIsToldEvenIfTheNodeWasNeverDown(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		time.Sleep(2 * time.Second)
		n2.end() // the address is free again before the next attempt
		changed := n1.Watch()
		again := start(t, network, "n2", func(o *options) { o.boot = 9 })
		for n1.status("n2").Boot != 9 {
			<-changed // the bubble fails the test if that is never told
			changed = n1.Watch()
		}
		again.end()
	})
}

func TestAFrozenNodeIsNoticedInTime(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		for _, moment := range []time.Duration{0, 50 * time.Millisecond, 190 * time.Millisecond} {
			time.Sleep(2*time.Second + moment)
			lost := make(chan error, 1)
			network.Freeze("n2")
			n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{}, func(r wire.Reply) { lost <- r.Err })
			limit := peers.DefaultConfig().DownAfter
			if took := n1.awaits("n2", false); took > limit || took < limit/2 {
				t.Errorf("noticed after %v", took)
			}
			if err := <-lost; codeOf(err) != messages.CodeOutcomeUnknown {
				t.Errorf("in flight: %v", err)
			}
			time.Sleep(30 * time.Second)
			if s := n1.status("n2"); s.Up {
				t.Errorf("up while it is frozen: %+v", s)
			}
			network.Thaw("n2")
			if took := n1.awaits("n2", true); took > 3*time.Second {
				t.Errorf("back after %v", took)
			}
			n2.awaits("n1", true)
		}
	})
}

func TestACutHealsByItself(t *testing.T) {
	for name, ways := range map[string][][2]string{
		"both ways": {{"n1", "n2"}, {"n2", "n1"}}, "there": {{"n1", "n2"}}, "back": {{"n2", "n1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
				time.Sleep(2 * time.Second)
				for _, way := range ways {
					network.Cut(way[0], way[1])
				}
				limit := peers.DefaultConfig().DownAfter
				if took := n1.awaits("n2", false); took > limit {
					t.Errorf("n1 noticed after %v", took)
				}
				n2.awaits("n1", false)
				time.Sleep(2 * time.Minute)
				for _, way := range ways {
					network.Heal(way[0], way[1])
				}
				if took := n1.awaits("n2", true) + n2.awaits("n1", true); took > 3*time.Second {
					t.Errorf("back after %v", took)
				}
			})
		})
	}
}

func TestADelayIsMeasuredAndNoDeath(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
		time.Sleep(time.Second)
		network.SetCalm(clustertest.Weather{DelayMin: 150 * time.Millisecond, DelayMax: 150 * time.Millisecond})
		changed := n1.Watch()
		time.Sleep(time.Minute)
		s := n1.status("n2")
		if s.RTT != 300*time.Millisecond || s.ClockOffset.Abs() > time.Millisecond {
			t.Errorf("rtt %v, offset %v", s.RTT, s.ClockOffset)
		}
		select {
		case <-changed:
			t.Error("a change was told")
		default:
		}
	})
}

func TestANodeThatIsGoneIsLeftAlone(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		n2.hold()
		lost := make(chan error, 1)
		n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{}, func(r wire.Reply) { lost <- r.Err })
		synctest.Wait()
		n1.knows("n1")
		if err := <-lost; codeOf(err) != messages.CodeOutcomeUnknown {
			t.Errorf("in flight: %v", err)
		}
		n2.release()
		n2.knows()
		synctest.Wait()
		if n := network.Connections("n1"); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); codeOf(err) != messages.CodeUnavailable {
			t.Errorf("afterwards: %v", err)
		}
		n1.knows("n2")
		n1.awaits("n2", true)
	})
}

func TestANewAddressIsFollowed(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		n2.end()
		network.Kill("n2")
		second := startAs(t, network, "n2", "elsewhere")
		n1.Set([]peers.Peer{{Node: "n2", Addr: "elsewhere", Boot: 4}})
		if took := n1.awaits("n2", true); took > 20*time.Millisecond {
			t.Errorf("linked after %v", took)
		}
		second.end()
	})
}

// startAs runs a node at an address that is not its name.
func startAs(t testing.TB, network *clustertest.Network, name, addr string) *member {
	return start(t, network, name, func(o *options) { o.network = at{network.Host(name), addr} })
}

// at is a network that listens at one address.
type at struct {
	*clustertest.Host
	addr string
}

func (a at) Listen(string) (net.Listener, error) { return a.Host.Listen(a.addr) }

func TestANodeThatSuspendsItsLinksIsDownAtOnce(t *testing.T) {
	pair(t, func(t *testing.T, _ *clustertest.Network, n1, n2 *member) {
		n2.Suspend(errors.New("its disk does not move"))
		if took := n1.awaits("n2", false); took > 100*time.Millisecond {
			t.Errorf("it is down after %s", took)
		}
		if err := n1.status("n2").Err; err == nil || !strings.Contains(err.Error(), "its disk does not move") {
			t.Errorf("the others are told %v", err)
		}
		time.Sleep(10 * time.Second)
		if n1.status("n2").Up || n2.status("n1").Up {
			t.Error("a link was made while they are suspended")
		}
		n2.Resume()
		n1.awaits("n2", true)
		n2.awaits("n1", true)
	})
}
