// Package audit tells what was changed, and proves it.
//
// What people change, the money that moves and what breakers do by themselves is written
// into rows of the Store, of which Keys lists the kinds. The Store makes each of them a leaf
// of a Merkle tree, the same on every node. This package shows the leaves as rows that
// people read, gives the proofs that a leaf is in the tree and that one tree extends
// another, and signs checkpoints: size and root, as a note with the node's own key.
//
// A node can withhold a row, but neither change one nor show two people two histories
// without the proofs failing. Package receipt checks all of it, without a node.
//
// Its methods only read, and may be called from any goroutine.
package audit
