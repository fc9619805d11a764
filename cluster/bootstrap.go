package cluster

import (
	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// Voter is a node of the group, and where the others reach its Raft.
type Voter struct {
	Node messages.NodeID
	Addr string
}

// untouched reports whether nothing of a log was ever stored here.
func (c *Consensus) untouched() (bool, error) {
	untouched, err := c.store.Untouched()
	if err != nil || !untouched {
		return false, err
	}
	newest, err := c.snapshots.Newest()
	return newest.Index == 0, err
}

// bootstrapAtStart makes the cluster that this node is to form, before Raft runs: the
// one whose promises are all collected, or one of this node alone. A crash on the way
// leaves a directory with which the next start does it again.
func (c *Consensus) bootstrapAtStart() error {
	untouched, err := c.untouched()
	if err != nil || !untouched {
		return err
	}
	if c.cfg.BootstrapExpect == 1 {
		if err := c.promiseAlone(); err != nil {
			return err
		}
	}
	p := c.life.promised()
	if p == nil || !p.Collected {
		return nil
	}
	const firstTerm = 1
	if err := c.store.SetUint64([]byte("CurrentTerm"), firstTerm); err != nil {
		return err
	}
	return c.store.StoreLog(&raft.Log{
		Index: 1, Term: firstTerm, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(groupOf(p.Voters)),
	})
}

// promiseAlone notes that this node forms a cluster of its own.
func (c *Consensus) promiseAlone() error {
	if p := c.life.promised(); p != nil {
		if len(p.Voters) == 1 {
			return nil
		}
		return refuse("this node has promised to form cluster %s with %s and may not form one alone; "+
			"start it with --bootstrap-expect %d, or with an empty directory", p.Cluster, namesOf(p.Voters), len(p.Voters))
	}
	self := Voter{Node: c.cfg.Node, Addr: c.RaftAddr()}
	other, err := c.life.keep(promise{
		FormRequest: FormRequest{Cluster: newIdentity(), Initiator: self.Node, Voters: []Voter{self}},
		Collected:   true,
	})
	if err == nil && other != "" {
		err = refuse("%s was about to join cluster %s and may not form one alone; "+
			"start it with --bootstrap-expect 0, or with an empty directory", self.Node, other)
	}
	return err
}

// groupOf is a group in which all of voters vote.
func groupOf(voters []Voter) raft.Configuration {
	var group raft.Configuration
	for _, v := range voters {
		group.Servers = append(group.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(v.Node), Address: raft.ServerAddress(v.Addr),
		})
	}
	return group
}
