// Package clustertest gives tests a network and a disk in memory: a Network that loses,
// delays and repeats, whose routes are cut and whose hosts are killed; and the Disk that the
// log is tested on, one that crashes, fails and forgets as real ones do.
package clustertest

import "github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"

// Disk is a disk in memory, for cluster.Config.OnDisk. It outlives the nodes that use
// it one after the other.
type Disk = raftlogtest.Disk

// Op is a call that changes a Disk.
type Op = raftlogtest.Op

// Sync is the kind of an Op that makes a file durable.
const Sync = raftlogtest.Sync

// NewDisk gives an empty disk.
func NewDisk() *Disk { return raftlogtest.New() }
