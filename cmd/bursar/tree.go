package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// watcher is the tree command as its flags describe it, and of the top command what both have.
type watcher struct {
	std   streams
	to    target
	form  format
	path  string
	depth uint64
	watch bool
	every time.Duration
}

func newTree(std streams) *cobra.Command {
	w := &watcher{std: std}
	command := &cobra.Command{
		Use:   "tree [PATH]",
		Short: "Show a node's actors, who supervises whom and how they are",
		Long: `Shows the live actors of the node that answers: parents before their children, and of each the
state of its breaker, the messages that wait and how long the oldest has waited, how long it has been
stuck in the message in hand, messages a second (measured over half a second) and how often it was restarted. Brothers without children that are
idle and healthy share one line, unless --all is given. PATH shows the part of the tree below it.

--watch draws it anew in place, as far as the terminal's height allows, until Ctrl-C; in a pipe it
prints one tree after the other.`,
		Example: `  bursar tree
  bursar tree /treasury --depth 1
  bursar tree --watch
  bursar tree /treasury/shard-05 --output json`,
		Args: atMost(1),
	}
	var all bool
	command.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			w.path = args[0]
		}
		return w.run(cmd.Context(), func(f *frame) []string { return treeLines(f, !all, w.colours()) })
	}
	w.flags(command)
	uintVar(command.Flags(), &w.depth, "depth", "", 0, "how many levels below PATH to show; 0 is all")
	command.Flags().BoolVar(&all, "all", false, "a line for each actor, idle or not")
	return command
}

// lookEvery is the time between two looks from which rates are taken, where the
// figures are shown once.
const lookEvery = 500 * time.Millisecond

func (w *watcher) flags(command *cobra.Command) {
	w.to.flags(command)
	w.form.flag(command)
	command.Flags().BoolVar(&w.watch, "watch", false, "again and again until Ctrl-C")
	command.Flags().DurationVar(&w.every, "every", time.Second, "how often, where it goes on")
}

func (w *watcher) colours() bool { return terminal.Is(w.std.out) }

// frame is the actors at one moment, with their rates since the one before.
type frame struct {
	node   string
	actors []messages.ActorInfo
	rates  map[string]float64 // messages a second, by path
}

func (w *watcher) validate() error {
	switch {
	case w.every < 50*time.Millisecond:
		return usagef("--every: %s is too short; want 50ms at least", w.every)
	case w.watch && w.form.json():
		return usagef("--watch is for people; without it --output json gives one tree")
	}
	return nil
}

func (w *watcher) run(ctx context.Context, lines func(*frame) []string) error {
	if err := w.validate(); err != nil {
		return err
	}
	link := w.to.connect()
	defer link.Close()
	last, err := w.look(ctx, link)
	if err != nil {
		return err
	}
	screen := newScreen(w.std, w.watch)
	defer screen.close()
	for pause := lookEvery; localcluster.Wait(ctx, pause); pause = w.every {
		now, err := w.look(ctx, link)
		if ctx.Err() != nil {
			return nil // told to end
		}
		if err != nil {
			return err
		}
		f := &frame{node: now.node, actors: now.actors, rates: rates(last, now)}
		if w.form.json() {
			return printJSON(w.std.out, f.object())
		}
		screen.draw(lines(f))
		if !w.watch {
			return nil
		}
		last = now
	}
	return nil
}

// glance is the actors as they were at a moment.
type glance struct {
	at     time.Time
	node   string
	actors []messages.ActorInfo
}

// look asks for the whole part of the tree, page after page.
func (w *watcher) look(ctx context.Context, link *client.Client) (*glance, error) {
	ctx, cancel := context.WithTimeout(ctx, w.to.timeout)
	defer cancel()
	g := &glance{}
	for cursor := messages.Cursor(0); ; {
		var result messages.ActorsTreeResult
		params := &messages.TreeParams{
			Page: messages.Page{Cursor: cursor, Limit: messages.LimitMax}, Path: w.path, Depth: w.depth,
		}
		if err := link.Call(ctx, messages.MethodActorsTree, params, &result); err != nil {
			return nil, err
		}
		g.node, g.actors = result.Node, append(g.actors, result.Actors...)
		if cursor = result.NextCursor; cursor == 0 {
			g.at = time.Now()
			return g, nil
		}
	}
}

