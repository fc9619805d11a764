// Package demo pays a real DAO: it submits the embedded grants and expenses of the
// Decentraland DAO to a running node over MessagePack-RPC, as any client would, and
// reports what became of them.
//
// Each grant is a payment. Each expense depends on the grant its proposal_id names,
// so it waits until that grant is final. Eighteen expenses name a grant that is not
// there and one grant is over nothing: the node must refuse these, and the demo
// counts the refusals. Request ids come from the rows, so that running it again
// pays nothing twice.
package demo
