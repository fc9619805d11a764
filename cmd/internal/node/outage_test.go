package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// outageMax is the longest that one fault of one node may keep the others from paying.
const outageMax = 5 * time.Second

// outage is three nodes under one fault, and a payer that goes on.
type outage struct {
	*simWorld
	t *testing.T

	mu    sync.Mutex
	calls map[string]time.Duration // the longest call by node, retries included
	paid  int
	last  time.Time // a payment was executed
	gap   time.Duration
}

// inOutage runs three nodes that pay, and then a test of them. All nodes but those that
// the test leaves down must be well at the end.
func inOutage(t *testing.T, timing string, test func(*outage)) {
	dir := simDir(t)
	var w *simWorld
	defer func() {
		if err := w.err(); err != nil || t.Failed() {
			t.Errorf("%v\n%s", err, w.tail(300))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w = newSimWorld(1, simSound, dir, 3)
		w.clients = newSimClients(w)
		o := &outage{simWorld: w, t: t, calls: make(map[string]time.Duration)}
		for _, m := range w.members {
			m.cfg.Timing = timing
			if err := m.start(); err != nil {
				t.Fatal(err)
			}
		}
		o.await("all are ready", 20*time.Second, func() bool { return o.allReady() })
		o.call(w.members[0], &simCall{method: messages.MethodAccrue, result: new(messages.AccrueResult),
			params: &messages.AccrueParams{Options: messages.Options{RequestID: "funds"}, Amount: 1 << 40, Source: "test"}})
		test(o)
		w.net.HealAll()
		for _, m := range w.running() {
			m.move()
		}
		w.end(rand.New(rand.NewPCG(1, 1)))
	})
}

func (o *outage) allReady() bool {
	for _, m := range o.members {
		if n := m.node.Load(); n == nil || n.Ready() != nil {
			return false
		}
	}
	return true
}

// await waits until something holds.
func (o *outage) await(what string, most time.Duration, holds func() bool) (took time.Duration) {
	o.t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if took = time.Since(began); holds() {
			return took
		}
		if took > most {
			o.t.Errorf("%s: not within %s", what, most)
			return took
		}
	}
}

// leader is the node that leads.
func (o *outage) leader() (leader *simMember) {
	o.t.Helper()
	o.await("somebody leads", 10*time.Second, func() bool {
		for _, m := range o.members {
			if n := m.node.Load(); n != nil && n.Leads() {
				leader = m
			}
		}
		return leader != nil
	})
	return leader
}

// others are the nodes but one.
func (o *outage) others(but *simMember) []*simMember {
	return slices.DeleteFunc(slices.Clone(o.members), func(m *simMember) bool { return m == but })
}

// call calls a node, again and again until it is done, and returns how long that took.
func (o *outage) call(m *simMember, c *simCall) time.Duration {
	host := o.net.Host("127.0.3.1")
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), simCallDeadline)
			defer cancel()
			nc, err := host.Dial(ctx, m.cfg.Address(node.PortRPC))
			if err != nil {
				return err
			}
			line := wire.NewClient(nc)
			defer line.Close()
			return line.Call(ctx, c.method, c.params, c.result)
		}()
		took := time.Since(began)
		var refusal *messages.Error
		switch {
		case err == nil:
			return took
		case errors.As(err, &refusal) && !simTransient(refusal), took > time.Minute:
			o.problem("%s at %s: %v", c.method, m.name, err)
			return took
		}
	}
}

