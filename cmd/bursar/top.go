package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/show"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// top is the top command as its flags describe it.
type top struct {
	watcher
	rows int
	once bool
	sort string
}

func newTop(std streams) *cobra.Command {
	w := &top{watcher: watcher{std: std}}
	command := &cobra.Command{
		Use:   "top [PATH]",
		Short: "Watch the nodes, what they do and the busiest actors",
		Long: `Shows the cluster as the node that answers sees it: who leads, each node with its shards, the
executor, breakers that are not closed, the energy market, how long commits take and how many there are a second; and
below that the actors of that node that handle most messages a second. An actor that is stuck in one message, a
stalled handler, is red and says for how long ("stuck").

On a terminal it goes on until q or Ctrl-C. Keys: r, d, w, s and m sort by messages a second (rate), messages that
wait (depth), how long the oldest has waited (wait), how long the actor has been stuck (stuck) and messages so far
(messages); p pauses, so that what is shown can be read. --once, or a pipe, shows it once; with --watch a pipe gets it
again and again.`,
		Example: `  bursar top
  bursar top --sort wait --rows 30
  bursar top /treasury --once --output json`,
		Args: atMost(1),
	}
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			w.path = args[0]
		}
		if err := w.validate(); err != nil {
			return err
		}
		return w.run(cmd.Context())
	}
	w.flags(command)
	flags := command.Flags()
	intVar(flags, &w.rows, "rows", 20, "how many actors to show")
	flags.BoolVar(&w.once, "once", false, "show it once and end")
	flags.StringVar(&w.sort, "sort", sortRate, "what the actors are sorted by: "+strings.Join(sortNames(), ", "))
	return command
}

const sortRate = "rate"

// sortKeys are the orders by the key that chooses them.
var sortKeys = map[byte]string{'r': sortRate, 'd': "depth", 'w': "wait", 's': "stuck", 'm': "messages"}

func sortNames() []string { return slices.Sorted(maps.Values(sortKeys)) }

func (w *top) validate() error {
	switch {
	case w.rows < 1:
		return usagef("--rows: %d is not positive", w.rows)
	case w.once && w.watch:
		return usagef("--once and --watch contradict each other")
	case !slices.Contains(sortNames(), w.sort):
		return usagef("--sort: %q is none of %s", w.sort, strings.Join(sortNames(), ", "))
	}
	return w.watcher.validate()
}

// run shows frames until it is told to end.
func (w *top) run(ctx context.Context) error {
	link := w.to.connect()
	defer link.Close()
	pages, err := w.pages()
	if err != nil {
		return err
	}
	last, err := w.see(ctx, link, pages)
	if err != nil {
		return err
	}
	live := !w.once && !w.form.json() && terminal.Is(w.std.out)
	screen := newScreen(w.std, w.watch || live)
	defer screen.close()
	keys, err := w.keyboard(live)
	if err != nil {
		return err
	}
	var pressed <-chan byte
	if keys != nil {
		defer keys.Close()
		screen.raw, pressed = true, keys.Pressed
	}
	var shown *overview
	paused, trouble := false, ""
	for wait := time.After(lookEvery); ; {
		select {
		case <-ctx.Done():
			return nil
		case key := <-pressed:
			if key == 'q' || key == terminal.KeyInterrupt {
				return nil
			}
			if key == 'p' {
				paused = !paused
			}
			if by, ok := sortKeys[key]; ok {
				w.sort = by
			}
		case <-wait:
			wait = time.After(w.every)
			if paused {
				continue
			}
			now, err := w.see(ctx, link, pages)
			if ctx.Err() != nil {
				return nil
			}
			switch {
			case err == nil:
				shown, last, trouble = overviewOf(last, now), now, ""
			case !live || shown == nil:
				return err
			default: // it may come back; what was seen last stays
				trouble = "NO ANSWER, what is shown is old: " + terminal.Visible(err.Error())
			}
		}
		if shown == nil {
			continue
		}
		if w.form.json() {
			return printJSON(w.std.out, shown.object(w.rows, w.sort))
		}
		lines := shown.lines(w.rows, w.sort, w.colours())
		if trouble != "" {
			lines = append(lines, trouble)
		}
		if keys != nil {
			lines = append(lines, keysLine(w.sort, paused))
		}
		screen.draw(lines)
		if !live && !w.watch {
			return nil
		}
	}
}

func (w *top) keyboard(live bool) (*terminal.Keyboard, error) {
	if !live {
		return nil, nil
	}
	return terminal.OpenKeyboard(w.std.in)
}

func keysLine(by string, paused bool) string {
	text := fmt.Sprintf("sorted by %s; keys: r rate  d depth  w wait  s stuck  m messages   p pause   q end", by)
	if paused {
		return "PAUSED (p goes on); " + text
	}
	return text
}

// pages reads the pages of a node's HTTP port, as the caller may.
func (w *top) pages() (*http.Client, error) {
	secure, err := w.to.secure()
	if err != nil || secure == nil {
		return http.DefaultClient, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}, nil
}

