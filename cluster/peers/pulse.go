package peers

import "time"

// ping is where the newest ping on a connection stands.
type ping struct {
	asked   time.Time // zero for none
	written time.Time // zero until it has left
	waiting bool      // for the answer
}

// pulse tells whether the node at the end of a connection is alive.
type pulse struct {
	ping  ping
	heard time.Time // when its last bytes came
	due   time.Time // when look is to be called next; zero before the first time
	floor time.Time // silence before it does not count
}

// look decides at now whether to ping, whether the node is dead, and when to look again.
//
// It is dead when nothing has been heard for DownAfter and a ping has had most of that
// time to be answered: one that has not left yet, behind a large message, or only just,
// can have no answer. Where nothing leaves at all the connection ends by itself. And
// where this node itself stood still, what the other has said meanwhile is yet to be
// read: its silence counts from now.
func (p *pulse) look(now time.Time, cfg *Config) (ask, dead bool, wait time.Duration) {
	if !p.due.IsZero() && now.Sub(p.due) > cfg.PingInterval {
		p.floor = now
	}
	silent := later(p.heard, p.floor).Add(cfg.DownAfter)
	if p.ping.waiting {
		silent = later(silent, p.ping.written.Add(cfg.DownAfter-cfg.PingInterval))
		if !p.ping.written.IsZero() && !now.Before(silent) {
			return false, true, 0
		}
	}
	next := p.ping.asked.Add(cfg.PingInterval)
	ask = !p.ping.waiting && !now.Before(next)
	if !next.After(now) {
		next = now.Add(cfg.PingInterval)
	}
	if silent.After(now) && silent.Before(next) {
		next = silent
	}
	p.due = next
	return ask, false, next.Sub(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
