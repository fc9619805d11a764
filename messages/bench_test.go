package messages_test

import (
	"testing"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
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

func BenchmarkDecodeSubmit(b *testing.B) {
	method := messages.MethodByName(messages.MethodSubmitDisbursement)
	packed := messages.AppendParams(nil, submission())
	var d pack.Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := method.DecodeWith(&d, packed, messages.Msgpack); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeSubmit(b *testing.B) {
	params := submission()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = messages.AppendParams(buf[:0], params)
	}
}

func BenchmarkEncodeSubmitResult(b *testing.B) {
	result := &messages.SubmitDisbursementResult{ID: 123_456, CreatedAt: 1_700_000_000}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = messages.AppendResult(buf[:0], result)
	}
}

func BenchmarkPayloadHash(b *testing.B) {
	method := messages.MethodByName(messages.MethodSubmitDisbursement)
	params := submission()
	b.ReportAllocs()
	for b.Loop() {
		method.PayloadHash(params)
	}
}
