package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// attend pings the node over a connection until that is lost, and says why it is.
func (l *link) attend(ctx context.Context, client *wire.Client, addr string) error {
	w := watch{link: l, client: client, floor: time.Now(), said: l.peers.self.Cluster()}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return errStopping
		case <-l.gone:
			return errGone
		case <-client.Done():
			return client.Err()
		case <-l.nudge:
			if l.address() != addr {
				return errMoved
			}
			continue
		case <-timer.C:
		}
		wait, err := w.look(time.Now())
		if err != nil {
			l.down(err)
			return err
		}
		timer.Reset(wait)
	}
}

// watch judges one connection.
type watch struct {
	link   *link
	client *wire.Client
	// floor is before what the node's silence is not counted: when the connection was
	// made, or when this node itself had stood still.
	floor time.Time
	due   time.Time // when look is to be called
	said  string    // the cluster in our last hello
}

// look pings when it is time and returns when to look again, or an error where the node
// has been silent for too long.
func (w *watch) look(now time.Time) (time.Duration, error) {
	cfg := &w.link.peers.cfg
	if !w.due.IsZero() && now.Sub(w.due) > cfg.PingInterval {
		w.floor = now // we stood still ourselves: what they said meanwhile is yet to be read
	}
	w.greetAgain()
	heard := w.client.Heard()
	if w.floor.After(heard) {
		heard = w.floor
	}
	p := w.link.lastPing()
	silence := heard.Add(cfg.DownAfter)
	// A ping that has not left yet, behind a large message, or just now, can have no
	// answer. The connection is lost where nothing leaves at all.
	if asked := p.written.Add(cfg.DownAfter - cfg.PingInterval); p.waiting && asked.After(silence) {
		silence = asked
	}
	if !now.Before(silence) && p.waiting && !p.written.IsZero() {
		return 0, fmt.Errorf("%w for %v", errSilent, now.Sub(heard).Round(time.Millisecond))
	}
	next := p.asked.Add(cfg.PingInterval)
	if !p.waiting && !now.Before(next) {
		w.link.sendPing(w.client, now)
		next = now.Add(cfg.PingInterval)
	}
	if !next.After(now) {
		next = now.Add(cfg.PingInterval)
	}
	if silence.After(now) && silence.Before(next) {
		next = silence
	}
	w.due = next
	return next.Sub(now), nil
}

// greetAgain says hello once more when this node has become part of a cluster since the
// last time: the other may be of another one, and ends the connection then.
func (w *watch) greetAgain() {
	mine := w.link.peers.hello()
	if mine.Cluster == w.said {
		return
	}
	w.said = mine.Cluster
	client := w.client
	client.Go(messages.MethodNodeHello, &messages.HelloParams{Hello: *mine}, func(r wire.Reply) {
		var theirs messages.Hello
		if err := r.Decode(&theirs); err != nil {
			client.Abort(err)
		} else if refusal := judge(mine, &theirs); refusal != nil {
			client.Abort(refusal)
		}
	})
}

func (l *link) lastPing() ping {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ping
}

// sendPing asks how the node is, ahead of all that waits to be written.
func (l *link) sendPing(client *wire.Client, now time.Time) {
	l.mu.Lock()
	l.ping = ping{asked: now, waiting: true}
	l.mu.Unlock()
	written := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ping.written = time.Now()
	}
	client.GoFirst(messages.MethodNodePing, nil, written, func(r wire.Reply) {
		var pong messages.NodePingResult
		var refused *messages.Error
		switch err := r.Decode(&pong); {
		case err == nil:
			l.answered(now, &pong)
		case errors.As(err, &refused):
			l.refused() // overloaded, but there; or else the connection is lost anyway
		default:
			client.Abort(err)
		}
	})
}

// refused takes in that a ping told nothing.
func (l *link) refused() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ping.waiting = false
}

// answered takes in the answer to the ping that was sent at the given time.
func (l *link) answered(asked time.Time, pong *messages.NodePingResult) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ping.waiting = false
	l.clock.add(measure(pong.UnixMS, now, now.Sub(asked)), l.peers.cfg.ClockSamples)
	best := l.clock.best()
	s := &l.status
	s.LastHeard, s.RTT, s.ClockOffset = now, best.rtt, best.offset
	s.Pong = Pong{
		Life: pong.Life, Voting: pong.Voting, Applied: pong.AppliedIndex, LastIndex: pong.LastIndex,
		Leader: pong.Leader, Term: pong.Term,
	}
}