// payThrough submits payments that are due at some nodes for a while, and watches when
// they are executed, as those nodes see it.
func (o *outage) payThrough(nodes []*simMember, long time.Duration) {
	var calls sync.WaitGroup
	stop := time.Now().Add(long)
	o.last, o.gap, o.paid = time.Now(), 0, o.executed(nodes)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for time.Now().Before(stop) {
			time.Sleep(20 * time.Millisecond)
			if paid := o.executed(nodes); paid > o.paid {
				o.paid, o.last = paid, time.Now()
			}
			o.gap = max(o.gap, time.Since(o.last))
		}
	}()
	for i := 0; time.Now().Before(stop); i++ {
		m := nodes[i%len(nodes)]
		id := fmt.Sprintf("pay-%s-%d-%d", m.name, time.Since(o.began), i)
		calls.Go(func() {
			took := o.call(m, &simCall{method: messages.MethodSubmitDisbursement, result: new(messages.SubmitDisbursementResult),
				params: &messages.SubmitDisbursementParams{Options: messages.Options{RequestID: id},
					Payload: messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1payee", Amount: 1, ScheduledEpoch: 1, Memo: id}}}})
			o.mu.Lock()
			defer o.mu.Unlock()
			o.calls[string(m.name)] = max(o.calls[string(m.name)], took)
		})
		time.Sleep(50 * time.Millisecond)
	}
	calls.Wait()
	<-watched
}

// executed counts the payments made, as the node that knows of most has it.
func (o *outage) executed(nodes []*simMember) (most int) {
	for _, m := range nodes {
		if n := m.node.Load(); n != nil {
			model := n.Treasury().Model()
			most = max(most, model.InState(messages.Executed)+model.InState(messages.Finalized))
		}
	}
	return most
}

// holdsTheBar expects that the nodes paid went on within the bar.
func (o *outage) holdsTheBar(most time.Duration) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gap > most {
		o.t.Errorf("%s without a payment, want %s at most", o.gap, most)
	}
	for name, took := range o.calls {
		if took > most {
			o.t.Errorf("a call at %s took %s, want %s at most", name, took, most)
		}
	}
	o.t.Logf("longest without a payment %s; longest calls %v", o.gap, o.calls)
}

// port is where a node has one of its ports.
func (m *simMember) port(offset int) string { return m.cfg.Address(offset) }

// bar cuts one port between two nodes, in both directions, or ends that.
func (o *outage) bar(a, b *simMember, offset int, barred bool) {
	o.tell("--", "port P+%d between %s and %s is cut: %t", offset, a.name, b.name, barred)
	o.net.Bar(a.port(offset), b.ip, barred)
	o.net.Bar(b.port(offset), a.ip, barred)
}

func TestADiskThatHangsKeepsNobodyElseWaiting(t *testing.T) {
	for _, leads := range []bool{true, false} {
		for _, long := range []time.Duration{4 * time.Second, 20 * time.Second} {
			t.Run(fmt.Sprintf("leader=%t/%s", leads, long), func(t *testing.T) {
				t.Parallel()
				inOutage(t, "default", func(o *outage) {
					hung := o.leader()
					if !leads {
						hung = o.others(hung)[0]
					}
					healthy := o.others(hung)
					o.payThrough(healthy, time.Second)
					hung.hang()
					// The process is ending by then, and would be gone; here it has to end well.
					mends := time.AfterFunc(11500*time.Millisecond, hung.move)
					o.payThrough(healthy, long)
					mends.Stop()
					o.holdsTheBar(2500 * time.Millisecond)
					for _, m := range healthy {
						if m.node.Load() == nil || m.node.Load().Ready() != nil {
							t.Errorf("%s, whose disk is well, is not", m.name)
						}
					}
					ends := long > 10*time.Second
					if err := hung.node.Load().Ready(); err == nil || !ends && !strings.Contains(err.Error(), "has not finished a write") {
						t.Errorf("the node whose disk hangs says %v", err)
					}
					hung.move()
					if ends {
						if err := hung.gone(); err == nil || !strings.Contains(err.Error(), "the disk hangs") {
							t.Errorf("it ended with %v", err)
						}
						if err := hung.start(); err != nil {
							t.Error(err)
						}
					}
					o.await("all are ready again", 15*time.Second, o.allReady)
				})
			})
		}
	}
}

func TestADiskThatFailsKeepsNobodyElseWaiting(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(fault.Error(), func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				broken := o.leader()
				healthy := o.others(broken)
				o.payThrough(healthy, time.Second)
				broken.breaks.Store(&fault)
				o.payThrough(healthy, 10*time.Second)
				o.holdsTheBar(2500 * time.Millisecond)
				if err := broken.gone(); !errors.Is(err, fault) {
					t.Errorf("it ended with %v, want %v", err, fault)
				}
			})
		})
	}
}

