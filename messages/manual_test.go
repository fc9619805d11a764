package messages_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

var update = flag.Bool("update", false, "rewrite docs/api.md from the method table")

const manual = "../docs/api.md"

// TestTheManualIsUpToDate keeps docs/api.md equal to the method table.
func TestTheManualIsUpToDate(t *testing.T) {
	want := writeManual()
	if *update {
		if err := os.WriteFile(manual, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/api.md is not what the table says; run this test with -update\n%s", diff)
	}
}

func writeManual() string {
	var w strings.Builder
	w.WriteString(`# The methods

This page is generated from the method table in package messages; rpc.discover answers with the
same table. The bytes are the subject of [wire.md](wire.md).

Integers are unsigned 64-bit unless a text says otherwise. Amounts are in the smallest unit of
BLOCK and at most 2^63-1. Times are Unix seconds. nil is the same as absent. A payload's missing parts are
zero and judged by the rules of the treasury. A method that changes something refuses parameters that it does
not know, at any depth; one that reads ignores them. Names of people and things (voters, refs, sources, receipts'
accounts) hold no control, invisible or direction-changing character and no white space at either end.

Roles: a *reader* reads, a *submitter* submits proposals, a *voter* votes, an *operator* moves money or
state beyond that. On a node without TLS a caller on the same machine holds every role, any other is
reader and submitter. To submit without a proposal takes an operator.

## Parameters of every method

`)
	table(&w, messages.OptionFields(), true)
	w.WriteString("\n`request_id` is for methods that change something, `consistency` for those that read.\n")
	w.WriteString("\n## Errors\n\nAn error is `{code, name, message, data?}`. Any method may answer with the codes in bold.\n\n")
	common := map[messages.Code]bool{}
	for _, code := range messages.CommonErrors() {
		common[code] = true
	}
	w.WriteString("| code | name |\n|---|---|\n")
	for _, code := range messages.Codes() {
		name := code.String()
		if common[code] {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&w, "| %d | %s |\n", code, name)
	}
	limits(&w)
	for _, m := range messages.Methods() {
		method(&w, m)
	}
	return w.String()
}

// limits lists what a caller may write at most. The limits of the wire are in wire.md.
func limits(w *strings.Builder) {
	w.WriteString("\n## Limits\n\nWhat is longer or more is `validation_failed` unless the last column says otherwise. " +
		"Those of messages and connections are [with the wire](wire.md#limits).\n\n| what | at most | |\n|---|---|---|\n")
	for _, l := range []struct {
		what string
		most uint64
		unit string
		note string
	}{
		{"amount, and the sum of all accruals", uint64(messages.AmountMax), "", "2^63-1"},
		{"request_id", messages.RequestIDMax, "bytes", ""},
		{"deadline_ms", messages.DeadlineMSMax, "ms", "more is taken for that"},
		{"destination", messages.DestinationMax, "bytes", "`tb1` and lower-case ASCII letters and digits"},
		{"memo", messages.MemoMax, "bytes", "`memo_too_long`; the paying transaction carries the first 1,024"},
		{"dependencies of a disbursement", messages.DependenciesMax, "", "`too_many_dependencies`"},
		{"expected_receipts", messages.ReceiptsMax, "", ""},
		{"account of a receipt", messages.ReceiptAccountMax, "bytes", ""},
		{"title of a proposal", messages.TitleMax, "bytes", ""},
		{"summary of a proposal", messages.SummaryMax, "bytes", ""},
		{"attachments of a proposal", messages.AttachmentsMax, "", ""},
		{"name of an attachment", messages.AttachmentNameMax, "bytes", ""},
		{"uri of an attachment", messages.AttachmentURIMax, "bytes", ""},
		{"quorums, and the weights of a house together", uint64(messages.PPMMax), "ppm", ""},
		{"items of a plan", messages.PlanItemsMax, "", ""},
		{"ref of an item", messages.RefMax, "bytes", ""},
		{"votes on a disbursement that count", messages.VotesMax, "", ""},
		{"votes on a disbursement, those that were replaced among them", messages.CastsMax, "", ""},
		{"voter", messages.VoterMax, "bytes", ""},
		{"reason of a rollback", messages.ReasonMax, "bytes", ""},
		{"reason of a vote, and of what operators do", messages.AuditReasonMax, "bytes", ""},
		{"reversing_tx", messages.ReversingTxMax, "bytes", ""},
		{"ids that a question about the graph names", messages.IDsMax, "", ""},
		{"rows on a page", messages.LimitMax, "", "more is taken for that"},
		{"bare ids on a page", messages.IDsPerReply, "", "more is taken for that"},
		{"readings in a call", messages.ReadingsMax, "", ""},
	} {
		number := strconv.FormatUint(l.most, 10)
		for i := len(number) - 3; i > 0; i -= 3 {
			number = number[:i] + "," + number[i:]
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", l.what, strings.TrimSpace(number+" "+l.unit), l.note)
	}
}

func method(w *strings.Builder, m *messages.Method) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n", m.Name, m.Summary)
	kind := "reads"
	if m.Mutates {
		kind = "changes something"
	}
	fmt.Fprintf(w, "Role: %s; %s.", m.Who, kind)
	if len(m.Errors) > 0 {
		names := make([]string, len(m.Errors))
		for i, code := range m.Errors {
			names[i] = code.String()
		}
		fmt.Fprintf(w, " Errors: %s.", strings.Join(names, ", "))
	}
	if len(m.Params) > 0 {
		w.WriteString("\n\n")
		table(w, m.Params, true)
	} else {
		w.WriteString(" No parameters.\n")
	}
	w.WriteString("\n")
	table(w, m.Result, false)
}

func table(w *strings.Builder, fields []messages.Field, params bool) {
	if params {
		w.WriteString("| parameter | type | default | |\n|---|---|---|---|\n")
	} else {
		w.WriteString("| result | type | |\n|---|---|---|\n")
	}
	rows(w, "", fields, params)
}

func rows(w *strings.Builder, under string, fields []messages.Field, params bool) {
	for _, f := range fields {
		if params {
			value := f.Default
			if f.Required {
				value = "**required**"
			}
			fmt.Fprintf(w, "| `%s%s` | %s | %s | %s |\n", under, f.Name, f.Type, value, f.Says())
		} else {
			fmt.Fprintf(w, "| `%s%s` | %s | %s |\n", under, f.Name, f.Type, f.Says())
		}
		inner := under + f.Name + "."
		if strings.HasPrefix(f.Type, "list of ") {
			inner = under + f.Name + "[]."
		}
		rows(w, inner, f.Fields, params)
	}
}
