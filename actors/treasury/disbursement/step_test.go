package disbursement_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// at gives the facts of an epoch with plenty of money everywhere.
func at(epoch messages.Epoch) disbursement.Facts {
	return disbursement.Facts{Epoch: epoch, Now: 1000 + uint64(epoch), Node: "n1", Treasury: 1e6, Payee: 1e6}
}

// life leads a record through moves that must all be legal.
type life struct {
	t testing.TB
	r disbursement.Record
}

func born(t testing.TB, p messages.Payload) *life {
	return &life{t: t, r: disbursement.New(p, nil, at(1))}
}

func (l *life) next(epoch messages.Epoch) *life {
	l.t.Helper()
	m, ok := disbursement.Next(l.r, at(epoch))
	if !ok {
		l.t.Fatalf("no step leads from %v at epoch %d", l.r.State, epoch)
	}
	l.r = m.Record
	return l
}

func (l *life) take(m disbursement.Move, err *messages.Error) *life {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	l.r = m.Record
	return l
}

func (l *life) vote(house messages.House, voter string, weight messages.PPM, approve bool) *life {
	l.t.Helper()
	r, err := disbursement.CastVote(l.r, disbursement.Vote{House: house, Voter: voter, WeightPPM: weight, Approve: approve}, at(2))
	if err != nil {
		l.t.Fatal(err)
	}
	l.r = r
	return l
}

// carried casts the votes that just reach both quorums.
func (l *life) carried() *life {
	l.t.Helper()
	return l.vote(messages.Operators, "ada", 500_000, true).vote(messages.Builders, "bob", 300_000, true)
}

func (l *life) execute(epoch messages.Epoch) *life {
	l.t.Helper()
	return l.take(disbursement.Execute(l.r, at(epoch), intent))
}

func (l *life) stage(epoch messages.Epoch) *life {
	l.t.Helper()
	return l.take(disbursement.Stage(l.r, at(epoch), intent))
}

var (
	intent = disbursement.Intent{Nonce: 9, TxHash: disbursement.Hash{1, 2, 3}}
	cancel = disbursement.Reversal{Reason: "no longer needed"}
)

// everyState gives a record in each state; proposals, except where direct is in the name.
func everyState(t testing.TB) map[string]disbursement.Record {
	voting := func() *life { return born(t, proposed()).next(2) }
	timelocked := func() *life { return voting().carried().next(6).next(8) }
	return map[string]disbursement.Record{
		"draft":              born(t, proposed()).r,
		"direct draft":       born(t, direct()).r,
		"voting":             voting().r,
		"queued":             voting().carried().next(6).r,
		"timelocked":         timelocked().r,
		"staged":             timelocked().stage(8).r,
		"direct staged":      born(t, direct()).stage(5).r,
		"executed":           timelocked().execute(8).r,
		"direct executed":    born(t, direct()).execute(5).r,
		"finalized":          timelocked().execute(8).next(9).r,
		"rolled_back":        voting().next(6).r,
		"direct rolled_back": born(t, direct()).execute(5).take(disbursement.Rollback(born(t, direct()).execute(5).r, at(5), cancel)).r,
	}
}

func TestNextTakesEachStepAtItsEpochAndNotBefore(t *testing.T) {
	tests := []struct {
		name string
		r    disbursement.Record
		due  messages.Epoch
		to   messages.State
	}{
		{"a draft goes to the vote at the next epoch", born(t, proposed()).r, 2, messages.Voting},
		{"a carried vote ends at its deadline", born(t, proposed()).next(2).carried().r, 6, messages.Queued},
		{"a vote without quorum ends at its deadline", born(t, proposed()).next(2).r, 6, messages.RolledBack},
		{"a queued one waits for its activation", born(t, proposed()).next(2).carried().next(6).r, 8, messages.Timelocked},
		{"an executed one waits for its rollback window", everyState(t)["executed"], 9, messages.Finalized},
		{"without a proposal the window is one epoch", everyState(t)["direct executed"], 6, messages.Finalized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if due, ok := disbursement.DueEpoch(tt.r); due != tt.due || !ok {
				t.Errorf("DueEpoch = %d, %v, want %d", due, ok, tt.due)
			}
			if m, ok := disbursement.Next(tt.r, at(tt.due-1)); ok {
				t.Errorf("at epoch %d it goes to %v", tt.due-1, m.To)
			}
			for _, epoch := range []messages.Epoch{tt.due, tt.due + 100} {
				m, ok := disbursement.Next(tt.r, at(epoch))
				if !ok || m.To != tt.to || m.Record.State != tt.to || m.From != tt.r.State || !m.Transition() {
					t.Errorf("at epoch %d: %v -> %v, %v, want %v", epoch, m.From, m.To, ok, tt.to)
				}
				if m.Treasury != 0 || m.Accounts != nil || m.Event != 0 {
					t.Errorf("the step moves money: %+v", m)
				}
				want := disbursement.Transition{State: tt.to, At: 1000 + uint64(epoch), Epoch: epoch, Node: "n1"}
				if got, ok := m.Record.Entered(tt.to); !ok || got != want {
					t.Errorf("Entered(%v) = %+v, %v, want %+v", tt.to, got, ok, want)
				}
			}
		})
	}
}

