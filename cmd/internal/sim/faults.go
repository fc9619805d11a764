package sim

import "time"

const (
	stormFor = 2500 * time.Millisecond // how long there is trouble
	calmFor  = 3500 * time.Millisecond // and how long it takes to be well again
	faultMin = 30 * time.Millisecond
	faultMax = 350 * time.Millisecond
)

// fault is one kind of trouble: it begins, and tells how it ends.
type fault struct {
	name  string
	begin func(*world) (end func(), last time.Duration)
}

// all lists the kinds of trouble. Each seed has some of them, so that a run is not
// always an average of everything.
var all = []fault{
	{"kill", func(w *world) (func(), time.Duration) {
		n := w.someNode()
		if !n.up {
			return nil, 0
		}
		n.stop()
		return n.restart, w.between(20*time.Millisecond, 900*time.Millisecond)
	}},
	{"power loss", func(w *world) (func(), time.Duration) { // on all at once
		var dead []*node
		for _, n := range w.nodes {
			if n.up {
				n.stop()
				dead = append(dead, n)
			}
		}
		return func() {
			for _, n := range dead {
				n.restart()
			}
		}, w.between(5*time.Millisecond, 200*time.Millisecond)
	}},
	{"zombie", func(w *world) (func(), time.Duration) { // preferably one that matters
		n := w.someNode()
		for _, other := range w.nodes {
			if other.up && other.raft.role == leading && w.chance(0.6) {
				n = other
			}
		}
		if !n.up || n.paused {
			return nil, 0
		}
		n.pause()
		return n.resume, w.between(50*time.Millisecond, 1200*time.Millisecond)
	}},
	{"one-way cut", func(w *world) (func(), time.Duration) {
		return w.cut(func(from, to int) bool { return w.chance(0.3) })
	}},
	{"partition", func(w *world) (func(), time.Duration) {
		side := [nodesMax]bool{}
		for i := range side {
			side[i] = w.chance(0.4)
		}
		return w.cut(func(from, to int) bool { return side[from] != side[to] })
	}},
	{"bridge", func(w *world) (func(), time.Duration) { // only one node sees everybody
		bridge := w.IntN(len(w.nodes))
		return w.cut(func(from, to int) bool {
			return from != bridge && to != bridge && (from < bridge) != (to < bridge)
		})
	}},
	{"clogged links", func(w *world) (func(), time.Duration) { // one by one, and open again in any order
		after := time.Duration(0)
		for _, link := range w.Perm(len(w.nodes) * len(w.nodes)) {
			from, to := link/len(w.nodes), link%len(w.nodes)
			w.after(after, func() {
				w.network.clogged[from][to] = w.now + w.between(20*time.Millisecond, 700*time.Millisecond)
			})
			after += 10 * time.Millisecond
		}
		return nil, 0
	}},
	{"loss", func(w *world) (func(), time.Duration) {
		w.network.loss = 0.05 + 0.25*w.Float64()
		return func() { w.network.loss = 0 }, w.between(100*time.Millisecond, 700*time.Millisecond)
	}},
	{"replay", func(w *world) (func(), time.Duration) {
		w.network.duplicate = 0.5
		return func() { w.network.duplicate = 0 }, w.between(100*time.Millisecond, 700*time.Millisecond)
	}},
	{"delay", func(w *world) (func(), time.Duration) { // and so reordering
		w.network.delayMax = w.between(10*time.Millisecond, delayStorm)
		return func() { w.network.delayMax = delayCalm }, w.between(100*time.Millisecond, 700*time.Millisecond)
	}},
	{"clock jump", func(w *world) (func(), time.Duration) {
		n := w.someNode()
		n.off = time.Duration(1-2*w.IntN(2)) * time.Hour
		n.note("has its clock set by %s", n.off)
		return func() { n.off = 0 }, w.between(50*time.Millisecond, time.Second)
	}},
	{"disk hangs", func(w *world) (func(), time.Duration) {
		if n := w.someNode(); n.up {
			n.raft.disk.hang = w.now + w.between(50*time.Millisecond, 800*time.Millisecond)
		}
		return nil, 0
	}},
	{"chain down", func(w *world) (func(), time.Duration) {
		if w.chain == nil {
			return nil, 0
		}
		w.chain.down = true
		return func() { w.chain.down = false }, w.between(50*time.Millisecond, time.Second)
	}},
	{"chain frozen", func(w *world) (func(), time.Duration) {
		if w.chain == nil {
			return nil, 0
		}
		w.chain.frozen = true
		return func() { w.chain.frozen = false }, w.between(50*time.Millisecond, 500*time.Millisecond)
	}},
}

func (w *world) someNode() *node { return w.nodes[w.IntN(len(w.nodes))] }

// cut cuts some links, from and to, for a while.
func (w *world) cut(which func(from, to int) bool) (func(), time.Duration) {
	for from := range w.nodes {
		for to := range w.nodes {
			w.network.cut[from][to] = from != to && which(from, to)
		}
	}
	return func() { w.network.cut = [nodesMax][nodesMax]bool{} }, w.between(50*time.Millisecond, 900*time.Millisecond)
}

// storm makes trouble until it is over.
func (w *world) storm() {
	var some []fault
	for _, f := range all {
		if w.chance(0.5) {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		return
	}
	var next func()
	next = func() {
		if w.now >= stormFor {
			return
		}
		f := some[w.IntN(len(some))]
		w.note("fault", "%s", f.name)
		if end, last := f.begin(w); end != nil {
			w.after(last, end)
		}
		w.after(w.between(faultMin, faultMax), next)
	}
	w.after(w.between(0, faultMax), next)
}

// heal ends all trouble. What a fault would end later is ended already.
func (w *world) heal() {
	w.note("fault", "all is healed")
	w.network.calm()
	if w.chain != nil {
		w.chain.down, w.chain.frozen, w.chain.healed = false, false, true
	}
	for _, n := range w.nodes {
		n.off = 0
		n.restart()
		n.resume()
	}
}
