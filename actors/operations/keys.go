package operations

import (
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
)

// Tables and counters of the Store that belong to operations.
const (
	// TableForces holds a row per forced path, under the path.
	TableForces persistence.Table = 'f'
	// TableAudit holds the newest AuditMax rows of the audit log, under their numbers.
	TableAudit persistence.Table = 'o'

	// CounterForces is how many rows TableForces has.
	CounterForces = "forces"
	// CounterAudit is the number of the newest row of the audit log.
	CounterAudit = "audit"
)

const (
	// AuditMax is how many rows of the audit log are kept; each new one beyond it takes
	// the oldest away.
	AuditMax = 100_000
	// PathMax is the longest path in bytes that can be forced: it must fit a key.
	PathMax = persistence.KeyBytesMax - 1
)

func forceKey(path string) persistence.Key { return persistence.NameKey(TableForces, path) }

func auditKey(id uint64) persistence.Key { return persistence.RecordKey(TableAudit, id) }

// countForce changes the number of forces, which the log keeps within its bound.
func countForce(delta int64) persistence.Add {
	return persistence.Add{Counter: CounterForces, Delta: delta, Min: 0, Max: supervision.ForcesMax}
}

// countAudit takes n numbers of the audit log from first on. It fails if somebody else
// has taken the first.
func countAudit(first uint64, n int) persistence.Add {
	last := int64(first) + int64(n) - 1
	return persistence.Add{Counter: CounterAudit, Delta: int64(n), Min: last, Max: last}
}
