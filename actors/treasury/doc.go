// Package treasury runs the disbursements: the actors that decide about them, the
// read model that tells the actors what became due, and the answers to every
// gov.treasury call.
//
// The rules stand in the pure packages disbursement and graph, the shell that all actors
// of the log share in durable. What is here is between them: an actor reads the Store,
// asks a rule, proposes the Move as one Txn and answers when the log has judged it.
//
//	/treasury                supervisor
//	  /executor              pays what is due, met and funded, in the order of ids
//	  /shard-00 .. 63        takes submissions, takes the steps that epochs bring
//	    /disbursement-<id>   one disbursement's votes, cancellation and requests
//	/clock                   the epoch
//
// One goroutine, Follow, advances the read model in log order and wakes actors;
// they pull their work from it, so a wake-up can be lost but work cannot.
package treasury
