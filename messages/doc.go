// Package messages is Bursar's language: the identifiers, commands, replies and
// error codes that clients, nodes and actors exchange, and the one table that
// names every method with its parameters, result and errors.
//
// It holds values and their codecs only: no decision, no connection, no state.
// The bytes on the wire are the subject of messages/wire.
package messages
