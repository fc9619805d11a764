package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

// TestKill kills the node that has the executor and the lead, again and again, and
// measures how long nothing is paid.
func TestKill(t *testing.T) {
	needs(t, "short")
	for _, c := range []struct {
		timing string
		kills  int
		median time.Duration
		most   time.Duration
	}{
		{"default", pick(50, 10), 1500 * time.Millisecond, 3 * time.Second},
		{"lan", pick(50, 0), 600 * time.Millisecond, 3 * time.Second},
	} {
		if c.kills == 0 {
			continue
		}
		if *kills > 0 {
			c.kills = *kills
		}
		t.Run(c.timing, func(t *testing.T) {
			f := newFleet(t)
			for _, n := range f.nodes {
				n.timing = c.timing
			}
			f.launch()
			l := f.startLoad()
			took := make([]time.Duration, c.kills)
			for i := range took {
				took[i] = f.killExecutor(i)
			}
			f.check(l)
			f.distribution("from kill -9 to the next executed disbursement", took, c.median, c.most)
		})
	}
}

// killExecutor kills the node that executes and leads, waits for the next execution by
// another, and brings the node back. It gives the time nothing was executed.
func (f *fleet) killExecutor(i int) time.Duration {
	f.Helper()
	f.awaitWhole()
	time.Sleep(rand.N(500 * time.Millisecond)) // the moment is to be any
	victim := f.node(f.executor())
	leads := f.leader() == victim.name
	before := f.newestRow(f.others(victim))
	begun := time.Now()
	victim.kill()
	took := f.awaitExecution(begun, before, victim)
	f.say("kill %d of %s, which leads: %t: executed again after %s", i+1, victim.name, leads, took.Round(time.Millisecond))
	time.Sleep(rand.N(500 * time.Millisecond))
	victim.start()
	return took
}

// awaitWhole waits until all nodes serve, vote and have caught up, and the executor's
// node leads: asking it to if need be.
func (f *fleet) awaitWhole() {
	f.Helper()
	c := newCaller(f, f.nodes...)
	defer c.close()
	f.await(startWithin, "three nodes that keep up", func() error {
		var applied []uint64
		for k, n := range f.nodes {
			var s messages.ClusterStatusResult
			if err := c.try(k, time.Second, messages.MethodClusterStatus, nil, &s); err != nil {
				return err
			}
			if !s.Ready {
				return fmt.Errorf("%s: %s", n.name, s.Reason)
			}
			applied = append(applied, s.AppliedIndex)
		}
		if behind := slices.Max(applied) - slices.Min(applied); behind > 200 {
			return fmt.Errorf("one is %d entries behind", behind)
		}
		return nil
	})
	f.await(startWithin, "the executor's node leads", func() error {
		executor, leader := f.executor(), f.leader()
		if executor == leader && executor != "" {
			return nil
		}
		params := &messages.TransferParams{Node: executor}
		if err := c.try(0, 2*time.Second, messages.MethodTransferLeader, params, new(messages.TransferResult)); err != nil {
			return err
		}
		return errors.New(leader + " leads")
	})
}

// executor is the name of the node that owns the executor.
func (f *fleet) executor() string {
	f.Helper()
	c := newCaller(f, f.nodes...)
	defer c.close()
	var result messages.ExecutorResult
	c.ask(messages.MethodExecutor, nil, &result)
	return result.Node
}

// leader is the name of the node that leads, as most see it.
func (f *fleet) leader() string {
	votes := make(map[string]int)
	for _, n := range f.nodes {
		if s, err := n.status(); err == nil && s.Leader != "" {
			if votes[s.Leader]++; votes[s.Leader] > len(f.nodes)/2 {
				return s.Leader
			}
		}
	}
	return ""
}

// newestRow is the newest row of the balance history that one of the nodes has.
func (f *fleet) newestRow(nodes []*node) uint64 {
	newest := uint64(0)
	for _, n := range nodes {
		if rows := f.newRows(n, 1); len(rows) > 0 {
			newest = max(newest, rows[0].ID)
		}
	}
	return newest
}

// newRows are the newest rows of the balance history at a node.
func (f *fleet) newRows(n *node, limit uint64) []messages.BalanceSnapshot {
	c := newCaller(f, n)
	defer c.close()
	params := &messages.PageParams{Options: local(), Page: messages.Page{Limit: limit}}
	var page messages.BalanceHistoryResult
	if err := c.try(0, time.Second, messages.MethodBalanceHistory, params, &page); err != nil {
		return nil
	}
	return page.Snapshots
}

// executionWithin bounds the wait for the next execution.
const executionWithin = 30 * time.Second

// awaitExecution waits for an execution after the given row by another node than the
// victim. It gives the time since begun.
func (f *fleet) awaitExecution(begun time.Time, after uint64, victim *node) time.Duration {
	f.Helper()
	for time.Since(begun) < executionWithin {
		for _, n := range f.others(victim) {
			if f.executedBy(n, after, victim) {
				return time.Since(begun)
			}
		}
		time.Sleep(pollEvery / 2)
	}
	f.Fatalf("nothing was executed within %s of the end of %s", executionWithin, victim.name)
	return 0
}

// executedBy reports whether a node knows of an execution after the given row that was
// not the victim's.
func (f *fleet) executedBy(n *node, after uint64, victim *node) bool {
	c := newCaller(f, n)
	defer c.close()
	for _, row := range f.newRows(n, 5) {
		if row.ID <= after || row.Event != messages.EventExecuted || row.DisbursementID == nil {
			continue
		}
		var s messages.StatementResult
		params := &messages.IDParams{Options: local(), ID: *row.DisbursementID}
		if err := c.try(0, time.Second, messages.MethodStatement, params, &s); err != nil {
			return false
		}
		return slices.ContainsFunc(s.Transitions, func(step messages.Transition) bool {
			return step.To == messages.Executed.String() && step.Node != victim.name
		})
	}
	return false
}

// distribution prints measured times and holds them against their bars; 0 is none.
func (f *fleet) distribution(what string, took []time.Duration, median, most time.Duration) {
	f.Helper()
	sorted := slices.Sorted(slices.Values(took))
	at := func(q float64) time.Duration {
		return sorted[int(q*float64(len(sorted)-1)+0.5)].Round(time.Millisecond)
	}
	f.say("%s, %d times: least %s, median %s, 90 %% %s, most %s", what, len(took), at(0), at(0.5), at(0.9), at(1))
	if median > 0 && at(0.5) > median {
		f.Errorf("%s: the median is %s, the bar %s", what, at(0.5), median)
	}
	if most > 0 && at(1) > most {
		f.Errorf("%s: the most is %s, the bar %s", what, at(1), most)
	}
}
