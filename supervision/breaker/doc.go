// Package breaker decides whether a call may pass, from how the calls before it
// ended.
//
// A Breaker guards one thing: an actor, or what a supervisor watches over. It is
// closed (everything passes), open (nothing does) or half-open (a few probes do),
// or an operator has forced it open or closed. Each of these periods has a
// generation; a Token names the generation in which a call was admitted, and an
// outcome reported with the token of an earlier generation decides nothing.
//
//	         failures in a row, or half of the window's calls
//	closed ───────────────────────────────────────────────────▶ open
//	  ▲                                                        │  ▲
//	  │ every probe succeeded                          timeout │  │ a probe failed
//	  │                                                        ▼  │ or expired
//	  └──────────────────────────────────────────────────── half-open
//
// Cells keeps a Breaker for each child of a supervisor that has failed lately,
// beside the supervisor's own. A Gate is the way to one child: the supervisor's
// own Breaker first, then the child's cell, if it has one.
//
// Nothing here reads a clock or starts anything: the caller says when it is, and
// calls Tick at the time Next names. Transitions come back as Events, from which
// log line, metric, audit row, console and tests are all made.
//
// A Breaker and a Gate may be used by any number of goroutines. Admission reads
// one atomic word and takes no lock while a breaker is closed or open; outcomes
// take a mutex for a few nanoseconds, so that none is lost and every rule is
// exact. A Cells belongs to one goroutine, its supervisor's.
package breaker
