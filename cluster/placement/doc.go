// Package placement decides which node owns which shard. It is pure: the nodes, the
// present owners and the time go in, a list of moves comes out, and the leader writes
// them into the log.
//
// Owners are chosen by weighted rendezvous: every node draws a score for every shard,
// and the highest wins. A node that goes gives up its own shards and no others move;
// a node that comes takes its share from all and nothing moves among those.
package placement
