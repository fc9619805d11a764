package durable

import "github.com/the-block/bursar/persistence"

// Right is what a request brings beside its own change: what gives its caller the right to
// it, what is done with that, and the note that is kept of it. The zero Right is that of a
// caller who needs none.
type Right struct {
	Conditions []persistence.Condition
	Writes     []persistence.Write
	Adds       []persistence.Add
	Notes      []persistence.Append
}

// Join puts the right into a Txn. A Txn that has made its own Adds and Writes keeps their
// places: these come behind them.
func (r *Right) Join(txn *persistence.Txn) {
	txn.Conditions = append(txn.Conditions, r.Conditions...)
	txn.Writes = append(txn.Writes, r.Writes...)
	txn.Adds = append(txn.Adds, r.Adds...)
	txn.Notes = append(txn.Notes, r.Notes...)
}

// Noted is a right of which only the note is kept: of a request that asks for what happens
// by itself.
func (r *Right) Noted() Right { return Right{Notes: r.Notes} }
