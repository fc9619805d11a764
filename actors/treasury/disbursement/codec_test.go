package disbursement_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenRecords are records whose bytes must stay readable for ever.
func goldenRecords() map[string]disbursement.Record {
	facts := disbursement.Facts{Epoch: 3, Now: 1_700_000_000, Node: "n1"}
	draft := disbursement.New(direct(memo("depends_on=1,258")), []messages.DisbursementID{1, 258}, facts)
	draft.Transitions[0].Index = 0x0102030405060708

	full := disbursement.New(proposed(memo("für alle"), receipts(400, 600)), []messages.DisbursementID{7}, facts)
	full.State = messages.RolledBack
	full.VoteDeadlineEpoch, full.ActivationEpoch, full.ReadyEpoch, full.ExecutedEpoch = 8, 10, 12, 12
	full.Votes = []disbursement.Vote{
		{House: messages.Operators, Voter: "ada", WeightPPM: 600_000, Approve: true},
		{House: messages.Builders, Voter: "bob", WeightPPM: 300_000, Approve: true},
		{House: messages.Builders, Voter: "eve", WeightPPM: 1, Approve: false},
	}
	full.Nonce = 300
	for i := range full.TxHash {
		full.TxHash[i] = byte(i)
	}
	full.Reason, full.Root, full.ReversingTx = "paid twice", 5, "0xfeed"
	full.Transitions = append(full.Transitions,
		disbursement.Transition{State: messages.Voting, At: 1_700_000_010, Epoch: 8, Index: 20, Node: "n1"},
		disbursement.Transition{State: messages.RolledBack, At: 1_699_999_999, Index: 3000, Node: "n2"})

	staged := disbursement.New(direct(), nil, facts)
	staged.Staged, staged.Nonce = true, 1
	return map[string]disbursement.Record{"draft": draft, "full": full, "staged": staged}
}

func TestRecordsKeepTheirBytes(t *testing.T) {
	for name, record := range goldenRecords() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "record-v1-"+name+".hex")
			data := disbursement.AppendRecord(nil, &record)
			if *update {
				if err := os.WriteFile(file, []byte(hex.Dump(data)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(golden), hex.Dump(data)); diff != "" {
				t.Errorf("-golden +got\n%s", diff)
			}
			got, err := disbursement.DecodeRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(record, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// records draws records as they can come up, and some that cannot.
func records() *rapid.Generator[disbursement.Record] {
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 20, 60))
	epoch := rapid.Map(rapid.Uint64(), func(n uint64) messages.Epoch { return messages.Epoch(n) })
	state := rapid.SampledFrom(messages.States())
	return rapid.Custom(func(t *rapid.T) disbursement.Record {
		r := disbursement.Record{
			State:        state.Draw(t, "state"),
			Staged:       rapid.Bool().Draw(t, "staged"),
			CreatedAt:    rapid.Uint64().Draw(t, "created"),
			CreatedEpoch: epoch.Draw(t, "epoch"),
		}
		r.Payload.Disbursement = messages.Disbursement{
			Destination:    "tb1" + text.Draw(t, "destination"),
			Amount:         messages.Amount(rapid.Uint64().Draw(t, "amount")),
			Memo:           text.Draw(t, "memo"),
			ScheduledEpoch: epoch.Draw(t, "scheduled"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "receipts") {
			r.Payload.Disbursement.ExpectedReceipts = append(r.Payload.Disbursement.ExpectedReceipts,
				messages.Receipt{Account: text.Draw(t, "account"), Amount: messages.Amount(rapid.Uint64().Draw(t, "share"))})
		}
		for range rapid.IntRange(0, 100).Draw(t, "deps") {
			r.Deps = append(r.Deps, messages.DisbursementID(rapid.Uint64().Draw(t, "dep")))
		}
		if rapid.Bool().Draw(t, "proposed") {
			p := &messages.Proposal{
				Title: text.Draw(t, "title"), Summary: text.Draw(t, "summary"),
				Quorum: messages.Quorum{
					OperatorsPPM: messages.PPM(rapid.Uint64().Draw(t, "operators")),
					BuildersPPM:  messages.PPM(rapid.Uint64().Draw(t, "builders")),
				},
				VoteWindowEpochs: epoch.Draw(t, "window"), TimelockEpochs: epoch.Draw(t, "timelock"), RollbackWindowEpochs: epoch.Draw(t, "rollback"),
			}
			for range rapid.IntRange(0, 3).Draw(t, "attachments") {
				p.Attachments = append(p.Attachments, messages.Attachment{Name: text.Draw(t, "name"), URI: text.Draw(t, "uri")})
			}
			r.Payload.Proposal = p
		}
		if rapid.Bool().Draw(t, "advanced") {
			r.VoteDeadlineEpoch, r.ActivationEpoch, r.ReadyEpoch = epoch.Draw(t, "deadline"), epoch.Draw(t, "activation"), epoch.Draw(t, "ready")
			r.ExecutedEpoch, r.Nonce = epoch.Draw(t, "executed"), rapid.Uint64().Draw(t, "nonce")
			copy(r.TxHash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
			r.Reason, r.ReversingTx = text.Draw(t, "reason"), text.Draw(t, "reversing")
			r.Root = messages.DisbursementID(rapid.Uint64().Draw(t, "root"))
		}
		for range rapid.IntRange(0, 5).Draw(t, "votes") {
			r.Votes = append(r.Votes, disbursement.Vote{
				House: rapid.SampledFrom([]messages.House{messages.Operators, messages.Builders}).Draw(t, "house"),
				Voter: text.Draw(t, "voter"), WeightPPM: messages.PPM(rapid.Uint64().Draw(t, "weight")), Approve: rapid.Bool().Draw(t, "approve"),
			})
		}
		for range rapid.IntRange(0, 5).Draw(t, "earlier") {
			r.Transitions = append(r.Transitions, transition(t, state.Draw(t, "left")))
		}
		r.Transitions = append(r.Transitions, transition(t, r.State))
		return r
	})
}

func transition(t *rapid.T, state messages.State) disbursement.Transition {
	return disbursement.Transition{
		State: state, At: rapid.Uint64().Draw(t, "at"),
		Epoch: messages.Epoch(rapid.Uint64().Draw(t, "epoch")), Index: rapid.Uint64().Draw(t, "index"),
		Node: messages.NodeID(rapid.StringN(0, 5, 20).Draw(t, "node")),
	}
}

func TestDecodeRecordGivesWhatAppendRecordTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := records().Draw(t, "record")
		data := disbursement.AppendRecord([]byte("before"), &want)[len("before"):]
		got, err := disbursement.DecodeRecord(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
		header, err := disbursement.DecodeHeader(data)
		if err != nil {
			t.Fatal(err)
		}
		wantHeader := disbursement.Header{
			State: want.State, Staged: want.Staged, CreatedAt: want.CreatedAt,
			Amount: want.Payload.Disbursement.Amount, ScheduledEpoch: want.Payload.Disbursement.ScheduledEpoch,
			Destination: []byte(want.Payload.Disbursement.Destination),
		}
		if diff := cmp.Diff(wantHeader, header); diff != "" {
			t.Fatalf("header: -want +got\n%s", diff)
		}
	})
}

// The commit fills in the log index and the numbers of a plan's new records.
func TestAnEncodedRecordCanBeFilledIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := records().Draw(t, "record")
		data := disbursement.AppendRecord(nil, &want)
		index := rapid.Uint64().Draw(t, "index")
		binary.BigEndian.PutUint64(data[disbursement.IndexOffset:], index)
		want.Transitions[len(want.Transitions)-1].Index = index
		for i := range want.Deps {
			want.Deps[i]++
			binary.BigEndian.PutUint64(data[disbursement.DepsOffset+8*i:], uint64(want.Deps[i]))
		}
		got, err := disbursement.DecodeRecord(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	})
}