func TestEpochsCountFromTheStepThatIsTaken(t *testing.T) {
	late := born(t, proposed()).next(50)
	if got := late.r.VoteDeadlineEpoch; got != 54 {
		t.Errorf("deadline = %d, want 54", got)
	}
	late.r, _ = disbursement.CastVote(late.r, disbursement.Vote{House: messages.Operators, Voter: "ada", WeightPPM: 5e5, Approve: true}, at(53))
	late.r, _ = disbursement.CastVote(late.r, disbursement.Vote{House: messages.Builders, Voter: "bob", WeightPPM: 3e5, Approve: true}, at(53))
	if got := late.next(60).r.ActivationEpoch; got != 62 {
		t.Errorf("activation = %d, want 62", got)
	}
	if got := late.next(70).r.ReadyEpoch; got != 70 {
		t.Errorf("ready = %d, want 70, as it was due long ago", got)
	}
	if got := late.execute(80).r.ExecutedEpoch; got != 80 {
		t.Errorf("executed = %d, want 80", got)
	}
	early := born(t, proposed(func(p *messages.Payload) { p.Disbursement.ScheduledEpoch = 40 })).next(2).carried().next(6).next(8)
	if got := early.r.ReadyEpoch; got != 40 {
		t.Errorf("ready = %d, want 40, when it is scheduled", got)
	}
}

func TestWindowsBeyondTheLastEpochNeverEnd(t *testing.T) {
	r := born(t, proposed(func(p *messages.Payload) { p.Proposal.VoteWindowEpochs = math.MaxUint64 })).next(2).r
	if _, ok := disbursement.Next(r, at(math.MaxUint64-1)); ok {
		t.Errorf("the vote ended; its deadline is %d", r.VoteDeadlineEpoch)
	}
}

func TestAVoteWithoutQuorumGivesItsReason(t *testing.T) {
	r := born(t, proposed()).next(2).vote(messages.Operators, "ada", 1_000_000, true).
		vote(messages.Builders, "bob", 299_999, true).next(6).r
	if r.State != messages.RolledBack || r.Reason != "quorum_not_reached" {
		t.Errorf("%v %q, want rolled_back, quorum_not_reached", r.State, r.Reason)
	}
}

func TestAQuorumOfZeroIsReachedByNobody(t *testing.T) {
	r := born(t, proposed(func(p *messages.Payload) { p.Proposal.Quorum.BuildersPPM = 0 })).next(2).
		vote(messages.Operators, "ada", 500_000, true).next(6).r
	if r.State != messages.Queued {
		t.Errorf("%v, want queued", r.State)
	}
}

