package draw_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cmd/internal/draw"
	"github.com/the-block/bursar/messages"
)

// graphs are small graphs in whose texts anything may stand.
func graphs() *rapid.Generator[*draw.Graph] {
	return rapid.Custom(func(t *rapid.T) *draw.Graph {
		g := &draw.Graph{Title: rapid.String().Draw(t, "title")}
		for i := range rapid.IntRange(0, 40).Draw(t, "nodes") {
			n := draw.Node{
				ID:     messages.DisbursementID(i + 1),
				State:  rapid.SampledFrom(messages.States()).Draw(t, "state"),
				Amount: messages.Amount(rapid.Uint64().Draw(t, "amount")),
				Label:  rapid.String().Draw(t, "label"),
				Tip:    rapid.String().Draw(t, "tip"),
				Hidden: rapid.IntRange(0, 3).Draw(t, "hidden"),
			}
			for dep := 1; dep <= i; dep++ {
				if rapid.IntRange(0, 6).Draw(t, "edge") == 0 {
					n.Deps = append(n.Deps, messages.DisbursementID(dep))
				}
			}
			g.Nodes = append(g.Nodes, n)
		}
		return g
	})
}

type box struct{ x, y float64 }

var (
	nodePattern = regexp.MustCompile(`<g class="node [a-z_ ]+" transform="translate\((\S+) (\S+)\)">`)
	edgePattern = regexp.MustCompile(`<path class="edge [a-z]+" marker-end="[^"]+" d="M(\S+?) (\S+?)(C[^"]*)"`)
	lastPattern = regexp.MustCompile(`(\S+) (\S+)$`)
)

func number(t *rapid.T, text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func boxes(t *rapid.T, svg string) []box {
	var list []box
	for _, m := range nodePattern.FindAllStringSubmatch(svg, -1) {
		list = append(list, box{number(t, m[1]), number(t, m[2])})
	}
	return list
}

// Property: whatever the graph and its texts, the picture is well-formed, no two
// boxes touch, none leaves the page, every edge leads to the right and is drawn once,
// and the same graph gives the same bytes.
func TestPicturesAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graphs().Draw(t, "graph")
		picture := draw.SVG(nil, g)
		if err := wellFormed(picture); err != nil {
			t.Fatalf("%v in:\n%s", err, picture)
		}
		if !bytes.Equal(picture, draw.SVG(nil, g)) {
			t.Fatal("the same graph was drawn in two ways")
		}
		list := boxes(t, string(picture))
		if len(list) != len(g.Nodes) {
			t.Fatalf("%d boxes for %d nodes", len(list), len(g.Nodes))
		}
		for i, a := range list {
			for _, b := range list[:i] {
				if abs(a.x-b.x) < 188 && abs(a.y-b.y) < 44 {
					t.Fatalf("boxes %v and %v overlap", a, b)
				}
			}
			if a.x < 0 || a.y < -0.05 {
				t.Fatalf("box %v leaves the page", a)
			}
		}
		checkEdges(t, g, string(picture), list)
	})
}

func checkEdges(t *rapid.T, g *draw.Graph, picture string, list []box) {
	var want, got [][]float64
	for to, n := range g.Nodes {
		for _, dep := range n.Deps {
			from := list[dep-1]
			want = append(want, []float64{from.x + 188, from.y + 22, list[to].x, list[to].y + 22})
			if from.x+188 >= list[to].x {
				t.Fatalf("edge %d -> %d does not lead to the right", dep, n.ID)
			}
		}
	}
	for _, m := range edgePattern.FindAllStringSubmatch(picture, -1) {
		end := lastPattern.FindStringSubmatch(m[3])
		got = append(got, []float64{number(t, m[1]), number(t, m[2]), number(t, end[1]) + 1.5, number(t, end[2])})
	}
	slices.SortFunc(want, slices.Compare)
	slices.SortFunc(got, slices.Compare)
	// Each coordinate is rounded to a tenth by itself.
	near := func(a, b []float64) bool {
		return slices.EqualFunc(a, b, func(a, b float64) bool { return abs(a-b) < 0.11 })
	}
	if !slices.EqualFunc(got, want, near) {
		t.Fatalf("edges %v, want %v", got, want)
	}
}

func abs(v float64) float64 { return max(v, -v) }

func wellFormed(document []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A chain of n nodes, each of which waits for all k before it.
func chain(n, k int) *draw.Graph {
	g := &draw.Graph{Title: "chain"}
	for i := range n {
		node := draw.Node{ID: messages.DisbursementID(i + 1), State: messages.Draft}
		for back := 1; back <= min(i, k); back++ {
			node.Deps = append(node.Deps, node.ID-messages.DisbursementID(back))
		}
		g.Nodes = append(g.Nodes, node)
	}
	return g
}

// The largest picture there is, with as many dependencies as there may be, still
// comes to an end.
func TestTheWorstPictureIsBounded(t *testing.T) {
	picture := draw.SVG(nil, chain(500, 100))
	if n := bytes.Count(picture, []byte(`<path class="edge waiting"`)); n < 500*100-100*101/2 {
		t.Errorf("%d edges", n)
	}
}

func TestACycleIsDrawnWithoutItsEdges(t *testing.T) {
	g := &draw.Graph{Nodes: []draw.Node{
		{ID: 1, State: messages.Draft, Deps: []messages.DisbursementID{2, 1}},
		{ID: 2, State: messages.Draft, Deps: []messages.DisbursementID{1}},
	}}
	if err := wellFormed(draw.SVG(nil, g)); err != nil {
		t.Error(err)
	}
}

func TestWhatIsOutsideThePictureIsCounted(t *testing.T) {
	g := &draw.Graph{Nodes: []draw.Node{
		{ID: 7, State: messages.Finalized, Deps: []messages.DisbursementID{1, 2}, Hidden: 3, Focus: true},
	}}
	picture := string(draw.SVG(nil, g))
	for _, want := range []string{"‹2  3›", "neighbours not drawn", "finalized focus"} {
		if !strings.Contains(picture, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
}

func TestDOTKeepsAnyTextInItsQuotes(t *testing.T) {
	g := &draw.Graph{Title: `a "title" \`, Nodes: []draw.Node{
		{ID: 1, State: messages.Finalized, Tip: "x\"] evil [\\"},
		{ID: 2, State: messages.RolledBack, Deps: []messages.DisbursementID{1}},
		{ID: 3, State: messages.Draft, Deps: []messages.DisbursementID{2}},
		{ID: 4, State: messages.Draft, Deps: []messages.DisbursementID{3}, Label: "two\nlines"},
	}}
	got := string(draw.DOT(nil, g))
	for _, want := range []string{
		`label="a \"title\" \\"`, `tooltip="x\"] evil [\\"`, "  1 -> 2\n", `2 -> 3 [color="#ef4444"]`,
		"3 -> 4 [style=dashed]", `two lines"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}
