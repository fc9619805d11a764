package cluster

import "errors"

var (
	// ErrUnavailable is returned when an entry was certainly not proposed, or a
	// read was not answered: there is no leader here, or it cannot take more. A
	// caller may try again, here or elsewhere.
	ErrUnavailable = errors.New("unavailable")
	// ErrOutcomeUnknown is returned when an entry was proposed and its fate cannot
	// be told: leadership was lost, or the node stopped. Only a repeat under the
	// same request id settles it.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrInUse is returned when another process holds the data directory.
	ErrInUse = errors.New("data directory is in use")
	// ErrForeign is returned when the data directory belongs to another node.
	ErrForeign = errors.New("data directory belongs to another node")
	// ErrDamaged is returned when what is on disk is not what was written there:
	// the log ends before its witness, an entry or a Raft snapshot fails its
	// checksum, or entries are missing. The node must not vote with such a log.
	ErrDamaged = errors.New("data directory is damaged")
)
