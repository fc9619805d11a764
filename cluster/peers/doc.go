// Package peers keeps this node linked to every other: who is reachable, how far its
// clock is off, and a way to call it.
//
// A node dials one connection to each other node and makes its own calls there; the
// connections that the others dial are answered and nothing else. Each begins with
// node.hello, in which both sides say who they are and find out whether they can work
// together, and is pinged from then on: a node that answers no ping for DownAfter is
// down, and so is one whose connection breaks and cannot be made again at once. What
// was sent to it and not answered fails at that moment.
//
// One goroutine for each link dials, pings and judges it; all methods of Peers may be
// called from any goroutine and never wait for the network.
package peers
