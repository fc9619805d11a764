// Package operations keeps what operators do to actors, the forced breakers, and the
// audit log.
//
// Both go through the log. Forcing a breaker is one transaction that writes the force
// under its path and a row of the audit log; a reset deletes the one and writes the
// other. Every node follows the audit log and does to its own runtime what the rows
// say, so that a force holds wherever the actor is loaded next, and after a restart.
// The runtime remembers forces of actors that are not loaded.
//
// Anybody may propose, at the same time: rows of the audit log have consecutive
// numbers, the log takes each number once, and who loses reads again and tries the
// next. No shard and no owner is needed, so an operator can act while shards move.
//
// What breakers do by themselves is entered into the audit log too, by the node where it
// happened, in the low-priority class of the journal: rows of operators never wait for
// them. Only opening and closing is entered, once a second at most, a breaker's moves of
// that time as one row, and a node enters 50 rows at once and then one every ten seconds.
//
// The methods of Operations wait for the log and may be called from any goroutine.
package operations
