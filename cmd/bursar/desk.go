package main

import (
	"context"
	"time"
)

const (
	// drillAfter is how long after the first payment the leader is killed if nobody
	// touches the nodes: the story is mostly told then.
	drillAfter = 24 * time.Second
	// drillNotice is how long before it is said.
	drillNotice = 3 * time.Second
	// drillAway is how long the node stays away.
	drillAway = 5 * time.Second
)

// keysHelp is the line under the panel.
const keysHelp = "keys: 1 2 3 choose a node   k kill -9   s stop   p pause   c cut off   b bring back   q end"

// command carries out what a key asks for.
func (s *show) command(key byte, quit context.CancelFunc) {
	m := s.crew[s.chosen.Load()]
	switch key {
	case 'q', keyInterrupt:
		quit()
	case '1', '2', '3':
		if k := int32(key - '1'); int(k) < len(s.crew) {
			s.chosen.Store(k)
		}
		s.redraw()
	case 'k':
		s.order(m.suffer(killed))
	case 's':
		s.order(m.suffer(stopped))
	case 'p':
		if m.now() == paused {
			s.order(m.bringBack())
			return
		}
		s.order(m.suffer(paused))
	case 'c':
		if m.now() == cutOff {
			s.order(m.bringBack())
			return
		}
		s.order(m.suffer(cutOff))
	case 'b':
		s.order(m.bringBack())
	}
}

// order notes that somebody acts, and tells why an order was not carried out.
func (s *show) order(err error) {
	s.touched.Store(true)
	if err != nil {
		s.screen.event("%v", err)
	}
}

// drill kills the leader once and starts it again, unless somebody acts before.
func (s *show) drill(ctx context.Context) error {
	select {
	case <-s.paid: // the first payment
	case <-ctx.Done():
		return nil
	}
	if !wait(ctx, drillAfter) {
		return nil
	}
	leader := s.crew.named(s.lookout.last.Load().leader)
	if leader == nil || s.touched.Load() || !s.crew.untouched() {
		return nil
	}
	s.screen.event("in %s %s, the leader, is killed (kill -9) and comes back %s later: watch what it costs; --calm leaves nodes alone",
		drillNotice, leader.cfg.Name, drillAway)
	if !wait(ctx, drillNotice) || s.touched.Load() {
		return nil
	}
	if err := leader.suffer(killed); err != nil {
		s.screen.event("%v", err)
		return nil
	}
	if !wait(ctx, drillAway) || leader.now() != killed {
		return nil // somebody was faster
	}
	if err := leader.bringBack(); err != nil {
		s.screen.event("%v", err)
	}
	return nil
}
