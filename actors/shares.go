package actors

import (
	"cmp"
	"slices"
	"time"
)

const (
	// seriesMax is how many actors have series of their own at a time.
	seriesMax = 50
	// provenAfter is how long an actor is among the busiest before it gets a series: most
	// actors live shorter, and series that come and go are a burden to whoever keeps them.
	provenAfter = 15 * time.Second
	// quietAfter is how long an actor is not among the busiest before another may have
	// its series.
	quietAfter = 10 * time.Minute
	// restPath stands for all actors without a series of their own.
	restPath = "_other"
)

// tally is what actors have done.
type tally struct{ messages, seconds float64 }

func (t tally) plus(u tally) tally  { return tally{t.messages + u.messages, t.seconds + u.seconds} }
func (t tally) minus(u tally) tally { return tally{t.messages - u.messages, t.seconds - u.seconds} }
func (t tally) atMost(u tally) tally {
	return tally{min(t.messages, u.messages), min(t.seconds, u.seconds)}
}

// share is the part of all that was done that one actor's series shows. It begins when the
// actor is found to be among the busiest, so that nothing is counted in two series.
type share struct {
	path string
	cell *cell
	// granted is what the series shows, pending what is the actor's and was not yet in the
	// total when it was found.
	granted, pending tally
	timed            int64     // of the cell, at the last look
	busyAt           time.Time // when it was among the busiest last
	depth            int
}

// shares divides what all actors have done among the busiest and the rest. No series ever
// falls, and what they grow by together is what the total grew by. A series that is given
// up takes its count with it: added to the rest it would look like work.
type shares struct {
	all   []*share
	rest  tally
	total tally
	// proving are those that might get a series, with the time since when they were among
	// the busiest at each look.
	proving map[*cell]time.Time
	looked  bool
}

// actorSeries is one actor's row.
type actorSeries struct {
	Actor    string  `label:"actor"`
	Depth    int     `metric:"bursar_actor_mailbox_depth" help:"Messages that wait for one of the busiest actors; \"_other\" sums the rest."`
	Messages float64 `metric:"bursar_actor_messages_total" help:"Messages handled by one of the busiest actors since it is one; \"_other\" sums the rest. The rates over all are exact."`
	Seconds  float64 `metric:"bursar_actor_processing_seconds_total" help:"Time spent by one of the busiest actors since it is one; \"_other\" sums the rest. Extrapolated from one message in 64."`
}

// series takes what a look has found and gives the rows of the busiest and the rest.
func (s *shares) series(found *look, total tally, now time.Time) []actorSeries {
	top := found.busiest[:min(seriesMax, len(found.busiest))]
	s.choose(top, now)
	deltas := make([]tally, len(s.all))
	restDepth := found.depth
	for i, one := range s.all {
		deltas[i].messages = float64(found.since[one.cell])
		timed := one.cell.timed.Load()
		deltas[i].seconds = sampleEvery * time.Duration(timed-one.timed).Seconds()
		one.timed = timed
		one.depth = one.cell.box.load().depth
		restDepth -= one.depth
	}
	s.divide(deltas, total)
	rows := make([]actorSeries, 0, len(s.all)+1)
	for _, one := range s.all {
		rows = append(rows, actorSeries{one.path, one.depth, one.granted.messages, one.granted.seconds})
	}
	return append(rows, actorSeries{restPath, max(restDepth, 0), s.rest.messages, s.rest.seconds})
}

// divide grants the series what their actors did since the last look, as far as the total
// grew, and the rest what is left of that.
func (s *shares) divide(deltas []tally, total tally) {
	left := total.minus(s.total)
	s.total = total
	for i, one := range s.all {
		one.pending = one.pending.plus(deltas[i])
		grant := one.pending.atMost(left)
		one.granted, one.pending = one.granted.plus(grant), one.pending.minus(grant)
		left = left.minus(grant)
	}
	s.rest = s.rest.plus(left)
}

// choose gives series to those that have been among the busiest for long enough; at the
// first look to all that are.
func (s *shares) choose(top []busyCell, now time.Time) {
	proving := make(map[*cell]time.Time)
	var proven []*cell
	for _, b := range top {
		if one := s.of(b.cell); one != nil {
			one.busyAt = now
			continue
		}
		since, known := s.proving[b.cell]
		if !known {
			since = now
		}
		proving[b.cell] = since
		if !s.looked || now.Sub(since) >= provenAfter {
			proven = append(proven, b.cell)
		}
	}
	for _, c := range proven {
		if !s.hasRoom(now) {
			break
		}
		one := &share{path: c.path(), cell: c, busyAt: now}
		if s.looked { // what it took before is the rest's
			one.timed = c.timed.Load()
		}
		s.all = append(s.all, one)
		delete(proving, c)
	}
	s.looked, s.proving = true, proving
}

// of is the share of an actor, which may have begun anew under its path.
func (s *shares) of(c *cell) *share {
	for _, one := range s.all {
		if one.cell == c {
			return one
		}
		if one.path == c.path() {
			one.cell, one.timed = c, c.timed.Load()
			return one
		}
	}
	return nil
}

// hasRoom reports whether there is room for another series, and makes it if one has been
// quiet for long.
func (s *shares) hasRoom(now time.Time) bool {
	if len(s.all) < seriesMax {
		return true
	}
	quietest := slices.MinFunc(s.all, func(a, b *share) int { return cmp.Compare(a.busyAt.UnixNano(), b.busyAt.UnixNano()) })
	if now.Sub(quietest.busyAt) < quietAfter {
		return false
	}
	s.all = slices.DeleteFunc(s.all, func(one *share) bool { return one == quietest })
	return true
}
