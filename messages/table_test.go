package messages_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

// fill gives every part of v a value that is not its zero.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case messages.State:
		v.SetUint(uint64(messages.Finalized))
		return
	case messages.House:
		v.SetUint(uint64(messages.Builders))
		return
	case messages.Consistency:
		v.SetUint(uint64(messages.Local))
		return
	case messages.AuditOrder:
		v.SetUint(uint64(messages.OldestFirst))
		return
	case messages.StatusFilter:
		v.SetString("scheduled")
		return
	case messages.Error:
		v.Set(reflect.ValueOf(messages.Error{Code: messages.CodeNonceReplay, Message: "some text"}))
		return
	case []messages.DisbursementID:
		v.Set(reflect.ValueOf([]messages.DisbursementID{300}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("some text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(300)
	case reflect.Int64, reflect.Int32:
		v.SetInt(-300)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]messages.Property]() {
			return // schemas hold schemas
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[messages.Schema]() {
			v.Set(reflect.ValueOf(messages.Schema{Types: []string{"integer"}, Bounded: true, Minimum: -1, Maximum: 300}))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
		chooseWords(v)
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(i))
		}
	default:
		panic("fill: " + v.Type().String())
	}
}

// chooseWords puts words where not every text will do.
func chooseWords(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *messages.EnergySettingsParams:
		p.Given, p.Settings.Mode = 1<<11-1, messages.ModeBatch
	case *messages.FlagDisputeParams:
		p.Type = "low_reading"
	case *messages.AddOperatorParams:
		p.Roles = []string{"admin"}
	case *messages.SetPolicyParams:
		p.Action, p.Role, p.K = "accrue", "admin", 2
	case *messages.SettingsParams:
		p.Signatures = "required"
	case *messages.PauseParams:
		p.Scope = "executor"
	case *messages.UnpauseParams:
		p.Scope = "executor"
	case *messages.ResolveDisputeParams:
		p.Outcome = "slashed"
	}
}

func filled(v any) any {
	fill(reflect.ValueOf(v).Elem())
	return v
}

func TestEveryParameterSurvivesTheWire(t *testing.T) {
	for _, m := range messages.Methods() {
		want := filled(m.NewParams()).(messages.Params)
		got, err := m.Decode(messages.AppendParams(nil, want), messages.Msgpack)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		} else if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: got -, want +\n%s", m.Name, diff)
		}
	}
}

func TestARequiredParameterThatIsMissingIsNamed(t *testing.T) {
	for _, m := range messages.Methods() {
		_, err := m.Decode([]byte{0x80}, messages.Msgpack)
		want := ""
		for _, f := range m.Params {
			if f.Required {
				want = "params." + f.Name + ": missing"
				break
			}
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%s {}: %v, want no error", m.Name, err)
		case want != "" && (err == nil || err.Code != messages.CodeInvalidParams || err.Message != want):
			t.Errorf("%s {}: %v, want %q", m.Name, err, want)
		}
	}
}

func TestEveryResultSurvivesTheWire(t *testing.T) {
	for _, m := range messages.Methods() {
		want := filled(m.NewResult())
		onlyFinalized(want)
		b, err := messages.AppendResult(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		if got := messages.AppendByFields(nil, want); string(got) != string(b) {
			t.Errorf("%s: written by hand %x, its fields say %x", m.Name, b, got)
		}
		got := m.NewResult()
		if err := messages.DecodeResult(b, got); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		} else if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: got -, want +\n%s", m.Name, diff)
		}
	}
}

// onlyFinalized clears what does not belong to a finalized disbursement's status, nor to a
// pause that it waits for.
func onlyFinalized(result any) {
	clear := func(s *messages.Status) {
		*s = messages.Status{State: s.State, TxHash: s.TxHash, ExecutedAt: s.ExecutedAt,
			ExecutedEpoch: s.ExecutedEpoch, FinalizedAt: s.FinalizedAt}
	}
	paused := func(list []messages.Waiting) {
		for i, w := range list {
			list[i] = messages.Waiting{What: messages.WaitsForPause, IDs: w.IDs, Reason: w.Reason}
		}
	}
	switch r := result.(type) {
	case *messages.GetDisbursementResult:
		clear(&r.Disbursement.Status)
		paused(r.WaitingFor)
	case *messages.StatementResult:
		clear(&r.Disbursement.Status)
		paused(r.WaitingFor)
	case *messages.DisbursementsResult:
		for _, row := range r.Disbursements {
			clear(&row.Disbursement.Status)
		}
	}
}

func TestEveryReasonToWaitSurvivesTheWire(t *testing.T) {
	ids := []messages.DisbursementID{4, 7}
	want := &messages.StatementResult{WaitingFor: []messages.Waiting{
		{What: messages.WaitsForEpoch, Epoch: 1200, At: 1_700_000_000},
		{What: messages.WaitsForEpoch, Epoch: 1<<64 - 1},
		{What: messages.WaitsForVotes, Epoch: 80, At: 1_700_000_000, House: "operators", Have: 600_000, Need: 500_000},
		{What: messages.WaitsForTimelock, Epoch: 82, At: 1_700_000_000},
		{What: messages.WaitsForDependencies, IDs: ids},
		{What: messages.WaitsForFunds, Have: 3, Need: 10, Short: 7},
		{What: messages.WaitsForBreaker, RetryAfterMS: 40_000},
		{What: messages.WaitsForPause, IDs: ids[:1], Reason: "503"},
		{What: messages.WaitsForChain, Nonce: 12},
		{What: messages.WaitsForQuorum, Reason: "no node"},
	}}
	want.Disbursement.Status.State = messages.Draft
	b, err := messages.AppendResult(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got messages.StatementResult
	if err := messages.DecodeResult(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.WaitingFor, want.WaitingFor); diff != "" {
		t.Errorf("got -, want +\n%s", diff)
	}
}

func TestEmptyListsAndCursors(t *testing.T) {
	for result, want := range map[messages.Result]string{
		&messages.IDsResult{}:            "\x83\xa3ids\x90\xabnext_cursor\xc0\xadapplied_index\x00",
		&messages.CheckPlanResult{}:      "\x81\xa5cycle\x90",
		&messages.ClusterMembersResult{}: "\x81\xa7members\x90",
		&messages.WavesResult{NextCursor: 5}: "\x84\xa5waves\x90\xaafirst_wave\x00\xabnext_cursor\x05" +
			"\xadapplied_index\x00",
	} {
		got, err := messages.AppendResult(nil, result)
		if err != nil || string(got) != want {
			t.Errorf("%T: %q, %v, want %q", result, got, err, want)
		}
	}
}

func TestMethodIndexesFollowTheTable(t *testing.T) {
	for i, m := range messages.Methods() {
		if m.Index() != i {
			t.Errorf("%s: index %d, want %d", m.Name, m.Index(), i)
		}
		if messages.MethodByName(m.Name) != m || messages.MethodByName([]byte(m.Name)) != m {
			t.Errorf("%s is not found by its name", m.Name)
		}
		if m.Summary == "" || m.Who == 0 {
			t.Errorf("%s: summary or role is missing", m.Name)
		}
	}
	if m := messages.MethodByName("gov.treasury.nothing"); m != nil {
		t.Errorf("found %s", m.Name)
	}
}
