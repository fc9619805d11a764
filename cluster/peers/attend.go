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
	w := watch{link: l, client: client, said: l.peers.self.Cluster()}
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
	pulse  pulse
	said   string // the cluster in our last hello
}

// look pings when it is time and returns when to look again, or an error where the node
// has been silent for too long.
func (w *watch) look(now time.Time) (time.Duration, error) {
	w.greetAgain()
	w.pulse.heard, w.pulse.ping = w.client.Heard(), w.link.lastPing()
	ask, dead, wait := w.pulse.look(now, &w.link.peers.cfg)
	if dead {
		return 0, fmt.Errorf("%w for %v", errSilent, now.Sub(w.pulse.heard).Round(time.Millisecond))
	}
	if ask {
		w.link.sendPing(w.client, now)
	}
	return wait, nil
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
		Life: pong.Life, Voting: pong.Voting, Misbound: pong.Misbound, Applied: pong.AppliedIndex, LastIndex: pong.LastIndex,
		Leader: pong.Leader, Term: pong.Term, Sums: string(pong.Sums),
	}
}
