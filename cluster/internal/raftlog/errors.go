package raftlog

import "errors"

var (
	// ErrDamaged is returned when what is on disk is not what was written there.
	ErrDamaged = errors.New("data directory is damaged")
	// ErrCommitted is returned when entries that are known to be committed were to be
	// replaced by others: there are two histories.
	ErrCommitted = errors.New("committed entries are not replaced")
	// errClosed is returned after Close.
	errClosed = errors.New("log is closed")
)
