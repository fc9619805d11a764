package authority

import (
	"testing"

	"github.com/the-block/bursar/messages"
)

// A key that has ended is told until it is replaced or revoked, a pause until its time has passed.
func TestFiguresTellPausesAndTheFirstKeyThatEnds(t *testing.T) {
	operator := func(notAfter uint64, revoked bool) *Operator {
		return &Operator{OperatorInfo: messages.OperatorInfo{NotAfter: notAfter}, Revoked: revoked}
	}
	s := &State{
		Operators: map[string]*Operator{
			"ann": operator(5000, false), "bob": operator(3000, false), "carol": operator(2000, true), "dave": operator(900, false), "erin": operator(100, true),
		},
		Pauses: map[string]messages.PauseInfo{ScopeMarket: {Scope: ScopeMarket}, ScopeTreasury: {Scope: ScopeTreasury, Until: 1000}},
	}
	f := s.figures(1000)
	for _, scope := range f.Scopes {
		if scope.Paused != (scope.Scope == ScopeMarket) {
			t.Errorf("%s: paused %v", scope.Scope, scope.Paused)
		}
	}
	if len(f.Scopes) != 3 || f.Expiry == nil || f.Expiry.Unix() != 900 {
		t.Errorf("%d scopes, the first key ends at %v, want 3 and dave's at 900", len(f.Scopes), f.Expiry)
	}
	if f := new(State).figures(1000); f.Expiry != nil {
		t.Errorf("nobody's key ends at %v", f.Expiry)
	}
}
