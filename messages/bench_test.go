package messages_test

import (
	"testing"

	"github.com/the-block/bursar/messages"
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
	var d messages.Decoder
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

func BenchmarkDecodeVote(b *testing.B) {
	method := messages.MethodByName(messages.MethodVote)
	packed := messages.AppendParams(nil, &messages.VoteParams{Options: submission().Options,
		ID: 123_456, House: messages.Builders, Voter: "ann", WeightPPM: 250_000, Approve: true})
	var d messages.Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := method.DecodeWith(&d, packed, messages.Msgpack); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeGetDisbursement(b *testing.B) {
	payment := submission().Payload.Disbursement
	result := &messages.GetDisbursementResult{DisbursementRow: messages.DisbursementRow{
		Disbursement: messages.DisbursementView{ID: 123_456, Destination: payment.Destination, Amount: payment.Amount,
			Memo: payment.Memo, ScheduledEpoch: 1, CreatedAt: 1_700_000_000, Status: messages.Status{State: messages.Finalized,
				TxHash: "4c1f6a2e0b1d4a589c393a1b5d1e6f704c1f6a2e0b1d4a589c393a1b5d1e6f70", ExecutedAt: 1_700_000_001,
				ExecutedEpoch: 7, FinalizedAt: 1_700_000_002}},
		Deps: []messages.DisbursementID{1, 2, 3}}, AppliedIndex: 1_000_000}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = messages.AppendResult(buf[:0], result)
	}
}

func BenchmarkDecodeSubmitResult(b *testing.B) {
	packed, _ := messages.AppendResult(nil, &messages.SubmitDisbursementResult{ID: 123_456, CreatedAt: 1_700_000_000})
	var result messages.SubmitDisbursementResult
	b.ReportAllocs()
	for b.Loop() {
		if err := messages.DecodeResult(packed, &result); err != nil {
			b.Fatal(err)
		}
	}
}
