// Package ownership keeps, in the log, which node owns which shard. On the leader a
// Keeper compares what the log says with the nodes that live and writes the moves
// that package placement decides; everywhere else the log is only read.
//
// An owner is a node from one start to the next: each start has a boot id, and the
// log holds the newest one of every node. When the leader meets a new boot id it
// writes it down together with new fences for all that the node owned, so that what
// an earlier start still has on its way is refused. A node acts on what the log gives
// it only while the log holds its own boot id.
package ownership
