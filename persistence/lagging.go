package persistence

// lagging holds, entry by entry, the outcomes that are certain and must not be told
// before this node's Store shows them. Where this node leads, an entry is applied when
// it is done and nothing ever stays here.
type lagging struct {
	entries []settled // oldest first
	txns    int
}

// settled are proposals of one entry with their verdicts, by position.
type settled struct {
	items   []queued
	results []Result
	applied <-chan struct{}
}

// hold delivers what may be told of e now and keeps the rest.
func (l *lagging) hold(e *entry, results []Result) {
	l.deliver()
	s := settled{items: e.items, results: results, applied: e.future.Applied()}
	if len(l.entries) == 0 && closed(s.applied) {
		s.deliver()
		return
	}
	early, late := s.split()
	early.deliver()
	if len(late.items) > 0 {
		l.entries = append(l.entries, late)
		l.txns += len(late.items)
	}
}

// applied is closed once something can be delivered; nil, for ever open, if nothing waits.
func (l *lagging) applied() <-chan struct{} {
	if len(l.entries) == 0 {
		return nil
	}
	return l.entries[0].applied
}

// deliver tells the outcomes of the oldest entries that this node's Store shows.
func (l *lagging) deliver() {
	for len(l.entries) > 0 && closed(l.entries[0].applied) {
		s := l.entries[0]
		l.entries[0] = settled{}
		l.entries = l.entries[1:]
		l.txns -= len(s.items)
		s.deliver()
	}
}

// release gives the proposals that still wait, and forgets them.
func (l *lagging) release() (items []queued) {
	for _, s := range l.entries {
		items = append(items, s.items...)
	}
	*l = lagging{}
	return items
}

// split parts the outcomes that may be told early from the others, which let go of
// their encoded Txns.
func (s *settled) split() (early, late settled) {
	early.applied, late.applied = s.applied, s.applied
	for i, q := range s.items {
		to := &late
		if q.early && s.results[i].Status == Committed {
			to = &early
		}
		q.txn = nil
		to.items = append(to.items, q)
		to.results = append(to.results, s.results[i])
	}
	return early, late
}

func (s *settled) deliver() {
	deliver(s.items, func(i int) (Result, error) { return s.results[i], nil })
}

// deliver tells each sink all its outcomes of a batch in one call, sinks in the order
// of their first proposal.
func deliver(items []queued, outcome func(i int) (Result, error)) {
	places := make(map[Sink]int)
	var sinks []Sink
	var outcomes [][]Outcome
	for i := range items {
		place, known := places[items[i].sink]
		if !known {
			place = len(sinks)
			places[items[i].sink] = place
			sinks = append(sinks, items[i].sink)
			outcomes = append(outcomes, nil)
		}
		result, err := outcome(i)
		outcomes[place] = append(outcomes[place], Outcome{Token: items[i].token, Result: result, Err: err})
	}
	for i, sink := range sinks {
		sink.Committed(outcomes[i])
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
