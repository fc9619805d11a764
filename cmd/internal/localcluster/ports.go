package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
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
)

// ports are what this process was given.
var ports struct {
	mu    sync.Mutex
	given int
	locks []*os.File // one a node, held until the process ends
}

// FreePorts finds the base port of so many nodes that nobody listens on. Until this process
// ends no other is given them, also while nobody listens: before a node starts, or is
// started again.
func FreePorts(nodes int) (base int, err error) {
	const places = (portsLast - portsFirst) / PortStep
	ports.mu.Lock()
	defer ports.mu.Unlock()
	ports.given += nodes
	start := os.Getpid()*29 + ports.given
	for _, mayLock := range []bool{true, false} { // at last without: of its own, too
		for k := range places - nodes {
			base = portsFirst + (start+k)%(places-nodes)*PortStep
			if allFree(base, base+nodes*PortStep) && (!mayLock || reserve(base, nodes)) {
				return base, nil
			}
		}
	}
	return 0, fmt.Errorf("no ports for %d nodes are free", nodes)
}

// reserve keeps ports for this process. Where that cannot be done they are as good as
// reserved: whoever wants them would not be stopped either.
func reserve(base, nodes int) bool {
	dir := filepath.Join(os.TempDir(), "bursar-ports")
	if os.MkdirAll(dir, 0o777) != nil {
		return true
	}
	var locks []*os.File
	for i := range nodes {
		file, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(base+i*PortStep)), os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			continue
		}
		locks = append(locks, file)
		if errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
			for _, lock := range locks {
				lock.Close()
			}
			return false
		}
	}
	ports.locks = append(ports.locks, locks...)
	return true
}

func allFree(from, to int) bool {
	for port := from; port < to; port++ {
		if checkPort(context.Background(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), true) != nil {
			return false
		}
	}
	return true
}
