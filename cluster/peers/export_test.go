package peers

import (
	"time"

	"github.com/the-block/bursar/messages"
)

// Judge is exported for its table.
func Judge(mine, theirs messages.Hello) *messages.Error { return judge(&mine, &theirs) }

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
