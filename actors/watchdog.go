package actors

import "time"

// sight is what the watchdog saw of a worker.
type sight struct {
	cell *cell
	runs uint64
	done uint64
}

// watch keeps the coarse clock and looks for workers that are stuck in one
// message.
func (s *System) watch() {
	tick := time.NewTicker(s.cfg.StallAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-s.halt:
			return
		case now := <-tick.C:
			s.coarse.Store(now.UnixNano())
			s.pool.each(func(w *worker) { s.inspect(w, now.UnixNano()) })
		}
	}
}

// inspect compares a worker with how it was at the last look.
func (s *System) inspect(w *worker, now int64) {
	c := w.running.Load()
	if c == nil {
		w.seen, w.seenFrom = sight{}, now
		return
	}
	saw := sight{cell: c, runs: w.runs.Load(), done: c.box.done.Load()}
	if saw != w.seen {
		w.seen, w.seenFrom = saw, now
		return
	}
	if time.Duration(now-w.seenFrom) >= s.cfg.StallAfter/2 {
		s.pool.standIn(w)
	}
}
