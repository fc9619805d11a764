package durable

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// deadlineStep is how far apart the looks at deadlines are: a caller is answered at most
// this much late.
const deadlineStep = 100 * time.Millisecond

// Deadlines answers the callers whose deadline passes: that their request was not done if
// nothing was proposed for it, that its outcome is not known otherwise. Every request
// passes here on its way in, so that no actor has to look at a clock.
type Deadlines struct {
	machine Machine
	origin  time.Time

	mu sync.Mutex
	// steps holds those who wait, by the step at which their deadline has passed.
	steps map[int64]*waitList
	armed int64 // the step of the next look, 0 if there is none
}

// waitList holds the callers of one step, in the order they came.
type waitList struct {
	step        int64
	first, last *wait
}

func newDeadlines(m Machine) *Deadlines {
	return &Deadlines{machine: m, origin: m.Steady(), steps: make(map[int64]*waitList)}
}

// Watch has the deadlines of requests watched from now on.
func Watch[R interface{ Base() *Request }](d *Deadlines, requests ...R) {
	waits := make([]wait, len(requests))
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range requests {
		r := requests[i].Base()
		if r.wait != nil {
			continue
		}
		w := &waits[i]
		w.to = r.To
		r.wait = w
		if !r.Deadline.IsZero() {
			w.watched = d
			d.add(w, r.Deadline)
		}
	}
}

// add files a caller under the step at which its deadline has passed.
func (d *Deadlines) add(w *wait, deadline time.Time) {
	after := max(deadline.Sub(d.origin), 0)
	step := int64((after+deadlineStep-1)/deadlineStep) + 1
	list := d.steps[step]
	if list == nil {
		list = &waitList{step: step}
		d.steps[step] = list
	}
	w.list, w.prev = list, list.last
	if list.last == nil {
		list.first = w
	} else {
		list.last.next = w
	}
	list.last = w
	d.arm(step)
}

// forget takes out a caller who was answered.
func (d *Deadlines) forget(w *wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := w.list
	if list == nil {
		return
	}
	if w.prev == nil {
		list.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		list.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.list, w.prev, w.next = nil, nil, nil
	if list.first == nil {
		delete(d.steps, list.step)
	}
}

// arm makes sure that there is a look at a step, or before it.
func (d *Deadlines) arm(step int64) {
	if d.armed != 0 && d.armed <= step {
		return
	}
	d.armed = step
	at := d.origin.Add(time.Duration(step-1) * deadlineStep)
	d.machine.After(max(at.Sub(d.machine.Steady()), 0), func() { d.look(step) })
}

// look answers those whose deadline has passed by a step.
func (d *Deadlines) look(step int64) {
	for _, w := range d.passed(step) {
		w.expire()
	}
}

// passed takes out the callers up to a step, in the order of their steps. Where a look
// for an earlier step was set meanwhile, that one finds nothing new.
func (d *Deadlines) passed(step int64) (waits []*wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed == step {
		d.armed = 0
	}
	next := int64(0)
	var lists []*waitList
	for s, list := range d.steps {
		switch {
		case s <= step:
			lists = append(lists, list)
		case next == 0 || s < next:
			next = s
		}
	}
	slices.SortFunc(lists, func(a, b *waitList) int { return cmp.Compare(a.step, b.step) })
	for _, list := range lists {
		delete(d.steps, list.step)
		for w := list.first; w != nil; {
			after := w.next
			w.list, w.prev, w.next = nil, nil, nil
			waits = append(waits, w)
			w = after
		}
	}
	if next != 0 {
		d.arm(next)
	}
	return waits
}
