// Package actors is the actor runtime of one node: actors with bounded
// mailboxes, supervised in trees whose supervisors are circuit breakers.
//
// An actor is state plus one message at a time. [Ref] is its address and
// survives its restarts. [Ref.Tell] sends, [Ask] sends and waits for the reply;
// both are refused at once, with a reason, when the mailbox is full, a breaker
// is open or the actor has stopped. An error or a panic in Receive is a failure
// and goes to the supervisor; a rejection is an ordinary reply.
//
// Concurrency: one actor's Receive, Start and Stop never run at the same time.
// Receive runs on a pool of few workers and must not block; what blocks belongs
// in a goroutine whose outcome comes back through [Ref.TellInternal]. A [Context]
// is valid only inside the call it was given to; a [Ref] and a [Replier] may be
// used from anywhere.
package actors
