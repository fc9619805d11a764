package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/the-block/bursar/messages"
)

// Seen is a node as the others see it while there is no cluster yet.
type Seen struct {
	Node     messages.NodeID
	RaftAddr string
	// Expect is its --bootstrap-expect.
	Expect int
	// Cluster is the cluster it belongs to, or has promised to form; "" for none.
	Cluster string
}

// Forming is what a node without a cluster does next.
type Forming struct {
	// Initiate says that this node is to call Form with Voters. Otherwise it waits.
	Initiate bool
	Voters   []Voter
	// Why is that in words for people.
	Why string
}

// DecideForming decides what self does next, a node whose log is empty, from what it
// has promised, nil for nothing, and from the other nodes it sees. The first Expect
// nodes by name form the cluster, and the first of them initiates; nobody does where a
// cluster is seen. Views may differ and change: safety rests on the promises alone.
func DecideForming(self Seen, promised *FormRequest, seen []Seen) Forming {
	switch {
	case promised != nil && promised.Initiator == self.Node:
		return Forming{true, promised.Voters, fmt.Sprintf("forming cluster %s of %s", promised.Cluster, namesOf(promised.Voters))}
	case promised != nil:
		return Forming{Why: fmt.Sprintf("waiting for %s to form cluster %s of %s",
			promised.Initiator, promised.Cluster, namesOf(promised.Voters))}
	}
	for _, s := range seen {
		if s.Cluster != "" {
			return Forming{Why: fmt.Sprintf("waiting to be let into cluster %s of %s", s.Cluster, s.Node)}
		}
	}
	if self.Expect < 1 {
		return Forming{Why: "waiting to be let into a cluster"}
	}
	alike := alikeOf(self, seen)
	if len(alike) < self.Expect {
		return Forming{Why: fmt.Sprintf("waiting for %d nodes to form a cluster, seen %d: %s%s",
			self.Expect, len(alike), namesOf(alike), othersOf(self, seen))}
	}
	voters := alike[:self.Expect]
	switch first := voters[0].Node; {
	case first == self.Node:
		return Forming{true, voters, fmt.Sprintf("forming a cluster of %s", namesOf(voters))}
	case !slices.ContainsFunc(voters, func(v Voter) bool { return v.Node == self.Node }):
		return Forming{Why: fmt.Sprintf("waiting to be let into the cluster of %s", namesOf(voters))}
	default:
		return Forming{Why: fmt.Sprintf("waiting for %s to form a cluster of %s", first, namesOf(voters))}
	}
}

// alikeOf lists self and the nodes that expect as many as it does, by name.
func alikeOf(self Seen, seen []Seen) []Voter {
	voters := []Voter{{self.Node, self.RaftAddr}}
	for _, s := range seen {
		if s.Expect == self.Expect && s.Node != self.Node {
			voters = append(voters, Voter{s.Node, s.RaftAddr})
		}
	}
	voters = byName(voters)
	return slices.CompactFunc(voters, func(a, b Voter) bool { return a.Node == b.Node })
}

// othersOf says who, if anybody, expects another number of nodes.
func othersOf(self Seen, seen []Seen) string {
	for _, s := range slices.SortedFunc(slices.Values(seen), func(a, b Seen) int { return cmp.Compare(a.Node, b.Node) }) {
		if s.Expect != self.Expect && s.Expect > 0 {
			return fmt.Sprintf("; %s expects %d, give all the same --bootstrap-expect", s.Node, s.Expect)
		}
	}
	return ""
}
