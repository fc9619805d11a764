package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// FormRequest asks a node with an empty log to promise that it will be a voter of a
// new cluster, and of no other.
type FormRequest struct {
	Cluster   string          // identity of the new cluster
	Initiator messages.NodeID // who forms it: one of Voters
	Voters    []Voter         // all its first voters, by name
}

// FormReply is a promise.
type FormReply struct {
	Life string // of the node that promised
}

// Ask puts a FormRequest to another node. Its error is the other node's refusal, or
// that of reaching it.
type Ask func(ctx context.Context, node messages.NodeID, request FormRequest) (FormReply, error)

// Form forms a cluster of voters, which this node is one of: it notes what it is up
// to, collects the promise of every other voter, and only then makes the log's first
// entry. Each step is durable, so that after a crash Form goes on where it was, with
// the voters it noted, whatever voters says then. It is called again after an error;
// once the node has a log it returns nil. A refusal is ErrRefused and says what to do.
func (c *Consensus) Form(ctx context.Context, voters []Voter, ask Ask) error {
	c.forming.Lock()
	defer c.forming.Unlock()
	if c.Formed() {
		return nil
	}
	p, err := c.founder().found(ctx, voters, ask)
	if err != nil {
		return err
	}
	if err := c.bootstrap(groupOf(p.Voters)); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	c.log.Info("cluster formed", "to", namesOf(p.Voters))
	return nil
}

// Promise answers another node's FormRequest. A promise is durable, made once and for
// good; the same request is answered the same way again. A refusal is ErrRefused.
func (c *Consensus) Promise(request FormRequest) (FormReply, error) {
	before := c.life.promised()
	reply, err := c.founder().promise(request)
	if err == nil && before == nil {
		c.log.Info("promised to form a cluster", "from", string(request.Initiator), "to", namesOf(request.Voters))
	}
	return reply, err
}

func (c *Consensus) founder() founder {
	return founder{life: c.life, self: Voter{Node: c.cfg.Node, Addr: c.RaftAddr()}, expect: c.cfg.BootstrapExpect}
}

// founder is a node's part in forming a cluster, up to the log.
type founder struct {
	life   *life
	self   Voter
	expect int
}

// found gets the promises of all voters, this node's first. What was begun goes on.
func (f founder) found(ctx context.Context, voters []Voter, ask Ask) (promise, error) {
	p, err := f.initiate(voters)
	if err != nil || p.Collected {
		return p, err
	}
	for _, v := range p.Voters {
		if v.Node == f.self.Node {
			continue
		}
		if _, err := ask(ctx, v.Node, p.FormRequest); err != nil {
			return p, fmt.Errorf("ask %s to form cluster %s: %w", v.Node, p.Cluster, err)
		}
	}
	p.Collected = true
	_, err = f.life.keep(p)
	return p, err
}

// initiate notes that this node forms a cluster of voters, unless it did already.
func (f founder) initiate(voters []Voter) (promise, error) {
	if noted := f.life.promised(); noted != nil && noted.Initiator == f.self.Node {
		return *noted, nil
	}
	p := promise{FormRequest: FormRequest{Cluster: newIdentity(), Initiator: f.self.Node, Voters: byName(voters)}}
	return p, f.keep(p)
}

// promise notes what another node asks for, unless it did already.
func (f founder) promise(request FormRequest) (FormReply, error) {
	if p := f.life.promised(); p == nil || p.Cluster != request.Cluster {
		if err := f.keep(promise{FormRequest: request}); err != nil {
			return FormReply{}, err
		}
	}
	return FormReply{Life: f.life.id}, nil
}

// keep makes a promise if it suits this node, which belongs to no other cluster.
func (f founder) keep(p promise) error {
	if err := f.fits(p.FormRequest); err != nil {
		return err
	}
	other, err := f.life.keep(p)
	if err != nil || other == "" {
		return err
	}
	if promised := f.life.promised(); promised != nil {
		return refuse("%s has promised %s to form cluster %s; if that one never came to be, "+
			"start %s again with an empty directory", f.self.Node, promised.Initiator, other, f.self.Node)
	}
	return refuse("%s belongs to cluster %s; let the others join that one, with empty directories", f.self.Node, other)
}

// fits reports whether the group that is to be formed is the one this node waits for.
func (f founder) fits(r FormRequest) error {
	at := slices.IndexFunc(r.Voters, func(v Voter) bool { return v.Node == f.self.Node })
	switch {
	case r.Cluster == "":
		return refuse("a cluster needs an identity")
	case f.expect != len(r.Voters):
		return refuse("%s expects %d nodes to form a cluster and %s forms one of %d; give all the same --bootstrap-expect",
			f.self.Node, f.expect, r.Initiator, len(r.Voters))
	case at < 0:
		return refuse("%s is not one of %s", f.self.Node, namesOf(r.Voters))
	case r.Voters[at].Addr != f.self.Addr:
		return refuse("%s is reached at %s for Raft, and not at %s", f.self.Node, f.self.Addr, r.Voters[at].Addr)
	case !slices.ContainsFunc(r.Voters, func(v Voter) bool { return v.Node == r.Initiator }):
		return refuse("%s is not one of %s", r.Initiator, namesOf(r.Voters))
	}
	return nil
}

// Formed reports whether this node has a part in a cluster: something is in its log.
func (c *Consensus) Formed() bool { return c.raft.LastIndex() > 0 }

// Promised is what this node has promised to form, or has initiated, and false if
// nothing.
func (c *Consensus) Promised() (FormRequest, bool) {
	p := c.life.promised()
	if p == nil {
		return FormRequest{}, false
	}
	return p.FormRequest, true
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

func byName(voters []Voter) []Voter {
	return slices.SortedFunc(slices.Values(voters), func(a, b Voter) int { return strings.Compare(string(a.Node), string(b.Node)) })
}

func namesOf(voters []Voter) string {
	var names []string
	for _, v := range voters {
		names = append(names, string(v.Node))
	}
	return strings.Join(names, ", ")
}
