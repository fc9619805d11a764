package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/the-block/bursar/cmd/internal/node"
)

// PortStep lies between the base ports of two nodes.
const PortStep = 10

// checkPorts reports the first of the node's ports that another program has, so that
// its answers are not taken for our node's.
func (n *Node) checkPorts(ctx context.Context) error {
	for offset := node.PortRPC; offset <= node.PortActors; offset++ {
		addr := n.Cfg.Address(offset)
		err := checkPort(ctx, addr, offset == node.PortGossip)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s of %s, %s, is in use; does a node run already? End it, or take other ports with --base-port",
				portNames[offset], n.Cfg.Name, addr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var portNames = [...]string{
	node.PortRPC: "the rpc port", node.PortGossip: "the gossip port", node.PortRaft: "the raft port",
	node.PortHTTP: "the http port", node.PortActors: "the actors' port",
}

// checkPort takes a port for a moment, also for packets where the node needs these.
func checkPort(ctx context.Context, addr string, packets bool) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	listener.Close()
	if !packets {
		return nil
	}
	conn, err := lc.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Free ports lie below the range from which the system takes ports of its own for
// connections. Every call, and every process at the same time, begins elsewhere.
const (
	portsFirst = 12_000
	portsLast  = 32_000
	portsRoom  = 40 // for one process or call
)

var portsGiven atomic.Int64

// FreePorts finds the base port of so many nodes that nobody listens on.
func FreePorts(nodes int) (base int, err error) {
	const places = (portsLast - portsFirst) / portsRoom
	room := (nodes*PortStep + portsRoom - 1) / portsRoom
	start := os.Getpid()*7 + int(portsGiven.Add(int64(room)))
	for k := range places - room {
		base = portsFirst + (start+k)%(places-room)*portsRoom
		if allFree(base, base+nodes*PortStep) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no ports for %d nodes are free", nodes)
}

func allFree(from, to int) bool {
	for port := from; port < to; port++ {
		if checkPort(context.Background(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), true) != nil {
			return false
		}
	}
	return true
}
