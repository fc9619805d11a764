package messages_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

const goldenFile = "testdata/golden.txt"

// TestGoldenBytes holds the bytes on the wire: nodes and clients of other versions read
// and write them. A line may be added; one that is there may not change.
func TestGoldenBytes(t *testing.T) {
	want := goldenBytes(t)
	if *update {
		if err := os.WriteFile(goldenFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("file -, code +\n%s", diff)
	}
}

func goldenBytes(t *testing.T) string {
	var w strings.Builder
	line := func(name, what string, b []byte) { fmt.Fprintf(&w, "%s %s %x\n", name, what, b) }
	result := func(name, what string, r messages.Result) {
		b, err := messages.AppendResult(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		line(name, what, b)
	}
	for _, m := range messages.Methods() {
		if m.Name == messages.MethodDiscover {
			continue // it tells of all others
		}
		line(m.Name, "params", messages.AppendParams(nil, filled(m.NewParams()).(messages.Params)))
		line(m.Name, "no-params", messages.AppendParams(nil, m.NewParams()))
		full := filled(m.NewResult())
		onlyFinalized(full)
		result(m.Name, "result", full)
		if empty := m.NewResult(); !strings.Contains(fmt.Sprintf("%+v", empty), "state(0)") {
			result(m.Name, "no-result", empty)
		}
	}
	for _, m := range betweenNodes() {
		line(m.Name, "params", messages.AppendParams(nil, peerParams()[m.Name]))
		line(m.Name, "no-params", messages.AppendParams(nil, m.NewParams()))
		result(m.Name, "result", peerResults()[m.Name])
		result(m.Name, "no-result", m.NewResult())
	}
	for _, state := range messages.States() {
		status := *filled(new(messages.Status)).(*messages.Status)
		status.State = state
		result("get_disbursement", state.String(), &messages.GetDisbursementResult{
			DisbursementRow: messages.DisbursementRow{Disbursement: messages.DisbursementView{ID: 1, Status: status}}})
		result("get_disbursement", "new "+state.String(), &messages.GetDisbursementResult{
			DisbursementRow: messages.DisbursementRow{Disbursement: messages.DisbursementView{ID: 1, Status: messages.Status{State: state}}}})
	}
	return w.String()
}
