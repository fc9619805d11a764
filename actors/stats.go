package actors

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/the-block/bursar/monitoring/metrics"
	"github.com/the-block/bursar/supervision/breaker"
)

// kind is what the actors of one kind count together.
type kind struct {
	name     string
	active   atomic.Int64
	messages atomic.Uint64
	refused  atomic.Uint64
	failures atomic.Uint64
	restarts atomic.Uint64
	dead     atomic.Uint64
	trips    atomic.Uint64
	stackAt  atomic.Int64 // when a stack was logged last, Unix nanoseconds
	waits    metrics.Histogram
	turns    metrics.Histogram
}

// kinds is the register of kinds.
type kinds struct {
	mu   sync.Mutex
	all  map[string]*kind
	list []*kind
}

// named returns the kind of that name; beyond kindsMax it is "other".
func (k *kinds) named(name string) *kind {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.all[name]; known != nil {
		return known
	}
	if len(k.list) >= kindsMax-1 {
		name = "other"
		if known := k.all[name]; known != nil {
			return known
		}
	}
	if k.all == nil {
		k.all = make(map[string]*kind)
	}
	added := &kind{name: name}
	k.all[name] = added
	k.list = append(k.list, added)
	return added
}

// Kinds lists the kinds that actors have had so far, sorted.
func (s *System) Kinds() []string {
	s.kinds.mu.Lock()
	defer s.kinds.mu.Unlock()
	names := make([]string, len(s.kinds.list))
	for i, k := range s.kinds.list {
		names[i] = k.name
	}
	slices.Sort(names)
	return names
}

// KindStats is what the actors of one kind have done together.
type KindStats struct {
	Kind     string             `label:"kind"`
	Active   int64              `metric:"bursar_actors_active" help:"Loaded actors, by kind."`
	Messages uint64             `metric:"bursar_actors_messages_total" help:"Messages handled, those that actors failed on, outcomes and timers too, by kind."`
	Refused  uint64             `metric:"bursar_actors_rejected_total" help:"Messages refused because the mailbox was full or the breaker open, by kind."`
	Failures uint64             `metric:"bursar_actors_failures_total" help:"Failures of actors, by kind."`
	Restarts uint64             `metric:"bursar_actors_restarts_total" help:"Restarts by supervisors, by kind."`
	Trips    uint64             `metric:"bursar_supervision_breaker_trips_total" help:"Times a breaker opened by itself, an actor's own or that over one of its children, by the kind of the actors that keep them."`
	Dead     uint64             `metric:"bursar_actors_dead_letters_total" help:"Messages nobody took, by the kind of the actor they were meant for."`
	Wait     *metrics.Histogram `metric:"bursar_actors_wait_seconds" help:"Time of messages in mailboxes, by kind. One in 64 of each actor is timed." le:"-15..4"`
	Turn     *metrics.Histogram `metric:"bursar_actors_processing_seconds" help:"Time actors take for a message, by kind. One in 64 of each actor is timed." le:"-15..2"`
}

// Stats is what a system has done since it was built.
type Stats struct {
	Actors      int64             // there are now, the root included
	Kinds       []KindStats       `max:"16"`
	DeadLetters map[string]uint64 // by reason
	Stalled     int               `metric:"bursar_actors_stalled" help:"Actors stuck in one message now."`
	Workers     int               `metric:"bursar_actors_workers" help:"Goroutines that run actors, stand-ins for blocked ones included."`
	Ready       int               `metric:"bursar_actors_ready" help:"Actors that wait for a worker."`
	Breakers    []BreakerCount    `max:"160"`
	Trips       uint64            // times a breaker opened by itself
}

// Stats reads all counters.
func (s *System) Stats() Stats {
	out := Stats{
		Actors: s.live.Load(), Kinds: s.kinds.stats(), DeadLetters: s.dead.total(), Stalled: len(s.Stalled()), Breakers: s.countBreakers(),
	}
	s.pool.mu.Lock()
	out.Workers, out.Ready = len(s.pool.workers), s.pool.queue.size
	s.pool.mu.Unlock()
	s.events.mu.Lock()
	out.Trips = s.events.trips
	s.events.mu.Unlock()
	return out
}

// stats reads the counters of all kinds, in the order in which they came.
func (k *kinds) stats() []KindStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []KindStats
	for _, one := range k.list {
		out = append(out, KindStats{
			Kind: one.name, Active: one.active.Load(), Messages: one.messages.Load(), Refused: one.refused.Load(),
			Failures: one.failures.Load(), Restarts: one.restarts.Load(), Dead: one.dead.Load(),
			Trips: one.trips.Load(), Wait: &one.waits, Turn: &one.turns,
		})
	}
	return out
}

// Figures are what a scrape is told of a system.
type Figures struct {
	Stats
	Depths    []kindDepth   `max:"16"`
	Actors    []actorSeries `max:"51"`
	NotClosed []notClosed   `max:"50"`
}

type kindDepth struct {
	Kind  string `label:"kind"`
	Depth int    `metric:"bursar_actors_mailbox_depth" help:"Messages that wait in mailboxes, by kind."`
}

// notClosed names a breaker that is open, half-open or forced.
type notClosed struct {
	Actor string        `label:"actor"`
	Scope breaker.Scope `label:"scope"`
	State breaker.State `label:"state"`
	One   int           `metric:"bursar_supervision_breaker_not_closed" help:"Always 1; names breakers that are open, half-open or forced, the first 50 by path."`
}

// Figures reads what a scrape is told. What it says of actors is at most a second old.
func (s *System) Figures() *Figures {
	sample := s.Sample()
	f := &Figures{Stats: s.Stats(), Actors: sample.actors}
	f.Kinds = sample.kinds
	for _, k := range sample.kinds {
		f.Depths = append(f.Depths, kindDepth{k.Kind, sample.depths[k.Kind]})
	}
	open, _ := s.Breakers(BreakerPage{NotClosed: true, Limit: 50})
	for i := range open {
		f.NotClosed = append(f.NotClosed, notClosed{open[i].Path, open[i].Scope, open[i].State, 1})
	}
	return f
}

// DeadLetters returns the newest dead letters, at most 256, newest first.
func (s *System) DeadLetters() []DeadLetter { return s.dead.list() }
