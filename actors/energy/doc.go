// Package energy is the energy market's part of a node: its actors, its read model and the
// answers to every energy call.
//
// The rules are pure and stand in market; what oracles sign is judged by signing. What is
// here is thin: an actor reads the Store, asks a rule and proposes the answer as one Txn,
// by the shell of package durable. DESIGN.md tells how it fits together.
package energy
