// Package cluster makes one system of many nodes. It owns consensus (the one
// Raft group that orders every change), and it is the home of membership,
// placement and routing.
//
// Consensus keeps the log in a data directory that belongs to one process, one
// node name and one cluster. An entry is acknowledged once a majority has it on
// disk and the state machine has applied it. Whatever makes the log and the
// state machine disagree - an error from the disk, a damaged entry, an entry the
// state machine cannot apply - ends the process: nothing goes on diverged.
//
// Any node takes proposals and reads and hands them to the leader. A new directory
// begins a life without a vote; it gets one by forming a cluster with others, each of
// which promises to, or when a cluster admits it.
//
// Every method may be called from any goroutine. Run owns the goroutines that
// Consensus starts; Close ends them in order.
package cluster
