// Package show is what bursar dev shows: it runs the demo and a load against a cluster on
// this machine, watches its nodes, tells what becomes of the money and what each outage
// costs, and lets a person press keys that do something to a node.
//
// A poller asks the nodes how they are and makes views of them; a Show draws the newest
// view, plays the demo as any client would, and measures outages beside it.
package show
