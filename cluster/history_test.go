package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// history is what clients of three nodes were told about their entries, and what they
// read.
type history struct {
	mu       sync.Mutex
	next     int
	fate     map[string]error // nil for acknowledged
	order    []string         // acknowledged, each before the next was proposed anywhere after it
	problems []string
}

func newHistory() *history { return &history{fate: make(map[string]error)} }

func (h *history) problem(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.problems = append(h.problems, fmt.Sprintf(format, args...))
}

// propose has a node propose one entry and notes what becomes of it.
func (h *history) propose(n *node) error {
	h.mu.Lock()
	h.next++
	entry := fmt.Sprintf("%s:%d", n.State().Node, h.next)
	h.mu.Unlock()
	future := n.Apply([]byte(entry))
	<-future.Done()
	_, err := future.Results()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fate[entry] = err
	if err == nil {
		h.order = append(h.order, entry)
	}
	return err
}

// read has a node read, and expects all that was acknowledged before it did.
func (h *history) read(ctx context.Context, n *node) error {
	h.mu.Lock()
	seen := slices.Clone(h.order[max(0, len(h.order)-50):])
	h.mu.Unlock()
	index, err := n.ReadIndex(ctx)
	if err == nil {
		err = n.WaitApplied(ctx, index)
	}
	if err != nil {
		return err
	}
	for _, entry := range seen {
		if !n.machine.has(entry) {
			h.problem("a read on %s misses %s, which was acknowledged before", n.State().Node, entry)
		}
	}
	return nil
}

// client proposes and reads on a node until ctx ends.
func (h *history) client(ctx context.Context, n *node) {
	for ctx.Err() == nil {
		proposed := h.propose(n)
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		read := h.read(bounded, n)
		cancel()
		pause := 100 * time.Millisecond
		if proposed != nil || read != nil {
			pause = 500 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// count says how many entries were acknowledged.
func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.order)
}

// check holds the history against what the nodes have applied: nothing acknowledged is
// lost, nothing is there twice, and nothing that was refused is there.
func (h *history) check(applied []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	problems := slices.Clone(h.problems)
	times := make(map[string]int)
	for _, entry := range applied {
		times[entry]++
	}
	for entry, err := range h.fate {
		switch {
		case err == nil && times[entry] == 0:
			problems = append(problems, entry+" was acknowledged and is lost")
		case errors.Is(err, persistence.ErrUnavailable) && times[entry] > 0:
			problems = append(problems, fmt.Sprintf("%s was refused (%v) and is there", entry, err))
		case err != nil && !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown):
			problems = append(problems, fmt.Sprintf("%s ended with %v", entry, err))
		}
		if times[entry] > 1 {
			problems = append(problems, fmt.Sprintf("%s is there %d times", entry, times[entry]))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(problems, "\n"))
}

// under runs clients on all nodes while do does its worst, then expects that the nodes
// agree within heal, and that the history holds.
func (tr *trio) under(t *testing.T, heal time.Duration, do func(h *history)) {
	t.Helper()
	h := newHistory()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for _, name := range []messages.NodeID{"n1", "n2", "n3"} {
		n := tr.nodes[name]
		clients.Go(func() { h.client(ctx, n) })
	}
	do(h)
	healed := time.Now()
	leader := tr.leader(t, "")
	for _, n := range tr.nodes {
		if err := h.propose(n); err != nil {
			t.Errorf("after all: %v", err)
		}
		index, err := leader.ReadIndex(t.Context())
		if err == nil {
			err = n.WaitApplied(t.Context(), index)
		}
		if err != nil {
			t.Errorf("after all: %v", err)
		}
	}
	if took := time.Since(healed); took > heal {
		t.Errorf("healed after %s, want at most %s", took, heal)
	}
	cancel()
	clients.Wait()
	tr.settle(t, h)
	t.Logf("%d of %d entries acknowledged", h.count(), h.next)
}

// settle expects that all nodes come to agree, and that the history holds.
func (tr *trio) settle(t *testing.T, h *history) {
	t.Helper()
	tr.leader(t, "").apply(t, "last")
	tr.agree(t, tr.leader(t, "").machine.all())
	if err := h.check(tr.leader(t, "").machine.all()); err != nil {
		t.Error(err)
	}
}

// keep has all nodes look after the roster, and admits them as their logs say.
func (tr *trio) keep(t *testing.T) {
	for _, name := range []messages.NodeID{"n1", "n2", "n3"} {
		tr.keepOn(t, name)
	}
}

func (tr *trio) keepOn(t *testing.T, name messages.NodeID) {
	n := tr.nodes[name]
	admit := func(_ context.Context, node messages.NodeID, life string) error {
		future := n.Apply([]byte("admit " + string(node) + " " + life))
		<-future.Done()
		_, err := future.Results()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var kept sync.WaitGroup
	kept.Go(func() { _ = n.Keep(ctx, func() []cluster.Candidate { return tr.candidates(n) }, admit) })
	kept.Go(func() {
		for ctx.Err() == nil {
			if n.machine.has("admit " + string(name) + " " + n.Life()) {
				if err := n.Admit(); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	stop := n.stop
	n.stop = func() {
		cancel()
		kept.Wait()
		stop()
	}
	t.Cleanup(n.stop)
}

// candidates lists the nodes as n sees them.
func (tr *trio) candidates(n *node) []cluster.Candidate {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var all []cluster.Candidate
	for name, other := range tr.nodes {
		recorded := ""
		if n.machine.has("admit " + string(name) + " " + other.Life()) {
			recorded = other.Life()
		}
		all = append(all, cluster.Candidate{
			Node: name, RaftAddr: other.RaftAddr(), Rank: tr.ranks[name],
			Live:   other == n || !tr.isCut(n.State().Node, name),
			Voting: other.Voting(), Life: other.Life(), Applied: other.AppliedIndex(),
			RecordedLife: recorded, WantsVote: true,
		})
	}
	return all
}
