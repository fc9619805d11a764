// Package messages is Bursar's language: the identifiers, commands, replies and
// error codes that clients, nodes and actors exchange, and two tables that name
// every method with its parameters and result: one for callers, one between nodes.
//
// It holds values and their codecs only: no decision, no connection, no state.
// The bytes on the wire are the subject of messages/wire.
package messages
