// Package checktest holds what simulations and tests check at the end of a run, behind
// what package check tells everybody.
package checktest

import (
	"errors"
	"fmt"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Records reads all disbursements of a Store, by id; there is none at 0.
func Records(store *persistence.Store) ([]disbursement.Record, error) {
	records := []disbursement.Record{{}}
	for {
		before := len(records)
		var bad error
		from, to := persistence.RecordKey(rows.TableDisbursements, uint64(before)), persistence.TableEnd(rows.TableDisbursements)
		err := store.Scan(from, to, false, persistence.ViewRowsMax, func(key persistence.Key, v persistence.Value) bool {
			r, err := disbursement.DecodeRecord(v.Data)
			if number, _ := key.Number(); err != nil || number != uint64(len(records)) {
				bad = fmt.Errorf("disbursement %d behind %d: %w", number, len(records)-1, err)
				return false
			}
			records = append(records, r)
			return true
		})
		if err := errors.Join(err, bad); err != nil || len(records) == before {
			return records, err
		}
	}
}

// Overdue says which of the records should have moved on and did not, at an epoch and a
// balance of the treasury; "" if none. slack is how many epochs something may be late.
func Overdue(records []disbursement.Record, epoch, slack messages.Epoch, balance int64) string {
	for id := 1; id < len(records); id++ {
		r, met := &records[id], true
		for _, dep := range r.Deps {
			met = met && records[dep].State == messages.Finalized
			if records[dep].State == messages.RolledBack && !r.State.Final() {
				return fmt.Sprintf("disbursement %d is %s, its dependency %d is rolled back", id, r.State, dep)
			}
		}
		due, ok := disbursement.DueEpoch(*r)
		if !ok || due+slack > epoch {
			continue
		}
		if funded := int64(r.Payload.Disbursement.Amount) <= balance; !r.AwaitsExecution() || met && funded {
			return fmt.Sprintf("disbursement %d is %s, its step was due at epoch %d, and it is %d", id, r.State, due, epoch)
		}
	}
	return ""
}

// Due reads a Store and gives what is Overdue in it.
func Due(store *persistence.Store, slack messages.Epoch) (string, error) {
	epoch, err := store.Counter(rows.CounterEpoch)
	if err != nil {
		return "", err
	}
	balance, err := store.Counter(rows.CounterTreasury)
	if err != nil {
		return "", err
	}
	records, err := Records(store)
	if err != nil {
		return "", err
	}
	return Overdue(records, messages.Epoch(epoch), slack, balance), nil
}
