package persistence

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrInvalid is returned for a Txn that breaks a rule of its form or a limit.
	ErrInvalid = errors.New("invalid transaction")
	// ErrTooLarge is returned for a Txn over TxnBytesMax.
	ErrTooLarge = errors.New("transaction too large")
	// ErrOverloaded is what an OverloadError, returned by Propose, is.
	ErrOverloaded = errors.New("journal overloaded")
	// ErrClosed is returned by a Store or Journal that is closed.
	ErrClosed = errors.New("closed")
	// ErrUnavailable is the outcome of a Txn that was certainly not proposed. A Log
	// reports it for an entry it did not take.
	ErrUnavailable = errors.New("not proposed")
	// ErrUnknown is the outcome of a Txn that was proposed and may or may not commit.
	// Only its request id can settle it.
	ErrUnknown = errors.New("outcome unknown")

	// ErrCorrupt is returned for an entry or snapshot whose bytes are not those that
	// were written. The node must stop, or take the bytes from elsewhere.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported is returned for an entry, Txn or feature level that a newer
	// program wrote. The node must stop: going on would make its Store differ.
	ErrUnsupported = errors.New("written by a newer version")
	// ErrViewFull is returned by a View that touched ViewRowsMax rows.
	ErrViewFull = errors.New("view touches too many rows")
)

// OverloadError is returned by Propose when the journal's queue is full, or so long that
// the proposal would wait for more than is of use. errors.Is(err, ErrOverloaded) holds.
type OverloadError struct {
	Waiting    int           // transactions in the queue
	Wait       time.Duration // how long the last of them will wait, as far as is known
	RetryAfter time.Duration // when it is worth while to come again
}

// Error says how long the queue is.
func (e *OverloadError) Error() string {
	return fmt.Sprintf("%v: %d transactions wait, for about %s", ErrOverloaded, e.Waiting, e.Wait.Round(time.Millisecond))
}

// Unwrap makes it an ErrOverloaded.
func (e *OverloadError) Unwrap() error { return ErrOverloaded }
