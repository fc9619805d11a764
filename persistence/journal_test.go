package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/persistence"
)

// slowLog keeps entries until the test settles them. lags: this node's Store shows an
// entry only when the test says so.
type slowLog struct {
	entries []*slowEntry
	lags    bool
}

type slowEntry struct {
	stamps  []int64 // of its Txns, which tell them apart
	bytes   int
	done    chan struct{}
	applied chan struct{} // done, unless the log lags
	results []persistence.Result
	err     error
}

func (l *slowLog) Apply(entry []byte) persistence.Future {
	e := &slowEntry{bytes: len(entry), done: make(chan struct{})}
	if e.applied = e.done; l.lags {
		e.applied = make(chan struct{})
	}
	txns, err := persistence.DecodeBatch(entry)
	if err != nil {
		panic(err)
	}
	for _, b := range txns {
		t, err := persistence.DecodeTxn(b)
		if err != nil {
			panic(err)
		}
		e.stamps = append(e.stamps, t.StampedAt)
	}
	l.entries = append(l.entries, e)
	return e
}

func (e *slowEntry) Done() <-chan struct{}                  { return e.done }
func (e *slowEntry) Applied() <-chan struct{}               { return e.applied }
func (e *slowEntry) Results() ([]persistence.Result, error) { return e.results, e.err }

// commit settles an entry: the First of each result is the Txn's stamp.
func (e *slowEntry) commit() {
	for _, stamp := range e.stamps {
		e.results = append(e.results, persistence.Result{Status: persistence.Committed, First: uint64(stamp)})
	}
	close(e.done)
}

func (e *slowEntry) fail(err error) {
	e.err = err
	close(e.done)
}

// box is a sink that keeps the calls it gets.
type box struct{ calls [][]persistence.Outcome }

func (b *box) Committed(outcomes []persistence.Outcome) { b.calls = append(b.calls, outcomes) }

func (b *box) tokens() (tokens []uint64) {
	for _, call := range b.calls {
		for _, o := range call {
			tokens = append(tokens, o.Token)
		}
	}
	return tokens
}

type journalTest struct {
	*persistence.Journal
	t      *testing.T
	log    slowLog
	cancel context.CancelFunc
	ended  chan error
}

func runJournal(t *testing.T, cfg persistence.JournalConfig, test func(*journalTest)) {
	synctest.Test(t, func(t *testing.T) {
		j := &journalTest{t: t, ended: make(chan error, 1)}
		var err error
		if j.Journal, err = persistence.NewJournal(cfg, &j.log); err != nil {
			t.Fatal(err)
		}
		var ctx context.Context
		ctx, j.cancel = context.WithCancel(context.Background())
		defer j.cancel()
		go func() { j.ended <- j.Run(ctx) }()
		synctest.Wait()
		test(j)
	})
}

func (j *journalTest) propose(sink persistence.Sink, p persistence.Priority, from, to int) {
	j.t.Helper()
	for i := from; i <= to; i++ {
		err := j.Propose(persistence.Proposal{
			Txn: &persistence.Txn{StampedAt: int64(i)}, Priority: p, Sink: sink, Token: uint64(i),
		})
		if err != nil {
			j.t.Fatalf("propose %d: %v", i, err)
		}
	}
	synctest.Wait()
}

func (j *journalTest) finishFirst(do func(*slowEntry)) {
	j.t.Helper()
	if len(j.log.entries) == 0 {
		j.t.Fatal("nothing is in flight")
	}
	e := j.log.entries[0]
	j.log.entries = j.log.entries[1:]
	do(e)
	synctest.Wait()
}

func numbers(from, to int) (out []uint64) {
	for i := from; i <= to; i++ {
		out = append(out, uint64(i))
	}
	return out
}

func TestJournalBatchesWhileTwoAreInFlight(t *testing.T) {
	runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
		one, two := new(box), new(box)
		j.propose(one, persistence.High, 1, 1)
		j.propose(one, persistence.High, 2, 2)
		j.propose(one, persistence.High, 3, 10)
		j.propose(two, persistence.High, 11, 20)
		if got := len(j.log.entries); got != 2 {
			t.Fatalf("%d entries in flight, want 2", got)
		}
		j.finishFirst((*slowEntry).commit)
		if got := j.log.entries[1].stamps; len(got) != 18 {
			t.Fatalf("the waiting ones went as %v, want 18 in one entry", got)
		}
		j.finishFirst((*slowEntry).commit)
		j.finishFirst((*slowEntry).commit)
		if diff := cmp.Diff(one.tokens(), numbers(1, 10)); diff != "" {
			t.Errorf("first sink (-got +want):\n%s", diff)
		}
		if len(one.calls) != 3 || len(two.calls) != 1 {
			t.Errorf("%d and %d calls, want 3 and 1: one per sink per batch", len(one.calls), len(two.calls))
		}
		for _, o := range two.calls[0] {
			if o.Err != nil || o.Result.First != o.Token {
				t.Errorf("outcome %+v belongs to another proposal", o)
			}
		}
		j.Close()
		if err := <-j.ended; err != nil {
			t.Errorf("run ends with %v", err)
		}
	})
}

