package persistence

import (
	"sync/atomic"

	"github.com/the-block/bursar/monitoring/metrics"
)

// StoreStats counts what the FSM did since the process began.
type StoreStats struct {
	Committed   atomic.Uint64 `metric:"bursar_store_txns_total{verdict=committed}" help:"Txns that this node has applied, by verdict. Every node counts them: take max over nodes."`
	Duplicates  atomic.Uint64 `metric:"bursar_store_txns_total{verdict=duplicate}"`
	Conflicts   atomic.Uint64 `metric:"bursar_store_txns_total{verdict=conflict}"`
	Refused     atomic.Uint64 `metric:"bursar_store_txns_total{verdict=refused}"`
	Fenced      atomic.Uint64 `metric:"bursar_cluster_fenced_total" help:"Writes refused because their sender owned the shard no longer. Every node counts them: take max over nodes."`
	Entries     atomic.Uint64 `metric:"bursar_store_entries_total" help:"Log entries that this node has applied."`
	Rows        atomic.Int64  `metric:"bursar_store_rows" help:"Rows in the Store after the newest entry."`
	FileBytes   atomic.Int64  `metric:"bursar_store_file_bytes" help:"Size of the projection's file at the newest snapshot."`
	Snapshots   atomic.Uint64 `metric:"bursar_store_snapshots_total" help:"Snapshots of the Store that were taken."`
	Compactions atomic.Uint64 `metric:"bursar_store_compactions_total" help:"Times the projection's file was written anew because it had grown."`
	Restores    atomic.Uint64 `metric:"bursar_store_restores_total" help:"Times the Store was filled from a snapshot."`
}

// verdict is the counter of a verdict.
func (s *StoreStats) verdict(status Status) *atomic.Uint64 {
	switch status {
	case Committed:
		return &s.Committed
	case Duplicate:
		return &s.Duplicates
	case Conflict:
		return &s.Conflicts
	case Fenced:
		return &s.Fenced
	case Refused:
		return &s.Refused
	}
	panic("persistence: a verdict without a counter: " + status.String())
}

// JournalStats counts what the journal did.
type JournalStats struct {
	Txns        atomic.Uint64     `metric:"bursar_journal_txns_total" help:"Txns the journal proposed."`
	Batches     atomic.Uint64     `metric:"bursar_journal_batches_total" help:"Batches the journal proposed, one log entry each."`
	Queued      atomic.Int64      `metric:"bursar_journal_queued" help:"Txns that wait to be proposed."`
	QueuedBytes atomic.Int64      `metric:"bursar_journal_queued_bytes" help:"Bytes of the Txns that wait to be proposed."`
	InFlight    atomic.Int64      `metric:"bursar_journal_in_flight" help:"Batches that were proposed and have no outcome yet."`
	Lagging     atomic.Int64      `metric:"bursar_journal_lagging" help:"Txns with a verdict that this node's Store does not show yet."`
	Overloaded  atomic.Uint64     `metric:"bursar_journal_overloaded_total" help:"Txns refused because the queue was full."`
	Unavailable atomic.Uint64     `metric:"bursar_journal_unfinished_total{outcome=unavailable}" help:"Txns that got no verdict: certainly not done (unavailable), or nobody can tell (unknown)."`
	Unknown     atomic.Uint64     `metric:"bursar_journal_unfinished_total{outcome=unknown}"`
	Batch       metrics.Histogram `metric:"bursar_journal_batch_txns" help:"Txns in a batch." le:"0..14"`
	Commit      metrics.Histogram `metric:"bursar_journal_commit_seconds" help:"Time from proposing a batch to its outcome: log, fsync, majority and apply." le:"-15..3/2"`
}
