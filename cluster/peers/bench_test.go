package peers_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// echo answers a routed call with a submission's result, from the goroutine that reads.
type echo struct{ *member }

func (e echo) ServePeer(_ messages.NodeID, calls []*wire.Call) {
	for _, c := range calls {
		inner, err := wire.Unwrap(c, true)
		if err != nil {
			c.Fail(err)
			continue
		}
		inner.Reply(&messages.SubmitDisbursementResult{ID: 1, CreatedAt: 1_700_000_000})
	}
}

// submission is what a client sends most.
func submission() *messages.NodeCallParams {
	p := &messages.SubmitDisbursementParams{Payload: messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1q0123456789abcdef0123456789abcdef01234567", Amount: 1_250_000,
		Memo: `{"depends_on":[1,2,3],"note":"grant, second tranche"}`, ScheduledEpoch: 1,
	}}}
	return &messages.NodeCallParams{
		Options: messages.Options{RequestID: "4c1f6a2e-0b1d-4a58-9c39-3a1b5d1e6f70", DeadlineMS: 5000},
		Method:  messages.MethodSubmitDisbursement, Params: messages.AppendParams(nil, p),
		Roles: messages.RolesAll, Addr: "127.0.0.1:50000",
	}
}

func BenchmarkCall(b *testing.B) {
	for _, inFlight := range []int{1, 256} {
		b.Run(strconv.Itoa(inFlight)+"InFlight", func(b *testing.B) {
			overTCP(b, func(n1, n2 *member) {
				n2.serveWith(echo{n2})
				params := submission()
				slots := make(chan struct{}, inFlight)
				var done sync.WaitGroup
				done.Add(b.N)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					slots <- struct{}{}
					n1.Go("n2", messages.MethodNodeCall, params, func(r wire.Reply) {
						if r.Err != nil {
							b.Error(r.Err)
						}
						<-slots
						done.Done()
					})
				}
				done.Wait()
			})
		})
	}
}

var _ peers.Handler = echo{}
