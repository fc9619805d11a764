// Package admission shares out what a listener can hold among the addresses that call it, so
// that nobody's connections cost the others theirs.
//
// A caller that has shown nothing yet - no handshake, no call - makes way for a newer one
// when there is no place left, the longest waiting of the busiest address first. One that
// has shown itself stays. Nothing here reads, writes or waits; a Book may be used from many
// goroutines.
package admission
