package peers

import "time"

// sample is what one ping tells of a clock: their wall clock minus ours, as if their
// answer had been made in the middle of the round trip. It is off by half of the round
// trip at most, beside their clock's resolution.
type sample struct{ offset, rtt time.Duration }

// measure reads the answer to a ping that took rtt and arrived at now. The far clock
// is told in whole milliseconds: on the average half of one more has passed.
func measure(theirMS uint64, now time.Time, rtt time.Duration) sample {
	theirs := time.UnixMilli(int64(theirMS)).Add(time.Millisecond / 2)
	ours := now.Round(0).Add(-rtt / 2) // wall clock
	return sample{offset: theirs.Sub(ours), rtt: rtt}
}

// clock keeps the newest samples, as many as it has places.
type clock struct {
	samples []sample
	next    int
}

func (c *clock) add(s sample, places int) {
	if len(c.samples) < places {
		c.samples = append(c.samples, s)
		return
	}
	c.samples[c.next] = s
	c.next = (c.next + 1) % len(c.samples)
}

// best is the sample of the quickest round trip, the most exact one.
func (c *clock) best() sample {
	best := c.samples[0]
	for _, s := range c.samples[1:] {
		if s.rtt < best.rtt {
			best = s
		}
	}
	return best
}
