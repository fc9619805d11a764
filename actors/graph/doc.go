// Package graph owns the dependency graph of disbursements: who waits for whom,
// who is ready, and what a failure would take with it.
//
// # Model
//
// Nodes are disbursements, numbered 1, 2, 3 ... without gaps. An edge goes from
// a node to each of its dependencies, is born with its node and never changes.
// A dependency was born before its dependents, or in the same plan, whose items
// may cite one another in any order as long as there is no cycle. The only thing
// that changes is a node's state. A dependency is met when it is finalized;
// executed is not enough, and rolled back is never.
//
// A [Graph] is the read model that one writer advances in the order of the log.
// It keeps, at each change of a state, the number of unmet dependencies of each
// node, the set of ready nodes and the set of nodes that a rolled-back dependency
// will take with it; so nobody scans to learn what a change brought about.
//
// # Concurrency
//
// The package starts no goroutine and takes no lock. The methods of a Graph are
// called under the consumer's lock: those that change it exclusively, the others
// at least shared. A [View] or [Snapshot] is taken under that lock and then used
// without it, for as long as the caller likes and by any number of goroutines,
// while the writer goes on. That is free of races because
//
//   - tables grow by chunks that are never moved or freed while in use, and a
//     table's directory is published through an atomic pointer;
//   - a node's edges and amount are written before a View that contains the node
//     can be taken, and never again;
//   - the one field of an old node that later births change, the newest edge of
//     its list of dependents, is atomic, and the edge is complete before it is
//     published there;
//   - edges of nodes born after the View are recognised by their higher id and
//     passed over;
//   - what changes with states (state bytes, counts, sets) is not read by a View,
//     and a Snapshot has its own copy of the state bytes.
//
// So a View is the graph as it was at one applied index, whatever happens since,
// and it can be taken again later: see [Graph.ViewAt].
//
// # Cost
//
// A node takes 18 bytes and an edge 12, plus about half a byte a node for the
// sets. No method recurses, whatever the depth of the graph.
package graph
