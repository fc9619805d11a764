package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

func TestAStatementIsShownToPeople(t *testing.T) {
	s := &messages.StatementResult{
		DisbursementRow: messages.DisbursementRow{Disbursement: messages.DisbursementView{
			ID: 7, Destination: "tb1lib", Amount: 90_000, Memo: "a\u202eb", ScheduledEpoch: 50,
			Status: messages.Status{State: messages.Voting}, Proposal: &messages.Proposal{Title: "A library"},
		}, Deps: []messages.DisbursementID{3, 4}},
		WaitingFor: []messages.Waiting{
			{What: messages.WaitsForVotes, House: "operators", Have: 300_000, Need: 600_000, Epoch: 21},
			{What: messages.WaitsForDependencies, IDs: []messages.DisbursementID{4}},
		},
		Transitions: []messages.Transition{{To: "draft", At: 1, Node: "n1", Index: 1007}, {From: "draft", To: "voting", At: 2, Epoch: 1, Node: "n1", Index: 1011}},
		Votes: []messages.CastVote{
			{House: messages.Operators, Voter: "ann", WeightPPM: 300_000, At: 3, Who: "10.0.0.7:5", Reason: "dear", Replaced: true},
			{House: messages.Operators, Voter: "ann", WeightPPM: 300_000, Approve: true, At: 4, Who: "10.0.0.7:6"},
			{House: messages.Builders, Voter: "bob", WeightPPM: 1, Approve: true},
		},
	}
	var b strings.Builder
	if err := showStatement(&b, s, time.Unix(5, 0)); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`\d{4}-\d\d-\d\dT\S*`).ReplaceAllString(b.String(), "TIME")
	got = regexp.MustCompile(` +`).ReplaceAllString(got, " ")
	const want = `disbursement 7 is voting
 pays 90,000 to tb1lib
 proposal A library
 memo a\u202eb
 depends on 3, 4
 due from epoch 50
 waits for votes of the operators until epoch 21: 30 % of 60 %
 waits for dependency 4, not finalized yet
 when epoch state node log entry
 TIME 0 draft n1 1,007
 TIME 1 voting n1 1,011
 voted house voter weight sent by
 TIME operators ann 30 % against 10.0.0.7:5 replaced by a later one. dear
 TIME operators ann 30 % for 10.0.0.7:6
 builders bob 0.0001 % for
`
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// JSON for people means what it meant, and nothing in it is hidden.
func TestJSONShowsWhatNobodySees(t *testing.T) {
	const text = "{\n  \"memo\": \"caf\u00e9 \u202e\U000e0001\u00ad\"\n}\n"
	const want = "{\n  \"memo\": \"café \\u202e\\udb40\\udc01\\u00ad\"\n}\n"
	if got := visibleJSON(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
