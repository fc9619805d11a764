// Package bench measures a running node, or the nodes of a cluster, from another process,
// over the wire, as clients see them. Run is the engine: it keeps a number of submissions in flight
// (closed loop) or starts them at a fixed rate whatever the answers do (open loop),
// and returns rates and latencies. Latencies of the open loop count from when a
// submission was due, not from when it could be sent, so that a stall is not hidden.
//
// Nodes as processes are measured with it by cmd/internal/nodebench.
//
// Results that count stand in results, each with the machine and the command.
package bench
