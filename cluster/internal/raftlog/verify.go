package raftlog

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/hashicorp/raft"
)

// VerifySnapshot compares the newest Raft snapshot with what the high-water mark says of
// it.
func (l *Log) VerifySnapshot(newest SnapshotID) error {
	known := l.mark.mark().snapshots
	if newest != (SnapshotID{}) && !slices.Contains(known[:], newest) {
		return fmt.Errorf("%w: the newest raft snapshot, at entry %d of term %d, is not one of this directory as %s knows it: "+
			"those are at %d and %d", ErrDamaged, newest.Index, newest.Term, markFile, known[0].Index, known[1].Index)
	}
	return nil
}

// Verify compares the log with its mark and with the newest Raft snapshot (index 0 for
// none), and reads every entry behind that snapshot. It returns ErrDamaged, naming the
// entry, for a log that must not vote. It is called once, before Raft is.
func (l *Log) Verify(snapshot uint64) error {
	first, last, err := l.bounds()
	if err != nil {
		return err
	}
	m := l.mark.mark()
	reached := max(m.index, m.committed, l.meta.reached())
	if end := max(last, snapshot); end < reached {
		return fmt.Errorf("%w: log and raft snapshot end at entry %d, but entry %d was fsynced", ErrDamaged, end, reached)
	}
	if term := l.meta.term(); term < m.currentTerm {
		return fmt.Errorf("%w: %s says term %d, but term %d was entered", ErrDamaged, metaFile, term, m.currentTerm)
	}
	if last > 0 && last < snapshot {
		// The process ended between installing a leader's snapshot and removing the
		// log it replaces. The log may not have gaps, so it starts anew.
		if err := l.wal.DeleteRange(first, last); err != nil {
			return err
		}
		first, last = 0, 0
	}
	if last > 0 && first > snapshot+1 {
		return fmt.Errorf("%w: entries %d to %d are neither in the log nor in a raft snapshot", ErrDamaged, snapshot+1, first-1)
	}
	return l.verifyEntries(max(first, snapshot+1), last, m)
}

// verifyEntries reads entries first to last: none damaged, terms never falling
// and never over the current one, and the mark's entry being the one it saw.
func (l *Log) verifyEntries(first, last uint64, m mark) error {
	var term uint64
	for index := first; index <= last; index++ {
		var entry raft.Log
		if err := l.get(index, &entry); err != nil {
			return describe(err)
		}
		if entry.Term < term {
			return fmt.Errorf("%w: entry %d is of term %d after one of term %d", ErrDamaged, index, entry.Term, term)
		}
		if index == m.index && m.term != 0 && entry.Term != m.term {
			return fmt.Errorf("%w: entry %d is of term %d, the one fsynced was of term %d", ErrDamaged, index, entry.Term, m.term)
		}
		if index == m.index && m.sum != 0 && crc32.Checksum(entry.Data, castagnoli) != m.sum {
			return fmt.Errorf("%w: entry %d is not the one that was fsynced", ErrDamaged, index)
		}
		term = entry.Term
		l.written.Add(int64(len(entry.Data)))
	}
	if term > l.meta.term() {
		return fmt.Errorf("%w: the log reaches term %d, %s says %d", ErrDamaged, term, metaFile, l.meta.term())
	}
	return nil
}

func (l *Log) bounds() (first, last uint64, err error) {
	if first, err = l.wal.FirstIndex(); err != nil {
		return 0, 0, err
	}
	last, err = l.wal.LastIndex()
	return first, last, err
}
