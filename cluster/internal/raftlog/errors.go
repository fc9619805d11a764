package raftlog

import "errors"

var (
	// ErrDamaged is returned when what is on disk is not what was written there.
	ErrDamaged = errors.New("data directory is damaged")
	// errClosed is returned after Close.
	errClosed = errors.New("log is closed")
)
