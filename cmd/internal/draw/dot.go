package draw

import (
	"fmt"
	"strings"
)

// DOT appends the graph in Graphviz' language: money flows from left to right.
func DOT(b []byte, g *Graph) []byte {
	b = fmt.Appendf(b, "digraph bursar {\n  rankdir=LR\n  label=%s labelloc=t labeljust=l fontname=\"sans-serif\"\n", quoted(g.Title))
	b = append(b, "  node [shape=box style=\"rounded,filled\" fontname=\"sans-serif\" fontsize=11]\n  edge [color=\"#94a3b8\"]\n"...)
	for i := range g.Nodes {
		n := &g.Nodes[i]
		tint := stateTints[n.State][0]
		text := fmt.Sprintf("#%d   %s\n%s", n.ID, grouped(uint64(n.Amount)), stateWord(n.State))
		if label := cut(n.Label, labelMax); label != "" {
			text += "\n" + label
		}
		b = fmt.Appendf(b, "  %d [label=%s tooltip=%s fillcolor=%q color=%q]\n", n.ID, quoted(text), quoted(n.Tip), tint.fill, tint.line)
	}
	edges, _ := g.edges()
	for _, e := range edges {
		b = fmt.Appendf(b, "  %d -> %d", g.Nodes[e.from].ID, g.Nodes[e.to].ID)
		switch bond(&g.Nodes[e.from]) {
		case "waiting":
			b = append(b, " [style=dashed]"...)
		case "failed":
			b = append(b, " [color=\"#ef4444\"]"...)
		}
		b = append(b, '\n')
	}
	return append(b, "}\n"...)
}

// quoted makes any text a string of the language.
func quoted(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\ufffd")
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", "").Replace(text) + `"`
}
