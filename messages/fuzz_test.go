package messages_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
)

// FuzzParams feeds any bytes to every method's decoder. What it accepts must mean the
// same after another trip over the wire.
func FuzzParams(f *testing.F) {
	for i, method := range messages.Methods() {
		f.Add(byte(i), messages.AppendParams(nil, filled(method.NewParams()).(messages.Params)))
	}
	f.Add(byte(0), []byte("\xdd\x07\xff\xff\xff"))
	f.Add(byte(0), []byte("\x81\xa7payload\xdf\xff\xff\xff\xff"))
	f.Add(byte(1), []byte("\x81\xa5items\xdd\x00\x00\x03\xe8\x80\x80"))
	f.Fuzz(func(t *testing.T, i byte, b []byte) {
		method := messages.Methods()[int(i)%len(messages.Methods())]
		for _, form := range []messages.Form{messages.Msgpack, messages.JSON} {
			p, err := method.Decode(b, form)
			if err != nil {
				continue
			}
			again, err := method.Decode(messages.AppendParams(nil, p), messages.Msgpack)
			if err != nil {
				t.Fatalf("%s accepts %x and not what it wrote: %v", method.Name, b, err)
			}
			if method.PayloadHash(p) != method.PayloadHash(again) {
				t.Fatalf("%s: %x changes its hash", method.Name, b)
			}
		}
	})
}

// FuzzResults feeds any bytes to every result's decoder.
func FuzzResults(f *testing.F) {
	for i, method := range messages.Methods() {
		result := filled(method.NewResult())
		onlyFinalized(result)
		b, err := messages.AppendResult(nil, result)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Fuzz(func(_ *testing.T, i byte, b []byte) {
		method := messages.Methods()[int(i)%len(messages.Methods())]
		_ = messages.DecodeResult(b, method.NewResult())
	})
}

// FuzzError feeds any bytes to the decoder of errors.
func FuzzError(f *testing.F) {
	f.Add(messages.Errorf(messages.CodeOverloaded, "full").With("retry_after_ms", 100).AppendMsgpack(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := messages.DecodeError(b)
		if err != nil {
			return
		}
		again, err := messages.DecodeError(e.AppendMsgpack(nil))
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(again, e); diff != "" && len(e.Data) > 0 {
			t.Fatalf("%x: %s", b, diff)
		}
	})
}

// payloads draws payloads of every shape.
func payloads() *rapid.Generator[messages.Payload] {
	return rapid.Custom(func(t *rapid.T) messages.Payload {
		var p messages.Payload
		text := rapid.String()
		amount := rapid.Map(rapid.Uint64(), func(v uint64) messages.Amount { return messages.Amount(v) })
		p.Disbursement = messages.Disbursement{
			Destination:    text.Draw(t, "destination"),
			Amount:         amount.Draw(t, "amount"),
			Memo:           text.Draw(t, "memo"),
			ScheduledEpoch: messages.Epoch(rapid.Uint64().Draw(t, "epoch")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "receipts") {
			p.Disbursement.ExpectedReceipts = append(p.Disbursement.ExpectedReceipts,
				messages.Receipt{Account: text.Draw(t, "account"), Amount: amount.Draw(t, "share")})
		}
		if rapid.Bool().Draw(t, "proposal") {
			p.Proposal = &messages.Proposal{
				Title:            text.Draw(t, "title"),
				Quorum:           messages.Quorum{BuildersPPM: messages.PPM(rapid.Uint64().Draw(t, "builders"))},
				VoteWindowEpochs: messages.Epoch(rapid.Uint64().Draw(t, "window")),
			}
			for range rapid.IntRange(0, 20).Draw(t, "deps") {
				p.Proposal.Deps = append(p.Proposal.Deps, messages.DisbursementID(rapid.Uint64().Draw(t, "dep")))
			}
		}
		return p
	})
}

func TestAnyPayloadSurvivesItsCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := payloads().Draw(t, "payload")
		b := messages.AppendPayload(nil, &p)
		if !bytes.Equal(b, messages.AppendByFields(nil, &p)) {
			t.Fatal("written by hand it is not what its fields say")
		}
		got, err := messages.DecodePayload(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got -, want +\n%s", cmp.Diff(got, p))
		}
		if !bytes.Equal(messages.AppendPayload(nil, &got), b) {
			t.Fatal("equal payloads are not equal bytes")
		}
	})
}
