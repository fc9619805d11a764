package disbursement_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// model is the obviously right twin of one disbursement and its money: a row of
// the table of states for each thing that can happen, and nothing shared with
// the code under test but the words.
type model struct {
	proposed                         bool
	state                            string
	staged, wasExecuted              bool
	epoch, deadline, activation      uint64
	executedAt, scheduled, bornAt    uint64
	voteWindow, timelock, rollback   uint64
	operatorsQuorum, buildersQuorum  uint64
	treasury, inFlight, payee, total int64
	amount                           int64
	votes                            map[string]map[string]ballot // by house and voter
	unmet                            bool
	outside, confirmed               bool // paid by a chain, which has confirmed it
}

type ballot struct {
	weight  uint64
	approve bool
}

// house adds up a house's approving weights, and all of them but one voter's.
func (m *model) house(house, except string) (approving, others uint64) {
	for voter, b := range m.votes[house] {
		if b.approve {
			approving += b.weight
		}
		if voter != except {
			others += b.weight
		}
	}
	return approving, others
}

func (m *model) executable() bool {
	ripe := m.state == "timelocked" || m.state == "draft" && !m.proposed
	return ripe && !m.staged && m.epoch >= m.scheduled && !m.unmet && m.treasury >= m.amount
}

// step is what time, or a request to go on now, brings about.
func (m *model) step(requested bool) bool {
	switch {
	case m.staged:
		return false
	case m.state == "draft" && m.proposed && (requested || m.epoch > m.bornAt):
		m.state, m.deadline = "voting", m.epoch+m.voteWindow
	case m.state == "voting" && m.epoch >= m.deadline:
		operators, _ := m.house("operators", "")
		builders, _ := m.house("builders", "")
		if operators >= m.operatorsQuorum && builders >= m.buildersQuorum {
			m.state, m.activation = "queued", m.epoch+m.timelock
		} else {
			m.state = "rolled_back"
		}
	case m.state == "queued" && m.epoch >= m.activation:
		m.state = "timelocked"
	case m.final():
		m.state = "finalized"
	default:
		return false
	}
	return true
}

// final reports whether an execution can be taken back no more.
func (m *model) final() bool {
	return m.state == "executed" && m.epoch >= m.executedAt+m.rollback && (!m.outside || m.confirmed)
}

func (m *model) execute() bool {
	if !m.executable() {
		return false
	}
	m.treasury -= m.amount
	m.payee += m.amount
	m.state, m.executedAt, m.wasExecuted = "executed", m.epoch, true
	return true
}

func (m *model) stage() bool {
	if !m.executable() {
		return false
	}
	m.treasury -= m.amount
	m.inFlight += m.amount
	m.staged = true
	return true
}

func (m *model) confirm() bool {
	if !m.staged {
		return false
	}
	m.inFlight -= m.amount
	m.payee += m.amount
	m.staged, m.state, m.executedAt, m.wasExecuted = false, "executed", m.epoch, true
	m.outside = true
	return true
}

func (m *model) refuse() bool {
	if !m.staged {
		return false
	}
	m.inFlight -= m.amount
	m.treasury += m.amount
	m.staged, m.state = false, "rolled_back"
	return true
}

// open reports whether nothing has been paid or is about to be.
func (m *model) open() bool {
	return !m.staged && m.state != "executed" && m.state != "finalized" && m.state != "rolled_back"
}

func (m *model) failDependency() bool {
	if m.open() {
		m.state = "rolled_back"
		return true
	}
	return false
}

func (m *model) rollBack() bool {
	if m.state == "executed" && !m.final() && m.payee >= m.amount {
		m.payee -= m.amount
		m.treasury += m.amount
		m.state = "rolled_back"
		return true
	}
	return m.failDependency()
}

func (m *model) vote(v disbursement.Vote) bool {
	house := v.House.String()
	if _, others := m.house(house, v.Voter); m.state != "voting" || m.epoch >= m.deadline || others+uint64(v.WeightPPM) > 1_000_000 {
		return false
	}
	if m.votes[house] == nil {
		m.votes[house] = map[string]ballot{}
	}
	m.votes[house][v.Voter] = ballot{uint64(v.WeightPPM), v.Approve}
	return true
}

// world drives a record and its model through the same happenings.
type world struct {
	model
	r        disbursement.Record
	accounts map[string]int64
	balance  int64
	history  int64 // sum of the deltas of the balance history
}