func TestJournalLimits(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	cfg.QueueTxns = 64
	runJournal(t, cfg, func(j *journalTest) {
		sink := new(box)
		j.propose(sink, persistence.High, 1, 1)
		j.propose(sink, persistence.High, 2, 2)
		j.propose(sink, persistence.Low, 101, 108)
		overloaded := func(p persistence.Priority) {
			t.Helper()
			err := j.Propose(persistence.Proposal{Txn: &persistence.Txn{}, Priority: p, Sink: sink})
			if !errors.Is(err, persistence.ErrOverloaded) {
				t.Errorf("priority %d beyond the queue: %v, want ErrOverloaded", p, err)
			}
		}
		overloaded(persistence.Low)
		j.propose(sink, persistence.High, 3, 58)
		overloaded(persistence.High)
		if got := j.Stats().Queued.Load(); got != 64 {
			t.Errorf("queued = %d, want 64", got)
		}
		for len(j.log.entries) > 0 {
			j.finishFirst((*slowEntry).commit)
		}
		if got := len(sink.tokens()); got != 66 {
			t.Errorf("%d outcomes, want those of the 66 accepted", got)
		}
		j.propose(sink, persistence.High, 59, 59)
		j.finishFirst((*slowEntry).commit)
	})
}

func TestJournalLowPriorityKeepsAnEighth(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	cfg.BatchTxns = 16
	runJournal(t, cfg, func(j *journalTest) {
		sink := new(box)
		j.propose(sink, persistence.High, 1, 1)
		j.propose(sink, persistence.High, 2, 2)
		j.propose(sink, persistence.High, 3, 30)
		j.propose(sink, persistence.Low, 101, 120)
		var shares []int
		for len(j.log.entries) > 0 {
			low := 0
			for _, stamp := range j.log.entries[0].stamps {
				if stamp > 100 {
					low++
				}
			}
			shares = append(shares, low)
			j.finishFirst((*slowEntry).commit)
		}
		if diff := cmp.Diff(shares, []int{0, 0, 2, 2, 16}); diff != "" {
			t.Errorf("low-priority transactions per entry (-got +want):\n%s", diff)
		}
	})
}

func TestJournalLargeTxnGoesAlone(t *testing.T) {
	runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
		sink := new(box)
		large := func(stamp int64, p persistence.Priority) {
			value := make([]byte, persistence.BatchBytesMax)
			x := &persistence.Txn{StampedAt: stamp, Appends: []persistence.Append{{Table: 1, Value: value}}}
			if err := j.Propose(persistence.Proposal{Txn: x, Priority: p, Sink: sink, Token: uint64(stamp)}); err != nil {
				t.Fatal(err)
			}
		}
		j.propose(sink, persistence.High, 1, 1)
		j.propose(sink, persistence.High, 2, 2)
		large(101, persistence.Low)
		large(102, persistence.Low)
		j.propose(sink, persistence.High, 3, 3)
		large(4, persistence.High)
		j.propose(sink, persistence.High, 5, 6)
		var got [][]int64
		for len(j.log.entries) > 0 {
			got = append(got, j.log.entries[0].stamps)
			j.finishFirst((*slowEntry).commit)
		}
		want := [][]int64{{1}, {2}, {101}, {3}, {4}, {102}, {5, 6}}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("entries (-got +want):\n%s", diff)
		}
	})
}

func TestJournalTellsUnknownFromUnavailable(t *testing.T) {
	for name, c := range map[string]struct{ err, want error }{
		"leadership lost":     {errors.New("leadership lost"), persistence.ErrUnknown},
		"the log said so":     {fmt.Errorf("cut: %w", persistence.ErrUnknown), persistence.ErrUnknown},
		"no leader to ask":    {fmt.Errorf("no leader: %w", persistence.ErrUnavailable), persistence.ErrUnavailable},
		"a verdict too short": {nil, persistence.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
				sink := new(box)
				j.propose(sink, persistence.High, 1, 1)
				j.finishFirst(func(e *slowEntry) { e.fail(c.err) })
				if len(sink.calls) != 1 || !errors.Is(sink.calls[0][0].Err, c.want) {
					t.Fatalf("outcomes %+v, want %v", sink.calls, c.want)
				}
				if both := errors.Is(sink.calls[0][0].Err, persistence.ErrUnknown) &&
					errors.Is(sink.calls[0][0].Err, persistence.ErrUnavailable); both {
					t.Error("the outcome is both unknown and certain")
				}
			})
		})
	}
}