func TestQueueTakesTheNextStepOnRequest(t *testing.T) {
	states := everyState(t)
	tests := []struct {
		name  string
		state string
		epoch messages.Epoch
		want  string // a state, or the refusal
	}{
		{"a draft goes to the vote at once", "draft", 1, "voting"},
		{"a vote is not cut short", "voting", 5, "the disbursement is voting: its next step comes at epoch 6, and it is epoch 5"},
		{"a vote ends at its deadline", "voting", 6, "rolled_back"},
		{"a queued one waits", "queued", 7, "the disbursement is queued: its next step comes at epoch 8, and it is epoch 7"},
		{"a queued one goes on", "queued", 8, "timelocked"},
		{"a timelocked one is the executor's", "timelocked", 8, "the disbursement is timelocked: its next step is the executor's"},
		{"a direct draft is the executor's", "direct draft", 5, "the disbursement is draft: its next step is the executor's"},
		{"a direct draft waits until it is due", "direct draft", 4, "the disbursement is draft: it is due at epoch 5, and it is epoch 4"},
		{"a staged one waits for its outcome", "staged", 99, "the disbursement is timelocked with a staged intent: no step leads on from there"},
		{"a staged draft is no draft", "direct staged", 99, "the disbursement is draft with a staged intent: no step leads on from there"},
		{"an executed one waits", "executed", 8, "the disbursement is executed: its next step comes at epoch 9, and it is epoch 8"},
		{"an executed one is finalized", "executed", 9, "finalized"},
		{"finalized is final", "finalized", 99, "the disbursement is finalized: no step leads on from there"},
		{"rolled_back is final", "rolled_back", 99, "the disbursement is rolled_back: no step leads on from there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := disbursement.Queue(states[tt.state], at(tt.epoch))
			got := m.To.String()
			if err != nil {
				got = err.Message
				if err.Code != messages.CodeInvalidTransition || err.Data["state"] != states[tt.state].State.String() {
					t.Errorf("code %v, data %v", err.Code, err.Data)
				}
			}
			if got != tt.want {
				t.Errorf("Queue = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExecution(t *testing.T) {
	for _, state := range []string{"direct draft", "timelocked"} {
		r := everyState(t)[state]
		t.Run("of a "+state+" pays", func(t *testing.T) {
			m, err := disbursement.Execute(r, at(8), intent)
			if err != nil {
				t.Fatal(err)
			}
			if m.To != messages.Executed || m.Record.ExecutedEpoch != 8 || m.Record.Nonce != 9 || m.Record.TxHash != intent.TxHash {
				t.Errorf("%+v", m.Record)
			}
			wantMoney(t, m, -1000, disbursement.EventExecuted, disbursement.AccountDelta{Account: "tb1payee", Delta: 1000})
		})
	}
	r := everyState(t)["direct draft"]
	refusals := []struct {
		name  string
		facts func(*disbursement.Facts)
		code  messages.Code
		want  string
	}{
		{"waits until it is due", func(f *disbursement.Facts) { f.Epoch = 4 }, messages.CodeInvalidTransition, "it is due at epoch 5, and it is epoch 4"},
		{"waits for its dependencies", func(f *disbursement.Facts) { f.Unmet = 17 }, messages.CodeInvalidTransition, "its dependency 17 is not finalized"},
		{"waits for funds", func(f *disbursement.Facts) { f.Treasury = 999 }, messages.CodeInsufficientFunds, "the treasury holds 999, the disbursement needs 1000"},
	}
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			facts := at(5)
			tt.facts(&facts)
			_, executed := disbursement.Execute(r, facts, intent)
			_, staged := disbursement.Stage(r, facts, intent)
			for _, err := range []*messages.Error{executed, staged, disbursement.Executable(r, facts)} {
				if err == nil || err.Code != tt.code || !strings.HasSuffix(err.Message, tt.want) {
					t.Errorf("got %v, want %v %q", err, tt.code, tt.want)
				}
			}
		})
	}
	facts := at(5)
	facts.Treasury = 1000
	if err := disbursement.Executable(r, facts); err != nil {
		t.Errorf("the exact amount does not suffice: %v", err)
	}
	for name, r := range everyState(t) {
		if name == "direct draft" || name == "timelocked" {
			continue
		}
		if err := disbursement.Executable(r, at(99)); err == nil || err.Code != messages.CodeInvalidTransition {
			t.Errorf("a record that is %s can be executed: %v", name, err)
		}
	}
}

func TestAStagedPayment(t *testing.T) {
	for _, state := range []string{"direct draft", "timelocked"} {
		r := everyState(t)[state]
		staged, err := disbursement.Stage(r, at(8), intent)
		if err != nil {
			t.Fatal(err)
		}
		inFlight := disbursement.AccountDelta{Account: "~in_flight", Delta: 1000}
		t.Run("keeps the state of a "+state+" and holds the funds", func(t *testing.T) {
			if staged.Transition() || staged.Record.State != r.State || staged.Record.Tag() != disbursement.TagStaged {
				t.Errorf("%+v", staged)
			}
			wantMoney(t, staged, -1000, disbursement.EventExecuted, inFlight)
		})
		t.Run("becomes executed when confirmed", func(t *testing.T) {
			m, err := disbursement.Confirm(staged.Record, at(12))
			if err != nil {
				t.Fatal(err)
			}
			if m.To != messages.Executed || m.Record.Staged || m.Record.ExecutedEpoch != 12 || m.Record.TxHash != intent.TxHash {
				t.Errorf("%+v", m.Record)
			}
			inFlight.Delta = -1000
			wantMoney(t, m, 0, 0, inFlight, disbursement.AccountDelta{Account: "tb1payee", Delta: 1000})
		})
		t.Run("is rolled back when refused", func(t *testing.T) {
			m, err := disbursement.Refuse(staged.Record, at(12), "no such account"+strings.Repeat("é", 1000))
			if err != nil {
				t.Fatal(err)
			}
			if m.To != messages.RolledBack || m.Record.Staged || !strings.HasPrefix(m.Record.Reason, "no such accounté") || len(m.Record.Reason) != 1023 {
				t.Errorf("%+v", m.Record)
			}
			if _, paid := m.Record.PriorTx(); paid {
				t.Error("it names a prior transaction, and nothing was paid")
			}
			inFlight.Delta = -1000
			wantMoney(t, m, 1000, disbursement.EventCancelled, inFlight)
		})
	}
	for name, r := range everyState(t) {
		_, confirm := disbursement.Confirm(r, at(99))
		_, refuse := disbursement.Refuse(r, at(99), "no")
		for _, err := range []*messages.Error{confirm, refuse} {
			if r.Staged != (err == nil) || err != nil && err.Code != messages.CodeInvalidTransition {
				t.Errorf("the outcome of an intent of a record that is %s: %v", name, err)
			}
		}
	}
}

func TestRollback(t *testing.T) {
	states := everyState(t)
	for _, name := range []string{"draft", "direct draft", "voting", "queued", "timelocked"} {
		t.Run("cancels a record that is "+name, func(t *testing.T) {
			m, err := disbursement.Rollback(states[name], at(99), cancel)
			if err != nil {
				t.Fatal(err)
			}
			if m.To != messages.RolledBack || m.Record.Reason != cancel.Reason || m.Record.Root != 0 {
				t.Errorf("%+v", m.Record)
			}
			wantMoney(t, m, 0, 0)
		})
	}
	for _, name := range []string{"executed", "direct executed"} {
		r := states[name]
		t.Run("takes the amount back from one that is "+name, func(t *testing.T) {
			m, err := disbursement.Rollback(r, at(r.ExecutedEpoch), disbursement.Reversal{Reason: "paid twice", ReversingTx: "0xfeed"})
			if err != nil {
				t.Fatal(err)
			}
			if m.Record.Reason != "paid twice" || m.Record.ReversingTx != "0xfeed" {
				t.Errorf("%+v", m.Record)
			}
			if prior, ok := m.Record.PriorTx(); !ok || prior != intent.TxHash {
				t.Errorf("PriorTx = %v, %v", prior, ok)
			}
			wantMoney(t, m, 1000, disbursement.EventCancelled, disbursement.AccountDelta{Account: "tb1payee", Delta: -1000})
		})
	}
	long := proposed(func(p *messages.Payload) { p.Proposal.RollbackWindowEpochs = 7 })
	windowed := born(t, long).next(2).carried().next(6).next(8).execute(8).r
	poor := at(14)
	poor.Payee = 999
	refusals := []struct {
		name  string
		r     disbursement.Record
		facts disbursement.Facts
		rev   disbursement.Reversal
		code  messages.Code
		want  string
	}{
		{"a blank reason", states["draft"], at(1), disbursement.Reversal{Reason: " "}, messages.CodeValidationFailed, "reason must not be blank"},
		{"an overlong reason", states["draft"], at(1), disbursement.Reversal{Reason: strings.Repeat("x", 1025)}, messages.CodeValidationFailed, "reason has 1025 bytes, at most 1024 are allowed"},
		{"an overlong hash", states["executed"], at(8), disbursement.Reversal{Reason: "x", ReversingTx: strings.Repeat("x", 129)}, messages.CodeValidationFailed, "reversing_tx has 129 bytes, at most 128 are allowed"},
		{"a closed window", windowed, at(15), cancel, messages.CodeInvalidTransition, "the disbursement is executed: it could be rolled back before epoch 15, and it is epoch 15"},
		{"a payee who spent it", windowed, poor, cancel, messages.CodeInsufficientFunds, "account tb1payee holds 999, the rollback needs 1000"},
		{"a staged one", states["staged"], at(8), cancel, messages.CodeInvalidTransition, "the disbursement is timelocked with a staged intent: its outcome must be known before it can be rolled back"},
		{"a staged draft", states["direct staged"], at(8), cancel, messages.CodeInvalidTransition, "the disbursement is draft with a staged intent: its outcome must be known before it can be rolled back"},
		{"a finalized one", states["finalized"], at(9), cancel, messages.CodeInvalidTransition, "the disbursement is finalized: it can be cancelled only before its execution"},
		{"a rolled back one", states["rolled_back"], at(9), cancel, messages.CodeInvalidTransition, "the disbursement is rolled_back: it can be cancelled only before its execution"},
	}
	for _, tt := range refusals {
		t.Run("is refused for "+tt.name, func(t *testing.T) {
			_, err := disbursement.Rollback(tt.r, tt.facts, tt.rev)
			if err == nil || err.Code != tt.code || err.Message != tt.want {
				t.Errorf("got %v, want %v %q", err, tt.code, tt.want)
			}
		})
	}
	if _, err := disbursement.Rollback(windowed, at(14), cancel); err != nil {
		t.Errorf("the last epoch of the window: %v", err)
	}
}

func TestARolledBackDependencyFailsTheRecord(t *testing.T) {
	for name, r := range everyState(t) {
		t.Run(name, func(t *testing.T) {
			m, err := disbursement.FailDependency(r, at(99), 17)
			open := !r.Staged && r.State < messages.Executed
			if !open {
				if err == nil || err.Code != messages.CodeInvalidTransition {
					t.Errorf("got %v, want invalid_transition", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.To != messages.RolledBack || m.Record.Reason != "dependency_failed: disbursement 17 was rolled back" {
				t.Errorf("%v %q", m.To, m.Record.Reason)
			}
			if got := m.Record.RootOr(99); got != 17 {
				t.Errorf("the next level's root is %d, want 17", got)
			}
			wantMoney(t, m, 0, 0)
		})
	}
	cancelled := everyState(t)["rolled_back"]
	if got := cancelled.RootOr(99); got != 99 {
		t.Errorf("the root of a cascade it starts is %d, want 99", got)
	}
}

func TestCastVoteRefuses(t *testing.T) {
	vote := disbursement.Vote{House: messages.Operators, Voter: "eve", WeightPPM: 1, Approve: true}
	with := func(edit func(*disbursement.Vote)) disbursement.Vote { v := vote; edit(&v); return v }
	states := everyState(t)
	full := born(t, proposed()).next(2)
	for i := range disbursement.VotesMax {
		full.vote(messages.Builders, fmt.Sprint(i), 1, false)
	}
	tests := []struct {
		name string
		r    disbursement.Record
		at   messages.Epoch
		vote disbursement.Vote
		code messages.Code
		want string
	}{
		{"no house", states["voting"], 3, with(func(v *disbursement.Vote) { v.House = 0 }), messages.CodeValidationFailed, "house must be operators or builders"},
		{"no voter", states["voting"], 3, with(func(v *disbursement.Vote) { v.Voter = " " }), messages.CodeValidationFailed, "voter must not be blank"},
		{"an overlong voter", states["voting"], 3, with(func(v *disbursement.Vote) { v.Voter = strings.Repeat("x", 129) }), messages.CodeValidationFailed, "voter has 129 bytes, at most 128 are allowed"},
		{"no weight", states["voting"], 3, with(func(v *disbursement.Vote) { v.WeightPPM = 0 }), messages.CodeValidationFailed, "weight_ppm must be above 0"},
		{"more than the whole", states["voting"], 3, with(func(v *disbursement.Vote) { v.WeightPPM = 1_000_001 }), messages.CodeValidationFailed, "weight_ppm must be at most 1000000"},
		{"a weight the house has no room for", born(t, proposed()).next(2).vote(messages.Operators, "ada", 1_000_000, false).r, 3, vote, messages.CodeValidationFailed, "weight_ppm: the weights of the operators would add up to 1000001, at most 1000000 are allowed"},
		{"one vote too many", full.r, 3, vote, messages.CodeValidationFailed, "the disbursement has 1000 votes, no more are kept"},
		{"a draft", states["draft"], 1, vote, messages.CodeInvalidTransition, "the disbursement is draft: votes are counted while it is voting"},
		{"a queued one", states["queued"], 6, vote, messages.CodeInvalidTransition, "the disbursement is queued: votes are counted while it is voting"},
		{"the deadline", states["voting"], 6, vote, messages.CodeInvalidTransition, "the disbursement is voting: the vote ended at epoch 6, and it is epoch 6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := disbursement.CastVote(tt.r, tt.vote, at(tt.at))
			if err == nil || err.Code != tt.code || err.Message != tt.want {
				t.Errorf("got %v, want %v %q", err, tt.code, tt.want)
			}
		})
	}
	if _, err := disbursement.CastVote(states["voting"], vote, at(5)); err != nil {
		t.Errorf("the last epoch before the deadline: %v", err)
	}
	if _, err := disbursement.CastVote(full.r, with(func(v *disbursement.Vote) { v.House, v.Voter = messages.Builders, "7" }), at(5)); err != nil {
		t.Errorf("a full ballot takes no change of mind: %v", err)
	}
}

func TestTheLastVoteOfAVoterCounts(t *testing.T) {
	l := born(t, proposed()).next(2).vote(messages.Operators, "ada", 900_000, true).
		vote(messages.Operators, "bob", 100_000, true).
		vote(messages.Operators, "ada", 800_000, true).
		vote(messages.Builders, "ada", 1_000_000, true)
	if got := l.r.Approval(messages.Operators); got != 900_000 {
		t.Errorf("approval = %d, want 900000", got)
	}
	before := l.r
	l.vote(messages.Operators, "ada", 900_000, false)
	if got := l.r.Approval(messages.Operators); got != 100_000 || len(l.r.Votes) != 3 {
		t.Errorf("approval = %d of %d votes, want 100000 of 3", got, len(l.r.Votes))
	}
	if got := before.Approval(messages.Operators); got != 900_000 {
		t.Errorf("the old record changed: %d", got)
	}
}

// A proposal read back from storage is still one, and still needs its vote.
func TestAProposalSurvivesStorage(t *testing.T) {
	draft := disbursement.New(proposed(explicit(4), memo("depends_on=4")), []messages.DisbursementID{4}, at(1))
	r, err := disbursement.DecodeRecord(disbursement.AppendRecord(nil, &draft))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(draft, r); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := disbursement.Executable(r, at(99)); err == nil {
		t.Error("it is paid without a vote")
	}
	if m, ok := disbursement.Next(r, at(99)); !ok || m.To != messages.Voting {
		t.Errorf("it goes to %v, want voting", m.To)
	}
}

func TestNewLeavesThePayloadAlone(t *testing.T) {
	p := proposed(explicit(1, 2))
	r := disbursement.New(p, []messages.DisbursementID{1, 2}, at(1))
	if len(p.Proposal.Deps) != 2 || r.Payload.Proposal.Deps != nil {
		t.Errorf("payload has %v, record has %v", p.Proposal.Deps, r.Payload.Proposal.Deps)
	}
}

func TestLabels(t *testing.T) {
	got := fmt.Sprint(disbursement.EventAccrual, disbursement.EventExecuted, disbursement.EventCancelled, disbursement.Event(9))
	if want := "accrual executed cancelled event(9)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func wantMoney(t *testing.T, m disbursement.Move, treasury int64, event disbursement.Event, accounts ...disbursement.AccountDelta) {
	t.Helper()
	if m.Treasury != treasury || m.Event != event {
		t.Errorf("treasury %+d %v, want %+d %v", m.Treasury, m.Event, treasury, event)
	}
	if diff := cmp.Diff(accounts, m.Accounts); diff != "" {
		t.Errorf("accounts: -want +got\n%s", diff)
	}
}