// sight is the cluster and the node's actors at one moment.
type sight struct {
	glance
	cluster  messages.ClusterStatusResult
	members  []messages.Member
	executor messages.ExecutorStatus
	breakers []messages.BreakerInfo
	market   messages.MarketStateResult
	figures  show.Figures // nil where the node's metrics could not be read
}

// see asks for all of it.
func (w *top) see(ctx context.Context, link *client.Client, pages *http.Client) (*sight, error) {
	ctx, cancel := context.WithTimeout(ctx, w.to.timeout)
	defer cancel()
	seen, err := w.look(ctx, link)
	if err != nil {
		return nil, err
	}
	s := &sight{glance: *seen}
	local := messages.Options{Consistency: messages.Local}
	if err := link.Call(ctx, messages.MethodClusterStatus, &messages.NoParams{Options: local}, &s.cluster); err != nil {
		return nil, err
	}
	var members messages.ClusterMembersResult
	if err := link.Call(ctx, messages.MethodClusterMembers, &messages.NoParams{Options: local}, &members); err != nil {
		return nil, err
	}
	s.members = members.Members
	var breakers messages.BreakersResult
	open := &messages.BreakersParams{Page: messages.Page{Limit: breakersShown + 1}, NotClosed: true}
	if err := link.Call(ctx, messages.MethodSupervisionBreakers, open, &breakers); err != nil {
		return nil, err
	}
	s.breakers = breakers.Breakers
	market := &messages.MarketStateParams{Options: local, Page: messages.Page{Limit: 1}}
	if err := link.Call(ctx, messages.MethodMarketState, market, &s.market); err != nil {
		return nil, err
	}
	s.executor = askExecutor(ctx, link)
	for i := range s.members {
		if m := &s.members[i]; m.Name == s.node && m.HTTP != "" {
			scheme := "http://"
			if pages != http.DefaultClient {
				scheme = "https://"
			}
			s.figures, _ = show.ReadFigures(ctx, pages, scheme+m.HTTP+"/metrics") // top shows what it may see
		}
	}
	return s, nil
}

// breakersShown is how many breakers that are not closed are named.
const breakersShown = 3

// overview is a sight with what has changed since the one before.
type overview struct {
	*sight
	frame
	commits              float64       // a second
	commitP50, commitP99 time.Duration // -1 where nothing was committed
}

func overviewOf(then, now *sight) *overview {
	o := &overview{sight: now, frame: frame{node: now.node, actors: now.actors, rates: rates(&then.glance, &now.glance)}}
	const commit = "bursar_journal_commit_seconds"
	o.commitP50, o.commitP99 = quantile(0.5, commit, then.figures, now.figures), quantile(0.99, commit, then.figures, now.figures)
	if elapsed := now.at.Sub(then.at).Seconds(); elapsed > 0 {
		o.commits = max(0, now.figures["bursar_journal_txns_total"]-then.figures["bursar_journal_txns_total"]) / elapsed
	}
	return o
}

