package messages_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"

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
	case messages.StatusFilter:
		v.SetString("scheduled")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("some text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(300)
	case reflect.Int64, reflect.Int32:
		v.SetInt(-300)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[messages.Properties]() {
			return // schemas hold schemas
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[messages.Schema]() {
			v.Field(0).SetString("integer")
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("fill: " + v.Type().String())
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

func TestTheTableNamesEveryParameter(t *testing.T) {
	for _, m := range messages.Methods() {
		var sent map[string]msgpack.RawMessage
		b := messages.AppendParams(nil, filled(m.NewParams()).(messages.Params))
		if err := msgpack.Unmarshal(b, &sent); err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{"request_id": true, "deadline_ms": true, "consistency": true}
		for _, f := range m.Params {
			listed[f.Name] = true
			if _, ok := sent[f.Name]; !ok {
				t.Errorf("%s: the table lists %s, the codec does not know it", m.Name, f.Name)
			}
		}
		for name := range sent {
			if !listed[name] {
				t.Errorf("%s: the codec knows %s, the table does not list it", m.Name, name)
			}
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

// names lists the msgpack names of a result struct.
func names(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("msgpack"), ",")
		if option == "inline" {
			out = append(out, names(t.Field(i).Type)...)
		} else {
			out = append(out, name)
		}
	}
	return out
}

func TestTheTableNamesEveryPartOfAResult(t *testing.T) {
	for _, m := range messages.Methods() {
		var listed []string
		for _, f := range m.Result {
			listed = append(listed, f.Name)
		}
		got := names(reflect.TypeOf(m.NewResult()))
		if diff := cmp.Diff(got, listed, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%s: struct -, table +\n%s", m.Name, diff)
		}
	}
}

func TestNestedFieldsOfTheTableAreThoseOfTheStructs(t *testing.T) {
	get := messages.MethodByName(messages.MethodGetDisbursement)
	view := field(t, get.Result, "disbursement")
	for _, c := range []struct {
		fields []messages.Field
		value  any
	}{
		{view.Fields, messages.DisbursementView{}},
		{field(t, view.Fields, "status").Fields, messages.Status{}},
		{field(t, view.Fields, "proposal").Fields, messages.Proposal{}},
		{field(t, messages.MethodByName(messages.MethodBalance).Result, "executor").Fields, messages.ExecutorStatus{}},
		{field(t, messages.MethodByName(messages.MethodBalanceHistory).Result, "snapshots").Fields, messages.BalanceSnapshot{}},
		{field(t, messages.MethodByName(messages.MethodStatement).Result, "transitions").Fields, messages.Transition{}},
		{field(t, messages.MethodByName(messages.MethodClusterMembers).Result, "members").Fields, messages.Member{}},
		{field(t, messages.MethodByName(messages.MethodSupervisionBreakers).Result, "breakers").Fields, messages.BreakerInfo{}},
		{field(t, messages.MethodByName(messages.MethodActorsTree).Result, "actors").Fields, messages.ActorInfo{}},
		{field(t, messages.MethodByName(messages.MethodActorsTop).Result, "actors").Fields, messages.BusyActor{}},
		{field(t, messages.MethodByName(messages.MethodActorsGet).Result, "actor").Fields, messages.ActorInfo{}},
		{field(t, messages.MethodByName(messages.MethodActorsGet).Result, "breakers").Fields, messages.BreakerInfo{}},
		{field(t, messages.MethodByName(messages.MethodAudit).Result, "rows").Fields, messages.AuditRow{}},
	} {
		var listed []string
		for _, f := range c.fields {
			listed = append(listed, f.Name)
		}
		if diff := cmp.Diff(names(reflect.TypeOf(c.value)), listed); diff != "" {
			t.Errorf("%T: struct -, table +\n%s", c.value, diff)
		}
	}
}

func field(t *testing.T, fields []messages.Field, name string) messages.Field {
	t.Helper()
	for _, f := range fields {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no field %s", name)
	return messages.Field{}
}

func TestEveryResultSurvivesTheWire(t *testing.T) {
	for _, m := range messages.Methods() {
		want := filled(m.NewResult())
		onlyFinalized(want)
		b, err := messages.AppendResult(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got := m.NewResult()
		if err := messages.DecodeResult(b, got); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		} else if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: got -, want +\n%s", m.Name, diff)
		}
	}
}

// onlyFinalized clears what does not belong to a finalized disbursement's status.
func onlyFinalized(result any) {
	clear := func(s *messages.Status) {
		*s = messages.Status{State: s.State, TxHash: s.TxHash, ExecutedAt: s.ExecutedAt,
			ExecutedEpoch: s.ExecutedEpoch, FinalizedAt: s.FinalizedAt}
	}
	switch r := result.(type) {
	case *messages.GetDisbursementResult:
		clear(&r.Disbursement.Status)
	case *messages.StatementResult:
		clear(&r.Disbursement.Status)
	case *messages.DisbursementsResult:
		for _, row := range r.Disbursements {
			clear(&row.Disbursement.Status)
		}
	}
}

// The hand-written codecs must agree with the reflecting one on every byte.
func TestHandWrittenResultsAreWhatTheirTagsSay(t *testing.T) {
	for _, m := range messages.Methods() {
		result := filled(m.NewResult())
		onlyFinalized(result)
		if _, plan := result.(*messages.SubmitPlanResult); plan {
			continue // its list is a map on the wire
		}
		got, err := messages.AppendResult(nil, result)
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		enc := msgpack.NewEncoder(&want)
		enc.UseCompactInts(true)
		if err := enc.Encode(result); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), want.String()); diff != "" {
			t.Errorf("%s: got -, want +\n%s", m.Name, diff)
		}
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
