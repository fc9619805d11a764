// Package messages is Bursar's language: the identifiers, commands, replies and
// error codes that clients, nodes and actors exchange, and two tables that name
// every method with its parameters and result: one for callers, one between nodes.
//
// It holds values and their codecs only: no decision, no connection, no state.
// The bytes on the wire are the subject of messages/wire.
//
// # One description of each message
//
// A struct of the wire has one method, fields, that names its fields in the order in
// which they are written. Decoding, appending and describing are three ways of going
// through it, so a field is one line, and a method is a struct for its parameters, one
// for its result, and one line in the table of its domain (treasury.go, graph.go,
// cluster.go, operations.go, peer.go):
//
//	const MethodAccount = "gov.treasury.account"
//
//	reads[AccountParams, AccountResult](MethodAccount, "The balance of one account."),
//
//	type AccountParams struct {
//		Options
//		Account string
//	}
//
//	func (p *AccountParams) fields(f *fields) {
//		f.must().text("account", &p.Account, "Its name.")
//	}
//
// Before a field stands when it is there: must (a call without it is refused), may
// (absent is the default that is named, and zero is not written), only (written on a
// condition); without any of them it is written always. Behind it stand its bounds and
// words: max, chosen, identity. docs/api.md and rpc.discover come from the same lines.
// What carries the method out is bound beside its domain, such as in
// actors/treasury/api.go.
package messages
