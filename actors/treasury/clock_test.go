package treasury_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

// minutely makes the clock turn by itself.
func minutely(w *world) { w.cfg.EpochInterval = time.Minute }

func (w *world) epoch() messages.Epoch {
	w.t.Helper()
	got, refusal := w.Epoch()
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	return got.Epoch
}

func TestTheClockTurnsOnceAnIntervalAndNeverCatchesUp(t *testing.T) {
	live(t, func(w *world) {
		began := time.Now()
		at := func(after time.Duration, want messages.Epoch) {
			t.Helper()
			time.Sleep(time.Until(began.Add(after)))
			if got := w.epoch(); got != want {
				t.Errorf("after %v it is epoch %d, want %d", after, got, want)
			}
		}
		at(59*time.Second, 0)
		at(61*time.Second, 1)
		at(121*time.Second, 2)
		w.log.hold() // ten minutes without a log
		at(12*time.Minute, 2)
		w.log.release()
		at(12*time.Minute+30*time.Second, 3) // the turn that was on its way
		at(13*time.Minute+59*time.Second, 4)
	}, minutely)
}

func TestAnEpochAskedForRestartsTheInterval(t *testing.T) {
	live(t, func(w *world) {
		time.Sleep(50 * time.Second)
		if got := result[*messages.EpochResult](w.advance()); got.Epoch != 1 {
			t.Errorf("got %+v", got)
		}
		time.Sleep(50 * time.Second)
		if got := w.epoch(); got != 1 {
			t.Errorf("it is epoch %d, want 1", got)
		}
		time.Sleep(11 * time.Second)
		if got := w.epoch(); got != 2 {
			t.Errorf("it is epoch %d, want 2", got)
		}
	}, minutely)
}

func TestANewOwnerOfTheClockWaitsAWholeInterval(t *testing.T) {
	live(t, func(w *world) {
		time.Sleep(50 * time.Second)
		w.Own(nil)
		w.claim()
		time.Sleep(50 * time.Second)
		if got := w.epoch(); got != 0 {
			t.Errorf("it is epoch %d, want 0", got)
		}
		time.Sleep(11 * time.Second)
		if got := w.epoch(); got != 1 {
			t.Errorf("it is epoch %d, want 1", got)
		}
	}, minutely)
}

func TestATurnOfUnknownOutcomeDoesNotMakeTwoEpochs(t *testing.T) {
	live(t, func(w *world) {
		w.log.fates(dawdles) // it commits right before the next one
		time.Sleep(61 * time.Second)
		if got := w.epoch(); got != 0 {
			t.Errorf("it is epoch %d, want 0", got)
		}
		time.Sleep(61 * time.Second)
		if got := w.epoch(); got != 1 {
			t.Errorf("it is epoch %d, want 1", got)
		}
		time.Sleep(61 * time.Second)
		if got := w.epoch(); got != 2 {
			t.Errorf("it is epoch %d, want 2", got)
		}
	}, minutely)
}
