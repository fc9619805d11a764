// Package rows says how the treasury is written down in the log: its tables and counters,
// how a record is read, and the Txns by which records and money move together. All who
// read a treasury's Store go by it: its actors, its read model, the audit.
//
// Its functions may be called from anywhere; they hold no state.
package rows
