package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/messages"
)

func TestTheNextLevelIsWhoIsNewAndNear(t *testing.T) {
	at := func(id messages.DisbursementID, deps, dependents []messages.DisbursementID) *neighbour {
		row := &messages.GetDisbursementResult{DisbursementRow: messages.DisbursementRow{Disbursement: messages.DisbursementView{ID: id}, Deps: deps}}
		return &neighbour{row: row, dependents: dependents}
	}
	five := at(5, []messages.DisbursementID{1, 4}, []messages.DisbursementID{9, 7})
	four := at(4, []messages.DisbursementID{1}, []messages.DisbursementID{5, 7})
	found := map[messages.DisbursementID]*neighbour{4: four, 5: five}
	got := nextLevel(found, []*neighbour{five, four})
	if want := []messages.DisbursementID{1, 7, 9}; !slices.Equal(got, want) {
		t.Errorf("next %v, want %v", got, want)
	}
}

// One payment that 600 others wait for is more than a picture holds.
func TestAPictureIsNeverTooLarge(t *testing.T) {
	to := target{addr: startNode(t), timeout: awaitTimeout}
	link := to.connect()
	defer link.Close()
	plan := "ref,after\nhub,\n"
	for i := range 600 {
		plan += fmt.Sprintf("%d,hub\n", i)
	}
	p, err := payfile.ReadPlan("star.csv", []byte(plan), messages.Disbursement{Destination: "tb1a", Amount: 1, ScheduledEpoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Submit(t.Context(), link, "star", awaitTimeout, func(*payfile.Outcome) {}); err != nil {
		t.Fatal(err)
	}
	whole := &picture{hops: 1}
	if _, err := whole.scene(t.Context(), link); err == nil || !strings.Contains(err.Error(), "601 disbursements, a picture holds 500") {
		t.Errorf("error %v", err)
	}
	for hops, want := range map[int]int{0: 1, 1: drawnMax, 3: drawnMax} {
		around := &picture{around: 1, hops: hops}
		scene, err := around.scene(t.Context(), link)
		if err != nil {
			t.Fatal(err)
		}
		if len(scene.Nodes) != want || scene.Nodes[0].Hidden != 601-want || !scene.Nodes[0].Focus {
			t.Errorf("%d hops: %d nodes, %d hidden behind the first", hops, len(scene.Nodes), scene.Nodes[0].Hidden)
		}
		if cut := strings.Contains(scene.Subtitle, "cut at 500"); cut != (want == drawnMax) {
			t.Errorf("%d hops: %q", hops, scene.Subtitle)
		}
	}
}
