package actors

import "sync"

// watching is a watch of an actor on another node, on the side of who watches.
type watching struct {
	cell *cell
	ref  Ref
}

// farEnd tells a cell, as a system message, that a watched actor of another node has
// ended.
type farEnd struct {
	ref Ref
	id  uint64
	end End
}

// watchFar begins a watch. It runs on the watcher's turn, as what follows does.
func (c *cell) watchFar(ref Ref) {
	to, ok := ref.elsewhere()
	if !ok {
		return
	}
	x := c.extras()
	if _, already := x.afar[ref]; already {
		return
	}
	if x.afar == nil {
		x.afar = make(map[Ref]uint64)
	}
	id := to.peer.remote.ids.Add(1)
	x.afar[ref] = id
	l := to.peer.link.Load()
	if l == nil || !l.watch(&entry{op: opWatch, id: id, path: to.path}, watching{c, ref}) {
		c.postSystem(farEnd{ref, id, EndUnreachable})
	}
}

// unwatchFar ends a watch.
func (c *cell) unwatchFar(ref Ref) {
	to, ok := ref.elsewhere()
	if !ok || c.more == nil {
		return
	}
	id, watched := c.more.afar[ref]
	if !watched {
		return
	}
	delete(c.more.afar, ref)
	if l := to.peer.link.Load(); l != nil {
		if _, known := l.unwatched(id); known {
			l.control(&entry{op: opUnwatch, id: id})
		}
	}
}

// unwatchAfar ends all watches of an actor that ends itself.
func (c *cell) unwatchAfar() {
	if c.more != nil {
		for ref := range c.more.afar {
			c.unwatchFar(ref)
		}
	}
}

// noteFarEnd passes the end of a watched actor on, unless the watch was taken back.
func (c *cell) noteFarEnd(f farEnd) {
	if c.more != nil && c.more.afar[f.ref] == f.id && f.id != 0 {
		delete(c.more.afar, f.ref)
		_ = c.postInternal(item{msg: Terminated{Ref: f.ref, End: f.end}})
	}
}

// ended takes the news that a watched actor has ended.
func (p *peer) ended(e *entry) {
	l := p.link.Load()
	if l == nil {
		return
	}
	end := e.end
	if end < EndStopped || end > EndUnreachable {
		end = EndUnreachable // a later version's
	}
	if w, ok := l.unwatched(e.id); ok {
		w.cell.postSystem(farEnd{w.ref, e.id, end})
	}
}

// watchers are the watches that other nodes have on actors of this one.
type watchers struct {
	mu     sync.Mutex
	byCell map[*cell]map[watcher]struct{}
	byID   map[watcher]*cell
	count  map[*session]int
}

// watcher is one watch: a number that its session chose.
type watcher struct {
	session *session
	id      uint64
}

// add begins a watch on c, or answers it at once: there is no such actor, it has ended,
// or there are too many watches.
func (w *watchers) add(s *session, c *cell, id uint64) {
	if end := w.enter(s, c, id); end != 0 {
		s.tellEnd(id, end)
	}
}

func (w *watchers) enter(s *session, c *cell, id uint64) End {
	if c == nil {
		return EndStopped
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.currentState() == Ended { // else its end finds the watch
		return c.end
	}
	who := watcher{s, id}
	if _, twice := w.byID[who]; twice || w.count[s] >= s.peer.remote.cfg.WatchesMax {
		return EndUnreachable
	}
	if w.byCell == nil {
		w.byCell = make(map[*cell]map[watcher]struct{})
		w.byID = make(map[watcher]*cell)
		w.count = make(map[*session]int)
	}
	if w.byCell[c] == nil {
		w.byCell[c] = make(map[watcher]struct{})
	}
	w.byCell[c][who] = struct{}{}
	w.byID[who] = c
	w.count[s]++
	return 0
}

// remove ends a watch.
func (w *watchers) remove(s *session, id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(watcher{s, id})
}

// forget takes a watch off the books. The caller holds mu.
func (w *watchers) forget(who watcher) {
	c, ok := w.byID[who]
	if !ok {
		return
	}
	delete(w.byID, who)
	if delete(w.byCell[c], who); len(w.byCell[c]) == 0 {
		delete(w.byCell, c)
	}
	if w.count[who.session]--; w.count[who.session] == 0 {
		delete(w.count, who.session)
	}
}

// drop ends all watches of a session.
func (w *watchers) drop(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for who := range w.byID {
		if who.session == s {
			w.forget(who)
		}
	}
}

// take ends the watches of an actor and returns them.
func (w *watchers) take(c *cell) []watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []watcher
	for who := range w.byCell[c] {
		all = append(all, who)
	}
	for _, who := range all {
		w.forget(who)
	}
	return all
}

// tellEnded tells the nodes that watch an actor that it has ended.
func (r *Remote) tellEnded(c *cell) {
	for _, who := range r.watchers.take(c) {
		who.session.tellEnd(who.id, c.end)
	}
}

// tellEnd tells the other node of the end of an actor that it watches.
func (s *session) tellEnd(id uint64, end End) {
	l := s.peer.link.Load()
	if l == nil || s.over.Load() {
		return // the break of the link has told it
	}
	l.control(&entry{op: opEnded, id: id, end: end})
}
