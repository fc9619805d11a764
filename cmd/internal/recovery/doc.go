// Package recovery makes a new cluster of what is left of one: of a backup, or of the disk
// of a node that lost the others for good.
//
// Either way a Store is rebuilt and checked first, and only then becomes a data directory: a
// cluster of one voter with an identity of its own, so that the nodes of before are strangers
// to it. Its executor rests until an operator has looked at what was paid meanwhile.
package recovery
