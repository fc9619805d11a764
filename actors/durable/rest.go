package durable

import "time"

// The log did not take what an actor proposed: it rests, twice as long each time in a row
// and half of it at random.
const (
	restMin = 100 * time.Millisecond
	restMax = time.Second
)

// Rested says that an actor may try again what the log did not take.
type Rested struct{}

// Rest is an actor's pause. It ends with a Rested message, which End is to be told of.
type Rest struct {
	failures int // in a row
	resting  bool
}

// Resting reports whether a pause has begun and not ended.
func (r *Rest) Resting() bool { return r.resting }

// End notes that Rested has come.
func (r *Rest) End() { r.resting = false }

// Reset notes that the log gave a verdict: the next pause is a short one again.
func (r *Rest) Reset() { r.failures = 0 }

// Begin pauses for d, unless there is a pause already.
func (r *Rest) Begin(ctx Context, d time.Duration) {
	if !r.resting {
		r.resting = true
		ctx.After(d, Rested{})
	}
}

// BackOff pauses because the log did not take something, longer each time in a row.
func (r *Rest) BackOff(ctx Context, chance float64) {
	if r.resting {
		return
	}
	limit := min(restMin<<min(r.failures, 10), restMax)
	r.failures++
	r.Begin(ctx, limit/2+time.Duration(chance*float64(limit/2+1)))
}
