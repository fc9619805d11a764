package messages_test

import (
	"testing"

	"github.com/the-block/bursar/messages"
)

// What changes breakers or makes trouble is an operator's; looking is everybody's.
func TestWhoMayActOnActors(t *testing.T) {
	everybody := messages.Reader | messages.Submitter | messages.Voter
	for _, c := range []struct {
		method  string
		changes bool
	}{
		{messages.MethodForceOpen, true}, {messages.MethodForceClose, true}, {messages.MethodReset, true},
		{messages.MethodInject, true}, {messages.MethodSupervisionBreakers, false}, {messages.MethodActorsTree, false},
		{messages.MethodActorsTop, false}, {messages.MethodActorsGet, false}, {messages.MethodAudit, false},
	} {
		m := messages.MethodByName(c.method)
		if m.Mutates != c.changes {
			t.Errorf("%s: takes a request_id: %v, want %v", m.Name, m.Mutates, c.changes)
		}
		err := messages.Allowed(m, m.NewParams(), messages.Caller{Roles: everybody})
		if (err != nil) != c.changes || err != nil && err.Code != messages.CodeUnauthorized {
			t.Errorf("%s for who is no operator: %v", m.Name, err)
		}
		if err := messages.Allowed(m, m.NewParams(), messages.Caller{Roles: everybody | messages.Operator}); err != nil {
			t.Errorf("%s for an operator: %v", m.Name, err)
		}
	}
}