// rates are the messages a second of each actor that was there both times.
func rates(then, now *glance) map[string]float64 {
	known := make(map[string]uint64, len(then.actors))
	for i := range then.actors {
		known[then.actors[i].Path] = then.actors[i].Messages
	}
	rates := make(map[string]float64, len(now.actors))
	elapsed := now.at.Sub(then.at).Seconds()
	for i := range now.actors {
		a := &now.actors[i]
		if before, was := known[a.Path]; was && a.Messages >= before && elapsed > 0 {
			rates[a.Path] = float64(a.Messages-before) / elapsed
		}
	}
	return rates
}

func (f *frame) object() object { return object{{"node", f.node}, {"actors", f.list()}} }

// list has the actors for programs.
func (f *frame) list() []object {
	actors := make([]object, len(f.actors))
	for i := range f.actors {
		a := &f.actors[i]
		actors[i] = object{
			{"path", a.Path}, {"kind", a.Kind}, {"state", a.State}, {"breaker", a.Breaker}, {"children", a.Children},
			{"mailbox_depth", a.MailboxDepth}, {"oldest_ms", a.OldestMS}, {"stalled_ms", a.StalledMS}, {"messages", a.Messages},
			{"messages_per_second", math.Round(f.rates[a.Path]*10) / 10}, {"restarts", a.Restarts}, {"failures", a.Failures},
		}
	}
	return actors
}

// actorRow is one line of a tree: an actor, or several brothers that are alike.
type actorRow struct {
	name     string
	actor    *messages.ActorInfo
	rate     float64
	messages uint64 // of all of them
}

// treeLines draws a tree. Alike brothers share a line if they may.
func treeLines(f *frame, fold, colours bool) []string {
	children := make(map[string][]*messages.ActorInfo)
	for i := range f.actors[1:] {
		a := &f.actors[1+i]
		children[path.Dir(a.Path)] = append(children[path.Dir(a.Path)], a)
	}
	root := &f.actors[0]
	rows := []actorRow{{root.Path, root, f.rates[root.Path], root.Messages}}
	var walk func(parent *messages.ActorInfo, indent string)
	walk = func(parent *messages.ActorInfo, indent string) {
		families := brothers(children[parent.Path], f.rates, fold)
		for i, alike := range families {
			branch, below := "├─ ", "│  "
			if i == len(families)-1 {
				branch, below = "└─ ", "   "
			}
			first, last := alike[0], alike[len(alike)-1]
			name := path.Base(first.Path)
			if len(alike) > 1 {
				name = fmt.Sprintf("%s … %s (%d alike)", name, path.Base(last.Path), len(alike))
			} else if shown := len(children[first.Path]); uint64(shown) < first.Children {
				name += fmt.Sprintf(" (%d of %s below shown)", shown, terminal.Group(first.Children))
			}
			row := actorRow{name: indent + branch + name, actor: first, rate: f.rates[first.Path]}
			for _, a := range alike {
				row.messages += a.Messages
			}
			rows = append(rows, row)
			walk(first, indent+below)
		}
	}
	walk(root, "")
	return actorLines(f.node+": "+terminal.Plural(len(f.actors), "actor"), rows, colours)
}

// brothers groups neighbours that are alike: childless, idle and healthy, of one kind.
func brothers(list []*messages.ActorInfo, rates map[string]float64, fold bool) [][]*messages.ActorInfo {
	idle := func(a *messages.ActorInfo) bool {
		return fold && a.Children == 0 && a.StalledMS == 0 && a.MailboxDepth == 0 && a.Restarts == 0 && a.Failures == 0 &&
			rates[a.Path] == 0 && a.State == "running" && (a.Breaker == "" || a.Breaker == "closed")
	}
	var groups [][]*messages.ActorInfo
	for i, a := range list {
		if i > 0 && idle(a) && idle(list[i-1]) && a.Kind == list[i-1].Kind {
			groups[len(groups)-1] = append(groups[len(groups)-1], a)
			continue
		}
		groups = append(groups, []*messages.ActorInfo{a})
	}
	return groups
}

