package cluster

import (
	"context"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// OnDisk makes the node keep log and Raft snapshots on disk.
func (c Config) OnDisk(disk raftlog.Disk) Config {
	c.disk = disk
	return c
}

// Ungated lets the node vote when it has lost its disk.
func (c Config) Ungated() Config {
	c.ungated = true
	return c
}

// Founder is a node's part in forming a cluster, without Raft.
type Founder struct{ founder }

// OpenFounder starts the node on its disk.
func OpenFounder(disk stable, self Voter, expect int) (Founder, error) {
	life, err := openLife(disk, true)
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
