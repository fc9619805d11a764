package disbursement_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

func TestWaitingForTellsEverythingThatKeepsAPaymentBack(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	calm := disbursement.Surroundings{Now: now, Epoch: 70, EpochInterval: 10 * time.Second, Treasury: 1_000}
	treasury := disbursement.Record{State: messages.Draft}
	treasury.Payload.Disbursement = messages.Disbursement{Amount: 1_000, ScheduledEpoch: 70}
	proposed := treasury
	proposed.CreatedEpoch = 70
	proposed.Payload.Proposal = &messages.Proposal{Quorum: messages.Quorum{OperatorsPPM: 500_000, BuildersPPM: 500_000}}
	for name, test := range map[string]struct {
		record disbursement.Record
		tune   func(*disbursement.Record, *disbursement.Surroundings)
		want   []string
	}{
		"nothing": {record: treasury},
		"an epoch to come": {treasury, func(r *disbursement.Record, _ *disbursement.Surroundings) {
			r.Payload.Disbursement.ScheduledEpoch = 1_150
		}, []string{"epoch 1150 (in about 3h0m0s)"}},
		"an epoch that no clock reaches": {treasury, func(r *disbursement.Record, _ *disbursement.Surroundings) {
			r.Payload.Disbursement.ScheduledEpoch = 1<<64 - 1
		}, []string{"epoch 18446744073709551615"}},
		"dependencies and funds": {treasury, func(_ *disbursement.Record, s *disbursement.Surroundings) {
			s.Unmet, s.Treasury = []messages.DisbursementID{4, 7}, 300
		}, []string{"dependencies 4, 7, not finalized yet", "funds: the treasury holds 300 of 1000, 700 short"}},
		"a breaker, a pause, nobody who pays": {treasury, func(_ *disbursement.Record, s *disbursement.Surroundings) {
			s.NoExecutor, s.PausedAt, s.PauseReason, s.RetryAfter = "no node", 3, "503", 40*time.Second
		}, []string{
			"the cluster: no node", "an operator: the executor has paused at disbursement 3: 503",
			"the executor's breaker, which is open; it tries again in 40s",
		}},
		"an answer of the chain": {treasury, func(r *disbursement.Record, _ *disbursement.Surroundings) {
			r.Staged, r.Nonce = true, 12
		}, []string{"the chain: its payment is staged under nonce 12"}},
		"the epoch its vote begins at": {record: proposed, want: []string{"epoch 71 (in about 10s)"}},
		"votes of both houses": {proposed, func(r *disbursement.Record, _ *disbursement.Surroundings) {
			r.State, r.VoteDeadlineEpoch = messages.Voting, 80
			r.Votes = []disbursement.Vote{
				{House: messages.Operators, Voter: "ann", WeightPPM: 600_000, Approve: true},
				{House: messages.Builders, Voter: "bob", WeightPPM: 600_000},
			}
		}, []string{
			"votes of the operators until epoch 80 (in about 1m40s): 60 % of 50 %",
			"votes of the builders until epoch 80 (in about 1m40s): 0 % of 50 %",
		}},
		"a timelock, then its epoch; not yet funds": {proposed, func(r *disbursement.Record, s *disbursement.Surroundings) {
			r.State, r.ActivationEpoch, r.Payload.Disbursement.ScheduledEpoch, s.Treasury = messages.Queued, 72, 74, 0
		}, []string{"the timelock until epoch 72 (in about 20s)", "epoch 74 (in about 40s)"}},
		"nothing more once it is paid": {proposed, func(r *disbursement.Record, s *disbursement.Surroundings) {
			r.State, s.Treasury, s.PausedAt = messages.Executed, 0, 9
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			record, s := test.record, calm
			if test.tune != nil {
				test.tune(&record, &s)
			}
			var got []string
			for _, w := range disbursement.WaitingFor(&record, &s) {
				got = append(got, w.Text(now))
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("got -, want +\n%s", diff)
			}
		})
	}
}

