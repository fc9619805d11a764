// Package persistence keeps what the cluster agreed on: the transaction (Txn)
// and its bytes, the state machine (FSM) that applies committed batches of them,
// the Store that is their projection, and the journal that proposes them.
//
// The log is the truth, the Store is derived. A Txn is decided elsewhere, travels
// in a batch as one log entry, and is judged by the FSM of every node at the same
// place in the log: request id, fences, conditions, guarded adds. It takes effect
// whole or not at all, and every node reaches the same verdict, because the FSM
// reads no clock, draws no random number and never walks a map.
//
// Concurrency: one goroutine calls the FSM (Apply, Snapshot, Restore). The Store's
// reading methods may be called from any number of goroutines at the same time.
// Journal.Propose may be called from anywhere and never blocks; one goroutine runs
// Journal.Run. buntdb is imported here and nowhere else.
//
// The bytes of entries, rows and snapshots are drawn in docs/storage.md.
package persistence
