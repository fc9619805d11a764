package persistence

import (
	"fmt"
	"time"
)

// StoreConfig says what the Store keeps in memory beside its rows.
type StoreConfig struct {
	// Columns are the fields kept per record of a numbered table, so that Select can
	// filter without reading rows. Each costs 9 B a record.
	Columns map[Table]Columns
	// Audited are the beginnings of the keys whose rows are leaves of the audit tree, as
	// they are written: a table, or a part of one. All nodes must have the same: another
	// list needs another feature level.
	Audited []Key
	// RecentChanges and RecentBytes bound the changes kept for consumers that follow
	// the Store. Raised: a slower consumer need not rebuild. Lowered: less memory.
	RecentChanges int
	RecentBytes   int
	// CompactBytes is the size from which the projection file is compacted once half of
	// it is garbage. Raised: rarer; lowered: snapshots shrink sooner.
	CompactBytes int64
}

// DefaultStoreConfig keeps 65,536 changes of at most 64 MiB and no columns.
func DefaultStoreConfig() StoreConfig {
	return StoreConfig{RecentChanges: 1 << 16, RecentBytes: 64 << 20, CompactBytes: 64 << 20}
}

func (c *StoreConfig) validate() error {
	if c.RecentChanges < 1 || c.RecentBytes < 1 {
		return fmt.Errorf("store: recent changes %d and bytes %d must be positive",
			c.RecentChanges, c.RecentBytes)
	}
	if c.CompactBytes < 1 {
		return fmt.Errorf("store: compact bytes %d must be positive", c.CompactBytes)
	}
	for _, key := range c.Audited {
		if table := key.Table(); table == 0 || table >= tableReserved {
			return fmt.Errorf("store: audited keys %x", string(key))
		}
	}
	for table, columns := range c.Columns {
		if table == 0 || table >= tableReserved {
			return fmt.Errorf("store: columns of table %#x", byte(table))
		}
		if columns.Count < 0 || columns.Count > ColumnsMax || columns.Count > 0 && columns.Extract == nil {
			return fmt.Errorf("store: %d columns of table %#x, at most %d, with a function",
				columns.Count, byte(table), ColumnsMax)
		}
	}
	return nil
}

// JournalConfig bounds the journal's queue and what it has in flight.
type JournalConfig struct {
	// QueueTxns and QueueBytes bound what waits; beyond either, Propose answers
	// ErrOverloaded. Low-priority proposals may fill an eighth of each. Raised: bursts
	// are absorbed, and wait longer.
	QueueTxns  int
	QueueBytes int
	// QueueDelayMax is how long a caller's proposal may be expected to wait in the queue;
	// beyond it Propose answers ErrOverloaded, with advice. What the next four entries
	// hold is always taken. Raised: less is refused, and all wait longer in a flood.
	// Lowered: bursts are refused that would have been served within their deadlines.
	QueueDelayMax time.Duration
	// BatchTxns and BatchBytes bound an entry; a larger Txn is an entry of its own. At
	// most BatchTxnsMax and BatchBytesMax.
	BatchTxns  int
	BatchBytes int
	// InFlight is how many entries may be on their way at once. 2 keeps the disk busy
	// while the next batch fills itself; more makes batches smaller.
	InFlight int
	// LagTxns is how many verdicts may wait for this node's Store. From there on nothing
	// is proposed until it catches up, and the queue fills. Raised: a follower whose Store
	// is further behind keeps proposing, and holds more memory (about 200 B each).
	LagTxns int
}

// DefaultJournalConfig is what was measured to be best: entries of 1,024 Txns or
// 1 MiB, 2 in flight, a queue of 65,536 or 64 MiB that takes 50 ms; and 65,536 verdicts that wait for
// this node's Store.
func DefaultJournalConfig() JournalConfig {
	return JournalConfig{
		QueueTxns:     1 << 16,
		QueueBytes:    64 << 20,
		QueueDelayMax: 50 * time.Millisecond,
		BatchTxns:     BatchTxnsMax,
		BatchBytes:    BatchBytesMax,
		InFlight:      2,
		LagTxns:       1 << 16,
	}
}

func (c *JournalConfig) validate() error {
	switch {
	case c.QueueTxns < lowShare || c.QueueBytes < lowShare*TxnBytesMax:
		return fmt.Errorf("journal: queue of %d transactions and %d bytes, at least %d and %d",
			c.QueueTxns, c.QueueBytes, lowShare, lowShare*TxnBytesMax)
	case c.QueueDelayMax <= 0:
		return fmt.Errorf("journal: queue delay of at most %s", c.QueueDelayMax)
	case c.BatchTxns < lowShare || c.BatchTxns > BatchTxnsMax:
		return fmt.Errorf("journal: batch of %d transactions, %d to %d", c.BatchTxns, lowShare, BatchTxnsMax)
	case c.BatchBytes < lowShare || c.BatchBytes > BatchBytesMax:
		return fmt.Errorf("journal: batch of %d bytes, %d to %d", c.BatchBytes, lowShare, BatchBytesMax)
	case c.InFlight < 1 || c.InFlight > 64:
		return fmt.Errorf("journal: %d entries in flight, 1 to 64", c.InFlight)
	case c.LagTxns < 1:
		return fmt.Errorf("journal: %d verdicts waiting for the store, at least 1", c.LagTxns)
	}
	return nil
}
