package node_test

import (
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
)

func TestWhoStopsOfTwoHistories(t *testing.T) {
	same, unknown := node.Found{Known: true}, node.Found{}
	other, leader := node.Found{Known: true, Differs: 64}, node.Found{Known: true, Differs: 64, Leads: true}
	for name, c := range map[string]struct {
		found []node.Found
		stop  bool
	}{
		"alone":                               {nil, false},
		"all alike":                           {[]node.Found{same, same}, false},
		"nothing to compare":                  {[]node.Found{unknown, unknown}, false},
		"one of two is another":               {[]node.Found{same, other}, false},
		"the leader is another, most are not": {[]node.Found{same, leader}, false},
		"all others are another":              {[]node.Found{other, other}, true},
		"one other is known":                  {[]node.Found{other, unknown}, false},
		"the leader is known":                 {[]node.Found{leader, unknown}, true},
		"two against two":                     {[]node.Found{same, other, other}, false},
		"two against two with the leader":     {[]node.Found{same, other, leader}, true},
	} {
		which, stop := node.Differing(c.found, false)
		if stop != c.stop || stop && which == "" {
			t.Errorf("%s: stops %t (%s), want %t", name, stop, which, c.stop)
		}
	}
}

// TestWhoCannotBeComparedYetMayBeOfOnesOwnHistory: two followers of a leader whose state is
// another than theirs must not both stop, because each has compared itself with it first.
func TestWhoCannotBeComparedYetMayBeOfOnesOwnHistory(t *testing.T) {
	same, unknown := node.Found{Known: true}, node.Found{}
	other, leader := node.Found{Known: true, Differs: 7}, node.Found{Known: true, Differs: 7, Leads: true}
	for name, c := range map[string]struct {
		found []node.Found
		stop  bool
	}{
		"the leader, and one unknown":    {[]node.Found{leader, unknown}, false},
		"two others, and one unknown":    {[]node.Found{leader, other, unknown}, false},
		"three others, and one unknown":  {[]node.Found{leader, other, other, unknown}, true},
		"the leader, and nobody else":    {[]node.Found{leader}, true},
		"the leader, and one of its own": {[]node.Found{leader, same}, false},
		"two others, and nobody unknown": {[]node.Found{leader, other}, true},
		"nobody, and one unknown":        {[]node.Found{unknown}, false},
		"the same, and one unknown":      {[]node.Found{same, unknown}, false},
	} {
		if which, stop := node.Differing(c.found, true); stop != c.stop {
			t.Errorf("%s: stops %t (%s), want %t", name, stop, which, c.stop)
		}
	}
}