// TestAPortThatIsCutKeepsNobodyWaiting: a forgotten rule of a firewall, for one port of a
// node.
func TestAPortThatIsCutKeepsNobodyWaiting(t *testing.T) {
	const pGossip, pRaft, pActors = node.PortGossip, node.PortRaft, node.PortActors
	for _, c := range []struct {
		name   string
		offset int
		leader bool   // the leader's port, from all; else a follower's, from the leader
		all    bool   // a follower's from all
		says   string // by the node that is cut off: what it is not ready for
	}{
		{"P+1 of the leader", pGossip, true, true, ""},
		{"P+1 of a follower", pGossip, false, true, ""},
		{"P+2 of the leader", pRaft, true, true, "P+2"},
		{"P+2 of a follower to the leader", pRaft, false, false, "P+2"},
		{"P+2 of a follower", pRaft, false, true, "P+2"},
		{"P+4 of the leader", pActors, true, true, "P+4"},
		{"P+4 of a follower to the leader", pActors, false, false, "P+4"},
		{"P+4 of a follower", pActors, false, true, "P+4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				leader := o.leader()
				cut := leader
				if !c.leader {
					cut = o.others(leader)[0]
				}
				healthy := o.others(cut)
				o.payThrough(healthy, time.Second)
				for _, m := range healthy {
					if c.all || m == leader {
						o.bar(cut, m, c.offset, true)
					}
				}
				o.payThrough(healthy, 15*time.Second)
				o.holdsTheBar(outageMax)
				switch err := cut.node.Load().Ready(); {
				case c.says == "" && err != nil:
					t.Errorf("%s says %v, and its callers are served", cut.name, err)
				case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
					t.Errorf("%s says %v, want it to name %s", cut.name, err, c.says)
				}
				for _, m := range healthy {
					if err := m.node.Load().Ready(); err != nil {
						t.Errorf("%s says %v", m.name, err)
					}
				}
				for _, m := range healthy {
					o.bar(cut, m, c.offset, false)
				}
				o.await("all are ready again", 15*time.Second, o.allReady)
			})
		})
	}
}

func TestALeaderOrFollowerBehindANarrowWayKeepsNobodyWaiting(t *testing.T) {
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprintf("leader=%t", leads), func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				m := o.leader()
				if !leads {
					m = o.others(m)[0]
				}
				o.payThrough(o.others(m), time.Second)
				o.net.Narrow(m.ip, true)
				o.payThrough(o.others(m), 15*time.Second)
				o.holdsTheBar(outageMax)
				o.net.Narrow(m.ip, false)
				o.await("all are ready again", 20*time.Second, o.allReady)
			})
		})
	}
}

// moveTo gives a node that is down another address.
func (o *outage) moveTo(m *simMember, ip string) {
	m.ip, m.cfg.Listen = ip, ip
}

// rejoin has all nodes ask at the addresses that they have now.
func (o *outage) rejoin() {
	var join []string
	for _, m := range o.members {
		join = append(join, m.port(node.PortGossip))
	}
	for _, m := range o.members {
		m.cfg.Join = join
	}
}

// renumbered is how long nodes at new addresses may take to serve: a name is kept for the
// address before for three seconds, and the new one is asked every two.
const renumbered = 7 * time.Second

func TestAFollowerAtAnotherAddressGetsTheLogAtOnce(t *testing.T) {
	for _, power := range []bool{false, true} {
		t.Run(fmt.Sprintf("power=%t", power), func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				leader := o.leader()
				m := o.others(leader)[0]
				m.kill(power, rand.New(rand.NewPCG(1, 1)))
				o.payThrough(o.others(m), time.Second)
				o.moveTo(m, "127.0.9.1")
				o.rejoin()
				if err := m.start(); err != nil {
					t.Fatal(err)
				}
				took := o.await("all are ready", renumbered, o.allReady)
				t.Logf("served after %s", took)
				o.payThrough(o.members, time.Second)
				o.holdsTheBar(outageMax)
				leader.kill(false, nil) // the one that moved counts
				o.payThrough(o.others(leader), 5*time.Second)
				o.holdsTheBar(outageMax)
			})
		})
	}
}