func newWorld(t *rapid.T) *world {
	small := rapid.Uint64Range(1, 4)
	m := model{
		proposed: rapid.Bool().Draw(t, "proposed"), state: "draft", votes: map[string]map[string]ballot{},
		epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"), scheduled: rapid.Uint64Range(1, 8).Draw(t, "scheduled"),
		voteWindow: rapid.Uint64Range(1, 9).Draw(t, "vote window"), timelock: small.Draw(t, "timelock"), rollback: 1,
		operatorsQuorum: rapid.SampledFrom([]uint64{0, 0, 1, 300_000}).Draw(t, "operators"), buildersQuorum: rapid.SampledFrom([]uint64{0, 1, 600_000}).Draw(t, "builders"),
		amount: rapid.Int64Range(1, 50).Draw(t, "amount"), unmet: rapid.Bool().Draw(t, "unmet"),
	}
	m.bornAt = m.epoch
	if m.operatorsQuorum+m.buildersQuorum == 0 {
		m.operatorsQuorum = 1
	}
	p := direct(func(p *messages.Payload) {
		p.Disbursement.Amount, p.Disbursement.ScheduledEpoch = messages.Amount(m.amount), messages.Epoch(m.scheduled)
	})
	if m.proposed {
		m.rollback = small.Draw(t, "rollback window")
		p.Proposal = proposed().Proposal
		p.Proposal.VoteWindowEpochs, p.Proposal.TimelockEpochs, p.Proposal.RollbackWindowEpochs =
			messages.Epoch(m.voteWindow), messages.Epoch(m.timelock), messages.Epoch(m.rollback)
		p.Proposal.Quorum = messages.Quorum{OperatorsPPM: messages.PPM(m.operatorsQuorum), BuildersPPM: messages.PPM(m.buildersQuorum)}
	}
	w := &world{model: m, accounts: map[string]int64{}}
	w.r = disbursement.New(p, nil, w.facts())
	return w
}

func (w *world) facts() disbursement.Facts {
	f := disbursement.Facts{
		Epoch: messages.Epoch(w.epoch), Now: 100 * w.epoch, Node: "n1",
		Treasury: messages.Amount(w.balance), Payee: messages.Amount(w.accounts["tb1payee"]),
	}
	if w.unmet {
		f.Unmet = 7
	}
	f.Confirmed = intent.Nonce - 1
	if w.confirmed {
		f.Confirmed++
	}
	return f
}

// expect compares an outcome with the model's, and books an agreed move.
func (w *world) expect(t *rapid.T, want bool, m disbursement.Move, err *messages.Error) {
	if want != (err == nil) {
		t.Fatalf("%v at epoch %d: refusal %v, but the model says %v", w.r.State, w.epoch, err, want)
	}
	if err != nil {
		if err.Code != messages.CodeInvalidTransition && err.Code != messages.CodeInsufficientFunds {
			t.Fatalf("refused with %v", err)
		}
		return
	}
	if w.r.State.Final() {
		t.Fatalf("a move leads out of %v", w.r.State)
	}
	sum := m.Treasury
	for _, a := range m.Accounts {
		w.accounts[a.Account] += a.Delta
		sum += a.Delta
	}
	if sum != 0 {
		t.Fatalf("money is made or lost: %+v", m)
	}
	if (m.Treasury != 0) != (m.Event != 0) {
		t.Fatalf("treasury %+d with event %d", m.Treasury, m.Event)
	}
	w.balance += m.Treasury
	w.history += m.Treasury
	w.r = m.Record
}

