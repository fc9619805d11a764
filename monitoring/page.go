package monitoring

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"group":   group,
	"cut":     cut,
	"plain":   messages.Visible,
	"uptime":  uptime,
	"visible": visible,
	"words":   words,
}).Parse(pageSource))

// latestMax is how many payments the page lists.
const latestMax = 12

// view is what the page shows.
type view struct {
	Nonce    string // of the page's own script and style
	Node     Node
	Now      time.Time
	NotReady string // why, empty if the node is ready
	Treasury *Treasury
	States   []stateCount
	Latest   []Payment
	Cluster  *Cluster
	Nodes    []Member // of a cluster of several, by name
	Executor *Executor
	Market   *Market // nil without providers
	Work     Work
}

// stateCount is one state's share of all disbursements.
type stateCount struct {
	State   messages.State
	Count   uint64
	Percent float64
	Offset  float64 // the sum of the percentages before it
}

// page serves the view, whole or, asked for with ?part=main, only what changes.
type page struct {
	sources Sources
	log     *slog.Logger
}

func newPage(sources Sources, log *slog.Logger) page { return page{sources, log} }

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := "page"
	if r.URL.Query().Get("part") == "main" {
		name = "main"
	}
	nonce := rand.Text()
	var body bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&body, name, p.view(nonce)); err != nil {
		p.log.ErrorContext(r.Context(), "page not rendered", "component", "monitoring", "err", err)
		http.Error(w, "the page could not be rendered; the node's log says why", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+"'; img-src data:")
	_, _ = w.Write(body.Bytes()) // the reader went away; nobody is left to tell
}

func (p page) view(nonce string) view {
	v := view{Nonce: nonce, Node: p.sources.Node, Now: time.Now()}
	if err := p.sources.Ready(); err != nil {
		v.NotReady = err.Error()
	}
	if p.sources.Treasury != nil {
		treasury := p.sources.Treasury()
		v.Treasury, v.States = &treasury, shares(treasury.States)
	}
	if p.sources.Latest != nil {
		v.Latest = p.sources.Latest(latestMax)
	}
	if p.sources.Cluster != nil {
		cluster := p.sources.Cluster()
		v.Cluster = &cluster
		if len(cluster.Nodes) > 1 {
			v.Nodes = byName(cluster.Nodes)
		}
	}
	if p.sources.Executor != nil {
		executor := p.sources.Executor()
		v.Executor = &executor
	}
	if p.sources.Market != nil {
		if market := p.sources.Market(); market.Providers > 0 {
			v.Market = &market
		}
	}
	if p.sources.Work != nil {
		v.Work = p.sources.Work()
	}
	return v
}

// shares lists every state with its count and percentage of all disbursements.
func shares(states map[messages.State]uint64) []stateCount {
	total := sum(states)
	var counts []stateCount
	var offset float64
	for _, state := range messages.States() {
		count := stateCount{State: state, Count: states[state], Offset: offset}
		if total > 0 {
			count.Percent = 100 * float64(count.Count) / float64(total)
		}
		offset += count.Percent
		counts = append(counts, count)
	}
	return counts
}

// group writes a number with thin spaces between groups of three digits.
func group(n any) string {
	var digits string
	switch n := n.(type) {
	case messages.Amount:
		digits = strconv.FormatUint(uint64(n), 10)
	case messages.Epoch:
		digits = strconv.FormatUint(uint64(n), 10)
	case uint64:
		digits = strconv.FormatUint(n, 10)
	case int:
		digits = strconv.Itoa(n)
	}
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u2009')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// cut shortens text to n characters and marks the cut.
func cut(n int, text string) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// visible is a stranger's text with what nobody sees written out and marked, in an element
// that keeps its direction to itself.
func visible(text string) template.HTML {
	var b strings.Builder
	b.WriteString("<bdi>")
	for part, escaped := range messages.VisibleParts(text) {
		if part = template.HTMLEscapeString(part); escaped {
			part = `<span class="esc">` + part + "</span>"
		}
		b.WriteString(part)
	}
	b.WriteString("</bdi>")
	return template.HTML(b.String())
}

// words is a label as people write it.
func words(label any) string { return strings.ReplaceAll(fmt.Sprint(label), "_", " ") }

// uptime is the time since start, to the second.
func uptime(now, start time.Time) string { return now.Sub(start).Truncate(time.Second).String() }
