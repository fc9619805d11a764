package draw

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/the-block/bursar/messages"
)

// Sizes in pixels around the drawing.
const (
	margin       = 28.0
	headHeight   = 58.0
	legendRow    = 22.0
	legendColumn = 150.0
	legendTop    = 30.0
	widthMin     = 2*margin + 3*legendColumn
)

// labelMax is how many characters fit a box beside the state's name.
const labelMax = 25

// SVG appends a picture of the graph that needs nothing else: it brings its own
// colours for light and for dark surroundings, and tells more where one points.
func SVG(b []byte, g *Graph) []byte {
	edges, outside := g.edges()
	l := arrange(len(g.Nodes), edges)
	legend := g.legend(edges, outside)
	width := math.Ceil(max(l.width+2*margin, widthMin))
	columns := int((width - 2*margin) / legendColumn)
	rows := (len(legend) + columns - 1) / columns
	height := math.Ceil(headHeight + margin + l.height + legendTop + float64(rows)*legendRow + margin/2)

	s := &svg{b: b}
	s.writef(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`,
		width, height, width, height, escaped(g.Title))
	s.writef("<title>%s</title>\n<style>%s</style>\n%s", escaped(g.Title), style(), markers)
	s.writef(`<rect class="page" width="%g" height="%g" rx="12"/>`+"\n", width, height)
	s.writef(`<text class="title" x="%g" y="34">%s</text>`, margin, escaped(g.Title))
	s.writef(`<text class="dim" x="%g" y="54">%s</text>`+"\n", margin, escaped(g.Subtitle))
	s.writef(`<g transform="translate(%g %g)">`+"\n", margin, headHeight+margin)
	for _, r := range l.routes {
		s.edge(r, l.nodes[r.from], l.nodes[r.to], bond(&g.Nodes[r.from]))
	}
	for i := range g.Nodes {
		s.node(&g.Nodes[i], l.nodes[i], outside[i])
	}
	s.writef("</g>\n")
	s.legend(legend, columns, headHeight+margin+l.height+legendTop)
	s.writef("</svg>\n")
	return s.b
}

type svg struct{ b []byte }

func (s *svg) writef(format string, args ...any) { s.b = fmt.Appendf(s.b, format, args...) }

// bond is the class of the edges that leave a dependency: met, failed or waiting.
func bond(dependency *Node) string {
	switch dependency.State {
	case messages.Finalized:
		return "met"
	case messages.RolledBack:
		return "failed"
	default:
		return "waiting"
	}
}

func (s *svg) edge(r route, from, to spot, class string) {
	x, y := from.x+nodeWidth, from.y+nodeHeight/2
	s.writef(`<path class="edge %s" marker-end="url(#%s)" d="M%s %s`, class, class, px(x), px(y))
	curve := func(toX, toY float64) {
		middle := (x + toX) / 2
		s.writef("C%s %s %s %s %s %s", px(middle), px(y), px(middle), px(toY), px(toX), px(toY))
		x, y = toX, toY
	}
	for _, via := range r.via {
		curve(via.x, via.y)
		x = via.x + nodeWidth
		s.writef("H%s", px(x))
	}
	curve(to.x-1.5, to.y+nodeHeight/2)
	s.writef(`"/>` + "\n")
}

func (s *svg) node(n *Node, at spot, outside int) {
	class := n.State.String()
	if n.Focus {
		class += " focus"
	}
	s.writef(`<g class="node %s" transform="translate(%s %s)"><title>%s</title>`, class, px(at.x), px(at.y), escaped(n.Tip))
	s.writef(`<rect class="box" width="%g" height="%g" rx="7"/><path class="bar" d="M7 0H5A5 5 0 0 0 0 5V%gA5 5 0 0 0 5 %gH7Z"/>`,
		nodeWidth, nodeHeight, nodeHeight-5, nodeHeight)
	s.writef(`<text class="id" x="16" y="18">#%d</text><text class="amount" x="%g" y="18">%s</text>`,
		n.ID, nodeWidth-10, grouped(uint64(n.Amount)))
	word, more := stateWord(n.State), beyond(outside, n.Hidden)
	s.writef(`<text class="small" x="16" y="35"><tspan class="state">%s</tspan>`, word)
	if label := cut(n.Label, labelMax-utf8.RuneCountInString(word+more)); label != "" {
		s.writef(` <tspan>%s</tspan>`, escaped(label))
	}
	s.writef(`</text>`)
	if more != "" {
		s.writef(`<text class="more" x="%g" y="35">%s</text>`, nodeWidth-10, more)
	}
	s.writef("</g>\n")
}

// beyond says how many neighbours before and behind a node are not in the picture.
func beyond(before, behind int) string {
	switch {
	case before > 0 && behind > 0:
		return fmt.Sprintf("‹%d  %d›", before, behind)
	case before > 0:
		return fmt.Sprintf("‹%d", before)
	case behind > 0:
		return fmt.Sprintf("%d›", behind)
	default:
		return ""
	}
}

// mark is one line of the legend.
type mark struct{ class, text string }

// legend explains what is in the picture: states with their counts, kinds of edges.
func (g *Graph) legend(edges []edge, outside []int) []mark {
	var marks []mark
	cut := false
	states := make(map[messages.State]int)
	for i := range g.Nodes {
		states[g.Nodes[i].State]++
		cut = cut || outside[i]+g.Nodes[i].Hidden > 0
	}
	for _, state := range messages.States() {
		if n := states[state]; n > 0 {
			marks = append(marks, mark{state.String(), grouped(uint64(n)) + " " + stateWord(state)})
		}
	}
	bonds := make(map[string]bool)
	for _, e := range edges {
		bonds[bond(&g.Nodes[e.from])] = true
	}
	for _, m := range []mark{{"met", "met: final"}, {"waiting", "waited for"}, {"failed", "rolled back"}} {
		if bonds[m.class] {
			marks = append(marks, m)
		}
	}
	if cut {
		marks = append(marks, mark{"more", "neighbours not drawn"})
	}
	return marks
}

func (s *svg) legend(marks []mark, columns int, top float64) {
	for i, m := range marks {
		x := margin + float64(i%columns)*legendColumn
		y := top + float64(i/columns)*legendRow
		switch m.class {
		case "met", "waiting", "failed":
			s.writef(`<path class="edge %s" marker-end="url(#%s)" d="M%g %gh18"/>`, m.class, m.class, x, y+6)
		case "more":
			s.writef(`<text class="more" x="%g" y="%g">‹1 1›</text>`, x+22, y+10)
		default:
			s.writef(`<g class="node %s"><rect class="bar" x="%g" y="%g" width="12" height="12" rx="3"/></g>`, m.class, x+4, y)
		}
		s.writef(`<text class="dim" x="%g" y="%g">%s</text>`+"\n", x+26, y+10, escaped(m.text))
	}
}

// markers are the heads of the arrows, one for each kind of edge.
const markers = `<defs>` +
	`<marker id="met" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head met" d="M0 0.5L8 4L0 7.5Z"/></marker>` +
	`<marker id="waiting" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head waiting" d="M0 0.5L8 4L0 7.5Z"/></marker>` +
	`<marker id="failed" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head failed" d="M0 0.5L8 4L0 7.5Z"/></marker>` +
	"</defs>\n"

// tint is how a state looks: the box, and its bar, border and word.
type tint struct{ fill, line string }

// stateTints has each state's colours for light and for dark surroundings.
var stateTints = map[messages.State][2]tint{
	messages.Draft:      {{"#f8fafc", "#64748b"}, {"#1b2433", "#94a3b8"}},
	messages.Voting:     {{"#f5f3ff", "#7c3aed"}, {"#251c40", "#a78bfa"}},
	messages.Queued:     {{"#fffbeb", "#b45309"}, {"#33250c", "#fbbf24"}},
	messages.Timelocked: {{"#ecfeff", "#0e7490"}, {"#0a2a33", "#22d3ee"}},
	messages.Executed:   {{"#eff6ff", "#2563eb"}, {"#14264a", "#60a5fa"}},
	messages.Finalized:  {{"#f0fdf4", "#15803d"}, {"#0d2b1a", "#4ade80"}},
	messages.RolledBack: {{"#fef2f2", "#dc2626"}, {"#3a1418", "#f87171"}},
}

// surroundings are the colours of everything else.
type surroundings struct{ page, ink, dim, met, waiting, failed string }

var (
	light = surroundings{"#ffffff", "#0f172a", "#64748b", "#86b79a", "#94a3b8", "#ef4444"}
	dark  = surroundings{"#0d1117", "#e6edf3", "#8b98a9", "#3f7d56", "#66758a", "#f87171"}
)

// style is the sheet of a picture. Colours are written out instead of kept in
// variables, which not every program that shows SVG knows.
func style() string {
	var b strings.Builder
	b.WriteString(`text{font:12px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}` +
		`.title{font-size:17px;font-weight:650}.id{font-weight:650}` +
		`.amount,.more{text-anchor:end;font-variant-numeric:tabular-nums}.small,.more{font-size:10.5px}.state{font-weight:600}` +
		`.box{stroke-width:1.2;stroke-opacity:.55}.edge{fill:none;stroke-width:1.5}` +
		`.waiting.edge{stroke-dasharray:5 4}.rolled_back .box{stroke-dasharray:4 3;stroke-opacity:.9}` +
		`.focus .box{stroke-width:2.6;stroke-opacity:1}.node:hover .box{stroke-opacity:1;stroke-width:2}`)
	sheet(&b, &light, 0)
	b.WriteString("@media (prefers-color-scheme:dark){")
	sheet(&b, &dark, 1)
	b.WriteString("}")
	return b.String()
}

func sheet(b *strings.Builder, s *surroundings, shade int) {
	fmt.Fprintf(b, ".page{fill:%s}text{fill:%s}.dim,.more{fill:%s}", s.page, s.ink, s.dim)
	for _, bond := range [][2]string{{"met", s.met}, {"waiting", s.waiting}, {"failed", s.failed}} {
		fmt.Fprintf(b, ".edge.%[1]s{stroke:%[2]s}.head.%[1]s{fill:%[2]s}", bond[0], bond[1])
	}
	for _, state := range messages.States() {
		t := stateTints[state][shade]
		fmt.Fprintf(b, ".%[1]s .box{fill:%[2]s;stroke:%[3]s}.%[1]s .bar,.%[1]s .state{fill:%[3]s}", state, t.fill, t.line)
	}
}

func stateWord(s messages.State) string { return strings.ReplaceAll(s.String(), "_", " ") }

// px writes a coordinate to a tenth of a pixel.
func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// escaped makes any text fit for XML; what XML cannot hold becomes U+FFFD.
func escaped(text string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.String()
}

// cut shortens a text to at most n characters, and lines to one.
func cut(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	if n <= 1 {
		return ""
	}
	return strings.TrimRight(string([]rune(text)[:n-1]), " ") + "…"
}

// grouped writes a number with commas between groups of three digits.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

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
