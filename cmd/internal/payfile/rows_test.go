package payfile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

func read(t *testing.T, name, text string) *File {
	t.Helper()
	f, err := Read(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func csvRows(t *testing.T, text string) *File {
	t.Helper()
	return read(t, "payments.csv", text)
}

func requestIDs(batchName string, f *File) []string {
	var ids []string
	for _, item := range f.Items(batchName) {
		ids = append(ids, item.RequestID)
	}
	return ids
}

func TestRowsAreReadFromCSVAndJSONLinesAlike(t *testing.T) {
	fromCSV := csvRows(t, "\ufeffmemo,amount,destination,scheduled_epoch\n\"two\nlines\",5000,tb1alice,7\nx,1,tb1bob,1\n")
	fromJSON := read(t, "payments.jsonl", `
{"disbursement": {"destination": "tb1alice", "amount": 5000, "memo": "two\nlines", "scheduled_epoch": 7}}
{"disbursement": {"destination": "tb1bob", "amount": 1, "memo": "x"}}
`)
	want := []messages.Payload{
		{Disbursement: messages.Disbursement{Destination: "tb1alice", Amount: 5000, Memo: "two\nlines", ScheduledEpoch: 7}},
		{Disbursement: messages.Disbursement{Destination: "tb1bob", Amount: 1, Memo: "x", ScheduledEpoch: 1}},
	}
	for name, rows := range map[string]*File{"csv": fromCSV, "json": fromJSON} {
		var got []messages.Payload
		for _, r := range rows.Rows {
			got = append(got, r.Payload)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
	if fromCSV.Rows[1].Line != 4 || fromJSON.Rows[0].Line != 2 {
		t.Errorf("lines %d and %d, want 4 and 2", fromCSV.Rows[1].Line, fromJSON.Rows[0].Line)
	}
	if diff := cmp.Diff(requestIDs("b", fromCSV), requestIDs("b", fromJSON)); diff != "" {
		t.Errorf("request ids of the same payments (-csv +json):\n%s", diff)
	}
}

func TestProposalsKeepTheirDefaultsOnlyWhereAFieldIsAbsent(t *testing.T) {
	rows := read(t, "p.jsonl", `{"proposal": {"title": "t", "summary": "s", "deps": [3],`+
		`"quorum": {"operators_ppm": 5, "builders_ppm": 6}, "timelock_epochs": 7}, "disbursement": {"destination": "tb1a",`+
		`"amount": 2, "scheduled_epoch": 9, "expected_receipts": [{"account": "a", "amount": 2}]}}`)
	want := messages.Payload{
		Proposal: &messages.Proposal{
			Title: "t", Summary: "s", Deps: []messages.DisbursementID{3},
			Quorum:           messages.Quorum{OperatorsPPM: 5, BuildersPPM: 6},
			VoteWindowEpochs: 4, TimelockEpochs: 7, RollbackWindowEpochs: 1,
		},
		Disbursement: messages.Disbursement{
			Destination: "tb1a", Amount: 2, ScheduledEpoch: 9,
			ExpectedReceipts: []messages.Receipt{{Account: "a", Amount: 2}},
		},
	}
	if diff := cmp.Diff(rows.Rows[0].Payload, want); diff != "" {
		t.Errorf("payload (-got +want):\n%s", diff)
	}
}

func TestRequestIDsFollowTheRowsNotTheirPlaces(t *testing.T) {
	const header = "destination,amount\n"
	ids := requestIDs("may.csv", csvRows(t, header+"tb1a,1\ntb1b,2\ntb1a,1\n"))
	if ids[0] == ids[2] {
		t.Error("two equal rows are two payments and need two ids")
	}
	grown := requestIDs("may.csv", csvRows(t, header+"tb1new,9\ntb1b,2\ntb1a,1\ntb1a,1\n"))
	if diff := cmp.Diff(grown[1:], []string{ids[1], ids[0], ids[2]}); diff != "" {
		t.Errorf("rows lost their ids when the file grew (-got +want):\n%s", diff)
	}
	june := requestIDs("june.csv", csvRows(t, header+"tb1a,1\n"))
	if june[0] == ids[0] {
		t.Error("the same row of another batch is another payment")
	}
	for _, id := range append(ids, grown...) {
		if len(id) > messages.RequestIDMax {
			t.Errorf("request id %q is longer than %d", id, messages.RequestIDMax)
		}
	}
}
