// Package wire carries the methods of package messages between processes:
// MessagePack-RPC over TCP and JSON-RPC 2.0 over HTTP, with one server, one client
// and one scanner in front of every decoder.
//
// A Server reads a connection in bursts: what one read brought is scanned, decoded
// and handed to the Handler as one slice of Calls. Handlers never block; they answer
// each Call once, later, from any goroutine. Replies gather in a bounded buffer per
// connection that one goroutine writes out, so a burst of replies is one system call.
//
// The same Server and Client work between nodes, made by NewPeer and NewPeerClient: with
// another table of methods, longer messages, and a Greeter that judges the first call of
// each connection. Forward, Inner and Unwrap carry a caller's call from node to node.
//
// Two goroutines serve a connection, one reads and one writes; both end before Serve
// returns.
package wire
