package rows

import (
	"cmp"

	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Intents reads the intents in flight, in the order of nonces.
func Intents(store *persistence.Store) (intents []payout.Intent, err error) {
	from, to := IntentKey(1), persistence.TableEnd(TableIntents)
	for {
		count := 0
		scanErr := store.Scan(from, to, false, persistence.ViewRowsMax, func(key persistence.Key, v persistence.Value) bool {
			count++
			nonce, _ := key.Number()
			var i payout.Intent
			if i, err = payout.DecodeIntent(nonce, v.Data); err != nil {
				return false
			}
			intents = append(intents, i)
			from = IntentKey(nonce + 1)
			return true
		})
		if scanErr != nil || err != nil || count < persistence.ViewRowsMax {
			return intents, cmp.Or(scanErr, err)
		}
	}
}

// Finalized wants the dependencies of a payment to be final.
func Finalized(deps []messages.DisbursementID) []persistence.Condition {
	conditions := make([]persistence.Condition, len(deps))
	for i, dep := range deps {
		conditions[i] = persistence.TagIn(RecordKey(dep), byte(messages.Finalized))
	}
	return conditions
}

// IntentWrite puts an intent under its nonce.
func IntentWrite(i *payout.Intent) persistence.Write {
	return persistence.Write{Key: IntentKey(i.Nonce), Tag: byte(i.Kind), Value: payout.AppendIntent(nil, i)}
}
