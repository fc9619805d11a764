package disbursement_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// direct is a payload without a proposal that nothing is wrong with.
func direct(edits ...func(*messages.Payload)) messages.Payload {
	p := messages.Payload{Disbursement: messages.Disbursement{
		Destination:    "tb1payee",
		Amount:         1000,
		ScheduledEpoch: 5,
	}}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// proposed is a payload with a proposal that nothing is wrong with.
func proposed(edits ...func(*messages.Payload)) messages.Payload {
	p := direct()
	p.Proposal = &messages.Proposal{
		Title:                "A grant",
		Summary:              "For the motion mine",
		Attachments:          []messages.Attachment{{Name: "plan", URI: "https://example.org/plan"}},
		Quorum:               messages.Quorum{OperatorsPPM: 500_000, BuildersPPM: 300_000},
		VoteWindowEpochs:     messages.DefaultVoteWindowEpochs,
		TimelockEpochs:       messages.DefaultTimelockEpochs,
		RollbackWindowEpochs: messages.DefaultRollbackWindowEpochs,
	}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// memo gives an edit that sets the memo.
func memo(text string) func(*messages.Payload) {
	return func(p *messages.Payload) { p.Disbursement.Memo = text }
}

// explicit gives an edit that sets the proposal's list of dependencies.
func explicit(deps ...messages.DisbursementID) func(*messages.Payload) {
	return func(p *messages.Payload) { p.Proposal.Deps = deps }
}

// receipts gives an edit that expects receipts of these amounts.
func receipts(amounts ...messages.Amount) func(*messages.Payload) {
	return func(p *messages.Payload) {
		for i, a := range amounts {
			r := messages.Receipt{Account: fmt.Sprintf("tb1share%d", i), Amount: a}
			p.Disbursement.ExpectedReceipts = append(p.Disbursement.ExpectedReceipts, r)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	const (
		faulty  = messages.CodeValidationFailed
		tooMany = messages.CodeTooManyDependencies
		tooLong = messages.CodeMemoTooLong
	)
	tests := []struct {
		name    string
		payload messages.Payload
		code    messages.Code
		message string
	}{
		{"a missing title", proposed(func(p *messages.Payload) { p.Proposal.Title = "" }), faulty, "proposal.title must not be blank"},
		{"a title of white space", proposed(func(p *messages.Payload) { p.Proposal.Title = " \n\u00a0" }), faulty, "proposal.title must not be blank"},
		{"an overlong title", proposed(func(p *messages.Payload) { p.Proposal.Title = strings.Repeat("x", 1025) }), faulty, "proposal.title has 1025 bytes, at most 1024 are allowed"},
		{"a blank summary", proposed(func(p *messages.Payload) { p.Proposal.Summary = "\t" }), faulty, "proposal.summary must not be blank"},
		{"an overlong summary", proposed(func(p *messages.Payload) { p.Proposal.Summary = strings.Repeat("x", 16385) }), faulty, "proposal.summary has 16385 bytes, at most 16384 are allowed"},
		{"too many attachments", proposed(func(p *messages.Payload) { p.Proposal.Attachments = make([]messages.Attachment, 65) }), faulty, "proposal.attachments has 65 entries, at most 64 are allowed"},
		{"an attachment's overlong name", proposed(func(p *messages.Payload) { p.Proposal.Attachments[0].Name = strings.Repeat("x", 257) }), faulty, "proposal.attachments[0].name has 257 bytes, at most 256 are allowed"},
		{"an attachment's overlong uri", proposed(func(p *messages.Payload) { p.Proposal.Attachments[0].URI = strings.Repeat("x", 2049) }), faulty, "proposal.attachments[0].uri has 2049 bytes, at most 2048 are allowed"},
		{"a missing destination", direct(func(p *messages.Payload) { p.Disbursement.Destination = "" }), faulty, "disbursement.destination must not be blank; want tb1 and 1 to 117 lower-case ASCII letters or digits"},
		{"a destination of white space", direct(func(p *messages.Payload) { p.Disbursement.Destination = "  " }), faulty, "disbursement.destination must not be blank; want tb1 and 1 to 117 lower-case ASCII letters or digits"},
		{"a destination elsewhere", direct(func(p *messages.Payload) { p.Disbursement.Destination = "0xd2d950" }), faulty, `disbursement.destination must start with tb1, got "0xd2d950"; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"a destination in capitals", direct(func(p *messages.Payload) { p.Disbursement.Destination = "TB1payee" }), faulty, `disbursement.destination must start with tb1, got "TB1payee"; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"a destination behind a space", direct(func(p *messages.Payload) { p.Disbursement.Destination = " tb1payee" }), faulty, `disbursement.destination must start with tb1, got " tb1payee"; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"an overlong destination", direct(func(p *messages.Payload) { p.Disbursement.Destination = "tb1" + strings.Repeat("x", 118) }), faulty, "disbursement.destination has 121 bytes, at most 120 are allowed: \"tb1" + strings.Repeat("x", 118) + "\""},
		{"a destination that is no text", direct(func(p *messages.Payload) { p.Disbursement.Destination = "tb1\xff" }), faulty, `disbursement.destination "tb1\xff" has the byte 0xff at position 4; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"a destination with a blank behind", direct(func(p *messages.Payload) { p.Disbursement.Destination = "tb1payee " }), faulty, `disbursement.destination "tb1payee " has a blank at position 9; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"a destination with a look-alike", direct(func(p *messages.Payload) { p.Disbursement.Destination = "tb1p\u0430yee" }), faulty, `disbursement.destination "tb1p\u0430yee" has the character U+0430 at position 5; want tb1 and 1 to 117 lower-case ASCII letters or digits`},
		{"an amount of 0", direct(func(p *messages.Payload) { p.Disbursement.Amount = 0 }), faulty, "disbursement.amount must be above 0"},
		{"an amount over 63 bits", direct(func(p *messages.Payload) { p.Disbursement.Amount = 1 << 63 }), faulty, "disbursement.amount must be at most 9223372036854775807"},
		{"a scheduled epoch of 0", direct(func(p *messages.Payload) { p.Disbursement.ScheduledEpoch = 0 }), faulty, "disbursement.scheduled_epoch must be above 0"},
		{"an operators' quorum over the whole", proposed(func(p *messages.Payload) { p.Proposal.Quorum.OperatorsPPM = 1_000_001 }), faulty, "proposal.quorum.operators_ppm must be at most 1000000"},
		{"a builders' quorum over the whole", proposed(func(p *messages.Payload) { p.Proposal.Quorum.BuildersPPM = 1_000_001 }), faulty, "proposal.quorum.builders_ppm must be at most 1000000"},
		{"two quorums of 0", proposed(func(p *messages.Payload) { p.Proposal.Quorum = messages.Quorum{} }), faulty, "proposal.quorum must be above 0 in at least one house"},
		{"a vote window of 0", proposed(func(p *messages.Payload) { p.Proposal.VoteWindowEpochs = 0 }), faulty, "proposal.vote_window_epochs must be above 0"},
		{"a timelock of 0", proposed(func(p *messages.Payload) { p.Proposal.TimelockEpochs = 0 }), faulty, "proposal.timelock_epochs must be above 0"},
		{"a rollback window of 0", proposed(func(p *messages.Payload) { p.Proposal.RollbackWindowEpochs = 0 }), faulty, "proposal.rollback_window_epochs must be above 0"},
		{"receipts short of the amount", direct(receipts(400, 599)), faulty, "disbursement.expected_receipts add up to 1 less than the amount of 1000"},
		{"receipts beyond the amount", direct(receipts(400, 601)), faulty, "disbursement.expected_receipts add up to more than the amount of 1000"},
		{"receipts whose sum wraps to the amount", direct(receipts(1<<64-1, 1001)), faulty, "disbursement.expected_receipts add up to more than the amount of 1000"},
		{"a receipt of nobody", direct(receipts(1000), func(p *messages.Payload) { p.Disbursement.ExpectedReceipts[0].Account = " " }), faulty, "disbursement.expected_receipts[0].account must not be blank"},
		{"a receipt's overlong account", direct(receipts(1000), func(p *messages.Payload) { p.Disbursement.ExpectedReceipts[0].Account = strings.Repeat("x", 121) }), faulty, "disbursement.expected_receipts[0].account has 121 bytes, at most 120 are allowed"},
		{"too many receipts", direct(receipts(make([]messages.Amount, 1001)...)), faulty, "disbursement.expected_receipts has 1001 entries, at most 1000 are allowed"},
		{"a memo of 8,193 bytes", direct(memo(strings.Repeat("x", 8193))), tooLong, "disbursement.memo has 8193 bytes, at most 8192 are allowed"},
		{"an overlong memo, be it of white space", direct(memo(strings.Repeat(" ", 8193))), tooLong, "disbursement.memo has 8193 bytes, at most 8192 are allowed"},
		{"101 explicit dependencies", proposed(explicit(idsUpTo(101)...)), tooMany, "proposal.deps names more than 100 disbursements"},
		{"101 items in a plain list", direct(memo("depends_on=" + numbers(1, 101))), tooMany, "disbursement.memo lists more than 100 dependencies"},
		{"101 equal items in a plain list", direct(memo("depends_on=1" + strings.Repeat(",1", 100))), tooMany, "disbursement.memo lists more than 100 dependencies"},
		{"101 items in a JSON list", direct(memo(`{"depends_on":[` + numbers(1, 101) + `]}`)), tooMany, "disbursement.memo lists more than 100 dependencies"},
		{"a fraction in the memo's list", direct(memo(`{"depends_on":[1,2.0]}`)), faulty, "disbursement.memo: item 2 of depends_on is not a disbursement id"},
		{"a negative number in the memo's list", direct(memo("depends_on=-1")), faulty, "disbursement.memo: item 1 of depends_on is not a disbursement id"},
		{"a number over 64 bits in the memo's list", direct(memo("depends_on=5,18446744073709551616")), faulty, "disbursement.memo: item 2 of depends_on is not a disbursement id"},
		{"a word in the memo's list", direct(memo(`{"depends_on":["one"]}`)), faulty, "disbursement.memo: item 1 of depends_on is not a disbursement id"},
		{"null in the memo's list", direct(memo(`{"depends_on":[1,2,null,"x"]}`)), faulty, "disbursement.memo: item 3 of depends_on is not a disbursement id"},
		{"the 100th item of the memo's list", direct(memo("depends_on=" + numbers(1, 99) + ",x")), faulty, "disbursement.memo: item 100 of depends_on is not a disbursement id"},
		{"a trailing comma in a plain list", direct(memo("depends_on=1,2,")), faulty, "disbursement.memo: item 3 of depends_on is not a disbursement id"},
		{"a plain list of nothing", direct(memo("depends_on=")), faulty, "disbursement.memo: item 1 of depends_on is not a disbursement id"},
		{"words behind a plain list", direct(memo("depends_on=1 see there")), faulty, "disbursement.memo: item 1 of depends_on is not a disbursement id"},
		{"a memo's id the explicit list lacks", proposed(explicit(1, 2), memo("depends_on=2,3")), faulty, "disbursement.memo depends on 3, which proposal.deps lacks"},
		{"malformed JSON behind a list", direct(memo(`{"depends_on":[1]}}`)), faulty, "disbursement.memo starts with { and holds depends_on, but is not valid JSON"},
		{"malformed JSON before a list", direct(memo(`{depends_on:[1]}`)), faulty, "disbursement.memo starts with { and holds depends_on, but is not valid JSON"},
		{"malformed JSON behind an escaped key", direct(memo(`{"depends\u005fon":[1],}`)), faulty, "disbursement.memo starts with { and holds depends_on, but is not valid JSON"},
		{"malformed JSON beside an explicit list", proposed(explicit(1), memo(`{"depends_on":[1`)), faulty, "disbursement.memo starts with { and holds depends_on, but is not valid JSON"},
		{"the key twice", direct(memo(`{"depends_on":[1],"depends_on":[1]}`)), faulty, "disbursement.memo has the key depends_on more than once"},
		{"the key twice, once escaped", direct(memo(`{"depends_on":[1],"\u0064epends_on":[2]}`)), faulty, "disbursement.memo has the key depends_on more than once"},
		{"a number under the key", direct(memo(`{"depends_on":1}`)), faulty, "disbursement.memo has no array under depends_on"},
		{"null under the key", direct(memo(`{"depends_on":null}`)), faulty, "disbursement.memo has no array under depends_on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deps, err := disbursement.Check(tt.payload)
			if deps != nil || err == nil {
				t.Fatalf("Check = %v, %v, want a refusal", deps, err)
			}
			if err.Code != tt.code || err.Message != tt.message {
				t.Errorf("Check = %v %q, want %v %q", err.Code, err.Message, tt.code, tt.message)
			}
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	type list = []messages.DisbursementID
	tests := []struct {
		name    string
		payload messages.Payload
		want    list
	}{
		{"a payment without dependencies", direct(), nil},
		{"a proposal without dependencies", proposed(), nil},
		{"the largest amount", direct(func(p *messages.Payload) { p.Disbursement.Amount = messages.AmountMax }), nil},
		{"one quorum of 0", proposed(func(p *messages.Payload) { p.Proposal.Quorum.BuildersPPM = 0 }), nil},
		{"quorums of the whole", proposed(func(p *messages.Payload) { p.Proposal.Quorum = messages.Quorum{OperatorsPPM: 1e6, BuildersPPM: 1e6} }), nil},
		{"receipts that add up", direct(receipts(1, 0, 999)), nil},
		{"a memo of 8,192 bytes", direct(memo(strings.Repeat("x", 8192))), nil},
		{"malformed JSON that speaks of something else", direct(memo("{not JSON")), nil},
		{"valid JSON with the key further inside", direct(memo(`{"note":{"depends_on":1},"x":"depends_on"}`)), nil},
		{"an empty list", direct(memo(`{"depends_on":[]}`)), nil},
		{"the memo's list", direct(memo("depends_on=3,1,3")), list{1, 3}},
		{"the explicit list", proposed(explicit(9, 2, 9)), list{2, 9}},
		{"the memo's list where the explicit one is empty", proposed(explicit(), memo("depends_on=4")), list{4}},
		{"a memo's list that is part of the explicit one", proposed(explicit(3, 2, 1), memo(`{"depends_on":["2"]}`)), list{1, 2, 3}},
		{"100 dependencies in the memo", direct(memo(`{"depends_on":[` + numbers(1, 100) + `]}`)), idsUpTo(100)},
		{"100 distinct dependencies among more", proposed(explicit(append(idsUpTo(100), idsUpTo(100)...)...)), idsUpTo(100)},
		{"a dependency on 0, which nobody has", direct(memo("depends_on=0")), list{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := disbursement.Check(tt.payload)
			if err != nil {
				t.Fatalf("Check: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Each step takes the first fault away, and the next one answers.
func TestCheckAnswersWithTheFirstFault(t *testing.T) {
	p := messages.Payload{
		Proposal: &messages.Proposal{Deps: idsUpTo(101)},
		Disbursement: messages.Disbursement{
			Memo:             `{"depends_on":` + strings.Repeat(" ", 8192),
			ExpectedReceipts: []messages.Receipt{{Account: "tb1a", Amount: 1}},
		},
	}
	steps := []struct {
		want string
		mend func()
	}{
		{"proposal.title must", func() { p.Proposal.Title = "t" }},
		{"proposal.summary must", func() { p.Proposal.Summary = "s" }},
		{"disbursement.destination must not be blank", func() { p.Disbursement.Destination = "x" }},
		{"disbursement.destination must start", func() { p.Disbursement.Destination = "tb1x" }},
		{"disbursement.amount must", func() { p.Disbursement.Amount = 7 }},
		{"disbursement.scheduled_epoch must", func() { p.Disbursement.ScheduledEpoch = 1 }},
		{"proposal.quorum must", func() { p.Proposal.Quorum.BuildersPPM = 1 }},
		{"proposal.vote_window_epochs must", func() { p.Proposal.VoteWindowEpochs = 1 }},
		{"proposal.timelock_epochs must", func() { p.Proposal.TimelockEpochs = 1 }},
		{"proposal.rollback_window_epochs must", func() { p.Proposal.RollbackWindowEpochs = 1 }},
		{"disbursement.expected_receipts add up", func() { p.Disbursement.ExpectedReceipts = nil }},
		{"disbursement.memo has 8206 bytes", func() { p.Disbursement.Memo = "depends_on=x" + strings.Repeat(",1", 100) }},
		{"proposal.deps names more", func() { p.Proposal.Deps = []messages.DisbursementID{1} }},
		{"disbursement.memo lists more", func() { p.Disbursement.Memo = "depends_on=x,2" }},
		{"disbursement.memo: item 1", func() { p.Disbursement.Memo = "depends_on=2" }},
		{"disbursement.memo depends on 2", func() { p.Disbursement.Memo = "depends_on=1" }},
	}
	for _, step := range steps {
		_, err := disbursement.Check(p)
		if err == nil || !strings.HasPrefix(err.Message, step.want) {
			t.Fatalf("Check = %v, want %q", err, step.want)
		}
		step.mend()
	}
	if deps, err := disbursement.Check(p); err != nil || len(deps) != 1 {
		t.Errorf("Check = %v, %v, want dependency 1", deps, err)
	}
}

// No dependency is dropped silently: whatever a submission is accepted with, a
// reader of its memo finds no other dependencies than the canonical ones.
func TestCheckDropsNoDependency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := direct(memo(memos().Draw(t, "memo")))
		deps, err := disbursement.Check(p)
		if err != nil {
			return
		}
		var got []uint64
		for _, id := range deps {
			got = append(got, uint64(id))
		}
		if diff := cmp.Diff(plainParse(p.Disbursement.Memo), got); diff != "" {
			t.Fatalf("%q: -in the memo +canonical\n%s", p.Disbursement.Memo, diff)
		}
		text := strings.TrimSpace(p.Disbursement.Memo)
		if text == "" {
			return
		}
		items := plainItems(text)
		if len(items) > 100 {
			t.Fatalf("%q: %d items are accepted", text, len(items))
		}
		for _, item := range items {
			if _, err := strconv.ParseUint(item, 10, 64); err != nil {
				t.Fatalf("%q: item %q is accepted", text, item)
			}
		}
	})
}

func idsUpTo(last messages.DisbursementID) []messages.DisbursementID {
	var list []messages.DisbursementID
	for id := messages.DisbursementID(1); id <= last; id++ {
		list = append(list, id)
	}
	return list
}

func BenchmarkCheck(b *testing.B) {
	p := proposed(memo(`{"depends_on":[1,2,3]}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := disbursement.Check(p); err != nil {
			b.Fatal(err)
		}
	}
}
