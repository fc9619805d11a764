package node_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// An observer archives before a replica, and a replica before a primary; nobody does without
// a target.
func TestWhoArchives(t *testing.T) {
	const long = time.Minute
	for what, c := range map[string]struct {
		seat node.Seat
		want string
	}{
		"an observer takes a vacant seat at once":      {node.Seat{Configured: true, Role: node.RoleObserver}, "claim"},
		"a replica waits for an observer":              {node.Seat{Configured: true, Role: node.RoleReplica}, "away"},
		"a replica takes what no observer took":        {node.Seat{Configured: true, Role: node.RoleReplica, Vacant: long}, "claim"},
		"a primary waits longest":                      {node.Seat{Configured: true, Role: node.RolePrimary, Vacant: 4 * time.Second}, "away"},
		"a primary takes what nobody took":             {node.Seat{Configured: true, Role: node.RolePrimary, Vacant: long}, "claim"},
		"an observer takes over from a primary":        {node.Seat{Configured: true, Role: node.RoleObserver, HolderRole: node.RolePrimary}, "claim"},
		"a primary leaves it to an observer":           {node.Seat{Configured: true, Role: node.RolePrimary, HolderRole: node.RoleObserver}, "away"},
		"two of a role do not take it from each other": {node.Seat{Configured: true, Role: node.RoleReplica, HolderRole: node.RoleReplica}, "away"},
		"who has it keeps it":                          {node.Seat{Configured: true, Mine: true, Role: node.RolePrimary}, "keep"},
		"without a target it is left":                  {node.Seat{Mine: true, Role: node.RoleObserver}, "leave"},
		"without a target it is never taken":           {node.Seat{Role: node.RoleObserver, Vacant: long}, "away"},
	} {
		if got := c.seat.Decide(); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
