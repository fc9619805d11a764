package treasury_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/messages"
)

// However shards ask and leave, few have the turn, and it goes to who has waited
// longest.
func TestTurnsToSweepAreFewAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pace treasury.Pace
		var having, waiting []messages.ShardID
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			shard := messages.ShardID(rapid.IntRange(0, 9).Draw(t, "shard"))
			has, waits := slices.Index(having, shard), slices.Index(waiting, shard)
			if rapid.Bool().Draw(t, "ask") {
				if has < 0 && len(having) < treasury.SweepersMax {
					having = append(having, shard)
					has = 0
				} else if has < 0 && waits < 0 {
					waiting = append(waiting, shard)
				}
				if got := pace.Ask(shard); got != (has >= 0) {
					t.Fatalf("shard %d asks: %t; of %v, waiting %v", shard, got, having, waiting)
				}
				continue
			}
			if waits >= 0 {
				waiting = slices.Delete(waiting, waits, waits+1)
			}
			next, ok := pace.Leave(shard)
			if want := has >= 0 && len(waiting) > 0; ok != want || ok && next != waiting[0] {
				t.Fatalf("shard %d leaves: %d, %t; of %v, waiting %v", shard, next, ok, having, waiting)
			}
			if has >= 0 {
				having = slices.Delete(having, has, has+1)
			}
			if ok {
				having, waiting = append(having, next), waiting[1:]
			}
		}
	})
}

// An epoch that makes much due in all shards comes in small steps, however slow the
// log is.
func TestAnEpochsWorkLeavesRoomInEveryEntry(t *testing.T) {
	live(t, func(w *world) {
		var replies []*reply
		for range 4000 {
			replies = append(replies, w.submit(proposal(1, 1)))
		}
		for _, r := range replies {
			result[*messages.SubmitDisbursementResult](r)
		}
		w.reach()
		w.log.set(func(l *memoryLog) { l.delay = 10 * time.Millisecond })
		result[*messages.EpochResult](w.advance())
		most := 0
		for voting := 0; voting < 4000; {
			before := voting
			w.quietUntil(func() bool {
				voting = w.Model().InState(messages.Voting)
				return voting > before
			})
			most = max(most, voting-before)
		}
		if limit := treasury.SweepersMax * treasury.SweepMax; most > limit || most == 0 {
			t.Errorf("up to %d records moved at once, want at most %d", most, limit)
		}
	}, func(w *world) { w.cfg.GraphShards = 64 })
}

// quietUntil looks each time all has come to rest until the log's next entry.
func (w *world) quietUntil(so func() bool) {
	w.t.Helper()
	for range 1000 {
		if so() {
			return
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	w.t.Fatal("it never comes to that")
}
