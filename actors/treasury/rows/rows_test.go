package rows_test

import (
	"reflect"
	"testing"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// TestAnOutsidePaymentIsFinalOnlyAsTheLogKnowsIt: whoever decides may believe what he likes
// about the chain; the commit asks the log.
func TestAnOutsidePaymentIsFinalOnlyAsTheLogKnowsIt(t *testing.T) {
	for _, outside := range []bool{true, false} {
		r := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1a", Amount: 1}}, nil, disbursement.Facts{})
		r.State, r.Outside, r.Nonce = messages.Finalized, outside, 7
		w := rows.Write{ID: 1, Version: 3, Move: disbursement.Move{Record: r, From: messages.Executed, To: messages.Finalized}}
		var txn persistence.Txn
		w.AppendTo(&txn)
		want := []persistence.Condition{persistence.VersionIs(rows.RecordKey(1), 3)}
		if outside {
			want = append(want, persistence.CounterAtLeast(rows.CounterConfirmed, 7))
		}
		if !reflect.DeepEqual(txn.Conditions, want) {
			t.Errorf("outside: %t: the conditions are %v, want %v", outside, txn.Conditions, want)
		}
	}
}

// TestABalanceStaysWithinWhatAnAmountHolds, whatever the rules have decided.
func TestABalanceStaysWithinWhatAnAmountHolds(t *testing.T) {
	if a := rows.BalanceAdd("c", -5); a.Delta != -5 || a.Min != 0 || a.Max != int64(messages.AmountMax) {
		t.Errorf("a balance changes by %+v", a)
	}
	for _, a := range rows.AccrualAdds(7) {
		if a.Delta != 7 || a.Min != 0 {
			t.Errorf("an accrual changes %+v", a)
		}
	}
}
