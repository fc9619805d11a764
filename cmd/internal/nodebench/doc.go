// Package nodebench measures nodes that run as processes of their own, with the engine of
// bench: one node's share of its journal, its epochs and a soak; and three that make one
// cluster, beside three of etcd where it is installed:
//
//	go test ./cmd/internal/nodebench -run xxx -bench Three -benchtime 3x -timeout 1h
//
// That takes about ten minutes; one of its parts by -bench Three/steady, say. The client of
// etcd is a module of its own in the folder etcd.
package nodebench
