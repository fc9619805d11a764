package disbursement_test

import (
	"testing"

	"github.com/the-block/bursar/actors/treasury/disbursement"
)

func TestNotesAreWhatPeopleWrote(t *testing.T) {
	for memo, want := range map[string]string{
		"rent":                              "rent",
		"depends_on=1,2":                    "",
		" depends_on: 7":                    "",
		`{"depends_on":[1],"note":"month"}`: "month",
		`{"depends_on":[1]}`:                "",
		`{ smile }`:                         "{ smile }",
	} {
		if got := disbursement.Note(memo); got != want {
			t.Errorf("Note(%q) = %q, want %q", memo, got, want)
		}
	}
}
