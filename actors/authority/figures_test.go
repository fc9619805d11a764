package authority

import (
	"testing"

	"github.com/the-block/bursar/messages"
)

// A revoked key and one that has ended say nothing of when the next one ends.
func TestFiguresTellPausesAndTheFirstKeyThatEnds(t *testing.T) {
	operator := func(notAfter uint64, revoked bool) *Operator {
		return &Operator{OperatorInfo: messages.OperatorInfo{NotAfter: notAfter}, Revoked: revoked}
	}
	s := &State{
		Operators: map[string]*Operator{
			"ann": operator(5000, false), "bob": operator(3000, false), "carol": operator(2000, true), "dave": operator(900, false),
		},
		Pauses: map[string]messages.PauseInfo{ScopeMarket: {Scope: ScopeMarket}},
	}
	f := s.figures(1000)
	for _, scope := range f.Scopes {
		if scope.Paused != (scope.Scope == ScopeMarket) {
			t.Errorf("%s: paused %v", scope.Scope, scope.Paused)
		}
	}
	if len(f.Scopes) != 3 || f.Expiry == nil || f.Expiry.Unix() != 3000 {
		t.Errorf("%d scopes, the first key ends at %v, want 3 and bob's at 3000", len(f.Scopes), f.Expiry)
	}
	if f := new(State).figures(1000); f.Expiry != nil {
		t.Errorf("nobody's key ends at %v", f.Expiry)
	}
}
