package demo

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// The windows of the demo's proposals, in epochs.
const (
	// voteWindow leaves a client that lost its node for a second or two the time to
	// come back and vote.
	voteWindow = 8
	// recallWindow is the rollback window of the grant that is recalled.
	recallWindow = 12
	// budgetWait is how long after its month a grant that is out of budget is due:
	// long enough to be withdrawn before.
	budgetWait = 24
)

// absentGrant stands in for a grant that is in nobody's books. Ids count up from 1,
// so no treasury reaches it, and the node must refuse a payment that depends on it.
const absentGrant messages.DisbursementID = 1 << 40

// proposalsFrom is when the treasury opens for proposals.
var proposalsFrom = time.Date(2022, time.January, 1, 0, 0, 0, 0, time.UTC)

// decided reports whether the grant is the treasury's own payment: what was enacted
// before the treasury opened for proposals is not voted on again.
func (g *Grant) decided() bool { return g.Status == Enacted && g.Started.Before(proposalsFrom) }

// grantItem makes a grant a payment that is due in the epoch of its month, with a
// proposal where it is not decided.
func grantItem(g *Grant, month messages.Epoch, recalled bool) batch.Item {
	item := batch.Item{
		RequestID: "demo-grant-" + g.ID,
		Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination:    destination(g.Payee),
			Amount:         g.Amount,
			Memo:           g.Title,
			ScheduledEpoch: month,
		}},
	}
	if g.decided() {
		return item
	}
	if g.Status == OutOfBudget {
		item.Payload.Disbursement.ScheduledEpoch += budgetWait
	}
	item.Payload.Proposal = proposal(g, recalled)
	return item
}

func proposal(g *Grant, recalled bool) *messages.Proposal {
	p := &messages.Proposal{
		Title: strings.TrimSpace(g.Title),
		Summary: fmt.Sprintf("%s, %s; the DAO voted from %s to %s",
			g.Category, g.Tier, g.Started.UTC().Format(time.DateOnly), g.Ended.UTC().Format(time.DateOnly)),
		Quorum:               messages.Quorum{OperatorsPPM: quorum, BuildersPPM: quorum},
		VoteWindowEpochs:     voteWindow,
		TimelockEpochs:       messages.DefaultTimelockEpochs,
		RollbackWindowEpochs: messages.DefaultRollbackWindowEpochs,
	}
	if recalled {
		p.RollbackWindowEpochs = recallWindow
	}
	return p
}

// expenseItem makes an expense a payment that is due at once and waits for its
// grant to be final.
func expenseItem(e *Expense, grant messages.DisbursementID) batch.Item {
	return batch.Item{
		RequestID: "demo-expense-" + e.ID,
		Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination:    destination(e.Payee),
			Amount:         e.Amount,
			Memo:           dependingMemo(e.Purpose, grant),
			ScheduledEpoch: 1,
		}},
	}
}

// destination turns a chain address into one of the treasury's: two spellings of
// one address are one account.
func destination(payee string) string {
	return "tb1" + strings.TrimPrefix(strings.ToLower(payee), "0x")
}

// dependingMemo writes the dependency where a treasury-initiated payment carries
// it, and keeps the words people wrote.
func dependingMemo(note string, grant messages.DisbursementID) string {
	memo, err := json.Marshal(struct {
		DependsOn []messages.DisbursementID `json:"depends_on"`
		Note      string                    `json:"note"`
	}{[]messages.DisbursementID{grant}, note})
	if err != nil {
		panic(err) // a struct of numbers and a string always has its JSON
	}
	return string(memo)
}
