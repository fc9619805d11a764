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
	p, err := c.initiate(voters)
	if err != nil {
		return err
	}
	if !p.Collected {
		if err := c.collect(ctx, p, ask); err != nil {
			return err
		}
	}
	if err := c.raft.BootstrapCluster(groupOf(p.Voters)).Error(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	c.log.Info("cluster formed", "to", namesOf(p.Voters))
	return nil
}

// initiate notes that this node forms a cluster of voters, unless it did already.
func (c *Consensus) initiate(voters []Voter) (promise, error) {
	p := promise{FormRequest: FormRequest{Cluster: newIdentity(), Initiator: c.cfg.Node, Voters: byName(voters)}}
	if noted := c.life.promised(); noted != nil && noted.Initiator == c.cfg.Node {
		return *noted, nil
	}
	if err := c.fits(p.FormRequest); err != nil {
		return promise{}, err
	}
	other, err := c.life.keep(p)
	if err == nil && other != "" {
		err = c.taken(other)
	}
	return p, err
}

// taken refuses to form a cluster because this node belongs to another, or has
// promised to.
func (c *Consensus) taken(other string) error {
	if p := c.life.promised(); p != nil && !c.Formed() {
		return refuse("%s has promised %s to form cluster %s; if that one never came to be, "+
			"start %s again with an empty directory", c.cfg.Node, p.Initiator, other, c.cfg.Node)
	}
	return refuse("%s belongs to cluster %s; let the others join that one, with empty directories", c.cfg.Node, other)
}

// collect asks every other voter for its promise, and notes that all have given it.
func (c *Consensus) collect(ctx context.Context, p promise, ask Ask) error {
	for _, v := range p.Voters {
		if v.Node == c.cfg.Node {
			continue
		}
		if _, err := ask(ctx, v.Node, p.FormRequest); err != nil {
			return fmt.Errorf("ask %s to form cluster %s: %w", v.Node, p.Cluster, err)
		}
	}
	p.Collected = true
	_, err := c.life.keep(p)
	return err
}

// Promise answers another node's FormRequest. A promise is durable, made once and for
// good; the same request is answered the same way again. A refusal is ErrRefused.
func (c *Consensus) Promise(request FormRequest) (FormReply, error) {
	if p := c.life.promised(); p != nil && p.Cluster == request.Cluster {
		return FormReply{Life: c.life.id}, nil
	}
	if err := c.fits(request); err != nil {
		return FormReply{}, err
	}
	other, err := c.life.keep(promise{FormRequest: request})
	if err != nil {
		return FormReply{}, err
	}
	if other != "" {
		return FormReply{}, c.taken(other)
	}
	c.log.Info("promised to form a cluster", "from", string(request.Initiator), "to", namesOf(request.Voters))
	return FormReply{Life: c.life.id}, nil
}

// fits reports whether the group that is to be formed is the one this node waits for.
func (c *Consensus) fits(r FormRequest) error {
	self := slices.IndexFunc(r.Voters, func(v Voter) bool { return v.Node == c.cfg.Node })
	switch {
	case r.Cluster == "":
		return refuse("a cluster needs an identity")
	case c.cfg.BootstrapExpect != len(r.Voters):
		return refuse("%s expects %d nodes to form a cluster and %s forms one of %d; give all the same --bootstrap-expect",
			c.cfg.Node, c.cfg.BootstrapExpect, r.Initiator, len(r.Voters))
	case self < 0:
		return refuse("%s is not one of %s", c.cfg.Node, namesOf(r.Voters))
	case r.Voters[self].Addr != c.RaftAddr():
		return refuse("%s is reached at %s for Raft, and not at %s", c.cfg.Node, c.RaftAddr(), r.Voters[self].Addr)
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
