package supervisiontest

import (
	"time"

	"github.com/the-block/bursar/actors"
)

// Panic makes the actor at a path panic on its next so many messages.
func (x *Tree) Panic(path string, times int) {
	x.t.Helper()
	x.Inject(actors.Fault{Path: path, Mode: actors.FaultPanic, Times: times})
}

// Fail makes the actor at a path return an error on its next so many messages.
func (x *Tree) Fail(path string, times int) {
	x.t.Helper()
	x.Inject(actors.Fault{Path: path, Mode: actors.FaultError, Times: times})
}

// Stall makes the actor at a path hang for d in its next message, which must be longer
// than the configuration's StallAfter, and then handle it.
func (x *Tree) Stall(path string, d time.Duration) {
	x.t.Helper()
	x.Inject(actors.Fault{Path: path, Mode: actors.FaultStall, Times: 1, Delay: d})
}

// Slow makes the actor at a path take d longer for each of its next so many messages.
func (x *Tree) Slow(path string, times int, d time.Duration) {
	x.t.Helper()
	x.Inject(actors.Fault{Path: path, Mode: actors.FaultSlow, Times: times, Delay: d})
}

// Inject makes any trouble the runtime can make, for a kind of actor too.
func (x *Tree) Inject(f actors.Fault) {
	x.t.Helper()
	if err := x.System.Inject(f); err != nil {
		x.t.Fatalf("inject: %v", err)
	}
}
