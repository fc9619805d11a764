// Package monitoring shows a node to the people who run it: Prometheus metrics,
// /healthz and /readyz, and a page at / that says what the node is and how it is.
//
// It measures nothing itself. The node hands it Sources, functions that return
// snapshots of counters others keep; they are called at each scrape or page view,
// from any goroutine, and must not block for long. Every metric family is declared
// with the most series it can have, so that nothing a caller sends can make a node
// export without bound; Families lists them.
package monitoring
