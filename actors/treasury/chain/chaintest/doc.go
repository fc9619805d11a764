// Package chaintest is a chain for tests: a node that speaks the wire of package
// chain over HTTP, with a ledger, nonce rules and a pool of its own, and with every
// fault a real one may have.
//
// It keeps its side of the contract whatever fault it is told to have: what it has
// accepted it keeps, one nonce confirms one transaction, and it judges a transaction
// only by its bytes. So what its ledger says at the end is what was paid.
package chaintest
