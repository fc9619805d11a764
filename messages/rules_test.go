package messages_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages"
)

// m is a map as a test writes it down.
type m = map[string]any

// encode is the independent encoder: what a client in another language would send.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func submit(t testing.TB, payload any) (*messages.SubmitDisbursementParams, *messages.Error) {
	t.Helper()
	p, err := messages.MethodByName(messages.MethodSubmitDisbursement).
		Decode(encode(t, m{"payload": payload}), messages.Msgpack)
	if err != nil {
		return nil, err
	}
	return p.(*messages.SubmitDisbursementParams), nil
}

func TestFaultsAreNamedByTheirPath(t *testing.T) {
	deep := func(key string, v any) m { return m{"payload": m{"disbursement": m{key: v}}} }
	proposal := func(key string, v any) m { return m{"payload": m{"proposal": m{key: v}}} }
	cases := []struct {
		name   string
		method string
		params any
		code   messages.Code
		text   string
	}{
		{"no map", messages.MethodSubmitDisbursement, []int{1}, messages.CodeInvalidParams,
			"params: want a map, got a list"},
		{"no payload", messages.MethodSubmitDisbursement, m{}, messages.CodeInvalidParams,
			"params.payload: missing"},
		{"payload nil", messages.MethodSubmitDisbursement, m{"payload": nil}, messages.CodeInvalidParams,
			"params.payload: missing"},
		{"payload a string", messages.MethodSubmitDisbursement, m{"payload": "x"}, messages.CodeInvalidParams,
			"params.payload: want a map, got a string"},
		{"amount a string", messages.MethodSubmitDisbursement, deep("amount", "5"), messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got a string"},
		{"amount a fraction", messages.MethodSubmitDisbursement, deep("amount", 2.0), messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got a fraction"},
		{"amount negative", messages.MethodSubmitDisbursement, deep("amount", -5), messages.CodeValidationFailed,
			"params.payload.disbursement.amount: -5 is negative"},
		{"amount very negative", messages.MethodSubmitDisbursement, deep("amount", int64(math.MinInt64)),
			messages.CodeValidationFailed,
			"params.payload.disbursement.amount: -9223372036854775808 is negative"},
		{"destination a number", messages.MethodSubmitDisbursement, deep("destination", 7), messages.CodeInvalidParams,
			"params.payload.disbursement.destination: want a string, got an integer"},
		{"destination binary", messages.MethodSubmitDisbursement, deep("destination", []byte("tb1")),
			messages.CodeInvalidParams, "params.payload.disbursement.destination: want a string, got binary"},
		{"memo not UTF-8", messages.MethodSubmitDisbursement, deep("memo", "\xff"), messages.CodeInvalidParams,
			"params.payload.disbursement.memo: the string is not valid UTF-8"},
		{"receipts a map", messages.MethodSubmitDisbursement, deep("expected_receipts", m{}), messages.CodeInvalidParams,
			"params.payload.disbursement.expected_receipts: want a list, got a map"},
		{"a receipt's amount", messages.MethodSubmitDisbursement,
			deep("expected_receipts", []m{{"amount": 1}, {"amount": true}}), messages.CodeInvalidParams,
			"params.payload.disbursement.expected_receipts[1].amount: want an unsigned integer, got a boolean"},
		{"too many receipts", messages.MethodSubmitDisbursement,
			deep("expected_receipts", make([]m, messages.ReceiptsMax+1)), messages.CodeValidationFailed,
			"params.payload.disbursement.expected_receipts: 1001 receipts are more than 1000"},
		{"a dependency", messages.MethodSubmitDisbursement, proposal("deps", []any{1, nil}), messages.CodeInvalidParams,
			"params.payload.proposal.deps[1]: want an unsigned integer, got nil"},
		{"too many attachments", messages.MethodSubmitDisbursement,
			proposal("attachments", make([]m, messages.AttachmentsMax+1)), messages.CodeValidationFailed,
			"params.payload.proposal.attachments: 65 attachments are more than 64"},
		{"request id too long", messages.MethodAccrue, m{"amount": 1, "request_id": strings.Repeat("r", 65)},
			messages.CodeValidationFailed, "params.request_id: 65 bytes are more than 64"},
		{"consistency", messages.MethodBalance, m{"consistency": "eventual"}, messages.CodeValidationFailed,
			`params.consistency: want "linearizable" or "local"`},
		{"house", messages.MethodVote, m{"house": "lords"}, messages.CodeValidationFailed,
			`params.house: want "operators" or "builders"`},
		{"house mistyped", messages.MethodVote, m{"house": 1}, messages.CodeInvalidParams,
			"params.house: want a string, got an integer"},
		{"status", messages.MethodDisbursements, m{"status": "paid"}, messages.CodeValidationFailed,
			"params.status: no such status"},
		{"a plan's item", messages.MethodSubmitPlan,
			m{"items": []m{{}, {"payload": m{"disbursement": m{"amount": []int{}}}}}}, messages.CodeInvalidParams,
			"params.items[1].payload.disbursement.amount: want an unsigned integer, got a list"},
		{"a plan too long", messages.MethodSubmitPlan, m{"items": make([]m, messages.PlanItemsMax+1)},
			messages.CodeValidationFailed, "params.items: 1001 items are more than 1000"},
		{"a ref too long", messages.MethodSubmitPlan, m{"items": []m{{"ref": strings.Repeat("r", 129)}}},
			messages.CodeValidationFailed, "params.items[0].ref: 129 bytes are more than 128"},
		{"a key that is no string", messages.MethodAccrue, map[int]int{1: 2}, messages.CodeInvalidParams,
			"params: want a string, got an integer"},
		{"a stranger's key is no line of the log", messages.MethodSubmitDisbursement,
			m{"payload": m{"disbursement": m{"amount": "\n"}}}, messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got a string"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := messages.MethodByName(c.method).Decode(encode(t, c.params), messages.Msgpack)
			if err == nil || err.Code != c.code || err.Message != c.text {
				t.Errorf("got %v, want %s: %s", err, c.code, c.text)
			}
		})
	}
}

func TestBytesThatEndEarlyAreRefused(t *testing.T) {
	accrue := messages.MethodByName(messages.MethodAccrue)
	whole := encode(t, m{"amount": 1 << 40, "source": strings.Repeat("s", 300), "x": []any{1.5, m{"y": nil}}})
	if _, err := accrue.Decode(whole, messages.Msgpack); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := accrue.Decode(whole[:n], messages.Msgpack); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	p, err := submit(t, m{
		"disbursement": m{"amount": 5, "colour": m{"deep": []any{1, m{}, []any{}}}},
		"extra":        []any{1.5, true, []byte{1}},
	})
	if err != nil || p.Payload.Disbursement.Amount != 5 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestMissingPartsOfAPayloadStayZero(t *testing.T) {
	for _, payload := range []any{m{}, m{"disbursement": nil}, m{"disbursement": m{}}, m{"proposal": nil}, m{"proposal": m{}}} {
		p, err := submit(t, payload)
		if err != nil {
			t.Errorf("%v: %v", payload, err)
		} else if diff := cmp.Diff(p.Payload, messages.Payload{}); diff != "" {
			t.Errorf("%v: %s", payload, diff)
		}
	}
}

func TestWindowsThatAreAbsentHaveDefaultsAndZeroStays(t *testing.T) {
	p, err := submit(t, m{"proposal": m{"title": "t", "vote_window_epochs": nil}})
	if err != nil {
		t.Fatal(err)
	}
	want := &messages.Proposal{Title: "t", VoteWindowEpochs: 4, TimelockEpochs: 2, RollbackWindowEpochs: 1}
	if diff := cmp.Diff(p.Payload.Proposal, want); diff != "" {
		t.Errorf("absent: %s", diff)
	}
	p, err = submit(t, m{"proposal": m{"vote_window_epochs": 0, "timelock_epochs": 0, "rollback_window_epochs": 0}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Payload.Proposal, &messages.Proposal{}); diff != "" {
		t.Errorf("explicit 0: %s", diff)
	}
}

func TestOfDuplicateKeysTheLastWins(t *testing.T) {
	b := []byte("\x82\xa7payload\x81\xacdisbursement\x82\xa6amount\x05\xa4memo\xa1x" +
		"\xa7payload\x81\xacdisbursement\x82\xa6amount\x06\xa6amount\x07")
	p, err := messages.MethodByName(messages.MethodSubmitDisbursement).Decode(b, messages.Msgpack)
	if err != nil {
		t.Fatal(err)
	}
	want := messages.Payload{Disbursement: messages.Disbursement{Amount: 7}}
	if diff := cmp.Diff(p.(*messages.SubmitDisbursementParams).Payload, want); diff != "" {
		t.Error(diff)
	}
}

func TestAmountsBeyondTheLargestAreForTheRulesToJudge(t *testing.T) {
	p, err := submit(t, m{"disbursement": m{"amount": uint64(math.MaxUint64)}})
	if err != nil || p.Payload.Disbursement.Amount != math.MaxUint64 {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestOptionsAreSettled(t *testing.T) {
	balance := messages.MethodByName(messages.MethodBalanceHistory)
	for _, c := range []struct {
		params   m
		deadline uint64
		limit    uint64
	}{
		{m{}, 5_000, 100},
		{m{"deadline_ms": 0, "limit": 0}, 5_000, 100},
		{m{"deadline_ms": 1, "limit": 1}, 1, 1},
		{m{"deadline_ms": uint64(math.MaxUint64), "limit": 5_000}, 60_000, 1_000},
	} {
		p, err := balance.Decode(encode(t, c.params), messages.Msgpack)
		if err != nil {
			t.Fatal(err)
		}
		page := p.(*messages.PageParams)
		if page.DeadlineMS != c.deadline || page.Limit != c.limit || page.Consistency != messages.Linearizable {
			t.Errorf("%v: got %+v", c.params, page)
		}
	}
}

func TestDecimalStringsAreForJSONOnly(t *testing.T) {
	accrue := messages.MethodByName(messages.MethodAccrue)
	for _, c := range []struct {
		amount any
		want   uint64
		code   messages.Code
	}{
		{"18446744073709551615", math.MaxUint64, 0},
		{"0", 0, 0},
		{"18446744073709551616", 0, messages.CodeValidationFailed},
		{"99999999999999999999999999", 0, messages.CodeValidationFailed},
		{"18446744073709551616x", 0, messages.CodeInvalidParams},
		{"-5", 0, messages.CodeValidationFailed},
		{"1e3", 0, messages.CodeInvalidParams},
		{"2.0", 0, messages.CodeInvalidParams},
		{"+5", 0, messages.CodeInvalidParams},
		{" 5", 0, messages.CodeInvalidParams},
		{"", 0, messages.CodeInvalidParams},
	} {
		b := encode(t, m{"amount": c.amount})
		if _, err := accrue.Decode(b, messages.Msgpack); err == nil {
			t.Errorf("%q over MessagePack was accepted", c.amount)
		}
		p, err := accrue.Decode(b, messages.JSON)
		switch {
		case c.code == 0 && (err != nil || uint64(p.(*messages.AccrueParams).Amount) != c.want):
			t.Errorf("%q: %v, %v", c.amount, p, err)
		case c.code != 0 && (err == nil || err.Code != c.code):
			t.Errorf("%q: %v, want %s", c.amount, err, c.code)
		}
	}
}

func TestThePayloadHash(t *testing.T) {
	accrue := messages.MethodByName(messages.MethodAccrue)
	hash := func(method *messages.Method, params m) [16]byte {
		t.Helper()
		p, err := method.Decode(encode(t, params), messages.Msgpack)
		if err != nil {
			t.Fatal(err)
		}
		return method.PayloadHash(p)
	}
	first := hash(accrue, m{"amount": 5})
	for _, same := range []m{
		{"amount": uint64(5), "request_id": "a"}, {"amount": 5, "deadline_ms": 9}, {"amount": 5, "source": ""},
		{"amount": 5, "unknown": "u"}, {"amount": 5, "source": nil},
	} {
		if hash(accrue, same) != first {
			t.Errorf("%v: another hash", same)
		}
	}
	for _, different := range []m{{"amount": 6}, {"amount": 5, "source": "fees"}} {
		if hash(accrue, different) == first {
			t.Errorf("%v: the same hash", different)
		}
	}
	queue := messages.MethodByName(messages.MethodQueueDisbursement)
	execute := messages.MethodByName(messages.MethodExecuteDisbursement)
	if hash(queue, m{"id": 1}) == hash(execute, m{"id": 1}) {
		t.Error("two methods have the same hash")
	}
}

func TestPayloadsSurviveTheirOwnCodec(t *testing.T) {
	p := filled(new(messages.Payload)).(*messages.Payload)
	got, err := messages.DecodePayload(messages.AppendPayload(nil, p))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&got, p); diff != "" {
		t.Error(diff)
	}
	if _, err := messages.DecodePayload([]byte{0xc1}); err == nil {
		t.Error("garbage was accepted")
	}
}

func TestErrorsSurviveTheWire(t *testing.T) {
	e := messages.Errorf(messages.CodeDependencyCycle, "a → b → a").
		With("cycle", []string{"a", "b"}).With("retry_after_ms", 5).With("least", int64(-3)).
		With("dependency", messages.DisbursementID(7)).With("again", true)
	got, err := messages.DecodeError(e.AppendMsgpack(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := &messages.Error{Code: e.Code, Message: e.Message, Data: map[string]any{
		"cycle": []any{"a", "b"}, "retry_after_ms": uint64(5), "least": int64(-3), "dependency": uint64(7), "again": true,
	}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	var onWire map[string]any
	if err := msgpack.Unmarshal(e.AppendMsgpack(nil), &onWire); err != nil || onWire["name"] != "dependency_cycle" {
		t.Errorf("got %v, %v", onWire, err)
	}
}

func TestWhoMayCall(t *testing.T) {
	open := &messages.SubmitDisbursementParams{Payload: messages.Payload{Proposal: &messages.Proposal{}}}
	direct := &messages.SubmitDisbursementParams{}
	plan := func(proposals ...*messages.Proposal) *messages.PlanParams {
		p := &messages.PlanParams{}
		for _, one := range proposals {
			p.Items = append(p.Items, messages.PlanItem{Payload: messages.Payload{Proposal: one}})
		}
		return p
	}
	stranger := messages.Reader | messages.Submitter
	for _, c := range []struct {
		method string
		params messages.Params
		roles  messages.Role
		want   bool
	}{
		{messages.MethodSubmitDisbursement, open, stranger, true},
		{messages.MethodSubmitDisbursement, open, messages.Reader, false},
		{messages.MethodSubmitDisbursement, direct, stranger, false},
		{messages.MethodSubmitDisbursement, direct, messages.RolesAll, true},
		{messages.MethodSubmitPlan, plan(&messages.Proposal{}), stranger, true},
		{messages.MethodSubmitPlan, plan(&messages.Proposal{}, nil), stranger, false},
		{messages.MethodSubmitPlan, plan(&messages.Proposal{}, nil), messages.Operator, true},
		{messages.MethodCheckPlan, plan(nil), stranger, true},
		{messages.MethodVote, &messages.VoteParams{}, stranger | messages.Operator, false},
		{messages.MethodVote, &messages.VoteParams{}, messages.Voter, true},
		{messages.MethodAccrue, &messages.AccrueParams{}, stranger | messages.Voter, false},
		{messages.MethodBalance, &messages.NoParams{}, messages.Reader, true},
		{messages.MethodBalance, &messages.NoParams{}, 0, false},
	} {
		err := messages.Allowed(messages.MethodByName(c.method), c.params, c.roles)
		if (err == nil) != c.want || err != nil && err.Code != messages.CodeUnauthorized {
			t.Errorf("%s with roles %04b: %v, want allowed %v", c.method, c.roles, err, c.want)
		}
	}
	for _, method := range messages.Methods() {
		if method.Mutates && method.Who == messages.Reader {
			t.Errorf("%s changes something and any reader may call it", method.Name)
		}
	}
}

func TestFiltersAndRanges(t *testing.T) {
	if got := messages.FilterScheduled.States(); len(got) != 4 || got[3] != messages.Timelocked {
		t.Errorf("scheduled: %v", got)
	}
	if got := messages.FilterCancelled.States(); len(got) != 1 || got[0] != messages.RolledBack {
		t.Errorf("cancelled: %v", got)
	}
	if got := messages.StatusFilter("voting").States(); len(got) != 1 || got[0] != messages.Voting {
		t.Errorf("voting: %v", got)
	}
	if got := messages.StatusFilter("").States(); len(got) != 7 {
		t.Errorf("all: %v", got)
	}
	r := messages.Range{Min: 2, Max: 3}
	if r.Holds(1) || !r.Holds(2) || !r.Holds(3) || r.Holds(4) || !(messages.Range{}).Holds(math.MaxUint64) {
		t.Error("a range is closed, and open without Max")
	}
}

func TestFitStopsAtTheReplyLimit(t *testing.T) {
	row := &messages.DisbursementRow{Disbursement: messages.DisbursementView{
		Status: messages.Status{State: messages.Draft}, Memo: strings.Repeat("m", 8_192)}}
	rows := make([]*messages.DisbursementRow, 100)
	for i := range rows {
		rows[i] = row
	}
	n := messages.Fit(rows)
	size := len((&messages.DisbursementsResult{Disbursements: rows[:n]}).AppendMsgpack(nil))
	if size > messages.ReplyMax+100 || size < messages.ReplyMax-9_000 {
		t.Errorf("%d rows make %d bytes", n, size)
	}
	if messages.Fit(rows[:3]) != 3 || messages.Fit(rows[:0]) != 0 {
		t.Error("a short list does not fit")
	}
}
