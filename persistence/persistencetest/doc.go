// Package persistencetest helps to test what stands on package persistence: a log of
// one node in memory that applies entries to a real FSM.
package persistencetest