// The promise: a record that the executor would take waits for nothing but the executor
// itself, and one that it would not take is told a reason, the right one.
func TestWaitingForAgreesWithWhatTheExecutorDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := disbursement.Record{
			State: rapid.SampledFrom(messages.States()).Draw(t, "state"), Staged: rapid.Bool().Draw(t, "staged"),
			CreatedEpoch: 5, VoteDeadlineEpoch: 9, ActivationEpoch: 11, ExecutedEpoch: 13,
		}
		r.Payload.Disbursement.Amount = messages.Amount(rapid.Uint64Range(1, 4).Draw(t, "amount"))
		r.Payload.Disbursement.ScheduledEpoch = messages.Epoch(rapid.Uint64Range(1, 20).Draw(t, "scheduled"))
		proposed := r.State == messages.Voting || r.State == messages.Queued || r.State == messages.Timelocked || rapid.Bool().Draw(t, "proposed")
		if proposed {
			r.Payload.Proposal = &messages.Proposal{Quorum: messages.Quorum{OperatorsPPM: 1}, RollbackWindowEpochs: 1}
		}
		s := disbursement.Surroundings{
			Epoch: messages.Epoch(rapid.Uint64Range(0, 20).Draw(t, "epoch")), EpochInterval: time.Second,
			Treasury: messages.Amount(rapid.Uint64Range(0, 4).Draw(t, "treasury")),
		}
		entered := messages.Epoch(rapid.Uint64Range(0, uint64(s.Epoch)).Draw(t, "timelocked at"))
		r.ReadyEpoch = max(entered, r.Payload.Disbursement.ScheduledEpoch)
		f := disbursement.Facts{Epoch: s.Epoch, Treasury: s.Treasury}
		if rapid.Bool().Draw(t, "unmet") {
			s.Unmet, f.Unmet = []messages.DisbursementID{2, 3}, 2
		}
		over := r.State == messages.Executed || r.State == messages.Finalized || r.State == messages.RolledBack
		r.Staged = r.Staged && (r.State == messages.Timelocked || r.State == messages.Draft && !proposed)
		ripe := r.State == messages.Timelocked || r.State == messages.Draft && !proposed
		want := map[string]bool{
			"chain":        r.Staged,
			"votes":        r.State == messages.Voting,
			"timelock":     r.State == messages.Queued,
			"dependencies": !over && !r.Staged && len(s.Unmet) > 0,
			"funds":        ripe && !r.Staged && s.Treasury < r.Payload.Disbursement.Amount,
		}
		words := map[messages.WaitingKind]string{
			messages.WaitsForVotes: "votes", messages.WaitsForTimelock: "timelock", messages.WaitsForDependencies: "dependencies",
			messages.WaitsForFunds: "funds", messages.WaitsForChain: "chain",
		}
		got := map[string]bool{}
		epoch := false
		for _, w := range disbursement.WaitingFor(&r, &s) {
			if w.What == messages.WaitsForEpoch {
				epoch = true
				if w.Epoch <= s.Epoch {
					t.Fatalf("waits for epoch %d in epoch %d", w.Epoch, s.Epoch)
				}
				continue
			}
			got[words[w.What]] = true
		}
		for what, is := range want {
			if got[what] != is {
				t.Fatalf("%s: told %v, is %v; all %v", what, got[what], is, got)
			}
		}
		takes := !over && disbursement.Executable(r, f) == nil
		if nothing := len(got) == 0 && !epoch; ripe && takes != nothing {
			t.Fatalf("the executor takes it: %v; it waits for nothing: %v", takes, nothing)
		}
		if over && len(got) > 0 || !over && !slices.Contains([]bool{takes, epoch, len(got) > 0}, true) &&
			(r.State != messages.Draft || s.Epoch <= r.CreatedEpoch) {
			t.Fatalf("over %v, told %v", over, got)
		}
	})
}
