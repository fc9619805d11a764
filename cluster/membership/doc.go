// Package membership knows which nodes are there: their names, roles, addresses,
// boots and versions. It finds them by gossip and hints at their deaths; who owns what
// and who votes is decided by the log, never here.
//
// A Membership publishes immutable snapshots of its members. Who wants to follow them
// calls Watch in a loop: it returns a snapshot and a channel that is closed at the next
// change. Changes in between may be folded into one.
//
// A node tells about itself in a Meta, at most 512 bytes that travel with the gossip. A
// member that restarts on its address is seen by its new boot id. Members of another
// cluster, nodes without the gossip key and a second node of the same name are kept out,
// and told why in words that say what to do.
//
// Gossip alone never heals a cut that outlasts its memory of the dead. So every node
// asks its seeds and all members it ever met, which it keeps in a file, again and again
// for as long as they are not there.
//
// Concurrency: all methods may be called from any goroutine. Callbacks of the gossip
// library only note what happened; the goroutines of Run act on it.
package membership
