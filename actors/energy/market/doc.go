// Package market holds the rules of the energy market: what a reading is worth and why
// one is refused, what a settlement moves, what a provider's reputation is, what the
// treasury's fee is, and when a dispute is raised.
//
// It is pure: values in, a decision out, the time an argument. Every formula is exact
// or in integers of a stated precision, so that a PC and a Mac decide alike; no result
// rests on floating point. What the formulas are, with their sources, is the subject of
// docs/reference/energy.md.
package market