func TestJournalDeadlinePassesInTheQueue(t *testing.T) {
	runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
		sink := new(box)
		j.propose(sink, persistence.High, 1, 1)
		j.propose(sink, persistence.High, 2, 2)
		for i, wait := range []time.Duration{time.Second, time.Minute} {
			err := j.Propose(persistence.Proposal{
				Txn: &persistence.Txn{StampedAt: int64(i)}, Deadline: time.Now().Add(wait), Sink: sink, Token: uint64(3 + i),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		j.finishFirst((*slowEntry).commit)
		if got := sink.calls[len(sink.calls)-1][0]; got.Token != 3 || !errors.Is(got.Err, persistence.ErrUnavailable) {
			t.Errorf("outcome %+v, want the late one as unavailable", got)
		}
		if got := j.log.entries[1].stamps; !cmp.Equal(got, []int64{1}) {
			t.Errorf("proposed %v, want the one with time left", got)
		}
	})
}

func TestJournalStops(t *testing.T) {
	t.Run("draining", func(t *testing.T) {
		runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
			sink := new(box)
			j.propose(sink, persistence.High, 1, 1)
			j.propose(sink, persistence.High, 2, 2)
			j.propose(sink, persistence.High, 3, 9)
			j.Close()
			if err := j.Propose(persistence.Proposal{Txn: &persistence.Txn{}, Sink: sink}); !errors.Is(err, persistence.ErrClosed) {
				t.Errorf("propose after close: %v", err)
			}
			for range 3 {
				j.finishFirst((*slowEntry).commit)
			}
			if err := <-j.ended; err != nil {
				t.Errorf("run ends with %v", err)
			}
			if diff := cmp.Diff(sink.tokens(), numbers(1, 9)); diff != "" {
				t.Errorf("outcomes (-got +want):\n%s", diff)
			}
		})
	})
	t.Run("at once", func(t *testing.T) {
		runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
			sink := new(box)
			j.propose(sink, persistence.High, 1, 1)
			j.propose(sink, persistence.High, 2, 2)
			j.propose(sink, persistence.High, 3, 4)
			j.cancel()
			if err := <-j.ended; !errors.Is(err, context.Canceled) {
				t.Errorf("run ends with %v", err)
			}
			for _, call := range sink.calls {
				for _, o := range call {
					want := persistence.ErrUnknown
					if o.Token > 2 {
						want = persistence.ErrUnavailable
					}
					if !errors.Is(o.Err, want) {
						t.Errorf("outcome of %d: %v, want %v", o.Token, o.Err, want)
					}
				}
			}
			if diff := cmp.Diff(sink.tokens(), numbers(1, 4)); diff != "" {
				t.Errorf("outcomes (-got +want):\n%s", diff)
			}
		})
	})
}

// TestJournalStats holds the numbers that are exported against what happened.
func TestJournalStats(t *testing.T) {
	runJournal(t, persistence.DefaultJournalConfig(), func(j *journalTest) {
		sink := new(box)
		j.propose(sink, persistence.High, 1, 1)
		j.propose(sink, persistence.High, 2, 2)
		j.propose(sink, persistence.High, 3, 7)
		stats := j.Stats()
		if got := stats.InFlight.Load(); got != 2 {
			t.Errorf("in flight = %d, want 2", got)
		}
		if queued, bytes := stats.Queued.Load(), stats.QueuedBytes.Load(); queued != 5 || bytes < 5 {
			t.Errorf("queued = %d of %d bytes, want 5", queued, bytes)
		}
		time.Sleep(3 * time.Millisecond)
		j.finishFirst((*slowEntry).commit)
		j.finishFirst(func(e *slowEntry) { e.fail(errors.New("lost")) })
		j.finishFirst(func(e *slowEntry) { e.fail(persistence.ErrUnavailable) })
		batches := stats.Batch.Snapshot()
		if batches.UpTo(1) != 2 || batches.UpTo(4) != 2 || batches.UpTo(5) != 3 || batches.Sum != 7 || stats.Txns.Load() != 7 || stats.Batches.Load() != 3 {
			t.Errorf("%d batches of %v, want two of 1 and one of 5", batches.Count, batches.Sum)
		}
		commits := stats.Commit.Snapshot()
		if commits.UpTo(0) != 1 || commits.UpTo(0.001) != 1 || commits.UpTo(0.003) != 3 || commits.Sum != 0.006 {
			t.Errorf("%d commits in %v s, want two of 3 ms and one of 0", commits.Count, commits.Sum)
		}
		if unknown, unavailable := stats.Unknown.Load(), stats.Unavailable.Load(); unknown != 1 || unavailable != 5 {
			t.Errorf("%d unknown and %d unavailable, want 1 and 5", unknown, unavailable)
		}
		if queued, flight := stats.Queued.Load(), stats.InFlight.Load(); queued != 0 || flight != 0 {
			t.Errorf("%d queued and %d in flight at the end", queued, flight)
		}
	})
}
