package treasury_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// happening is one thing that happens to a treasury; what the numbers mean depends on
// the kind and on what is there by then.
type happening struct {
	Kind    string
	A, B, C uint64
}

var kinds = []string{
	"pay", "pay", "pay", "propose", "propose", "plan", "accrue", "accrue",
	"vote", "vote", "queue", "execute", "rollback", "rollback",
	"epoch", "epoch", "epoch", "repeat", "rest", "rest",
	"crash", "handover", "slow", "fates", "fates", "rebuild", "fault", "fault",
}

func happenings() *rapid.Generator[happening] {
	return rapid.Custom(func(t *rapid.T) happening {
		n := rapid.Custom(func(t *rapid.T) uint64 { return uint64(rapid.Uint16().Draw(t, "n")) * 40503 % 1000 })
		return happening{rapid.SampledFrom(kinds).Draw(t, "kind"), n.Draw(t, "a"), n.Draw(t, "b"), n.Draw(t, "c")}
	})
}

// deed is a request that was made, and can be made again.
type deed struct {
	what  string
	again func() *reply
	tries []*reply
}

// scenario is a world and what was asked of it.
type scenario struct {
	*world
	deeds []*deed
}

// do makes a request whose id nothing else has.
func (s *scenario) do(what string, ask func(hows ...how) *reply) {
	id := fmt.Sprintf("deed-%d", len(s.deeds))
	d := &deed{what: what, again: func() *reply { return ask(as(id), within(2*time.Second)) }}
	s.deeds = append(s.deeds, d)
	s.repeat(d)
}

func (s *scenario) repeat(d *deed) { d.tries = append(d.tries, d.again()) }

// some picks an id, one that does not exist now and then.
func (s *scenario) some(n uint64) messages.DisbursementID {
	last := s.store.Last(rows.TableDisbursements)
	if n%7 == 0 {
		return messages.DisbursementID(last + n%3)
	}
	return messages.DisbursementID(last - min(last, n%8)) // the newest are where things happen
}

func (s *scenario) happen(h happening) {
	id := s.some(h.A)
	amount := messages.Amount(h.B%50 + 1)
	epoch := max(s.Model().Epoch()+messages.Epoch(h.C%3), 1)
	var deps []messages.DisbursementID
	if h.C%2 == 0 && id > 0 {
		deps = append(deps, id)
	}
	switch h.Kind {
	case "pay":
		s.do("pay", func(hows ...how) *reply { return s.submit(payment(amount, epoch, deps...), hows...) })
	case "propose":
		s.do("propose", func(hows ...how) *reply { return s.submit(proposal(amount, epoch, deps...), hows...) })
	case "plan":
		items := []messages.PlanItem{
			{Ref: "a", Payload: payment(amount, epoch, deps...), After: []string{"b"}},
			{Ref: "b", Payload: payment(amount, epoch)},
			{Ref: "c", Payload: proposal(amount, epoch, deps...), After: []string{"a", "b"}},
		}
		s.do("plan", func(hows ...how) *reply { return s.plan(items, hows...) })
	case "accrue":
		s.do("accrue", func(hows ...how) *reply { return s.accrue(amount, hows...) })
	case "vote":
		house := messages.House(h.B%2 + 1)
		s.do("vote", func(hows ...how) *reply {
			return s.vote(id, ayes(house, fmt.Sprint("voter-", h.C%3), 500_000), hows...)
		})
	case "queue":
		s.do("queue", func(hows ...how) *reply { return s.queue(id, hows...) })
	case "execute":
		s.do("execute", func(hows ...how) *reply { return s.execute(id, hows...) })
	case "rollback":
		s.do("rollback", func(hows ...how) *reply { return s.rollback(id, "no longer wanted", hows...) })
	case "epoch":
		s.do("epoch", func(hows ...how) *reply { return s.advance(hows...) })
	case "repeat":
		if len(s.deeds) > 0 {
			s.repeat(s.deeds[h.A%uint64(len(s.deeds))])
		}
	case "rest":
		time.Sleep(time.Duration(h.A) * time.Millisecond)
	case "crash":
		s.heal()
		s.crash(h.A%2 == 0)
	case "handover":
		s.Own(nil)
		time.Sleep(time.Duration(h.A%20) * time.Millisecond)
		s.heal()
		s.claim()
	case "rebuild":
		s.recent = int(h.A%3)*30 + 1
	case "slow":
		s.log.set(func(l *memoryLog) { l.delay = time.Duration(h.A%30) * time.Millisecond })
	case "fault":
		kind := []string{"shard", "executor", "disbursement", "clock", "treasury"}[h.A%5]
		s.ok(s.system.Inject(actors.Fault{Kind: kind, Mode: actors.FaultMode(h.B%2 + 1), Times: 1}))
	case "fates":
		list := []fate{fate(h.A % 5), fate(h.B % 5), commits, fate(h.C % 5)}
		s.log.fates(list...)
	}
}

// heal ends the log's troubles.
func (s *scenario) heal() { s.log.always(commits) }

