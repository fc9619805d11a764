// Package localcluster runs nodes as processes of this machine: for bursar dev and for the
// tests that do to real nodes what happens to machines.
//
// A Process is one start of a program. A Node keeps a node's process going and lets
// something be done to it: killed, stopped, paused, cut off, brought back. A Cluster is
// the nodes of one cluster. All may be used from any goroutine.
package localcluster
