package wire_test

import (
	"sync"
	"testing"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

func submission() *messages.SubmitDisbursementParams {
	return &messages.SubmitDisbursementParams{
		Options: messages.Options{RequestID: "4c1f6a2e-0b1d-4a58-9c39-3a1b5d1e6f70"},
		Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination:    "tb1q0123456789abcdef0123456789abcdef01234567",
			Amount:         1_250_000,
			Memo:           `{"depends_on":[1,2,3],"note":"grant, second tranche"}`,
			ScheduledEpoch: 1,
		}},
	}
}

// relay answers on another goroutine, as a node does.
type relay struct{ calls chan []*wire.Call }

func (r relay) Serve(calls []*wire.Call) { r.calls <- calls }

func BenchmarkLoopback256InFlight(b *testing.B) {
	r := relay{make(chan []*wire.Call, 1024)}
	b.Cleanup(func() { close(r.calls) }) // after the server has ended
	go func() {
		for calls := range r.calls {
			for _, c := range calls {
				answer(c)
			}
		}
	}()
	_, _, addr := serve(b, wire.DefaultConfig(), r)
	client := dial(b, addr)
	params := submission()
	slots := make(chan struct{}, 256)
	var done sync.WaitGroup
	done.Add(b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		client.Go(messages.MethodSubmitDisbursement, params, func(r wire.Reply) {
			if r.Err != nil {
				b.Error(r.Err)
			}
			<-slots
			done.Done()
		})
	}
	done.Wait()
}

func BenchmarkScanAndDecodeSubmit(b *testing.B) {
	msg := wire.AppendRequest(nil, 1, messages.MethodSubmitDisbursement, submission())
	var in wire.Ingress
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if _, err := in.Take(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeReply(b *testing.B) {
	result := &messages.SubmitDisbursementResult{ID: 123_456, CreatedAt: 1_700_000_000}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendResponse(buf[:0], 1, result)
	}
}
