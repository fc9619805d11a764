// Package disbursement holds every rule about one disbursement: what a memo
// depends on, which submissions are refused, what is stored, and which move
// leads from which state to which, with the money it moves.
//
// It is pure. Values go in and a decision comes out; time and epoch are
// arguments, nothing is locked, logged or read. The actors carry decisions out,
// and whatever rests on state they may not have seen is checked again by the
// log when it commits.
//
// A [Record] is a value: a move returns a new one and leaves the old as it was.
package disbursement
