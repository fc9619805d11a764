package persistence_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/persistence"
)

// lagTest is a journal whose log is done before this node's Store shows it.
type lagTest struct {
	*journalTest
	early, late *box
}

func runLagging(t *testing.T, cfg persistence.JournalConfig, test func(*lagTest)) {
	runJournal(t, cfg, func(j *journalTest) {
		j.log.lags = true
		test(&lagTest{journalTest: j, early: new(box), late: new(box)})
	})
}

// propose makes an entry of its own, or waits for one: number n asks early, 100+n does not.
func (l *lagTest) propose(numbers ...uint64) {
	l.t.Helper()
	for _, n := range numbers {
		p := persistence.Proposal{Txn: &persistence.Txn{StampedAt: int64(n)}, Sink: l.late, Token: n}
		if n < 100 {
			p.Early, p.Sink = true, l.early
		}
		if err := l.Propose(p); err != nil {
			l.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// done settles the oldest entry; where refused is the stamp of a Txn, that one is refused.
func (l *lagTest) done(refused int64) *slowEntry {
	l.t.Helper()
	var settled *slowEntry
	l.finishFirst(func(e *slowEntry) {
		settled = e
		for i, stamp := range e.stamps {
			e.results = append(e.results, persistence.Result{Status: persistence.Committed, First: uint64(stamp)})
			if stamp == refused {
				e.results[i].Status = persistence.Refused
			}
		}
		close(e.done)
	})
	return settled
}

func (l *lagTest) apply(e *slowEntry) {
	close(e.applied)
	synctest.Wait()
}

func (l *lagTest) want(early, late []uint64) {
	l.t.Helper()
	if diff := cmp.Diff([][]uint64{l.early.tokens(), l.late.tokens()}, [][]uint64{early, late}); diff != "" {
		l.t.Errorf("told early and late (-got +want):\n%s", diff)
	}
}

func TestJournalTellsEarlyOnlyWhatAskedAndCommitted(t *testing.T) {
	runLagging(t, persistence.DefaultJournalConfig(), func(l *lagTest) {
		l.propose(1)
		l.propose(101)
		l.propose(2, 102, 3, 103)
		first := l.done(0)
		l.want([]uint64{1}, nil)
		second := l.done(0)
		third := l.done(2) // a refusal waits although it asked early
		l.want([]uint64{1, 3}, nil)
		if got := l.Stats().Lagging.Load(); got != 4 {
			t.Errorf("%d verdicts wait for the store, want 101, 2, 102 and 103", got)
		}
		l.apply(third) // before the second: still in order of the entries
		l.want([]uint64{1, 3}, nil)
		l.apply(second)
		l.want([]uint64{1, 3, 2}, []uint64{101, 102, 103})
		if got := l.Stats().Lagging.Load(); got != 0 {
			t.Errorf("%d verdicts still wait", got)
		}
		l.apply(first)
		l.propose(104)
		l.apply(l.log.entries[0]) // a store that is ahead of the answer
		l.done(0)
		l.want([]uint64{1, 3, 2}, []uint64{101, 102, 103, 104})
		l.Close()
		if err := <-l.ended; err != nil {
			t.Error(err)
		}
	})
}

func TestJournalProposesWhileTheStoreLags(t *testing.T) {
	runLagging(t, persistence.DefaultJournalConfig(), func(l *lagTest) {
		for n := range uint64(10) {
			l.propose(101 + n)
			if len(l.log.entries) != 1 {
				t.Fatalf("proposal %d is not on its way", n)
			}
			l.done(0)
		}
		if got := l.Stats().InFlight.Load(); got != 0 {
			t.Errorf("%d entries in flight that are done", got)
		}
		l.want(nil, nil)
	})
}

func TestJournalErrorsDoNotWaitForTheStore(t *testing.T) {
	runLagging(t, persistence.DefaultJournalConfig(), func(l *lagTest) {
		l.propose(101)
		l.propose(102)
		l.propose(103, 1)
		first := l.done(0)
		l.finishFirst(func(e *slowEntry) { e.fail(errors.New("leadership lost")) })
		l.finishFirst(func(e *slowEntry) { e.fail(persistence.ErrUnavailable) })
		l.want([]uint64{1}, []uint64{102, 103})
		if err := l.late.calls[0][0].Err; !errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("102 came to %v, want unknown", err)
		}
		if err := l.late.calls[1][0].Err; !errors.Is(err, persistence.ErrUnavailable) {
			t.Errorf("103 came to %v, want unavailable", err)
		}
		l.apply(first)
		l.want([]uint64{1}, []uint64{102, 103, 101})
	})
}

func TestJournalStopsProposingWhenTooManyVerdictsWait(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	cfg.LagTxns = 3
	runLagging(t, cfg, func(l *lagTest) {
		l.propose(101)
		l.propose(102)
		l.propose(103, 104, 1)
		first := l.done(0)
		l.done(0)
		l.done(0)
		l.propose(105)
		if n, queued := len(l.log.entries), l.Stats().Queued.Load(); n != 0 || queued != 1 {
			t.Fatalf("%d on the way and %d queued while 4 verdicts wait, want 0 and 1", n, queued)
		}
		l.apply(first) // leaves 102, 103 and 104
		if n := len(l.log.entries); n != 0 {
			t.Fatalf("proposed with 3 verdicts waiting")
		}
		l.Close()
		if closed := len(l.ended) == 1; closed {
			t.Fatal("ended with verdicts to tell")
		}
	})
}

func TestJournalClosesWhenTheLastVerdictIsTold(t *testing.T) {
	runLagging(t, persistence.DefaultJournalConfig(), func(l *lagTest) {
		l.propose(101)
		e := l.done(0)
		l.Close()
		synctest.Wait()
		if len(l.ended) == 1 {
			t.Fatal("ended with a verdict to tell")
		}
		l.apply(e)
		l.want(nil, []uint64{101})
		if err := <-l.ended; err != nil {
			t.Error(err)
		}
	})
}

func TestJournalStopsWithoutTheStore(t *testing.T) {
	runLagging(t, persistence.DefaultJournalConfig(), func(l *lagTest) {
		l.propose(101)
		l.propose(102)
		l.propose(103, 1)
		l.done(0)
		l.done(0)
		l.cancel()
		if err := <-l.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run ends with %v", err)
		}
		for i, call := range append(l.late.calls, l.early.calls...) {
			for _, o := range call {
				if !errors.Is(o.Err, persistence.ErrUnknown) {
					t.Errorf("call %d, outcome of %d: %v, want unknown", i, o.Token, o.Err)
				}
			}
		}
		if n := len(l.late.tokens()) + len(l.early.tokens()); n != 4 {
			t.Errorf("%d outcomes of 4 proposals", n)
		}
		if n := l.Stats().Unknown.Load(); n != 4 {
			t.Errorf("%d counted as unknown, want 4", n)
		}
	})
}
