package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// Voter is a node that votes, and where the others reach its Raft.
type Voter struct {
	Node messages.NodeID
	Addr string
}

// Bootstrap forms a cluster of the given voters, which must be told the same list
// and the same cluster id, each in its own call. A node that has a part in a
// cluster refuses with ErrFormed.
func (c *Consensus) Bootstrap(clusterID string, voters []Voter) error {
	var group raft.Configuration
	for _, v := range voters {
		group.Servers = append(group.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(v.Node), Address: raft.ServerAddress(v.Addr),
		})
	}
	err := c.raft.BootstrapCluster(group).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return ErrFormed
	}
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return c.store.Set(keyCluster, []byte(clusterID))
}

// bootstrapAlone makes a cluster of this node in a data directory where no entry
// was ever stored. A crash in the middle leaves such a directory behind.
func (c *Consensus) bootstrapAlone() error {
	untouched, err := c.store.Untouched()
	if err != nil || !untouched {
		return err
	}
	newest, err := c.snapshots.NewestIndex()
	if err != nil || newest > 0 {
		return err
	}
	if err := c.store.Set(keyCluster, []byte(newClusterID())); err != nil {
		return err
	}
	const firstTerm = 1
	if err := c.store.SetUint64([]byte("CurrentTerm"), firstTerm); err != nil {
		return err
	}
	group := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(c.cfg.Node), Address: c.transport.LocalAddr(),
	}}}
	return c.store.StoreLog(&raft.Log{
		Index: 1, Term: firstTerm, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(group),
	})
}
