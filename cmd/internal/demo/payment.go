package demo

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// absentGrant stands in for a grant that is in nobody's books. Ids count up from 1,
// so no treasury reaches it, and the node must refuse a payment that depends on it.
const absentGrant messages.DisbursementID = 1 << 40

// grantItems makes each grant a payment that is due in the epoch that stands for
// the month the grant began in; epoch 1 is the month of the first grant.
func grantItems(grants []Grant) []batch.Item {
	first := firstStart(grants)
	items := make([]batch.Item, len(grants))
	for i, grant := range grants {
		items[i] = batch.Item{
			RequestID: "demo-grant-" + grant.ID,
			Payload: messages.Payload{Disbursement: messages.Disbursement{
				Destination:    destination(grant.Payee),
				Amount:         grant.Amount,
				Memo:           grant.Title,
				ScheduledEpoch: 1 + monthsBetween(first, grant.Started),
			}},
		}
	}
	return items
}

// expenseItems makes each expense a payment that is due at once and waits for its
// grant to be final. Grants maps the DAO's proposal ids to those of the treasury.
func expenseItems(expenses []Expense, grants map[string]messages.DisbursementID) []batch.Item {
	items := make([]batch.Item, len(expenses))
	for i, expense := range expenses {
		grant, known := grants[expense.GrantID]
		if !known {
			grant = absentGrant
		}
		items[i] = batch.Item{
			RequestID: "demo-expense-" + expense.ID,
			Payload: messages.Payload{Disbursement: messages.Disbursement{
				Destination:    destination(expense.Payee),
				Amount:         expense.Amount,
				Memo:           dependingMemo(expense.Purpose, grant),
				ScheduledEpoch: 1,
			}},
		}
	}
	return items
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

// monthsBetween counts calendar months from one time to a later one, 0 if it is
// not later.
func monthsBetween(from, to time.Time) messages.Epoch {
	from, to = from.UTC(), to.UTC()
	months := 12*(to.Year()-from.Year()) + int(to.Month()) - int(from.Month())
	return messages.Epoch(max(months, 0))
}

// firstStart is when the earliest grant began.
func firstStart(grants []Grant) time.Time {
	var first time.Time
	for _, grant := range grants {
		if first.IsZero() || grant.Started.Before(first) {
			first = grant.Started
		}
	}
	return first
}
