package node_test

import (
	"context"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/check/checktest"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

const (
	// simSettleMax is how long all may take to be well again once the faults have ended.
	simSettleMax = 60 * time.Second
	simSettle    = 100 * time.Millisecond // between two looks
	// simSlack is how many epochs something may be late before it is stuck.
	simSlack = 3
)

// settle waits until all is well again.
func (w *simWorld) settle() {
	close(w.clients.stopped)
	for began := time.Now(); ; time.Sleep(simSettle) {
		wrong := w.unsettled()
		if wrong == "" {
			w.tell("", "all is well after %s", time.Since(began))
			return
		}
		if time.Since(began) > simSettleMax {
			w.problem("%s after the last fault: %s", simSettleMax, wrong)
			return
		}
	}
}

// unsettled says what is not well yet; "" if all is.
func (w *simWorld) unsettled() string {
	if waiting := w.clients.waiting.Load(); waiting > 0 {
		return fmt.Sprintf("%d calls wait for their answers", waiting)
	}
	for _, m := range w.members {
		if m.node.Load() == nil {
			return fmt.Sprintf("%s is down", m.name)
		}
	}
	index := w.members[0].node.Load().Store().Applied()
	for _, m := range w.members {
		n := m.node.Load()
		if err := n.Ready(); err != nil {
			return fmt.Sprintf("%s: %v", m.name, err)
		}
		if voting, voters := n.Voting(); !voting || voters != len(w.members) {
			return fmt.Sprintf("%s votes: %t; it knows of %d voters", m.name, voting, voters)
		}
		if applied := n.Store().Applied(); applied != index {
			return fmt.Sprintf("%s has applied %d, n1 %d", m.name, applied, index)
		}
		if wrong := n.Misowned(); wrong != "" {
			return wrong
		}
		if paths := n.NotClosed(); len(paths) > 0 {
			return fmt.Sprintf("%s: breakers %v", m.name, paths)
		}
	}
	late, err := checktest.Due(w.members[0].node.Load().Store(), simSlack)
	if err != nil {
		return err.Error()
	}
	return late
}

// check holds the end of a run against the promises.
func (w *simWorld) check() {
	var ledger check.Ledger
	for _, c := range w.clients.calls {
		if c.err == nil {
			ledger.Note(c.params, c.result)
		}
	}
	all := check.New(&ledger)
	for _, m := range w.members {
		if err := all.Look(context.Background(), string(m.name), m.node.Load().Store()); err != nil {
			w.problem("%v", err)
			return
		}
	}
	w.checkCalls(w.members[0].node.Load().Store())
	for _, v := range all.Verdicts() {
		w.tell("", "%s", v.Text)
		if !v.Kept {
			w.problem("%s", v.Text)
		}
	}
}

// checkCalls holds what the clients were told against what is there: what was
// acknowledged is there exactly once (I1), what was refused left no trace (I8).
func (w *simWorld) checkCalls(store *persistence.Store) {
	records, err := checktest.Records(store)
	if err != nil {
		w.problem("%v", err)
	}
	times := make(map[string]int) // by what bears the call's id: a memo, a voter, a reason
	ids := make(map[string]messages.DisbursementID)
	for id := 1; id < len(records); id++ {
		r := &records[id]
		times["submit "+r.Payload.Disbursement.Memo]++
		ids[r.Payload.Disbursement.Memo] = messages.DisbursementID(id)
		if r.State == messages.RolledBack && r.Root == 0 {
			times["rollback "+r.Reason]++
		}
		for _, v := range r.Votes {
			times["vote "+v.Voter]++
		}
	}
	rows, err := store.History(rows.CounterTreasury, 0, persistence.ViewRowsMax)
	if err != nil {
		w.problem("%v", err)
	}
	var accrued, told, perhaps int64
	for _, row := range rows {
		if disbursement.Event(row.Event) == disbursement.EventAccrual {
			accrued += row.Delta
		}
	}
	for _, c := range w.clients.calls {
		there := times[c.what+" "+c.id]
		switch c.what {
		case "accrue":
			if c.err == nil {
				told += int64(c.amount)
			} else if c.unknown {
				perhaps += int64(c.amount)
			}
			continue
		case "submit", "vote", "rollback":
		default:
			continue
		}
		switch {
		case there > 1:
			w.problem("I1: %s is there %d times", c, there)
		case c.err == nil && there == 0:
			w.problem("I1: %s was acknowledged, and it is not there", c)
		case c.err != nil && !c.unknown && there > 0:
			w.problem("I8: %s was refused (%v), and it is there", c, c.err)
		case c.what == "submit" && c.err == nil && ids[c.id] != c.about:
			w.problem("I1: %s was told %d, and it is %d", c, c.about, ids[c.id])
		}
	}
	if accrued < told || accrued > told+perhaps {
		w.problem("I1: %d were accrued, %d acknowledged and %d not known", accrued, told, perhaps)
	}
}
