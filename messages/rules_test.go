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
			"params: want a map, got a list; write it as {name: value}"},
		{"no payload", messages.MethodSubmitDisbursement, m{}, messages.CodeInvalidParams,
			"params.payload: missing"},
		{"payload nil", messages.MethodSubmitDisbursement, m{"payload": nil}, messages.CodeInvalidParams,
			"params.payload: missing"},
		{"payload a string", messages.MethodSubmitDisbursement, m{"payload": "x"}, messages.CodeInvalidParams,
			"params.payload: want a map, got a string; write it as {name: value}"},
		{"amount a string", messages.MethodSubmitDisbursement, deep("amount", "5"), messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got a string; write it as a number, without quotes"},
		{"amount a fraction", messages.MethodSubmitDisbursement, deep("amount", 2.5), messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got the fraction 2.5; write a whole number"},
		{"amount negative", messages.MethodSubmitDisbursement, deep("amount", -5), messages.CodeValidationFailed,
			"params.payload.disbursement.amount: -5 is negative"},
		{"amount very negative", messages.MethodSubmitDisbursement, deep("amount", int64(math.MinInt64)),
			messages.CodeValidationFailed,
			"params.payload.disbursement.amount: -9223372036854775808 is negative"},
		{"destination a number", messages.MethodSubmitDisbursement, deep("destination", 7), messages.CodeInvalidParams,
			"params.payload.disbursement.destination: want a string, got an integer; write it as text, in quotes"},
		{"destination binary that is no text", messages.MethodSubmitDisbursement, deep("destination", []byte("tb1\xff")),
			messages.CodeInvalidParams, "params.payload.disbursement.destination: the string is not valid UTF-8; send text as UTF-8"},
		{"memo not UTF-8", messages.MethodSubmitDisbursement, deep("memo", "\xff"), messages.CodeInvalidParams,
			"params.payload.disbursement.memo: the string is not valid UTF-8; send text as UTF-8"},
		{"receipts a map", messages.MethodSubmitDisbursement, deep("expected_receipts", m{}), messages.CodeInvalidParams,
			"params.payload.disbursement.expected_receipts: want a list, got a map; write it as [value, ...]"},
		{"a receipt's amount", messages.MethodSubmitDisbursement,
			deep("expected_receipts", []m{{"amount": 1}, {"amount": true}}), messages.CodeInvalidParams,
			"params.payload.disbursement.expected_receipts[1].amount: want an unsigned integer, got a boolean; write a whole number"},
		{"too many receipts", messages.MethodSubmitDisbursement,
			deep("expected_receipts", make([]m, messages.ReceiptsMax+1)), messages.CodeValidationFailed,
			"params.payload.disbursement.expected_receipts: 1001 are more than 1000"},
		{"a dependency", messages.MethodSubmitDisbursement, proposal("deps", []any{1, nil}), messages.CodeInvalidParams,
			"params.payload.proposal.deps[1]: want an unsigned integer, got nil; leave it out"},
		{"too many attachments", messages.MethodSubmitDisbursement,
			proposal("attachments", make([]m, messages.AttachmentsMax+1)), messages.CodeValidationFailed,
			"params.payload.proposal.attachments: 65 are more than 64"},
		{"the reason of a vote too long", messages.MethodVote,
			m{"id": 1, "house": "operators", "voter": "ann", "weight_ppm": 1, "approve": true, "reason": strings.Repeat("r", 256)},
			messages.CodeValidationFailed, "params.reason: 256 bytes are more than 255"},
		{"request id too long", messages.MethodAccrue, m{"amount": 1, "request_id": strings.Repeat("r", 65)},
			messages.CodeValidationFailed, "params.request_id: 65 bytes are more than 64"},
		{"consistency", messages.MethodBalance, m{"consistency": "eventual"}, messages.CodeValidationFailed,
			`params.consistency: want "linearizable" or "local"`},
		{"house", messages.MethodVote, m{"house": "lords"}, messages.CodeValidationFailed,
			`params.house: want "operators" or "builders"`},
		{"house mistyped", messages.MethodVote, m{"house": 1}, messages.CodeInvalidParams,
			"params.house: want a string, got an integer; write it as text, in quotes"},
		{"status", messages.MethodDisbursements, m{"status": "paid"}, messages.CodeValidationFailed,
			`params.status: want "draft", "voting", "queued", "timelocked", "executed", "finalized", "rolled_back", "scheduled" or "cancelled"`},
		{"a plan's item", messages.MethodSubmitPlan,
			m{"items": []m{{}, {"payload": m{"disbursement": m{"amount": []int{}}}}}}, messages.CodeInvalidParams,
			"params.items[1].payload.disbursement.amount: want an unsigned integer, got a list; write a whole number"},
		{"a plan too long", messages.MethodSubmitPlan, m{"items": make([]m, messages.PlanItemsMax+1)},
			messages.CodeValidationFailed, "params.items: 1001 are more than 1000"},
		{"a ref too long", messages.MethodSubmitPlan, m{"items": []m{{"ref": strings.Repeat("r", 129)}}},
			messages.CodeValidationFailed, "params.items[0].ref: 129 bytes are more than 128"},
		{"a key that is no string", messages.MethodAccrue, map[int]int{1: 2}, messages.CodeInvalidParams,
			"params: want a string, got an integer; write it as text, in quotes"},
		{"a stranger's key is no line of the log", messages.MethodSubmitDisbursement,
			m{"payload": m{"disbursement": m{"amount": "\n"}}}, messages.CodeInvalidParams,
			"params.payload.disbursement.amount: want an unsigned integer, got a string; write it as a number, without quotes"},
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
	if _, err := accrue.Decode(whole, messages.Relayed); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := accrue.Decode(whole[:n], messages.Relayed); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

// Whoever reads, and a node that is told by a newer one, passes over what it does not
// know.
func TestUnknownFieldsAreIgnoredByWhoReads(t *testing.T) {
	params := m{
		"items": []any{m{"payload": m{"disbursement": m{"amount": 5, "colour": m{"deep": []any{1, m{}, []any{}}}}}}},
		"extra": []any{1.5, true, []byte{1}},
	}
	for method, form := range map[string]messages.Form{
		messages.MethodCheckPlan: messages.Msgpack, messages.MethodSubmitPlan: messages.Relayed,
	} {
		p, err := messages.MethodByName(method).Decode(encode(t, params), form)
		if err != nil || p.(*messages.PlanParams).Items[0].Payload.Disbursement.Amount != 5 {
			t.Errorf("%s: got %+v, %v", method, p, err)
		}
	}
}

func TestUnknownFieldsAreRefusedByWhatChangesSomething(t *testing.T) {
	for _, c := range []struct {
		method string
		params m
		want   string
	}{
		{messages.MethodSubmitDisbursement, m{"payload": m{"propsal": m{}, "disbursement": m{}}},
			`params.payload.propsal: no such field; did you mean "proposal"?`},
		{messages.MethodAccrue, m{"amount": 5, "requestid": "x"}, `params.requestid: no such field; did you mean "request_id"?`},
		{messages.MethodAccrue, m{"Amount": 5}, `params.Amount: no such field; did you mean "amount"?`},
		{messages.MethodAccrue, m{"amount": 5, "colour": nil},
			`params.colour: no such field; want "request_id", "deadline_ms", "consistency", "amount" or "source"`},
		{messages.MethodSubmitPlan, m{"items": []any{m{"ref": "a"}, m{"payload": m{"disbursement": m{"expected_receipts": []any{m{"acount": "a"}}}}}}},
			`params.items[1].payload.disbursement.expected_receipts[0].acount: no such field; did you mean "account"?`},
		{messages.MethodSubmitDisbursement, m{"payload": m{"proposal": m{"quorum": m{"operators": 1}}}},
			`params.payload.proposal.quorum.operators: no such field; did you mean "operators_ppm"?`},
		{messages.MethodEpochAdvance, m{"x": 1}, `params.x: no such field; want "request_id", "deadline_ms" or "consistency"`},
	} {
		b := encode(t, c.params)
		for _, form := range []messages.Form{messages.Msgpack, messages.JSON} {
			_, err := messages.MethodByName(c.method).Decode(b, form)
			if err == nil || err.Code != messages.CodeInvalidParams || err.Message != c.want {
				t.Errorf("%v: %v, want %s", c.params, err, c.want)
			}
		}
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

func TestDuplicateKeysAreRefusedByWhatChangesSomething(t *testing.T) {
	submit, plan := messages.MethodByName(messages.MethodSubmitDisbursement), messages.MethodByName(messages.MethodCheckPlan)
	for b, want := range map[string]string{
		"\x82\xa7payload\x81\xacdisbursement\x80\xa7payload\x80":              "params.payload: is there twice; leave one out",
		"\x81\xa7payload\x81\xacdisbursement\x82\xa6amount\x06\xa6amount\x07": "params.payload.disbursement.amount: is there twice; leave one out",
		"\x81\xa7payload\x81\xacdisbursement\x82\xa6amount\xc0\xa6amount\x07": "params.payload.disbursement.amount: is there twice; leave one out",
		"\x83\xaarequest_id\xa1a\xa7payload\x80\xaarequest_id\xa1b":           "params.request_id: is there twice; leave one out",
		"\x81\xa7payload\x82\xa8proposal\xc0\xa8proposal\x80":                 "params.payload.proposal: is there twice; leave one out",
	} {
		if _, err := submit.Decode([]byte(b), messages.Msgpack); err == nil || err.Message != want {
			t.Errorf("%q: %v, want %s", b, err, want)
		}
	}
	p, err := plan.Decode([]byte("\x81\xa5items\x91\x81\xa7payload\x81\xacdisbursement\x82\xa6amount\x06\xa6amount\x07"), messages.Msgpack)
	if err != nil || p.(*messages.PlanParams).Items[0].Payload.Disbursement.Amount != 7 {
		t.Errorf("whoever reads takes the last one: %+v, %v", p, err)
	}
}

// What clients of other languages send, each in its own way.
func TestWhatClientsSendIsUnderstood(t *testing.T) {
	vote := messages.MethodByName(messages.MethodVote)
	for name, b := range map[string]string{
		"names and text as binary": "\x85\xc4\x02id\x07\xc4\x05house\xc4\x08builders\xc4\x05voter\xc4\x03ann\xc4\x0aweight_ppm\x05\xc4\x07approve\xc3",
		"whole numbers as floats":  "\x85\xa2id\xcb\x40\x1c\x00\x00\x00\x00\x00\x00\xa5house\xa8builders\xa5voter\xa3ann\xaaweight_ppm\xca\x40\xa0\x00\x00\xa7approve\xc3",
	} {
		p, err := vote.Decode([]byte(b), messages.Msgpack)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := &messages.VoteParams{Options: messages.Options{DeadlineMS: 5_000}, ID: 7, House: messages.Builders,
			Voter: "ann", WeightPPM: 5, Approve: true}
		if diff := cmp.Diff(p, messages.Params(want)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, empty := range []string{"\x90", "\xdc\x00\x00", "\xdd\x00\x00\x00\x00"} {
		if _, err := messages.MethodByName(messages.MethodBalance).Decode([]byte(empty), messages.Msgpack); err != nil {
			t.Errorf("an empty list for an empty map: %v", err)
		}
	}
	accrue := messages.MethodByName(messages.MethodAccrue)
	for amount, want := range map[float64]string{
		1 << 53:              "params.amount: want an unsigned integer, got the float 9.007199254740992e+15, which is exact below 2^53 only; write it as an integer",
		0.5:                  "params.amount: want an unsigned integer, got the fraction 0.5; write a whole number",
		-3:                   "params.amount: -3 is negative",
		math.Inf(1):          "params.amount: want an unsigned integer, got the float +Inf, which is exact below 2^53 only; write it as an integer",
		math.NaN():           "params.amount: want an unsigned integer, got the fraction NaN; write a whole number",
		1<<53 - 1:            "",
		math.Copysign(0, -1): "",
	} {
		_, err := accrue.Decode(encode(t, m{"amount": amount}), messages.Msgpack)
		if want == "" && err != nil || want != "" && (err == nil || err.Message != want) {
			t.Errorf("%v: %v, want %q", amount, err, want)
		}
	}
}

func TestAnEmptyRequestIDIsRefused(t *testing.T) {
	for _, method := range []string{messages.MethodAccrue, messages.MethodBalance} {
		_, err := messages.MethodByName(method).Decode(encode(t, m{"amount": 1, "request_id": ""}), messages.Msgpack)
		if err == nil || err.Code != messages.CodeValidationFailed ||
			err.Message != "params.request_id: empty; leave it out, or choose an id that no other request has" {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Identities are what they look like: nothing hidden, nothing at the ends.
func TestIdentitiesAreJudged(t *testing.T) {
	vote := messages.MethodByName(messages.MethodVote)
	for voter, want := range map[string]string{
		"ann":             "",
		"Ann van der Aa":  "",
		"李雷":              "",
		" ann":            `params.voter: " ann" has a blank at position 1; leave it out`,
		"ann ":            `params.voter: "ann " has a blank at position 4; leave it out`,
		"ann\u00a0b":      `params.voter: "ann\u00a0b" has the character U+00A0 at position 4; leave it out`,
		"ann\n":           `params.voter: "ann\n" has the character U+000A at position 4; leave it out`,
		"a\u200bnn":       `params.voter: "a\u200bnn" has the character U+200B at position 2; leave it out`,
		"\u202eann":       `params.voter: "\u202eann" has the character U+202E at position 1; leave it out`,
		"ann\x1b[31m":     `params.voter: "ann\x1b[31m" has the character U+001B at position 4; leave it out`,
		"a\ufe0fb\u3164c": `params.voter: "a\ufe0fb\u3164c" has the character U+FE0F at position 2; leave it out`,
	} {
		b := encode(t, m{"id": 1, "house": "builders", "voter": voter, "weight_ppm": 1, "approve": true})
		_, err := vote.Decode(b, messages.Msgpack)
		if want == "" && err != nil || want != "" && (err == nil || err.Code != messages.CodeValidationFailed || err.Message != want) {
			t.Errorf("%q: %v, want %s", voter, err, want)
		}
	}
}

func TestDestinationsAreJudged(t *testing.T) {
	const want = "; want tb1 and 1 to 117 lower-case ASCII letters or digits"
	for s, fault := range map[string]string{
		"tb1a": "", "tb1" + strings.Repeat("9", 117): "",
		"":                               "must not be blank" + want,
		" \n":                            "must not be blank" + want,
		"tb1":                            `"tb1" has nothing behind it` + want,
		"~in_flight":                     `must start with tb1, got "~in_flight"` + want,
		" tb1a":                          `must start with tb1, got " tb1a"` + want,
		"TB1a":                           `must start with tb1, got "TB1a"` + want,
		"tb\u0661a":                      `must start with tb1, got "tb\u0661a"` + want,
		"tb1" + strings.Repeat("9", 118): `has 121 bytes, at most 120 are allowed: "tb1` + strings.Repeat("9", 118) + `"`,
		"tb1alice ":                      `"tb1alice " has a blank at position 9` + want,
		"tb1Alice":                       `"tb1Alice" has 'A' at position 4` + want,
		"tb1\u0430":                      `"tb1\u0430" has the character U+0430 at position 4` + want,
		"tb1a\xff":                       `"tb1a\xff" has the byte 0xff at position 5` + want,
		"tb1<b>":                         `"tb1<b>" has '<' at position 4` + want,
	} {
		if got := messages.DestinationFault(s); got != fault {
			t.Errorf("%q: got %s, want %s", s, got, fault)
		}
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
		{"amount": 5.0}, {"amount": 5, "source": nil},
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
		err := messages.Allowed(messages.MethodByName(c.method), c.params, messages.Caller{Roles: c.roles})
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