// quantile is of what a histogram of classic buckets has taken in between two scrapes: the
// bound of the bucket in which it lies; -1 if that was nothing.
func quantile(q float64, family string, then, now show.Figures) time.Duration {
	type bucket struct{ bound, count float64 }
	var buckets []bucket
	prefix := family + `_bucket{le="`
	for series, count := range now {
		rest, ok := strings.CutPrefix(series, prefix)
		if !ok {
			continue
		}
		bound, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
		if err == nil {
			buckets = append(buckets, bucket{bound, count - then[series]})
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	if len(buckets) == 0 || buckets[len(buckets)-1].count <= 0 {
		return -1
	}
	all := buckets[len(buckets)-1].count
	for i, b := range buckets {
		if b.count >= q*all {
			if math.IsInf(b.bound, 1) && i > 0 {
				b.bound = buckets[i-1].bound
			}
			return time.Duration(b.bound * float64(time.Second))
		}
	}
	return -1
}

// busiest are so many actors in an order, the first of them first.
func (o *overview) busiest(n int, by string) []actorRow {
	rows := make([]actorRow, len(o.frame.actors))
	for i := range o.frame.actors {
		a := &o.frame.actors[i]
		rows[i] = actorRow{a.Path, a, o.rates[a.Path], a.Messages}
	}
	first := map[string]func(a, b actorRow) int{
		sortRate:   func(actorRow, actorRow) int { return 0 },
		"depth":    func(a, b actorRow) int { return cmp.Compare(b.actor.MailboxDepth, a.actor.MailboxDepth) },
		"wait":     func(a, b actorRow) int { return cmp.Compare(b.actor.OldestMS, a.actor.OldestMS) },
		"stuck":    func(a, b actorRow) int { return cmp.Compare(b.actor.StalledMS, a.actor.StalledMS) },
		"messages": func(a, b actorRow) int { return cmp.Compare(b.messages, a.messages) },
	}[by]
	slices.SortStableFunc(rows, func(a, b actorRow) int {
		return cmp.Or(first(a, b), cmp.Compare(b.rate, a.rate), cmp.Compare(b.actor.MailboxDepth, a.actor.MailboxDepth), cmp.Compare(b.messages, a.messages))
	})
	return rows[:min(n, len(rows))]
}

// lines draws it.
func (o *overview) lines(rows int, by string, colours bool) []string {
	lines := []string{o.clusterLine(), o.commitLine()}
	var table strings.Builder
	membersTable(o.members).Print(&table)
	lines = append(lines, strings.Split(strings.TrimRight(table.String(), "\n"), "\n")...)
	lines = append(lines, o.moneyLine(), o.energyLine())
	stuck := 0
	for i := range o.frame.actors {
		if o.frame.actors[i].StalledMS > 0 {
			stuck++
		}
	}
	title := fmt.Sprintf("%s: the first of %s by %s", o.sight.node, terminal.Plural(len(o.frame.actors), "actor"), by)
	if stuck > 0 {
		title += fmt.Sprintf("; %d STUCK in a message", stuck)
	}
	return append(lines, actorLines(title, o.busiest(rows, by), colours)...)
}

func (o *overview) clusterLine() string {
	c := &o.cluster
	leads := "nobody leads"
	if c.Leader != "" {
		leads = c.Leader + " leads"
	}
	how := "ready"
	if !c.Ready {
		how = "NOT ready: " + c.Reason
	}
	return fmt.Sprintf("%s is %s; %s, term %d; %d of %d voters are up, %d more may fail; epoch %s",
		c.Node, how, leads, c.Term, c.VotersUp, c.Voters, c.MayFail, terminal.Group(uint64(c.Epoch)))
}

func (o *overview) commitLine() string {
	switch {
	case o.figures == nil:
		return "commits: the node's metrics cannot be read"
	case o.commitP50 < 0:
		return "commits: none"
	}
	return fmt.Sprintf("commits: half within %s, 99 of 100 within %s; %s changes/s",
		o.commitP50.Round(10*time.Microsecond), o.commitP99.Round(10*time.Microsecond), perSecond(o.commits))
}

func (o *overview) moneyLine() string {
	line := "executor: "
	switch e := &o.executor; {
	case e.Unknown != "":
		line += "unknown: " + terminal.Shorten(terminal.Visible(e.Unknown), 60)
	case e.Node == "":
		line += "no node pays"
	default:
		line += fmt.Sprintf("%s, breaker %s, %s due, %d in flight", e.Node, e.Breaker, terminal.Group(e.Due), e.Staged)
	}
	if len(o.breakers) == 0 {
		return line + "; breakers: all closed"
	}
	var names []string
	for _, b := range o.breakers[:min(breakersShown, len(o.breakers))] {
		names = append(names, b.Path+" "+b.State)
	}
	if len(o.breakers) > breakersShown {
		names = append(names, "and more")
	}
	return line + "; breakers: " + strings.Join(names, ", ")
}

func (o *overview) energyLine() string {
	m := &o.market
	if m.ProvidersCount == 0 {
		return "energy: no providers"
	}
	return fmt.Sprintf("energy: %d of %d oracles active, %s kWh in the last hour at %s, %s",
		m.OraclesActive, m.ProvidersCount, terminal.Group(m.Volume), terminal.Group(uint64(m.Price)), terminal.Plural(int(m.DisputesPending), "open dispute"))
}

// object is it for programs.
func (o *overview) object(rows int, by string) object {
	busiest := frame{node: o.sight.node, rates: o.rates}
	for _, row := range o.busiest(rows, by) {
		busiest.actors = append(busiest.actors, *row.actor)
	}
	breakers := make([]object, len(o.breakers))
	for i := range o.breakers {
		breakers[i] = object{{"path", o.breakers[i].Path}, {"state", o.breakers[i].State}}
	}
	commit := object{{"per_second", math.Round(o.commits*10) / 10}}
	if o.commitP50 >= 0 {
		commit = append(commit, fact{"p50_seconds", o.commitP50.Seconds()}, fact{"p99_seconds", o.commitP99.Seconds()})
	}
	return object{
		{"node", o.sight.node}, {"ready", o.cluster.Ready}, {"leader", o.cluster.Leader}, {"term", o.cluster.Term}, {"epoch", uint64(o.cluster.Epoch)},
		{"members", memberFacts(o.members)}, {"executor", executorFacts(o.executor)}, {"breakers", breakers}, {"commit", commit},
		{"energy", object{
			{"providers", o.market.ProvidersCount}, {"oracles_active", o.market.OraclesActive}, {"price", uint64(o.market.Price)},
			{"volume_kwh", o.market.Volume}, {"disputes_pending", o.market.DisputesPending},
		}},
		{"actors", busiest.list()},
	}
}