func TestThreeNodesAtOtherAddressesComeBack(t *testing.T) {
	for _, c := range []struct {
		name string
		ips  []string
	}{
		{"a new network", []string{"127.0.9.1", "127.0.9.2", "127.0.9.3"}},
		{"in each other's places", []string{"127.0.1.2", "127.0.1.3", "127.0.1.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				o.payThrough(o.members, time.Second)
				for _, m := range o.members {
					m.kill(true, rand.New(rand.NewPCG(1, 1)))
				}
				for i, m := range o.members {
					o.moveTo(m, c.ips[i])
				}
				o.rejoin()
				for _, m := range o.members {
					if err := m.start(); err != nil {
						t.Fatal(err)
					}
				}
				took := o.await("all are ready", renumbered, o.allReady)
				t.Logf("served after %s", took)
				o.payThrough(o.members, 2*time.Second)
				o.holdsTheBar(outageMax)
			})
		})
	}
}

// TestANodeThatNobodyAskedToVoteStopsNobody: a fourth that joins, and goes in order or not.
func TestANodeThatNobodyAskedToVoteStopsNobody(t *testing.T) {
	for _, c := range []struct {
		name           string
		votes, ordered bool
	}{
		{"without a vote, killed", false, false}, {"without a vote, stopped in order", false, true}, {"with a vote, stopped in order", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inOutage(t, "default", func(o *outage) {
				joiner := o.join("n4", c.votes)
				want := 3
				if c.votes {
					want = 4
				}
				o.await("the fourth follows", 20*time.Second, func() bool { return joiner.node.Load().Ready() == nil })
				o.await("as many vote as were asked to", 20*time.Second, func() bool {
					time.Sleep(3 * time.Second)
					_, voters := o.leader().node.Load().Voting()
					return voters == want
				})
				if c.ordered {
					if err := joiner.stop(); err != nil {
						t.Error(err)
					}
				} else {
					joiner.kill(true, rand.New(rand.NewPCG(1, 1)))
				}
				if _, voters := o.leader().node.Load().Voting(); voters != 3 {
					t.Errorf("%d vote when it has gone", voters)
				}
				next := o.others(o.leader())[0]
				next.kill(true, rand.New(rand.NewPCG(1, 1)))
				o.payThrough(slices.DeleteFunc(slices.Clone(o.members[:3]), func(m *simMember) bool { return m == next }), 5*time.Second)
				o.holdsTheBar(outageMax)
			})
		})
	}
}

// join starts one node more, which is to vote or not.
func (o *outage) join(name messages.NodeID, vote bool) *simMember {
	cfg := o.members[0].cfg
	cfg.Name, cfg.Role, cfg.BootstrapExpect, cfg.Vote = name, node.RoleReplica, 0, vote
	cfg.Listen, cfg.DataDir = "127.0.8.1", o.dir+"/"+string(name)
	m := &simMember{w: o.simWorld, name: name, ip: cfg.Listen, cfg: cfg, log: o.log(string(name)), disk: clustertest.NewDisk()}
	o.members = append(o.members, m)
	if err := m.start(); err != nil {
		o.t.Fatal(err)
	}
	return m
}

// TestHostileBytesCostNobodyElseAnything: one without credentials opens streams to every
// port of the leader, says nothing in some and nonsense in others.
func TestHostileBytesCostNobodyElseAnything(t *testing.T) {
	inOutage(t, "default", func(o *outage) {
		leader := o.leader()
		o.payThrough(o.members, time.Second)
		stranger := o.net.Host("127.0.66.6")
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			var open []interface{ Close() error }
			for i := 0; ; i++ {
				select {
				case <-stop:
					for _, c := range open {
						_ = c.Close()
					}
					return
				case <-time.After(2 * time.Millisecond):
				}
				ports := []int{node.PortRPC, node.PortGossip, node.PortRaft, node.PortActors}
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				conn, err := stranger.Dial(ctx, leader.port(ports[i%len(ports)]))
				cancel()
				if err != nil {
					continue
				}
				open = append(open, conn)
				if i%2 == 0 {
					_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
					_, _ = conn.Write([]byte(strings.Repeat("\x00\xc1\xff nonsense", 1+i%200)))
				}
			}
		}()
		o.payThrough(o.members, 10*time.Second)
		o.holdsTheBar(500 * time.Millisecond)
		if o.leader() != leader {
			t.Error("a stranger deposed the leader")
		}
		close(stop)
		<-ended
	})
}
