package show

import (
	"fmt"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"strings"
)

// nodesWide is the least width that has room for all that is known of the nodes.
const nodesWide = 108

// nodesTable draws what is known of the nodes, one a line, the chosen one marked. A narrow
// terminal gets what matters most.
func nodesTable(s *view, chosen, width int) []string {
	head := fmt.Sprintf("  %-4s %-9s %-30s %6s  %-28s %9s %7s %5s", "node", "role", "state", "shards", "does", "applied", "pid", "cpu")
	if width < nodesWide {
		head = fmt.Sprintf("  %-4s %-24s %6s  %-28s %9s", "node", "state", "shards", "does", "applied")
	}
	lines := []string{head}
	for i := range s.nodes {
		n := &s.nodes[i]
		mark := " "
		if i == chosen {
			mark = "▸"
		}
		does := strings.Join(s.does(n.name), " ")
		if width < nodesWide {
			lines = append(lines, fmt.Sprintf("%s %-4s %-24s %6d  %-28s %9s", mark,
				n.name, terminal.Shorten(n.state, 24), n.shards, does, terminal.Group(n.applied)))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %-4s %-9s %-30s %6d  %-28s %9s %7d %5s", mark,
			n.name, n.role, terminal.Shorten(n.state, 30), n.shards, does, terminal.Group(n.applied), n.pid, n.cpuText()))
	}
	return lines
}

// does names what a node does beside its share of the shards.
func (s *view) does(name string) []string {
	var does []string
	for _, part := range []struct{ what, who string }{
		{"leader", s.leader}, {"executor", s.executor}, {"clock", s.clock}, {"market", s.market},
	} {
		if part.who == name {
			does = append(does, part.what)
		}
	}
	return does
}

func (n *nodeView) cpuText() string {
	if n.cpu < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*n.cpu)
}

// nodesLine tells of all nodes in one line, without what changes all the time.
func nodesLine(s *view) string {
	parts := make([]string, 0, len(s.nodes))
	for i := range s.nodes {
		n := &s.nodes[i]
		state, _, _ := strings.Cut(n.state, " since ") // which would be news each second
		words := append([]string{n.name, n.role, state}, s.does(n.name)...)
		if n.ready {
			words = append(words, fmt.Sprintf("%d shards", n.shards))
		}
		parts = append(parts, strings.Join(words, " "))
	}
	return "nodes: " + strings.Join(parts, " | ")
}
