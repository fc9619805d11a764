package main

import (
	"fmt"
	"sync"

	"github.com/the-block/bursar/messages"
)

// ledgerMax bounds the acknowledged submissions that are remembered, about 150 B each.
const ledgerMax = 1_000_000

// ledger remembers which submissions were acknowledged, as a caller who wants to know
// later whether the nodes kept their word.
type ledger struct {
	mu     sync.Mutex
	taken  map[string]acknowledged // by request id
	beyond int                     // that were not remembered
	fault  error                   // the first answer that contradicts another
}

type acknowledged struct {
	id          messages.DisbursementID
	destination string
	amount      messages.Amount
}

func newLedger() *ledger { return &ledger{taken: make(map[string]acknowledged)} }

// note remembers the call if it is an acknowledged submission.
func (l *ledger) note(params messages.Params, result messages.Result) {
	p, submits := params.(*messages.SubmitDisbursementParams)
	r, answered := result.(*messages.SubmitDisbursementResult)
	if !submits || !answered {
		return
	}
	d := &p.Payload.Disbursement
	now := acknowledged{r.ID, d.Destination, d.Amount}
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.taken[p.RequestID]
	switch {
	case known && before != now && l.fault == nil:
		l.fault = fmt.Errorf("request %s was answered with disbursement %d, and then with %d", p.RequestID, before.id, now.id)
	case known:
	case len(l.taken) == ledgerMax:
		l.beyond++
	default:
		l.taken[p.RequestID] = now
	}
}