func TestDecodeRecordRefusesWhatIsNotOne(t *testing.T) {
	record := goldenRecords()["full"]
	whole := disbursement.AppendRecord(nil, &record)
	edit := func(at int, b byte) []byte {
		data := append([]byte(nil), whole...)
		data[at] = b
		return data
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "cut short"},
		{"bytes left over", append(append([]byte(nil), whole...), 0), "bytes left over"},
		{"another version", edit(0, 2), "version 2"},
		{"no state", edit(1, 0), "state(0)"},
		{"an unknown state", edit(1, 8), "state(8)"},
		{"a history of another state", edit(1, byte(messages.Finalized)), "history ends in another state"},
		{"unknown flags", edit(2, 0xff), "unknown flags"},
		{"more dependencies than bytes", edit(35, 0xff), "cut short"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := disbursement.DecodeRecord(tt.data)
			if !errors.Is(err, disbursement.ErrCorrupt) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("DecodeRecord: %v, want %q", err, tt.want)
			}
		})
	}
	for cut := range whole {
		if _, err := disbursement.DecodeRecord(whole[:cut]); !errors.Is(err, disbursement.ErrCorrupt) {
			t.Errorf("the first %d bytes: %v, want ErrCorrupt", cut, err)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, record := range goldenRecords() {
		f.Add(disbursement.AppendRecord(nil, &record))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := disbursement.DecodeRecord(data)
		if err != nil {
			return
		}
		if _, err := disbursement.DecodeHeader(data); err != nil {
			t.Errorf("the header of a sound record: %v", err)
		}
		again, err := disbursement.DecodeRecord(disbursement.AppendRecord(nil, &record))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(record, again); diff != "" {
			t.Errorf("-once +twice\n%s", diff)
		}
	})
}

func TestDecodeHeaderAllocatesNothing(t *testing.T) {
	record := goldenRecords()["full"]
	data := disbursement.AppendRecord(nil, &record)
	if got := testing.AllocsPerRun(20, func() { _, _ = disbursement.DecodeHeader(data) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	record := goldenRecords()["draft"]
	data := disbursement.AppendRecord(nil, &record)
	b.ReportAllocs()
	for b.Loop() {
		data = disbursement.AppendRecord(data[:0], &record)
	}
	b.ReportMetric(float64(len(data)), "B/record")
}

func BenchmarkDecodeRecord(b *testing.B) {
	record := goldenRecords()["draft"]
	data := disbursement.AppendRecord(nil, &record)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := disbursement.DecodeRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeHeader(b *testing.B) {
	record := goldenRecords()["draft"]
	data := disbursement.AppendRecord(nil, &record)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := disbursement.DecodeHeader(data); err != nil {
			b.Fatal(err)
		}
	}
}
