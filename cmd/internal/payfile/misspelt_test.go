package payfile

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

func paying(memo string) *messages.Payload {
	return &messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1a", Amount: 1, Memo: memo, ScheduledEpoch: 1}}
}

func TestAListOfDependenciesThatIsMisspeltIsFound(t *testing.T) {
	for _, memo := range []string{
		"depends_on = 1", "depends-on=999", "Depends_On=1", "DEPENDS_ON: 4", "dependson=1", "dependsOn:1", "depend_on=1", "depends on 7",
		"depends on #7", "depends_on 1,2", "rent depends_on=999", "rent, depends_on: 9", "my depends=9", "depends_upon=3",
		"dpends_on=1", "depnds_on=1", "depends_no=1", "depends.on=1", "dependencies: 3, 4", "deps=1", "dependent on 5", "\ufeffdepends_on=1",
		"depends_on == 1 ", `"depends_on"=1`, "rent (depends_on=4)", "depends_on\n=4",
		`{"Depends_On":[1]}`, `{"dependsOn":[1]}`, `{"depends":["2"]}`, `{"deps":[3]}`, `{"meta":{"depends_on":[1]}}`, `{"depends_on":[],"depends_no":[5]}`,
		`{"depends on": 8}`, `[{"depends_on": [1]}]`,
	} {
		deps, refusal := disbursement.Check(*paying(memo))
		if refusal != nil || len(deps) > 0 {
			t.Errorf("%q: has %d dependencies, %v", memo, deps, refusal)
		}
		if Misspelt(paying(memo), deps) == "" {
			t.Errorf("%q: not found", memo)
		}
	}
	for _, memo := range []string{
		"", "rent", "rent 05/2026", "independent audit 2026", "dependants' fund", "tax allowance for dependents 2026", "invoice=12", "department: 7",
		"second=2", "deposit: 40", "depends on the weather", "deposits on=3", "pension: 7", "depot 3", "despotism=1",
		`{"note":"rent","invoice":12}`, `{"depends_on":[]}`, `{"note":"depends"}`, "defendson", "pending: 3",
	} {
		if words := Misspelt(paying(memo), nil); words != "" {
			t.Errorf("%q: %q is no list", memo, words)
		}
	}
	if words := Misspelt(paying("depends_on = 1"), []messages.DisbursementID{1}); words != "" {
		t.Errorf("it waits, and is doubted for %q", words)
	}
}

// Property: a list with one slip of the keyboard in its name is found, or still understood,
// or refused.
func TestOneSlipInTheNameOfAListIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := []byte("depends_on")
		at := rapid.IntRange(0, len(name)-1).Draw(t, "at")
		letter := byte(rapid.IntRange('a', 'z').Draw(t, "letter"))
		switch rapid.IntRange(0, 3).Draw(t, "slip") {
		case 0:
			name[at] = letter
		case 1:
			name = append(name[:at:at], name[at+1:]...)
		case 2:
			name = append(append(name[:at:at], letter), name[at:]...)
		case 3:
			if at > 0 {
				name[at-1], name[at] = name[at], name[at-1]
			}
		}
		memo := rapid.SampledFrom([]string{"", " ", "rent ", `{"`}).Draw(t, "before") + string(name) +
			rapid.SampledFrom([]string{"=17", ": 17", " = 17", `":[17]}`}).Draw(t, "after")
		deps, refusal := disbursement.Check(*paying(memo))
		if refusal == nil && len(deps) == 0 && Misspelt(paying(memo), deps) == "" {
			t.Fatalf("%q waits for nothing, and nobody is told", memo)
		}
	})
}
