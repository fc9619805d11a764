package supervision

import "time"

// status is where a child stands.
type status uint8

const (
	waiting   status = iota // not started yet
	running                 // as far as the supervisor knows
	suspended               // down, its restart is due at child.due
	refusing                // down, until the breaker of child.behind lets it restart
	ended                   // not started again
)

// child is what a supervisor remembers of one: of a named one always, of one from
// the template from its first failure until its restarts are forgotten.
type child struct {
	spec    ChildSpec
	order   int // place in Spec.Children; behind all of them for one from the template
	status  status
	history History
	due     time.Time // of the restart while suspended; of forgetting it while running
	behind  string    // whose breaker it waits for while refusing; own for the supervisor's
	index   int       // in Supervisor.dues, -1 if not there
}

// own is the name that stands for the supervisor's own breaker; no child has it.
const own = ""

// dues is a heap of children for which something is due: what is due first on top,
// then what was started first.
type dues []*child

func (d dues) Len() int { return len(d) }

func (d dues) Less(i, j int) bool {
	if d[i].due.Equal(d[j].due) {
		return d[i].order < d[j].order
	}
	return d[i].due.Before(d[j].due)
}

func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dues) Push(x any) {
	added := x.(*child)
	added.index = len(*d)
	*d = append(*d, added)
}

func (d *dues) Pop() any {
	old := *d
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	last.index = -1
	return last
}
