package chaos_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

const (
	// leaseMost is how long after a cut a leader may still acknowledge what reached it:
	// its lease, and the time to notice, with room for a busy machine.
	leaseMost = time.Second
	// healMost is how long after the end of a cut everything is as before.
	healMost = 10 * time.Second
	// cutTimeout bounds attempts while nodes are cut off: their callers are to go on.
	cutTimeout = time.Second
)

// TestIsolatedLeader cuts the node that leads and pays off from the others, for a short,
// a long and a very long time. Its clients still reach it.
func TestIsolatedLeader(t *testing.T) {
	needs(t, "full")
	for _, d := range []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			f := newWiredFleet(t)
			f.attempt = cutTimeout
			f.launch()
			l := f.startLoad()
			f.awaitWhole()
			victim := f.node(f.executor())
			before := f.newestRow(f.others(victim))
			begun := time.Now()
			f.cables.isolate(victim)
			p := f.probe(victim, l, begun)
			took := f.awaitExecution(begun, before, victim)
			f.say("cut off for %s: executed by another after %s", d, took.Round(time.Millisecond))
			time.Sleep(time.Until(begun.Add(d)))
			p.stop()
			f.cables.mend()
			f.awaitHealed()
			f.check(l)
		})
	}
}

// awaitHealed waits until all is as before a cut that has just ended.
func (f *fleet) awaitHealed() {
	f.Helper()
	begun := time.Now()
	for _, n := range f.nodes {
		f.await(startWithin, "all nodes are well by the word of "+n.name, func() error { return f.wellBy(n) })
	}
	took := time.Since(begun)
	f.say("healed after %s", took.Round(time.Millisecond))
	if took > healMost {
		f.Errorf("it took %s to heal, the bar is %s", took, healMost)
	}
}

// wellBy tells what a node has to complain about.
func (f *fleet) wellBy(n *node) error {
	if s, err := n.status(); err != nil || !s.Ready {
		return fmt.Errorf("%s: %s: %w", n.name, s.Reason, err)
	}
	c := newCaller(f, n)
	defer c.close()
	var result messages.ClusterMembersResult
	if err := c.try(0, time.Second, messages.MethodClusterMembers, nil, &result); err != nil {
		return err
	}
	well := 0
	for _, m := range result.Members {
		if m.State == "alive" && m.Voter {
			well++
		}
	}
	if well != len(f.nodes) {
		return fmt.Errorf("%d of %d members are well: %+v", well, len(f.nodes), result.Members)
	}
	return nil
}

// probe is clients of one node that is cut off: they tell when it acknowledged last.
type probe struct {
	over chan struct{}
	all  sync.WaitGroup
	f    *fleet
	// lateWrites and lateReads count answers to calls begun when the lease was over.
	calls, lateWrites, lateReads atomic.Int64
	last                         atomic.Int64 // acknowledged write, after the cut, in ns
}

func (f *fleet) probe(n *node, l *load, cut time.Time) *probe {
	p := &probe{over: make(chan struct{}), f: f}
	for i := range 4 {
		p.all.Go(func() { p.run(n, l, cut, i) })
	}
	return p
}

func (p *probe) run(n *node, l *load, cut time.Time, client int) {
	c := newCaller(p.f, n)
	defer c.close()
	for i := 0; ; i++ {
		select {
		case <-p.over:
			return
		case <-time.After(20 * time.Millisecond):
		}
		begun := time.Now()
		late := begun.Sub(cut) > leaseMost
		p.calls.Add(1)
		if client%2 == 0 {
			var balance messages.BalanceResult
			if c.try(0, cutTimeout, messages.MethodBalance, nil, &balance) == nil && late {
				p.lateReads.Add(1)
			}
			continue
		}
		pay := payment{requestID: fmt.Sprintf("probe-%d-%d-%s", client, i, n.name), destination: "tb1probe", amount: 1}
		if l.submit(pay, func(params messages.Params, result messages.Result) error {
			return c.try(0, cutTimeout, messages.MethodSubmitDisbursement, params, result)
		}) != nil {
			continue
		}
		p.last.Store(max(p.last.Load(), int64(time.Since(cut))))
		if late {
			p.lateWrites.Add(1)
		}
	}
}

// stop ends the probe and judges what it saw.
func (p *probe) stop() {
	p.f.Helper()
	close(p.over)
	p.all.Wait()
	p.f.say("cut off, it was called %d times and acknowledged its last write %s after the cut",
		p.calls.Load(), time.Duration(p.last.Load()).Round(time.Millisecond))
	if w, r := p.lateWrites.Load(), p.lateReads.Load(); w+r > 0 {
		p.f.Errorf("later than %s after the cut it acknowledged %d writes and %d reads", leaseMost, w, r)
	}
}

// electionsMost is how many elections a minute a broken network may cause.
const electionsMost = 3

// TestHalfCut cuts single directions and single cables: there must be progress, and
// no endless elections.
func TestHalfCut(t *testing.T) {
	needs(t, "full")
	// a leads and pays, b and c follow.
	tests := []struct {
		name string
		cut  func(w *cables, a, b, c *node)
	}{
		{"a follower does not hear the leader", func(w *cables, a, _, c *node) { w.cut(a, c) }},
		{"the leader does not hear a follower", func(w *cables, a, _, c *node) { w.cut(c, a) }},
		{"nobody hears the leader", func(w *cables, a, b, c *node) { w.cut(a, b, c) }},
		{"the leader hears nobody", func(w *cables, a, b, c *node) { w.cut(b, a); w.cut(c, a) }},
		{"a bridge, the leader at one end", func(w *cables, a, _, c *node) { w.cut(a, c); w.cut(c, a) }},
		{"a bridge, the leader in the middle", func(w *cables, _, b, c *node) { w.cut(b, c); w.cut(c, b) }},
	}
	f := newWiredFleet(t)
	f.attempt = cutTimeout
	f.launch()
	l := f.startLoad()
	for _, test := range tests {
		f.awaitWhole()
		a := f.node(f.executor())
		rest := f.others(a)
		term := f.term()
		test.cut(f.cables, a, rest[0], rest[1])
		time.Sleep(40 * time.Second)
		half := f.newestRow(f.nodes)
		time.Sleep(20 * time.Second)
		rows, elections := f.newestRow(f.nodes)-half, f.term()-term
		f.say("%s: %d elections in a minute, %d changes of the balance in its last third", test.name, elections, rows)
		if elections > electionsMost {
			f.Errorf("%s: %d elections in a minute, the bar is %d", test.name, elections, electionsMost)
		}
		if rows == 0 {
			f.Errorf("%s: no progress", test.name)
		}
		f.cables.mend()
		f.awaitHealed()
	}
	f.check(l)
}

// term is the newest that a node knows of.
func (f *fleet) term() uint64 {
	newest := uint64(0)
	for _, n := range f.nodes {
		if s, err := n.status(); err == nil {
			newest = max(newest, s.Term)
		}
	}
	return newest
}
