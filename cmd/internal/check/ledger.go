package check

import (
	"fmt"
	"sync"

	"github.com/the-block/bursar/messages"
)

// ledgerMax bounds the acknowledged submissions that are remembered, about 150 B each.
const ledgerMax = 1_000_000

// Ledger remembers which submissions were acknowledged, as a caller who wants to know
// later whether the nodes kept their word. It may be used by many goroutines; its zero
// value is empty.
type Ledger struct {
	mu     sync.Mutex
	taken  map[string]acknowledged // by request id, of a plan's item with its ref behind it
	beyond int                     // that were not remembered
	fault  error                   // the first answer that contradicts another
}

type acknowledged struct {
	request     string
	records     int // that the request makes
	id          messages.DisbursementID
	destination string
	amount      messages.Amount
}

// Note remembers the call if it is an acknowledged submission, or plan of them.
func (l *Ledger) Note(params messages.Params, result messages.Result) {
	switch p := params.(type) {
	case *messages.SubmitDisbursementParams:
		if r, ok := result.(*messages.SubmitDisbursementResult); ok {
			d := &p.Payload.Disbursement
			l.add(p.RequestID, acknowledged{p.RequestID, 1, r.ID, d.Destination, d.Amount})
		}
	case *messages.PlanParams:
		r, ok := result.(*messages.SubmitPlanResult)
		if !ok {
			return
		}
		ids := make(map[string]messages.DisbursementID, len(r.IDs))
		for _, id := range r.IDs {
			ids[id.Ref] = id.ID
		}
		for i := range p.Items {
			ref, d := p.Items[i].Ref, &p.Items[i].Payload.Disbursement
			l.add(p.RequestID+" "+ref, acknowledged{p.RequestID, len(p.Items), ids[ref], d.Destination, d.Amount})
		}
	}
}

func (l *Ledger) add(key string, now acknowledged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.taken[key]
	switch {
	case known && before != now && l.fault == nil:
		l.fault = fmt.Errorf("request %s was answered with disbursement %d, and then with %d", key, before.id, now.id)
	case known:
	case len(l.taken) == ledgerMax:
		l.beyond++
	case l.taken == nil:
		l.taken = map[string]acknowledged{key: now}
	default:
		l.taken[key] = now
	}
}

// Len counts the acknowledged submissions.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken) + l.beyond
}

// contradiction says which answers contradict each other; nil if none do. mu is held.
func (l *Ledger) contradiction() error {
	if l.fault != nil {
		return l.fault
	}
	ids := make(map[messages.DisbursementID]string, len(l.taken))
	for request, t := range l.taken {
		if other, twice := ids[t.id]; twice {
			return fmt.Errorf("disbursement %d was acknowledged to %s and to %s", t.id, request, other)
		}
		ids[t.id] = request
	}
	return nil
}
