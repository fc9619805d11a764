package chain

import "time"

// form is what was learned about how many requests the node takes at a time. That grows
// fast until it was too many once, and then slowly; it is halved whenever a batch was not
// answered. So a node that chokes on large batches costs a failure now and then, and a
// request that makes the node fail is soon found out alone.
type form struct {
	max   int
	limit int // 0 while the node is not known to take batches
	fell  bool
	full  int // batches of the limit's size answered since it changed
	alive bool
	next  time.Time // find out not before
}

const (
	// formFirst is how many requests the first batch has.
	formFirst = 16
	// formRetryBatches is how many batches are answered before it is tried again whether the
	// node takes larger ones.
	formRetryBatches = 8
	// formRest is how long a node that does not know batches is asked one by one, and
	// formRetry one of which that could not be found out.
	formRest  = time.Minute
	formRetry = 5 * time.Second
)

func (f *form) room() int { return max(f.limit, 1) }

// due reports whether to find out whether the node takes batches: not while it answers
// nothing at all.
func (f *form) due(now time.Time) bool {
	return f.max > 1 && f.limit == 0 && f.alive && !now.Before(f.next)
}

// known notes that the node takes batches.
func (f *form) known() {
	f.limit, f.fell, f.full = min(formFirst, f.max), false, 0
}

// unknown notes that it does not, or that nobody knows, for a while.
func (f *form) unknown(now time.Time, rest time.Duration) {
	f.limit, f.next = 0, now.Add(rest)
}

// answered notes whether the first of so many requests got a clear answer.
func (f *form) answered(sent int, clear bool) {
	f.alive = clear
	switch {
	case f.limit == 0:
	case !clear && sent > 1:
		f.limit, f.fell, f.full = sent/2, true, 0
	case clear && sent >= f.limit:
		if f.full++; !f.fell || f.full >= formRetryBatches {
			f.limit, f.full = min(2*f.limit, f.max), 0
		}
	}
}
