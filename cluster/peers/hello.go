package peers

import (
	"net"

	"github.com/the-block/bursar/messages"
)

// judge decides whether the node that says mine can work with the one that says theirs.
// Its error is made for whoever runs either of them: it names both and says what to do.
func judge(mine, theirs *messages.Hello) *messages.Error {
	refuse := func(format string, args ...any) *messages.Error {
		return messages.Errorf(messages.CodeValidationFailed, format, args...)
	}
	switch {
	case theirs.Node == "":
		return refuse("a node without a name: start it with --name")
	case theirs.Node == mine.Node && theirs.Boot == mine.Boot:
		return refuse("%s has called itself: the address it was told to find another node at is its own", mine.Node)
	case theirs.Node == mine.Node:
		return refuse("two nodes are called %s: start one of them with another --name", mine.Node)
	case theirs.Protocol < mine.ProtocolMin:
		return refuse("%s (version %s) speaks protocol %d at most and %s (version %s) needs %d at least: upgrade %s",
			theirs.Node, theirs.Version, theirs.Protocol, mine.Node, mine.Version, mine.ProtocolMin, theirs.Node)
	case mine.Protocol < theirs.ProtocolMin:
		return refuse("%s (version %s) speaks protocol %d at most and %s (version %s) needs %d at least: upgrade %s",
			mine.Node, mine.Version, mine.Protocol, theirs.Node, theirs.Version, theirs.ProtocolMin, mine.Node)
	case theirs.Cluster != "" && mine.Cluster != "" && theirs.Cluster != mine.Cluster:
		return refuse("%s belongs to cluster %s and %s to cluster %s: start one of them with the --join addresses of its own "+
			"cluster, or with an empty data directory if it is to leave its cluster for good",
			theirs.Node, theirs.Cluster, mine.Node, mine.Cluster)
	}
	return nil
}

// verify holds the name a node gives against the one that its connection proves, where
// it proves one.
func verify(nc net.Conn, node messages.NodeID) *messages.Error {
	proven, ok := nc.(interface{ PeerName() string })
	if !ok {
		return nil
	}
	if name := proven.PeerName(); name != string(node) {
		return messages.Errorf(messages.CodeUnauthorized,
			"a node that calls itself %s has the certificate of %q: issue it one for --node %s", node, name, node)
	}
	return nil
}

// expect refuses an answer from another node than the one that was looked for.
func expect(want messages.NodeID, addr string, got *messages.Hello) *messages.Error {
	if got.Node == want {
		return nil
	}
	return messages.Errorf(messages.CodeValidationFailed,
		"at %s answers %s, not %s: correct the address that %s advertises, or stop the node that has taken it",
		addr, got.Node, want, want)
}

// agreed is the protocol that two nodes speak: the newest that both know.
func agreed(a, b *messages.Hello) uint64 { return min(a.Protocol, b.Protocol) }
