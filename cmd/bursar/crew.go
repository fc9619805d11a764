package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

// crew is the cluster on this machine.
type crew []*member

// portStep lies between the base ports of two of its nodes.
const portStep = 10

// newCrew describes the nodes n1, n2, ...: a primary, a replica, and observers.
func newCrew(d *dev, events func(format string, args ...any)) (crew, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var c crew
	var join []string
	for k := range d.nodes {
		cfg := node.DefaultConfig()
		cfg.Name = messages.NodeID("n" + strconv.Itoa(k+1))
		cfg.Role = [...]node.Role{node.RolePrimary, node.RoleReplica, node.RoleObserver}[min(k, 2)]
		cfg.BasePort = d.basePort + portStep*k
		cfg.BootstrapExpect = d.nodes
		cfg.EpochInterval = devEpoch
		cfg.FaultInjection = d.faults
		cfg.DataDir = filepath.Join(d.dir, string(cfg.Name))
		join = append(join, cfg.Address(node.PortGossip))
		c = append(c, &member{program: program, cfg: cfg, logPath: cfg.DataDir + ".log", events: events})
	}
	for _, m := range c {
		m.cfg.Join = join
		if err := m.cfg.Validate(); err != nil {
			return nil, usageError{err}
		}
	}
	// A node that finds itself alone in what was a cluster would wait for the others for ever.
	if other := filepath.Join(d.dir, "n"+strconv.Itoa(d.nodes+1)); exists(other) {
		return nil, usagef("--nodes %d: %s is there, so that more nodes belong to this cluster", d.nodes, other)
	}
	return c, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkPorts reports the first port that another program has.
func (c crew) checkPorts(ctx context.Context) error {
	for _, m := range c {
		if err := m.checkPorts(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run keeps all nodes going until ctx ends, and then ends them. It calls serving when
// the first of them is ready.
func (c crew) run(ctx context.Context, serving func()) error {
	group, ctx := errgroup.WithContext(ctx)
	var once sync.Once
	for _, m := range c {
		group.Go(func() error { return m.run(ctx, func() { once.Do(serving) }) })
	}
	return group.Wait()
}

// rpc lists where the nodes take calls.
func (c crew) rpc() []string {
	addrs := make([]string, 0, len(c))
	for _, m := range c {
		addrs = append(addrs, m.cfg.Address(node.PortRPC))
	}
	return addrs
}

// named returns the node of that name, nil if there is none.
func (c crew) named(name string) *member {
	for _, m := range c {
		if string(m.cfg.Name) == name {
			return m
		}
	}
	return nil
}

// untouched reports whether nothing is being done to any node.
func (c crew) untouched() bool {
	for _, m := range c {
		if m.now() != alone {
			return false
		}
	}
	return true
}

// gatherTimeout is how long nodes that were away may take to catch up at the end.
const gatherTimeout = 30 * time.Second

// gather brings back whoever is away and waits until all nodes have applied what any of
// them knows to be committed now. It returns that index.
func (c crew) gather(ctx context.Context) (index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	for _, m := range c {
		for m.now() != alone {
			if err := m.bringBack(); err != nil && !wait(ctx, pollEvery) { // it may still be ending
				return 0, err
			}
		}
	}
	links := make([]*link, len(c))
	for i, addr := range c.rpc() {
		links[i] = (&target{addr: addr}).link()
		defer links[i].Close()
	}
	for first := true; ; first = false {
		behind := ""
		for i, l := range links {
			status, err := statusOf(ctx, l)
			switch {
			case err != nil:
				behind = fmt.Sprintf("%s does not answer: %v", c[i].cfg.Name, err)
			case !status.Ready:
				behind = fmt.Sprintf("%s is not ready: %s", c[i].cfg.Name, status.Reason)
			case first || index == 0:
				index = max(index, status.CommitIndex)
				behind = "the nodes were not compared yet"
			case status.AppliedIndex < index:
				behind = fmt.Sprintf("%s has applied %d of %d", c[i].cfg.Name, status.AppliedIndex, index)
			}
		}
		if behind == "" {
			return index, nil
		}
		if !wait(ctx, pollEvery) {
			return 0, fmt.Errorf("the nodes did not come together within %s: %s", gatherTimeout, behind)
		}
	}
}

// statusTimeout is how long a node on this machine may take to say how it is.
const statusTimeout = 500 * time.Millisecond

func statusOf(ctx context.Context, l *link) (*messages.ClusterStatusResult, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	local := messages.Options{Consistency: messages.Local}
	result := new(messages.ClusterStatusResult)
	err := l.Call(ctx, messages.MethodClusterStatus, &messages.NoParams{Options: local}, result)
	return result, err
}
