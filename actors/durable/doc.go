// Package durable is the shell of actors whose state is in the log: what a domain's
// actors share, so that the domain itself gives no more than keys, pure decisions and how
// its state is read.
//
// An actor reads the Store, asks a rule, proposes the answer as one Txn under its shard's
// fence, and tells its caller when the log has judged it. Nothing is believed to have
// happened before that; whoever loses a race reads again and decides anew.
//
//	Host          what the durable actors of a node share: where each shard's actor is,
//	              under which fence it speaks, the Store, the journal, time and chance
//	Request       a caller's: answered once, by its actor or at its deadline, exactly
//	Reply         an answer as it is kept with its request id, told by its kind
//	Proposer      an actor's side of the journal
//	Seat          a shard and the right to write for it; Singleton begins anew under each fence
//	Children      a shard's side of its entities: load, hand over, park while one is unloaded
//	Entity, Kind  one entity's decisions; the loop around them is the shell's: a bounded
//	              queue, one Txn in flight, races decided anew
//	Rest          the pause after the log did not take something
//	Follower      carries the log into a read model, in order; builds it anew when behind
//
// The example below is a whole kind of entity. DESIGN.md says how to write another.
//
// Concurrency: one actor's methods never run at the same time, and none may block. A
// [Context] is valid only inside the call it was given to. A [Request] belongs to one actor
// at a time; it is answered from anywhere. A [Host] may be used by any goroutine, a
// [Follower] by one.
package durable
