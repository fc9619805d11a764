// Package readmodel is what a node knows of all disbursements, and what it answers readers
// from: the dependency graph, who becomes due when, and who can be paid now, as a
// projection of the log; lists and single records come from the Store itself.
//
// A Model may lag behind the Store. It says what to look at; only the Store says what is so.
// Its work is handed out by TakeDue and TakePayable; what is taken and not done is put back.
//
// Concurrency: a Model's write side belongs to its Follower; all else may be called from
// anywhere. A Reader holds no state of its own.
package readmodel
