package treasury_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
)

var scenarios = flag.Uint64("scenarios", 40, "how many scenarios TestEachPaymentIsMadeOnceWhateverFails tells")

// TestEachPaymentIsMadeOnceWhateverFails lets everything fail at random: the chain, the
// way to it, the log, the node, the executor, its ownership, and operators who decide
// without thinking. Each scenario is told again by its seed, the subtest's name; only the
// order of goroutines is not its own.
func TestEachPaymentIsMadeOnceWhateverFails(t *testing.T) {
	for seed := range *scenarios {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			liveAbroad(t, func(a *abroad) {
				s := &misfortune{abroad: a, rng: rand.New(rand.NewPCG(seed, 1))}
				a.funded(500)
				for range 40 + s.rng.IntN(80) {
					s.happen()
				}
				s.end()
			})
		})
	}
}

// misfortune is what happens to a treasury and its chain.
type misfortune struct {
	*abroad
	rng     *rand.Rand
	replies []*reply
}

func (s *misfortune) asked(r *reply) { s.replies = append(s.replies, r) }

// some picks one of the newest disbursements.
func (s *misfortune) some() messages.DisbursementID {
	last := s.store.Last(rows.TableDisbursements)
	return messages.DisbursementID(last - min(last, s.rng.Uint64N(6)))
}

func (s *misfortune) happen() {
	acts := []func(){
		s.pay, s.pay, s.pay, s.pay, s.rest, s.rest, s.rest, s.long, s.epoch, s.epoch,
		s.fail, s.fail, s.heal, s.heal, s.refuse, s.turn, s.operate, s.operate, s.operate,
		s.crashes, s.handover, s.fates, s.panics, s.reverse, s.cancel, s.ask,
	}
	acts[s.rng.IntN(len(acts))]()
}

func (s *misfortune) pay() {
	for range 1 + s.rng.IntN(6)*s.rng.IntN(4) {
		var deps []messages.DisbursementID
		if id := s.some(); id > 0 && s.rng.IntN(4) == 0 {
			deps = append(deps, id)
		}
		s.asked(s.submit(payment(messages.Amount(1+s.rng.IntN(30)), 1, deps...)))
	}
	if s.rng.IntN(2) == 0 {
		s.asked(s.accrue(messages.Amount(1 + s.rng.IntN(100))))
	}
}

func (s *misfortune) rest()  { time.Sleep(time.Duration(s.rng.IntN(3000)) * time.Millisecond) }
func (s *misfortune) long()  { time.Sleep(time.Duration(s.rng.IntN(30)) * time.Minute) }
func (s *misfortune) epoch() { s.asked(s.advance()) }

// fail makes the chain fail in some ways, more or less often.
func (s *misfortune) fail() {
	all := chaintest.Faults()
	some := []chaintest.Fault{all[s.rng.IntN(len(all))], all[s.rng.IntN(len(all))]}
	often := 1 + s.rng.IntN(4)
	rng := rand.New(rand.NewPCG(s.rng.Uint64(), 2))
	s.node.Behave(func(string) chaintest.Fault {
		if rng.IntN(4) < often {
			return some[rng.IntN(len(some))]
		}
		if rng.IntN(4) == 0 {
			return chaintest.Slow // so that many are staged meanwhile
		}
		return chaintest.None
	})
	s.node.Down(s.rng.IntN(8) == 0)
}

func (s *misfortune) heal() {
	s.node.Behave(nil)
	s.node.Down(false)
	s.log.always(commits)
}

// refuse makes the chain change its mind about whom it pays.
func (s *misfortune) refuse() {
	one := messages.DisbursementID(1 + s.rng.IntN(4))
	s.node.Refuse(func(tx payout.Transaction) string {
		if tx.ID%4 < one {
			return "not this one"
		}
		return ""
	})
	if s.rng.IntN(2) == 0 {
		s.node.Refuse(nil)
	}
}

func (s *misfortune) turn() {
	s.node.Manual(s.rng.IntN(2) == 0)
	s.node.Replace(s.rng.IntN(2) == 0)
	s.node.Gaps(s.rng.IntN(2) == 0)
	if s.rng.IntN(3) == 0 {
		s.node.Batches(s.rng.IntN(8), chaintest.Manners()[s.rng.IntN(len(chaintest.Manners()))])
	}
	if s.rng.IntN(2) == 0 {
		s.node.Confirm()
	}
}

func (s *misfortune) operate() {
	if id := s.status().PausedID; id != nil {
		s.asked(s.skip(*id, s.rng.IntN(3) == 0))
	}
}

func (s *misfortune) crashes() {
	s.log.always(commits)
	s.crash(s.rng.IntN(2) == 0)
}

func (s *misfortune) handover() {
	s.log.always(commits)
	s.Own(nil)
	s.rest()
	s.claim()
}

func (s *misfortune) fates() {
	s.log.fates(fate(s.rng.IntN(5)), commits, fate(s.rng.IntN(5)), fate(s.rng.IntN(5)))
}

func (s *misfortune) panics() {
	s.ok(s.system.Inject(actors.Fault{Kind: "executor", Mode: actors.FaultMode(1 + s.rng.IntN(2)), Times: 1}))
}

func (s *misfortune) cancel() { s.asked(s.rollback(s.some(), "no longer wanted")) }
func (s *misfortune) ask()    { s.asked(s.execute(s.some())) }

// reverse sends an executed payment back and has it rolled back.
func (s *misfortune) reverse() {
	id := s.some()
	if id == 0 || s.get(id).Status.State != messages.Executed {
		return
	}
	d := s.get(id)
	hash := s.node.Transfer(d.Destination, s.account, d.Amount)
	s.asked(s.abroad.reverse(id, hex.EncodeToString(hash[:])))
}

// end heals everything and waits for all answers.
func (s *misfortune) end() {
	s.heal()
	s.node.Refuse(nil)
	s.node.Manual(false)
	s.node.Replace(true)
	s.node.Confirm()
	s.funded(10_000)
	s.epochs(1)
	time.Sleep(10 * time.Minute)
	s.calm()
	for _, r := range s.replies {
		_, _ = r.wait()
	}
	if got := s.status().Due; got != 0 {
		s.t.Errorf("%d are due at the end, and funded", got)
	}
}
