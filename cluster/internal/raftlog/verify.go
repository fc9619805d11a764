package raftlog

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Verify compares the log with its witness and with the newest Raft snapshot
// (index 0 for none), and reads every entry behind that snapshot. It returns
// ErrDamaged, naming the entry, for a log that must not vote. It is called once,
// before Raft is.
func (l *Log) Verify(snapshot uint64) error {
	first, last, err := l.bounds()
	if err != nil {
		return err
	}
	if last > 0 && last < snapshot {
		// The process ended between installing a leader's snapshot and removing the
		// log it replaces. The log may not have gaps, so it starts anew.
		if err := l.wal.DeleteRange(first, last); err != nil {
			return err
		}
		first, last = 0, 0
	}
	witnessed := l.witness.mark()
	if end := max(last, snapshot); end < witnessed.index {
		return fmt.Errorf("%w: log and raft snapshot end at entry %d, but entry %d was fsynced", ErrDamaged, end, witnessed.index)
	}
	if last > 0 && first > snapshot+1 {
		return fmt.Errorf("%w: entries %d to %d are neither in the log nor in a raft snapshot", ErrDamaged, snapshot+1, first-1)
	}
	if term := l.meta.term(); term < witnessed.currentTerm {
		return fmt.Errorf("%w: %s says term %d, but term %d was entered", ErrDamaged, metaFile, term, witnessed.currentTerm)
	}
	return l.verifyEntries(max(first, snapshot+1), last, witnessed)
}

// verifyEntries reads entries first to last: none damaged, terms never falling
// and never over the current one, and the witness's entry being the one it saw.
func (l *Log) verifyEntries(first, last uint64, witnessed mark) error {
	var term uint64
	for index := first; index <= last; index++ {
		var entry raft.Log
		if err := l.get(index, &entry); err != nil {
			return damagedIfCorrupt(err)
		}
		if entry.Term < term {
			return fmt.Errorf("%w: entry %d is of term %d after one of term %d", ErrDamaged, index, entry.Term, term)
		}
		if index == witnessed.index && witnessed.term != 0 && entry.Term != witnessed.term {
			return fmt.Errorf("%w: entry %d is of term %d, the one fsynced was of term %d", ErrDamaged, index, entry.Term, witnessed.term)
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
