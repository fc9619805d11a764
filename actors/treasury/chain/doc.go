// Package chain talks to the node of an outside chain: JSON-RPC 2.0 over HTTP, many
// requests in one batch where the node takes batches, and one by one where it does not.
// Each exchange is bounded in time and size.
//
// It judges nothing. What cannot be told for certain from the chain's own words - a
// broken connection, a time-out, any status but 200, an error code it does not know,
// an answer about something else, or none in a batch - is payout.Unclear: the
// transaction may have been taken. The wire is described in
// docs/reference/chain-node.md.
package chain
