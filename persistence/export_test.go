package persistence

import "time"

// Parts takes a condition apart for the twin.
func (c Condition) Parts() (kind string, key Key, n int64, tags string) {
	kinds := map[conditionKind]string{
		conditionExists: "exists", conditionAbsent: "absent", conditionVersionIs: "version",
		conditionTagIn: "in", conditionTagNotIn: "not in",
		conditionCounterBelow: "below", conditionCounterAtLeast: "at least",
		conditionUnchanged: "unchanged",
	}
	return kinds[c.kind], c.key, int64(c.n), c.tags
}

// RememberAtMost lowers RequestsRecentMax.
func (f *FSM) RememberAtMost(n uint64) { f.requestsRecentMax = n }

// AwaitCompactions waits for compactions under way and counts those done.
func (s *Store) AwaitCompactions() uint64 {
	s.compactions.Wait()
	return s.stats.Compactions.Load()
}

// Pace shows the estimate of how long the queue takes.
type Pace struct{ pace }

// Begins notes that the queue is empty no more.
func (p *Pace) Begins(now time.Time) { p.begins(now) }

// Settled notes an entry that is.
func (p *Pace) Settled(txns int, backlog bool, now time.Time) { p.settled(txns, backlog, now) }

// Wait is how long the last of ahead will wait.
func (p *Pace) Wait(ahead int, now time.Time) time.Duration { return p.wait(ahead, now) }

// Arrival is a caller's proposal; the zero Deadline and Received are none.
type Arrival struct {
	Priority           Priority
	Deadline, Received time.Time
	Now                time.Time
}

// AdmitTo decides about a proposal of 100 B that finds high and low waiting, of 100 B each.
func (a Arrival) AdmitTo(cfg JournalConfig, p *Pace, high, low int) error {
	var q queue
	q.high = class{items: make([]queued, high), bytes: 100 * high}
	q.low = class{items: make([]queued, low), bytes: 100 * low}
	return q.admit(&cfg, &p.pace, arrival{a.Priority, 100, a.Deadline, a.Received, a.Now})
}
