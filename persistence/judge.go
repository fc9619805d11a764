package persistence

import "slices"

// judge checks a Txn in the order request id, fences, assigns, conditions, deletes,
// adds. If all hold, the Result is Committed and carries the counters after the adds,
// which are then in effect.
func (f *FSM) judge(t *Txn) (Result, error) {
	if t.RequestID != "" {
		r, repeated, err := f.judgeRequest(t)
		if repeated || err != nil {
			return r, err
		}
	}
	if r, stale := f.judgeFences(t); stale {
		return r, nil
	}
	for i := range t.Conditions {
		holds, err := f.holds(&t.Conditions[i])
		if err != nil {
			return Result{}, err
		}
		if !holds {
			return refused(t.Conditions[i].failure(), i), nil
		}
	}
	for i, key := range t.Deletes {
		r, _, err := f.get(key)
		if err != nil {
			return Result{}, err
		}
		if r.origin != "" {
			return refused(FailedDelete, i), nil
		}
	}
	return f.judgeAdds(t)
}

func refused(kind FailedKind, position int) Result {
	return Result{Status: Refused, Failed: Failed{Kind: kind, Position: position}}
}

func (f *FSM) judgeRequest(t *Txn) (r Result, repeated bool, err error) {
	first, ok, err := f.store.derived.remembered(f.tx, t.RequestID)
	if err != nil || !ok {
		return Result{}, false, err
	}
	if first.PayloadHash != t.PayloadHash {
		return Result{Status: Conflict, Index: first.Index}, true, nil
	}
	return Result{
		Status: Duplicate,
		Index:  first.Index,
		First:  first.First,
		Count:  first.Count,
		After:  first.After,
		Reply:  first.Reply,
	}, true, nil
}

func (f *FSM) judgeFences(t *Txn) (r Result, stale bool) {
	owners := f.store.derived.owners
	for _, fence := range t.Fences {
		if newest := owners[fence.Shard].Fence; fence.Fence != newest {
			return Result{Status: Fenced, Shard: fence.Shard, Newest: newest}, true
		}
	}
	for i := range t.Assigns {
		a := &t.Assigns[i]
		if newest := owners[a.Shard].Fence; a.From != newest {
			return Result{Status: Fenced, Shard: a.Shard, Newest: newest}, true
		}
	}
	return Result{}, false
}

func (f *FSM) holds(c *Condition) (bool, error) {
	switch c.kind {
	case conditionCounterBelow, conditionCounterAtLeast:
		n, err := f.counters.counter(f.tx, string(c.key))
		if err != nil {
			return false, err
		}
		below := n.value < int64(c.n)
		return below == (c.kind == conditionCounterBelow), nil
	case conditionExists, conditionAbsent, conditionVersionIs, conditionUnchanged, conditionTagIn, conditionTagNotIn:
		r, exists, err := f.get(c.key)
		return c.holdsFor(&r, exists), err
	}
	return false, nil // no other kind passes validate
}

func (c *Condition) holdsFor(r *row, exists bool) bool {
	switch c.kind {
	case conditionExists:
		return exists
	case conditionAbsent:
		return !exists
	case conditionVersionIs, conditionUnchanged:
		return exists && r.version == c.n
	case conditionTagIn, conditionTagNotIn:
		return exists && slices.Contains([]byte(c.tags), r.tag) == (c.kind == conditionTagIn)
	case conditionCounterBelow, conditionCounterAtLeast:
	}
	return false
}

// judgeAdds puts the adds into effect, all or none.
func (f *FSM) judgeAdds(t *Txn) (Result, error) {
	r := Result{Status: Committed}
	if len(t.Adds) == 0 {
		return r, nil
	}
	r.After = make([]int64, 0, len(t.Adds))
	for i := range t.Adds {
		c, err := f.counters.counter(f.tx, t.Adds[i].Counter)
		if err != nil {
			return Result{}, err
		}
		if !c.add(&t.Adds[i]) {
			f.takeBack(t.Adds[:i])
			return refused(FailedAdd, i), nil
		}
		r.After = append(r.After, c.value)
	}
	return r, nil
}

func (f *FSM) takeBack(adds []Add) {
	for i := range adds {
		f.counters.byName[adds[i].Counter].value -= adds[i].Delta
	}
}
