// Package chaos does to real nodes what happens to real machines: processes that are
// killed or stand still, cables that are pulled, disks that are lost, upgrades, and
// nodes that must not be let in. Nothing here is simulated: the tests build the program
// once, run three processes of it, put them into network namespaces of their own where
// cables are to be pulled, and call them over the wire as any client does.
//
// A load pays, accrues, votes and reads through all nodes meanwhile, under request ids,
// and notes what it was told. After each scenario the books are held against that: what
// was acknowledged is there exactly once on every node, nothing was executed twice, the
// history is linearizable, and the nodes' books, rebuilt from their disks, are the same.
//
// The scenarios take minutes and the whole machine, so plain `go test` skips them:
//
//	make chaos-short    ten kills, and three of the market, in less than a minute
//	make chaos          everything
//	make chaos RUN=Kill one scenario
package chaos
