package peers_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/cluster/peers"
)

// The times of this table are milliseconds; pings go out every 200, silence of 700 is
// death; -1 is never.
func TestWhoIsDead(t *testing.T) {
	const never = -1
	at := func(ms int) time.Time {
		if ms == never {
			return time.Time{}
		}
		return time.UnixMilli(1_000_000 + int64(ms))
	}
	for _, c := range []struct {
		name                            string
		now, due, heard, asked, written int
		waiting, ask, dead              bool
		wait                            int
	}{
		{"a new connection", 0, never, 0, never, never, false, true, false, 200},
		{"a ping that was answered", 5, never, 5, 0, 0, false, false, false, 195},
		{"time for the next", 200, 200, 5, 0, 0, false, true, false, 200},
		{"no answer yet", 400, 400, 5, 200, 200, true, false, false, 200},
		{"almost dead", 600, 600, 5, 200, 200, true, false, false, 105},
		{"dead", 705, 705, 5, 200, 200, true, false, true, 0},
		{"other bytes came", 705, 705, 600, 200, 200, true, false, false, 200},
		{"the ping has not left", 705, 705, 5, 200, never, true, false, false, 200},
		{"the ping left late", 705, 705, 5, 200, 500, true, false, false, 200},
		{"and was not answered either", 1000, 1000, 5, 200, 500, true, false, true, 0},
		{"this node stood still", 10_000, 300, 5, 200, 200, true, false, false, 200},
		{"it was a little late", 800, 705, 5, 200, 200, true, false, true, 0},
	} {
		var p peers.Pulse
		p.Due(at(c.due))
		ask, dead, wait := p.Look(at(c.now), at(c.heard), at(c.asked), at(c.written), c.waiting)
		if want := time.Duration(c.wait) * time.Millisecond; ask != c.ask || dead != c.dead || wait != want {
			t.Errorf("%s: ask %v, dead %v, wait %v; want %v, %v, %v", c.name, ask, dead, wait, c.ask, c.dead, want)
		}
	}
	var p peers.Pulse
	p.Due(at(300))
	p.Look(at(10_000), at(5), at(200), at(200), true)
	if _, dead, _ := p.Look(at(10_200), at(5), at(200), at(200), true); dead {
		t.Error("dead before it had time to be heard again")
	}
	for now := 10_400; now < 10_700; now += 100 {
		p.Look(at(now), at(5), at(200), at(200), true)
	}
	if _, dead, _ := p.Look(at(10_700), at(5), at(200), at(200), true); !dead {
		t.Error("not dead after a standstill and the whole time")
	}
}