// actorLines writes the rows below the names of their columns.
func actorLines(title string, rows []actorRow, colours bool) []string {
	cells := terminal.Table{{"actor", "breaker", "waiting", "oldest", "stuck", "msg/s", "messages", "restarts"}}
	for _, row := range rows {
		a := row.actor
		cells = append(cells, []string{
			row.name, cmp.Or(a.Breaker, "-"), terminal.Group(a.MailboxDepth), milliseconds(a.OldestMS), milliseconds(a.StalledMS), perSecond(row.rate),
			terminal.Group(row.messages), terminal.Group(a.Restarts),
		})
	}
	var text strings.Builder
	cells.Print(&text)
	lines := append([]string{title}, strings.Split(strings.TrimRight(text.String(), "\n"), "\n")...)
	if colours {
		lines[1] = dim + lines[1] + plain
		for i, row := range rows {
			lines[2+i] = coloured(lines[2+i], row)
		}
	}
	return lines
}

func milliseconds(ms uint64) string {
	if ms == 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func perSecond(rate float64) string {
	if rate == 0 {
		return "-"
	}
	if rate < 10 {
		return strconv.FormatFloat(rate, 'f', 1, 64)
	}
	return terminal.Group(uint64(rate + 0.5))
}

// Colours of a terminal.
const (
	plain  = "\x1b[0m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

// coloured shows at a glance which lines want attention: a message in which an actor is
// stuck, the breaker's state, and restarts.
func coloured(line string, row actorRow) string {
	colour := map[string]string{"closed": green, "open": red, "forced_open": red, "half_open": yellow, "forced_closed": yellow}[row.actor.Breaker]
	if state := row.actor.Breaker; colour != "" {
		at := strings.LastIndex(line, "  "+state) + 2
		line = line[:at] + colour + state + plain + line[at+len(state):]
	}
	if row.actor.StalledMS > 0 {
		return red + line + plain
	}
	if row.actor.Restarts > 0 {
		at := strings.LastIndexByte(line, ' ') + 1
		line = line[:at] + yellow + line[at:] + plain
	}
	return line
}

// screen shows lines: when it watches on a terminal in place, cut to its size,
// otherwise one after the other.
type screen struct {
	std   streams
	live  bool
	raw   bool // the terminal is: a line feed does not return
	lines int
}

// A terminal's lines are cut at its edge, not wrapped, while a screen is drawn in
// place.
const (
	wrapOff = "\x1b[?7l"
	wrapOn  = "\x1b[?7h"
)

func newScreen(std streams, watch bool) *screen {
	s := &screen{std: std, live: watch && terminal.Is(std.out)}
	if s.live {
		fmt.Fprint(std.out, wrapOff)
	}
	return s
}

func (s *screen) close() {
	if s.live {
		fmt.Fprint(s.std.out, wrapOn)
	}
}

func (s *screen) draw(lines []string) {
	if s.live {
		lines = fit(lines, terminal.Height(s.std.out)-1)
		if s.lines > 0 {
			fmt.Fprintf(s.std.out, "\x1b[%dA\x1b[J", s.lines)
		}
		s.lines = len(lines)
	}
	end := "\n"
	if s.raw {
		end = "\r\n"
	}
	fmt.Fprint(s.std.out, strings.Join(lines, end)+end)
}

// fit cuts a list of lines to a height and says so.
func fit(lines []string, height int) []string {
	if len(lines) <= height {
		return lines
	}
	more := len(lines) - height + 1
	return append(slices.Clone(lines[:height-1]), fmt.Sprintf("… %d more lines: PATH, --depth or a taller window shows them", more))
}