func TestARecordLivesAsTheTableSays(t *testing.T) {
	reached := map[messages.State]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		// move runs both sides, and sees that the old record stays as it was.
		move := func(want func() bool, f func(disbursement.Record) (disbursement.Move, *messages.Error)) func(*rapid.T) {
			return func(t *rapid.T) {
				before := disbursement.AppendRecord(nil, &w.r)
				old := w.r
				m, err := f(w.r)
				w.expect(t, want(), m, err)
				if diff := cmp.Diff(before, disbursement.AppendRecord(nil, &old)); diff != "" {
					t.Fatalf("the old record changed: %s", diff)
				}
			}
		}
		happenings := map[string]func(*rapid.T){
			"epoch":      func(t *rapid.T) { w.epoch += rapid.SampledFrom([]uint64{1, 1, 1, 3}).Draw(t, "epochs") },
			"dependency": func(*rapid.T) { w.unmet = false },
			"confirmed":  func(*rapid.T) { w.confirmed = true },
			"accrual": func(t *rapid.T) {
				n := rapid.Int64Range(10, 60).Draw(t, "accrual")
				w.treasury, w.total, w.balance, w.history = w.treasury+n, w.total+n, w.balance+n, w.history+n
			},
			"payee spends": func(t *rapid.T) {
				n := rapid.Int64Range(0, w.payee).Draw(t, "spent")
				w.payee, w.total = w.payee-n, w.total-n
				w.accounts["tb1payee"] -= n
			},
			"next": func(t *rapid.T) {
				due, waits := disbursement.DueEpoch(w.r)
				m, ok := disbursement.Next(w.r, w.facts())
				if want := w.step(false); want != ok {
					t.Fatalf("%v at epoch %d: Next is %v, the model says %v", w.r.State, w.epoch, ok, want)
				}
				if ok {
					if !waits || uint64(due) > w.epoch {
						t.Fatalf("a step at epoch %d, due at %d, %v", w.epoch, due, waits)
					}
					w.expect(t, true, m, nil)
				}
			},
			"queue": move(func() bool { return w.step(true) }, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Queue(r, w.facts())
			}),
			"execute": move(w.execute, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Execute(r, w.facts(), intent)
			}),
			"stage": move(w.stage, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Stage(r, w.facts(), intent)
			}),
			"confirm": move(w.confirm, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Confirm(r, w.facts())
			}),
			"refuse": move(w.refuse, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Refuse(r, w.facts(), "no")
			}),
			"rollback": move(w.rollBack, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.Rollback(r, w.facts(), cancel)
			}),
			"fail dependency": move(w.failDependency, func(r disbursement.Record) (disbursement.Move, *messages.Error) {
				return disbursement.FailDependency(r, w.facts(), 7)
			}),
			"vote": func(t *rapid.T) {
				w.castVote(t, disbursement.Vote{
					House:     rapid.SampledFrom([]messages.House{messages.Operators, messages.Builders}).Draw(t, "house"),
					Voter:     rapid.SampledFrom([]string{"ada", "bob", "eve"}).Draw(t, "voter"),
					WeightPPM: messages.PPM(rapid.SampledFrom([]uint64{300_000, 600_000, 400_000}).Draw(t, "weight")),
					Approve:   rapid.Bool().Draw(t, "approve"),
				})
			},
			"landslide": func(t *rapid.T) {
				w.castVote(t, disbursement.Vote{House: messages.Operators, Voter: "ada", WeightPPM: 600_000, Approve: true})
				w.castVote(t, disbursement.Vote{House: messages.Builders, Voter: "ada", WeightPPM: 600_000, Approve: true})
			},
		}
		names := []string{
			"landslide", "epoch", "vote", "queue", "accrual", "next", "landslide", "dependency",
			"execute", "stage", "confirm", "confirmed", "payee spends", "vote", "queue", "landslide",
		}
		if rapid.Bool().Draw(t, "may end early") {
			names = append(names, "refuse", "rollback", "fail dependency")
		}
		for range 60 {
			happenings[rapid.SampledFrom(names).Draw(t, "happening")](t)
			w.check(t)
		}
		for _, step := range w.r.Transitions {
			reached[step.State]++
		}
	})
	for _, state := range messages.States() {
		if lives := reached[messages.Draft]; lives >= 100 && reached[state] == 0 {
			t.Errorf("none of %d lives reached %v", lives, state)
		}
	}
}

// castVote lets both sides count a vote.
func (w *world) castVote(t *rapid.T, v disbursement.Vote) {
	old := w.r
	before := slices.Clone(old.Votes)
	r, err := disbursement.CastVote(w.r, v, w.facts())
	if want := w.vote(v); want != (err == nil) {
		t.Fatalf("%v at epoch %d: %v, the model says %v", w.r.State, w.epoch, err, want)
	}
	if diff := cmp.Diff(before, old.Votes); diff != "" {
		t.Fatalf("the old record changed: %s", diff)
	}
	if err == nil {
		w.r = r
	}
}

// check is what holds between any two happenings.
func (w *world) check(t *rapid.T) {
	if w.r.State.String() != w.state || w.r.Staged != w.staged {
		t.Fatalf("%v, staged %v; the model says %v, %v", w.r.State, w.r.Staged, w.state, w.staged)
	}
	type money struct{ Treasury, InFlight, Payee int64 }
	got := money{w.balance, w.accounts[disbursement.AccountInFlight], w.accounts["tb1payee"]}
	if want := (money{w.treasury, w.inFlight, w.payee}); got != want {
		t.Fatalf("money is %+v, the model says %+v", got, want)
	}
	if got.Treasury < 0 || got.InFlight < 0 || got.Payee < 0 || got.Treasury+got.InFlight+got.Payee != w.total || w.history != w.balance {
		t.Fatalf("money %+v with accruals of %d and history of %d", got, w.total, w.history)
	}
	if _, paid := w.r.PriorTx(); paid != (w.wasExecuted && w.state == "rolled_back") {
		t.Fatalf("PriorTx says %v", paid)
	}
	if _, waits := disbursement.DueEpoch(w.r); waits != (!w.staged && !w.r.State.Final()) {
		t.Fatalf("DueEpoch says %v in %v", waits, w.r.State)
	}
	stored, err := disbursement.DecodeRecord(disbursement.AppendRecord(nil, &w.r))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.r, stored); diff != "" {
		t.Fatalf("storage changes it: %s", diff)
	}
}
