// Package kinds runs actors of kinds that a program brings along: each is known by its
// kind and a key, lives on the node that owns the key's shard, and is reached from every
// node by its Address.
//
// [Kinds] is one node's part: it loads an actor at its first message, below /kinds/<kind>,
// and ends it when its shard goes to another node. It knows nothing of other nodes: a
// [Router] takes a message to the owner, here or elsewhere, where it comes to
// [Kinds.Deliver]. [Cluster] is what actors and their program hold to tell and ask.
//
// All functions may be called from any goroutine.
package kinds
