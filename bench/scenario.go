package bench

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Submissions makes durable submissions the load: payments of one unit to a hundred
// accounts that are not due for a very long time, so that what is measured is the
// way from the wire to the disk and back, and nothing else runs meanwhile. run makes
// the request ids of different runs different.
func Submissions(cfg Config, run string) Config {
	cfg.Method = messages.MethodSubmitDisbursement
	cfg.Call = func(n uint64) messages.Params {
		params := payment(run, n)
		params.Payload.Disbursement.ScheduledEpoch = 1 << 40
		return params
	}
	return cfg
}

// Payments is Submissions that are due at once: whole lives, from submitted to
// finalized, if the treasury has the funds.
func Payments(cfg Config, run string) Config {
	cfg.Method = messages.MethodSubmitDisbursement
	cfg.Call = func(n uint64) messages.Params { return payment(run, n) }
	return cfg
}

// Reads makes linearizable reads of one disbursement the load.
func Reads(cfg Config, id messages.DisbursementID) Config {
	cfg.Method = messages.MethodGetDisbursement
	cfg.Call = func(uint64) messages.Params { return &messages.IDParams{ID: id} }
	return cfg
}

func payment(run string, n uint64) *messages.SubmitDisbursementParams {
	return &messages.SubmitDisbursementParams{
		Options: messages.Options{RequestID: fmt.Sprintf("%s-%d", run, n)},
		Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination: fmt.Sprintf("tb1bench%02d", n%100), Amount: 1, Memo: "bench", ScheduledEpoch: 1,
		}},
	}
}
