package peers

import (
	"time"

	"github.com/the-block/bursar/messages"
)

// Judge is exported for its table.
func Judge(mine, theirs messages.Hello) *messages.Error { return judge(&mine, &theirs) }

// Pulse is exported for its table.
type Pulse struct{ pulse pulse }

// Look is what is decided at now of a node that was heard at heard, and asked at asked by
// a ping that left at written; zero times are for what has not happened.
func (p *Pulse) Look(now, heard, asked, written time.Time, waiting bool) (ask, dead bool, wait time.Duration) {
	cfg := DefaultConfig()
	p.pulse.heard, p.pulse.ping = heard, ping{asked: asked, written: written, waiting: waiting}
	return p.pulse.look(now, &cfg)
}

// Due sets when the next look was to be.
func (p *Pulse) Due(at time.Time) { p.pulse.due = at }

// Offset is what one answer to a ping tells of a clock.
func Offset(theirMS uint64, now time.Time, rtt time.Duration) time.Duration {
	return measure(theirMS, now, rtt).offset
}

// Clock is exported for its test.
type Clock struct{ clock clock }

// Add takes one sample and returns the best of as many as there are places.
func (c *Clock) Add(offset, rtt time.Duration, places int) time.Duration {
	c.clock.add(sample{offset: offset, rtt: rtt}, places)
	return c.clock.best().offset
}