// uncertain reports whether an answer leaves open what became of a request.
func uncertain(err *messages.Error) bool {
	return err != nil && (err.Code == messages.CodeOutcomeUnknown || err.Code == messages.CodeUnavailable ||
		err.Code == messages.CodeOverloaded || err.Code == messages.CodeCircuitOpen || err.Code == messages.CodeInternal)
}

// conclude waits until all is quiet and holds what was answered against what is there.
func (s *scenario) conclude() {
	s.heal()
	s.log.set(func(l *memoryLog) { l.delay = 0 })
	time.Sleep(5 * time.Minute) // breakers close
	s.quiet()
	s.check()
	born := uint64(0)
	for _, d := range s.deeds {
		first := s.first(d)
		got, err := s.insist(d)
		switch {
		case first == nil:
			// Nobody was told of a result. It may have committed all the same, or commit now.
		case err != nil:
			s.t.Fatalf("%s was answered %+v, its repeat %v", d.what, first, err)
		case !reflect.DeepEqual(plain(first), plain(got)) || !duplicate(got):
			s.t.Fatalf("%s was answered %+v, its repeat %+v", d.what, first, got)
		}
		switch result := got.(type) {
		case *messages.SubmitDisbursementResult:
			born++
		case *messages.SubmitPlanResult:
			born += uint64(len(result.IDs))
		}
	}
	if last := s.store.Last(rows.TableDisbursements); last != born {
		s.t.Errorf("%d disbursements exist, %d were asked for", last, born)
	}
	s.quiet()
	s.check()
}

// insist makes a request again until the answer is certain: what a client does.
func (s *scenario) insist(d *deed) (any, *messages.Error) {
	for range 20 {
		got, err := d.again().wait()
		if !uncertain(err) {
			return got, err
		}
		time.Sleep(time.Minute) // an injected fault was left; a breaker may be open
	}
	s.t.Fatalf("%s gets no certain answer on a healthy log", d.what)
	return nil, nil
}

// first is the result that the tries of a deed agree on, nil if none had one.
func (s *scenario) first(d *deed) (first any) {
	fresh := 0
	for _, r := range d.tries {
		got, err := r.wait()
		if err != nil {
			continue
		}
		if first != nil && !reflect.DeepEqual(plain(first), plain(got)) {
			s.t.Errorf("%s was answered %+v and %+v", d.what, first, got)
		}
		if first = got; !duplicate(got) {
			fresh++
		}
	}
	if fresh > 1 {
		s.t.Errorf("%s was done %d times", d.what, fresh)
	}
	return first
}

// plain is a result without the mark that it is a repeat.
func plain(result any) any {
	v := reflect.New(reflect.TypeOf(result).Elem())
	v.Elem().Set(reflect.ValueOf(result).Elem())
	v.Elem().FieldByName("Duplicate").SetBool(false)
	return v.Interface()
}

func duplicate(result any) bool {
	return reflect.ValueOf(result).Elem().FieldByName("Duplicate").Bool()
}

// recorder turns a test's failures into something that can be carried out of a bubble.
type recorder struct {
	testing.TB
	failures []string
}

type abort struct{}

func (w *recorder) Helper() {}
func (w *recorder) Errorf(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}
func (w *recorder) Fatalf(format string, args ...any) { w.Errorf(format, args...); panic(abort{}) }
func (w *recorder) Fatal(args ...any)                 { w.Fatalf("%s", fmt.Sprint(args...)) }

func TestNoSequenceOfCallsCrashesAndFaultsBreaksThePromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfN(happenings(), 30, 90).Draw(rt, "happenings")
		var failures []string
		synctest.Test(t, func(t *testing.T) {
			seen := &recorder{TB: t}
			s := &scenario{world: newWorld(seen)}
			defer func() {
				if cause := recover(); cause != nil && cause != any(abort{}) {
					panic(cause)
				}
				failures = seen.failures
				s.kill()
			}()
			s.log.set(func(l *memoryLog) { l.delay = 5 * time.Millisecond })
			for i, h := range list {
				s.happen(h)
				time.Sleep(time.Duration(h.A%12) * time.Millisecond)
				if i%8 == 7 {
					s.audit()
				}
			}
			s.conclude()
		})
		if len(failures) > 0 {
			rt.Fatalf("%d failures, the first: %s", len(failures), failures[0])
		}
	})
}

// audit looks at the books in passing: a cascade may be under way.
func (s *scenario) audit() {
	for {
		report, err := audit.Books(context.Background(), s.store)
		if errors.Is(err, audit.ErrMoving) {
			time.Sleep(time.Millisecond)
			continue
		}
		s.ok(err)
		s.ok(report.Err())
		return
	}
}

// kill ends the node without manners.
func (w *world) kill() {
	w.log.detach(false)
	w.cancel()
	w.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.ok(w.system.Stop(ctx))
	if err := w.store.Close(); !errors.Is(err, persistence.ErrClosed) {
		w.ok(err)
	}
	time.Sleep(2 * time.Second)
}
