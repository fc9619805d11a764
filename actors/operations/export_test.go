package operations

import (
	"time"

	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
)

// Row is a row of the audit log as tests see it.
type Row = row

// What the rows of the Store are made with and read by.
var (
	DecodeRow   = decodeRow
	EncodeForce = encodeForce
	DecodeForce = decodeForce
	ForceKey    = forceKey
)

// Encode gives a row's value.
func (r *row) Encode() []byte { return r.encode() }

// NewRow makes a row from what it says.
func NewRow(tag byte, f supervision.Force, node, detail string) Row {
	return row{action: action(tag), at: f.At, who: f.By, node: node, path: f.Path, detail: detail}
}

// AuditGrows makes a Txn that makes the number of the newest row grow by n, as if so many
// had been written and taken away.
func AuditGrows(n int64) *persistence.Txn {
	return &persistence.Txn{Adds: []persistence.Add{{Counter: CounterAudit, Delta: n, Min: n, Max: 2 * n}}}
}

// SetClock gives the node another clock. Nothing must be under way.
func (o *Operations) SetClock(now func() time.Time) { o.now = now }
