package cluster

import "github.com/the-block/bursar/cluster/internal/raftlog"

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
