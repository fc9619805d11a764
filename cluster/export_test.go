package cluster

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// Ungated lets the node vote when it has lost its disk.
func (c Config) Ungated() Config {
	c.ungated = true
	return c
}

// Founder is a node's part in forming a cluster, without Raft.
type Founder struct{ founder }

// OpenFounder starts the node on its disk.
func OpenFounder(disk stable, self Voter, expect int) (Founder, error) {
	life, err := openLife(disk)
	return Founder{founder{life: life, self: self, expect: expect}}, err
}

// Found is what Form does before the log's first entry.
func (f Founder) Found(ctx context.Context, voters []Voter, ask Ask) (string, error) {
	p, err := f.found(ctx, voters, ask)
	return p.Cluster, err
}

// Promise is Consensus.Promise.
func (f Founder) Promise(request FormRequest) (FormReply, error) { return f.promise(request) }

// Promised is Consensus.Promised.
func (f Founder) Promised() *FormRequest {
	if p := f.life.promised(); p != nil {
		return &p.FormRequest
	}
	return nil
}

// Roster decides about the group.
type Roster struct{ *roster }

// NewRoster is the roster of a leader.
func NewRoster(cfg Config) Roster { return Roster{newRoster(cfg)} }

// Next observes and decides: what is to be done about which node.
func (r Roster) Next(group []Member, candidates []Candidate, index uint64, now time.Time) (string, messages.NodeID) {
	r.observe(candidates, index, now)
	c := r.next(group, candidates, now)
	return c.kind.String(), c.node.Node
}

// Greeting is what begins a stream.
type Greeting = greeting

// The flags of a Greeting.
const (
	GreetingRefused = greetingRefused
	GreetingVotes   = greetingVotes
)

// ReadGreeting reads what begins a stream.
func ReadGreeting(r io.Reader) (*Greeting, error) { return readGreeting(r) }

// AppendGreeting is what begins a stream.
func AppendGreeting(g *Greeting) ([]byte, error) { return appendGreeting(g) }

// Judge is how a node that greets is judged by what is known of it.
func (d Disk) Judge(g *Greeting) error { return d.judge(g) }

// Newer is what is known of a disk after something more was seen.
func (d Disk) Newer(seen Disk) Disk { return d.newer(seen) }

// Confirmations notes who confirms a leadership.
type Confirmations struct{ c confirmations }

// Question asks; a heartbeat sent from then on, in term, answers it.
func (c *Confirmations) Question() uint64 { return c.c.question() }

// Answer notes node's answer to a heartbeat sent after asked.
func (c *Confirmations) Answer(node messages.NodeID, asked, term uint64) {
	c.c.note(raft.ServerID(node), confirmation{asked: asked, term: term})
}

// Confirmed reports whether a majority of group has answered.
func (c *Confirmations) Confirmed(group []Member, self messages.NodeID, asked, term uint64) bool {
	var servers raft.Configuration
	for _, m := range group {
		suffrage := raft.Nonvoter
		if m.Voter {
			suffrage = raft.Voter
		}
		servers.Servers = append(servers.Servers, raft.Server{ID: raft.ServerID(m.Node), Suffrage: suffrage})
	}
	yes, _ := c.c.confirmed(servers, raft.ServerID(self), confirmation{asked: asked, term: term})
	return yes
}

// NewPipeline is what a transport makes of Raft's own pipeline.
func NewPipeline(inner raft.AppendPipeline) raft.AppendPipeline { return newPipeline(inner) }

// SkipOf names an entry.
func SkipOf(index uint64, data []byte) Skip { return skipOf(index, data) }

// RefusesSnapshot asks a node in term that knows so many entries to be committed whether it
// refuses a Raft snapshot, and whether it halts over it.
func RefusesSnapshot(committed, term uint64, request *raft.InstallSnapshotRequest) (refused, halted bool) {
	t := &transport{
		committed: func() uint64 { return committed }, term: func() uint64 { return term },
		conflict: func(error) { halted = true },
	}
	refused = t.refuseSnapshot(&raft.RPC{Command: request, RespChan: make(chan raft.RPCResponse, 1)})
	return refused, halted
}
