// Package raftlog is the durable half of consensus: the log of entries, Raft's
// term and vote, and a high-water mark of how far the log reached.
//
// It wraps raft-wal, which neither checks an entry's checksum when it reads it nor
// tells a torn tail from a damaged one. Here each entry carries a CRC-32C that
// every read verifies, term, vote and the list of segments live in one checksummed
// file that is replaced whole, and a high-water mark apart from the log says which entry
// was the last to be fsynced and what else is there. After the first failed write nothing is written any more.
package raftlog
