package persistence_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence"
)

// TestTheTwinMissesEachCheck checks TestTwin: a machine that leaves one check out must
// come to other results than the twin, and one that leaves none out to the same.
func TestTheTwinMissesEachCheck(t *testing.T) {
	for _, mutant := range []struct {
		without string
		mutate  func(*persistence.Txn)
	}{
		{"", func(*persistence.Txn) {}},
		{"fencing", func(x *persistence.Txn) { x.Fences = nil }},
		{"request-id memory", func(x *persistence.Txn) { x.RequestID, x.Reply = "", nil }},
		{"conditions", func(x *persistence.Txn) { x.Conditions = nil }},
		{"bounds of counters", func(x *persistence.Txn) {
			x.Adds = slices.Clone(x.Adds)
			for i := range x.Adds {
				x.Adds[i].Min, x.Adds[i].Max = math.MinInt64, math.MaxInt64
			}
		}},
	} {
		t.Run("without "+mutant.without, func(t *testing.T) {
			missed := 0
			for seed := range 150 {
				if diff := mutantDiffers(t, seed, mutant.mutate); diff != "" {
					missed++
					if mutant.without == "" {
						t.Errorf("seed %d: %s", seed, diff)
					}
				}
			}
			if mutant.without != "" && missed == 0 {
				t.Errorf("no log in 150 shows that %s is missing", mutant.without)
			}
			t.Logf("%d of 150 logs differ", missed)
		})
	}
}

// mutantDiffers applies a random log to the machine, changed by mutate, and to the
// twin, unchanged, until their results differ.
func mutantDiffers(t *testing.T, seed int, mutate func(*persistence.Txn)) string {
	fsm := openFSM(t)
	defer func() { _ = fsm.Store().Close() }()
	fsm.RememberAtMost(1000)
	w := newTwin(1000)
	txns := rapid.SliceOfN(rapid.Custom(drawTxn), 20, 20).Example(seed)
	for i, x := range txns {
		index := uint64(i + 1)
		want := w.apply(index, []*persistence.Txn{x})
		mutated := *x
		mutate(&mutated)
		got, err := fsm.Apply(index, entryOf(t, &mutated))
		if err != nil {
			return err.Error()
		}
		if diff := cmp.Diff(got, want, cmpEmpty); diff != "" {
			return fmt.Sprintf("entry %d (-got +want):\n%s", index, diff)
		}
	}
	return ""
}
