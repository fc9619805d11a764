// Package authority keeps who may do what: the operators with their keys and votes, how
// many approvals an action needs, the calls that wait for them, what is paused, and the
// cluster's settings.
//
// All of it is rows of the log. What is decided about it is decided by pure functions on
// State, which is read at one index, and committed only if nothing of it has changed since:
// every change writes one row, whose version it depends on.
//
// An operator signs the exact bytes of a call (auth.call). The node where it arrives judges
// the signature by the operator's row, and whatever the call changes is committed only if
// that row is still what it was: an operator who is revoked before the commit has done
// nothing. The commit carries a note with the envelope and the signature, so that a stranger
// can check later who asked for what.
//
// A call that needs more approvals than its author's is kept. The approval that completes it
// has the call carried out, in a commit that also marks it done: once, whatever crashes.
package authority
