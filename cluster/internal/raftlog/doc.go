// Package raftlog is the durable half of consensus: the log of entries, Raft's
// term and vote, and a witness of how far the log reached.
//
// It wraps raft-wal, which neither checks an entry's checksum when it reads it nor
// tells a torn tail from a damaged one. Here each entry carries a CRC-32C that
// every read verifies, term, vote and the list of segments live in one checksummed
// file that is replaced whole, and a witness beside the log says which entry was
// the last to be fsynced. After the first failed write nothing is written any more.
package raftlog
