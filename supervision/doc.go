// Package supervision decides what happens to a supervisor's children when one of
// them fails: who restarts, when, who stops, in which order, and when the
// supervisor gives up and fails itself.
//
// Specs are data. A Supervisor is a state machine over them: an event goes in
// with the time and a random number, and a list of Actions comes out, to be
// carried out in order. It holds the children's breakers (package breaker); while
// one is open its child stays down, and it restarts when the breaker turns
// half-open. DESIGN.md beside this file tells the flow and its reasons.
//
// Nothing here reads a clock, starts a timer or touches an actor. A Supervisor
// belongs to one goroutine; the breakers behind its Cells may be used from any.
package supervision
