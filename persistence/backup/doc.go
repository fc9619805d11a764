// Package backup keeps copies of a cluster's log where its nodes are not: at a Target.
//
// A backup holds bases, each a Raft snapshot's state at one index, and pieces, each a run of
// committed entries. An object is compressed, and encrypted if there is a recipient; beside
// it lies a Manifest, which says what it holds and has the hash of every byte. Only an object
// with a manifest counts, and the manifest is written after the object was read back. No
// object is ever written over.
//
// From a base on, the pieces give every later index: the log's running hash ties each entry
// to all before it. What was flipped, cut, swapped or left out is named, and nothing past it
// is given out.
//
// A Writer is one goroutine's; everything else may be used from any.
package backup
