package localcluster

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
	"github.com/the-block/bursar/messages/client"
)

// Cluster is the cluster on this machine.
type Cluster []*Node

// Config describes a cluster.
type Config struct {
	Nodes         int
	BasePort      int // of n1; those of the others begin PortStep higher each
	Dir           string
	EpochInterval time.Duration
	Faults        bool
}

// New describes the nodes n1, n2, ...: a primary, a replica, and observers. They run this
// program.
func New(cfg Config, events func(format string, args ...any)) (Cluster, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var c Cluster
	var join []string
	for k := range cfg.Nodes {
		own := node.DefaultConfig()
		own.Name = messages.NodeID("n" + strconv.Itoa(k+1))
		own.Role = [...]node.Role{node.RolePrimary, node.RoleReplica, node.RoleObserver}[min(k, 2)]
		own.BasePort = cfg.BasePort + PortStep*k
		own.BootstrapExpect = cfg.Nodes
		own.EpochInterval = cfg.EpochInterval
		own.FaultInjection = cfg.Faults
		own.DataDir = filepath.Join(cfg.Dir, string(own.Name))
		join = append(join, own.Address(node.PortGossip))
		c = append(c, &Node{Program: program, Cfg: own, LogPath: own.DataDir + ".log", Events: events})
	}
	for _, n := range c {
		n.Cfg.Join = join
		if err := n.Cfg.Validate(); err != nil {
			return nil, err
		}
	}
	// A node that finds itself alone in what was a cluster would wait for the others for ever.
	if other := filepath.Join(cfg.Dir, "n"+strconv.Itoa(cfg.Nodes+1)); exists(other) {
		return nil, fmt.Errorf("--nodes %d: %s is there, so that more nodes belong to this cluster", cfg.Nodes, other)
	}
	return c, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// CheckPorts reports the first port that another program has.
func (c Cluster) CheckPorts(ctx context.Context) error {
	for _, n := range c {
		if err := n.checkPorts(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Run keeps all nodes going until ctx ends, and then ends them. It calls serving when
// the first of them is ready.
func (c Cluster) Run(ctx context.Context, serving func()) error {
	group, ctx := errgroup.WithContext(ctx)
	var once sync.Once
	for _, n := range c {
		group.Go(func() error { return n.Run(ctx, func() { once.Do(serving) }) })
	}
	return group.Wait()
}

// RPC lists where the nodes take calls.
func (c Cluster) RPC() []string {
	addrs := make([]string, 0, len(c))
	for _, n := range c {
		addrs = append(addrs, n.Cfg.Address(node.PortRPC))
	}
	return addrs
}

// Named returns the node of that name, nil if there is none.
func (c Cluster) Named(name string) *Node {
	for _, n := range c {
		if string(n.Cfg.Name) == name {
			return n
		}
	}
	return nil
}

// Untouched reports whether nothing is being done to any node.
func (c Cluster) Untouched() bool {
	for _, n := range c {
		if n.Fate() != Untouched {
			return false
		}
	}
	return true
}

// gatherTimeout is how long nodes that were away may take to catch up at the end.
const gatherTimeout = 30 * time.Second

// Gather brings back whoever is away and waits until all nodes have applied what any of
// them knows to be committed now. It returns that index.
func (c Cluster) Gather(ctx context.Context) (index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	for _, n := range c {
		for n.Fate() != Untouched {
			if err := n.BringBack(); err != nil && !Wait(ctx, pollEvery) { // it may still be ending
				return 0, err
			}
		}
	}
	links := make([]*client.Client, len(c))
	for i, addr := range c.RPC() {
		links[i] = client.New(client.Config{Addrs: []string{addr}})
		defer links[i].Close()
	}
	for first := true; ; first = false {
		behind := ""
		for i, l := range links {
			status, err := Status(ctx, l)
			switch {
			case err != nil:
				behind = fmt.Sprintf("%s does not answer: %v", c[i].Cfg.Name, err)
			case !status.Ready:
				behind = fmt.Sprintf("%s is not ready: %s", c[i].Cfg.Name, status.Reason)
			case first || index == 0:
				index = max(index, status.CommitIndex)
				behind = "the nodes were not compared yet"
			case status.AppliedIndex < index:
				behind = fmt.Sprintf("%s has applied %d of %d", c[i].Cfg.Name, status.AppliedIndex, index)
			}
		}
		if behind == "" {
			return index, nil
		}
		if !Wait(ctx, pollEvery) {
			return 0, fmt.Errorf("the nodes did not come together within %s: %s", gatherTimeout, behind)
		}
	}
}

// StatusTimeout is how long a node on this machine may take to say how it is.
const StatusTimeout = 500 * time.Millisecond

// Status asks one node how it is.
func Status(ctx context.Context, l *client.Client) (*messages.ClusterStatusResult, error) {
	ctx, cancel := context.WithTimeout(ctx, StatusTimeout)
	defer cancel()
	local := messages.Options{Consistency: messages.Local}
	result := new(messages.ClusterStatusResult)
	err := l.Call(ctx, messages.MethodClusterStatus, &messages.NoParams{Options: local}, result)
	return result, err
}
