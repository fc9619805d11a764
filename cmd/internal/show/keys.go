package show

import (
	"context"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"time"
)

const (
	// drillAfter is how long after the first payment the leader is killed if nobody
	// touches the nodes: the demo is mostly over then.
	drillAfter = 24 * time.Second
	// drillNotice is how long before it is said.
	drillNotice = 3 * time.Second
	// drillAway is how long the node stays away.
	drillAway = 5 * time.Second
)

// keysHelp is the line under the panel.
const keysHelp = "keys: 1 2 3 choose a node   k kill -9   s stop   p pause   c cut off   b bring back   q end"

// Key carries out what a key asks for.
func (s *Show) Key(key byte, quit context.CancelFunc) {
	m := s.cluster[s.chosen.Load()]
	switch key {
	case 'q', terminal.KeyInterrupt:
		quit()
	case '1', '2', '3':
		if k := int32(key - '1'); int(k) < len(s.cluster) {
			s.chosen.Store(k)
		}
		s.redraw()
	case 'k':
		s.order(m.Do(localcluster.Killed))
	case 's':
		s.order(m.Do(localcluster.Stopped))
	case 'p':
		if m.Fate() == localcluster.Paused {
			s.order(m.BringBack())
			return
		}
		s.order(m.Do(localcluster.Paused))
	case 'c':
		if m.Fate() == localcluster.CutOff {
			s.order(m.BringBack())
			return
		}
		s.order(m.Do(localcluster.CutOff))
	case 'b':
		s.order(m.BringBack())
	}
}

// order notes that somebody acts, and tells why an order was not carried out.
func (s *Show) order(err error) {
	s.touched.Store(true)
	if err != nil {
		s.screen.Event("%v", err)
	}
}

// drill kills the leader once and starts it again, unless somebody acts before.
func (s *Show) drill(ctx context.Context) error {
	select {
	case <-s.paid: // the first payment
	case <-ctx.Done():
		return nil
	}
	if !localcluster.Wait(ctx, drillAfter) {
		return nil
	}
	leader := s.cluster.Named(s.poller.last.Load().leader)
	if leader == nil || s.touched.Load() || !s.cluster.Untouched() {
		return nil
	}
	s.screen.Event("in %s %s, the leader, is killed (kill -9) and comes back %s later: watch what it costs; --calm leaves nodes alone",
		drillNotice, leader.Cfg.Name, drillAway)
	if !localcluster.Wait(ctx, drillNotice) || s.touched.Load() {
		return nil
	}
	if err := leader.Do(localcluster.Killed); err != nil {
		s.screen.Event("%v", err)
		return nil
	}
	if !localcluster.Wait(ctx, drillAway) || leader.Fate() != localcluster.Killed {
		return nil // somebody was faster
	}
	if err := leader.BringBack(); err != nil {
		s.screen.Event("%v", err)
	}
	return nil
}
