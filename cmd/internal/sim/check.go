package sim

import (
	"context"
	"fmt"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/check/checktest"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// slack is how many epochs something may be late before it is stuck.
const slack = 3

// records reads all disbursements of a node.
func (w *world) records(n *node) map[messages.DisbursementID]disbursement.Record {
	list, err := checktest.Records(n.fsm.Store())
	if err != nil {
		w.fail("%w", err)
	}
	records := make(map[messages.DisbursementID]disbursement.Record)
	for id := range list[1:] {
		records[messages.DisbursementID(id+1)] = list[id+1]
	}
	return records
}

// unsettled says what is not well yet; "" if all is: somebody leads and owns each shard, the
// clients have their answers, the breakers are closed, and what is due is done.
func (w *world) unsettled() string {
	n := w.nodes[0]
	for _, other := range w.nodes {
		if other.fsm.Store().Applied() > n.fsm.Store().Applied() {
			n = other
		}
	}
	for shard := range n.treasury.Config().Shards() {
		owner := n.fsm.Store().Owner(messages.ShardID(shard))
		for _, other := range w.nodes {
			if owns := other.host.Owns(messages.ShardID(shard)); owns != (other.name == owner.Owner) {
				return fmt.Sprintf("%s owns shard %d: %t; the log says %s", other.name, shard, owns, owner.Owner)
			}
		}
	}
	for _, other := range w.nodes {
		if state := other.treasury.Breaker(); state != breaker.Closed && other.host.Owns(other.treasury.ExecutorShard()) {
			return fmt.Sprintf("the executor's breaker on %s is %s", other.name, state)
		}
	}
	if w.clients.waiting > 0 {
		return fmt.Sprintf("%d calls wait for their answers", w.clients.waiting)
	}
	return w.unpaid(n)
}

// unpaid says what is due and not done.
func (w *world) unpaid(n *node) string {
	store := n.fsm.Store()
	records := w.records(n)
	for id := messages.DisbursementID(1); id <= messages.DisbursementID(len(records)); id++ {
		if records[id].Staged {
			return fmt.Sprintf("disbursement %d is staged", id)
		}
	}
	late, err := checktest.Due(store, slack)
	if err != nil {
		w.fail("%w", err)
	}
	if late != "" {
		return late
	}
	intents := ""
	err = store.Scan(persistence.RecordKey(rows.TableIntents, 1), persistence.TableEnd(rows.TableIntents), false, 1,
		func(key persistence.Key, _ persistence.Value) bool {
			number, _ := key.Number()
			intents = fmt.Sprintf("intent %d is in flight", number)
			return false
		})
	if err != nil {
		w.fail("%w", err)
	}
	return intents
}

// check holds the end of a run against the promises.
func (w *world) check() {
	n := w.nodes[0]
	all := check.New(new(check.Ledger)) // checkCalls knows of every call what was told
	for _, other := range w.nodes {
		if err := all.Look(context.Background(), string(other.name), other.fsm.Store()); err != nil {
			w.fail("%w", err)
		}
	}
	for _, v := range all.Verdicts() {
		if !v.Kept {
			w.fail("%s", v.Text)
		}
	}
	records := w.records(n)
	w.checkChain(records)
	w.checkCalls(n, records)
	for _, r := range records {
		switch r.State {
		case messages.Executed:
			w.monitor.executed++
		case messages.Finalized:
			w.monitor.finalized++
		case messages.RolledBack:
			w.monitor.rolledBack++
		case messages.Draft, messages.Voting, messages.Queued, messages.Timelocked:
		}
	}
}

// checkChain holds that the chain has one transfer for each executed disbursement, and
// none for any other (I3).
func (w *world) checkChain(records map[messages.DisbursementID]disbursement.Record) {
	if w.chain == nil {
		return
	}
	paid := w.chain.paid()
	for id := messages.DisbursementID(1); id <= messages.DisbursementID(len(records)); id++ {
		r, want := records[id], 0
		if _, executed := r.Entered(messages.Executed); executed {
			want = 1
		}
		transfers := paid[id]
		switch {
		case len(transfers) != want:
			w.fail("I3: disbursement %d is %s, and the chain has %d transfers for it", id, r.State, len(transfers))
		case want == 1 && (transfers[0].hash != r.TxHash || transfers[0].Amount != r.Payload.Disbursement.Amount):
			w.fail("I3: the chain's transfer for disbursement %d is not the one on record", id)
		}
		delete(paid, id)
	}
	for id := range paid {
		w.fail("I3: the chain has a transfer for disbursement %d, which does not exist", id)
	}
}

// checkCalls holds what the clients were told against what is there: what was
// acknowledged is there exactly once (I1), what was refused left no trace (I8), and what
// was neither is there once at most.
func (w *world) checkCalls(n *node, records map[messages.DisbursementID]disbursement.Record) {
	found := make(map[string][]messages.DisbursementID)
	for id := messages.DisbursementID(1); id <= messages.DisbursementID(len(records)); id++ {
		memo := records[id].Payload.Disbursement.Memo
		found[memo] = append(found[memo], id)
	}
	accrued := make(map[int64]int)
	rows, err := n.fsm.Store().History(rows.CounterTreasury, 0, persistence.ViewRowsMax)
	if err != nil {
		w.fail("%w", err)
	}
	for _, row := range rows {
		if disbursement.Event(row.Event) == disbursement.EventAccrual {
			accrued[row.Delta]++
		}
	}
	for _, c := range w.clients.calls {
		switch c.kind {
		case submit:
			var told []messages.DisbursementID
			if result, ok := c.result.(*messages.SubmitDisbursementResult); ok {
				told = append(told, result.ID)
			}
			w.checkBirth(c, 0, told, found[c.marker(0)])
		case plan:
			w.checkPlan(c, found)
		case accrue:
			w.checkCount(c, accrued[int64(c.amount)])
		case vote, rollback:
			w.checkMark(c, records[c.about])
		case advance, queue, execute, decide: // what they bring about bears no name
		}
	}
}

func (w *world) checkPlan(c *call, found map[string][]messages.DisbursementID) {
	result, ok := c.result.(*messages.SubmitPlanResult)
	for i := range c.items {
		var told []messages.DisbursementID
		if ok {
			told = append(told, result.IDs[i].ID)
		}
		w.checkBirth(c, i, told, found[c.marker(i)])
		if len(found[c.marker(i)]) != len(found[c.marker(0)]) {
			w.fail("%s is there in part", c)
		}
	}
}

func (w *world) checkBirth(c *call, item int, told, found []messages.DisbursementID) {
	w.checkCount(c, len(found))
	if len(told) == 1 && len(found) == 1 && told[0] != found[0] {
		w.fail("%s, part %d, was told %d, and it is %d", c, item, told[0], found[0])
	}
}

// checkCount holds how often something is there against what was said about it.
func (w *world) checkCount(c *call, times int) {
	switch {
	case times > 1:
		w.fail("I1: %s is there %d times", c, times)
	case c.result != nil && times == 0:
		w.fail("I1: %s was acknowledged, and it is not there", c)
	case c.result == nil && c.over && !c.unknown && times > 0:
		w.fail("I8: %s was refused (%v), and it is there", c, c.refusal)
	}
}

// checkMark holds a vote, or the reason of a rollback, against the record.
func (w *world) checkMark(c *call, r disbursement.Record) {
	times := 0
	if c.kind == rollback && r.Reason == c.id {
		times = 1
	}
	for _, v := range r.Votes {
		if c.kind == vote && v.Voter == c.id {
			times++
		}
	}
	w.checkCount(c, times)
}
