package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// graphQuery is the graph command as its flags describe it.
type graphQuery struct {
	std   streams
	to    target
	form  format
	limit int
}

func newGraph(std streams) *cobra.Command {
	q := &graphQuery{std: std}
	p := picture{graphQuery: q}
	command := &cobra.Command{
		Use:   "graph",
		Short: "Show what waits for what, and draw it",
		Long: `Shows the dependency graph: alone its size, with a subcommand an answer about it, with --svg or
--dot a picture. A disbursement runs once everything it waits for is final; if one is rolled back,
everything that waits for it, directly or not, is rolled back too.

A picture holds up to 500 disbursements. Of a larger graph it shows the surroundings of one:
--around ID, as many steps in both directions as --hops says. In the SVG, money flows from left to
right, colours are states, and pointing at a box tells more; it suits light and dark pages alike.`,
		Example: `  bursar graph                                 how large it is, and what is ready
  bursar graph impact 17                       what fails if 17 does
  bursar graph critical-path                   the chain with the largest sum
  bursar graph --svg plan.svg                  a picture for a browser
  bursar graph --svg - --around 17 --hops 2 > 17.svg
  bursar graph --dot | dot -Tpng > plan.png    with Graphviz`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !p.asked() {
				if cmd.Flags().Changed("hops") {
					return usagef("--hops is for a picture: add --around ID and --svg FILE or --dot")
				}
				return q.run(cmd.Context(), q.summary)
			}
			return q.run(cmd.Context(), p.draw)
		},
	}
	q.flags(command)
	p.flags(command)
	command.AddCommand(
		q.sub(&cobra.Command{
			Use: "impact ID", Short: "What would fail if a disbursement did, and how much it is",
			Example: "  bursar graph impact 17\n  bursar graph impact 17 --limit 0 --output json",
			Args:    oneID,
		}, q.impact),
		q.dependentsCommand(),
		q.sub(&cobra.Command{
			Use: "critical-path [ID...]", Short: "The chain of dependencies with the largest amount",
			Long: `The chain of dependencies with the largest amount: of all disbursements, or among those given.`,
		}, q.criticalPath),
		q.sub(&cobra.Command{
			Use: "waves [ID...]", Short: "Which disbursements could be paid at the same time, wave after wave",
			Long: `Sorts disbursements into waves: the members of a wave wait for none of each other, only for
those of earlier waves. Of all disbursements, or of those given.`,
		}, q.waves),
		q.sub(&cobra.Command{
			Use: "order [ID...]", Short: "An order in which they can be paid: dependencies first, ties by id",
		}, q.order),
		q.sub(&cobra.Command{
			Use: "ready", Short: "Disbursements that wait for no other one and are not yet executed",
			Args: atMost(0),
		}, func(ctx context.Context, link *client.Client, _ []messages.DisbursementID) error {
			return q.ready(ctx, link)
		}),
	)
	for _, child := range command.Commands() {
		child.Args = asUsage(child.Args)
	}
	return command
}

// idsShown is how many ids an answer lists where nobody says.
const idsShown = 50

func (q *graphQuery) flags(command *cobra.Command) {
	q.to.flags(command)
	q.form.flag(command)
}

// sub completes a subcommand whose arguments are ids.
func (q *graphQuery) sub(
	command *cobra.Command, answer func(context.Context, *client.Client, []messages.DisbursementID) error,
) *cobra.Command {
	if command.Args == nil {
		command.Args = cobra.ArbitraryArgs
	}
	command.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		return q.run(cmd.Context(), func(ctx context.Context, link *client.Client) error { return answer(ctx, link, ids) })
	}
	q.flags(command)
	intVar(command.Flags(), &q.limit, "limit", idsShown, "how many disbursements to list; 0 is all")
	return command
}

func (q *graphQuery) dependentsCommand() *cobra.Command {
	var transitive bool
	command := q.sub(&cobra.Command{
		Use: "dependents ID", Short: "What waits for a disbursement, nearest first", Args: oneID,
	}, func(ctx context.Context, link *client.Client, ids []messages.DisbursementID) error {
		return q.dependents(ctx, link, ids[0], transitive)
	})
	command.Flags().BoolVar(&transitive, "transitive", false, "what waits for those too")
	return command
}

// oneID asks for exactly one argument in words.
func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give the ID of one disbursement; %d were given", len(args))
	}
	return nil
}

func parseIDs(args []string) ([]messages.DisbursementID, error) {
	ids := make([]messages.DisbursementID, len(args))
	for i, arg := range args {
		n, err := strconv.ParseUint(strings.TrimPrefix(arg, "#"), 10, 64)
		if err != nil || n == 0 {
			return nil, usagef("%q is no id of a disbursement", arg)
		}
		ids[i] = messages.DisbursementID(n)
	}
	return ids, nil
}

func (q *graphQuery) run(ctx context.Context, answer func(context.Context, *client.Client) error) error {
	if q.limit < 0 {
		return usagef("--limit: %d is negative", q.limit)
	}
	ctx, cancel := context.WithTimeout(ctx, q.to.timeout)
	defer cancel()
	link := q.to.connect()
	defer link.Close()
	err := answer(ctx, link)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no whole answer within %s; a longer --timeout, or a smaller --limit, helps: %w", q.to.timeout, err)
	}
	return err
}

// listing collects the pages of an answer.
type listing struct {
	ids   []messages.DisbursementID
	more  bool
	index uint64
}

// collect turns pages until there are limit ids or no more. A page answers with its
// ids and the cursor of the next one.
func (q *graphQuery) collect(page func(messages.Page) ([]messages.DisbursementID, messages.Cursor, uint64, error)) (listing, error) {
	var l listing
	for cursor := messages.Cursor(0); ; {
		want := uint64(messages.LimitMax)
		if q.limit > 0 {
			want = min(want, uint64(q.limit-len(l.ids)))
		}
		ids, next, index, err := page(messages.Page{Cursor: cursor, Limit: want})
		if err != nil {
			return listing{}, err
		}
		l.ids, l.index, cursor = append(l.ids, ids...), index, next
		if l.more = next != 0; !l.more || q.limit > 0 && len(l.ids) >= q.limit {
			return l, nil
		}
	}
}

func (q *graphQuery) summary(ctx context.Context, link *client.Client) error {
	var size messages.GraphResult
	if err := link.Call(ctx, messages.MethodGraph, &messages.NoParams{}, &size); err != nil {
		return err
	}
	var pending messages.HasPendingResult
	if err := link.Call(ctx, messages.MethodHasPending, &messages.HasPendingParams{}, &pending); err != nil {
		return err
	}
	q.limit = idsShown
	ready, err := q.readyIDs(ctx, link)
	if err != nil {
		return err
	}
	return printFacts(q.std.out, q.form, "the dependency graph", []fact{
		{"disbursements", size.Nodes}, {"dependencies", size.Edges}, {"some_wait", pending.HasPending},
		{"ready", namedIDs{someIDs{ready.ids, ready.more}}}, {"applied_index", size.AppliedIndex},
	})
}

// someIDs is the beginning of a list of ids.
type someIDs struct {
	ids  []messages.DisbursementID
	more bool
}

// String writes it for people.
func (l someIDs) String() string {
	words := make([]string, 0, len(l.ids))
	for _, id := range l.ids {
		words = append(words, strconv.FormatUint(uint64(id), 10))
	}
	if l.more {
		words = append(words, "...")
	}
	return cmp.Or(strings.Join(words, " "), "none")
}

// MarshalJSON writes the ids.
func (l someIDs) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]messages.DisbursementID{}, l.ids...))
}

// namedIDs are someIDs where a lone one would read as a count.
type namedIDs struct{ someIDs }

// String writes them for people.
func (l namedIDs) String() string {
	if len(l.ids) == 0 {
		return l.someIDs.String()
	}
	return l.someIDs.String() + " (ids)"
}

func (q *graphQuery) impact(ctx context.Context, link *client.Client, ids []messages.DisbursementID) error {
	var result messages.ImpactResult
	list, err := q.collect(func(p messages.Page) ([]messages.DisbursementID, messages.Cursor, uint64, error) {
		result = messages.ImpactResult{}
		err := link.Call(ctx, messages.MethodImpact, &messages.ImpactParams{Page: p, ID: ids[0]}, &result)
		return result.IDs, result.NextCursor, result.AppliedIndex, err
	})
	if err != nil {
		return err
	}
	if !q.form.json() {
		rows, err := fetchRows(ctx, link, ids)
		if err != nil {
			return err
		}
		if state := rows[0].Disbursement.Status.State; state == messages.Finalized {
			fmt.Fprintf(q.std.out, "%d is finalized and cannot fail any more: nothing fails with it\n", ids[0])
			return nil
		}
	}
	if result.Count == 0 && !q.form.json() {
		fmt.Fprintf(q.std.out, "nothing waits for %d: if it fails, it fails alone\n", ids[0])
		return nil
	}
	title := fmt.Sprintf("if %d fails, so do %s more, together over %s", ids[0], terminal.Group(result.Count), sumText(result.Amount, result.Capped))
	if result.Count == 1 {
		title = fmt.Sprintf("if %d fails, so does 1 more, over %s", ids[0], sumText(result.Amount, result.Capped))
	}
	return q.list(ctx, link, title, list, result.Count, fact{"count", result.Count}, fact{"amount", uint64(result.Amount)}, fact{"capped", result.Capped})
}

// sumText writes a sum that may have stopped at the largest amount.
func sumText(amount messages.Amount, capped bool) string {
	if capped {
		return "more than " + terminal.Group(uint64(amount))
	}
	return terminal.Group(uint64(amount))
}

func (q *graphQuery) dependents(ctx context.Context, link *client.Client, id messages.DisbursementID, transitive bool) error {
	list, err := q.ids(ctx, link, messages.MethodDependents, func(p messages.Page) messages.Params {
		return &messages.DependentsParams{Page: p, ID: id, Transitive: transitive}
	})
	if err != nil {
		return err
	}
	title := fmt.Sprintf("what waits for %d, directly", id)
	if transitive {
		title = fmt.Sprintf("what waits for %d, directly or not, nearest first", id)
	}
	return q.list(ctx, link, title, list, 0)
}

func (q *graphQuery) order(ctx context.Context, link *client.Client, ids []messages.DisbursementID) error {
	list, err := q.ids(ctx, link, messages.MethodOrder, func(p messages.Page) messages.Params {
		return &messages.SubsetParams{Page: p, IDs: ids}
	})
	if err != nil {
		return err
	}
	return q.list(ctx, link, "an order in which they can be paid", list, 0)
}

func (q *graphQuery) ready(ctx context.Context, link *client.Client) error {
	list, err := q.readyIDs(ctx, link)
	if err != nil {
		return err
	}
	return q.list(ctx, link, "ready: they wait for no other disbursement", list, 0)
}

func (q *graphQuery) readyIDs(ctx context.Context, link *client.Client) (listing, error) {
	return q.ids(ctx, link, messages.MethodReady, func(p messages.Page) messages.Params {
		return &messages.PageParams{Page: p}
	})
}

func (q *graphQuery) criticalPath(ctx context.Context, link *client.Client, ids []messages.DisbursementID) error {
	var result messages.CriticalPathResult
	list, err := q.collect(func(p messages.Page) ([]messages.DisbursementID, messages.Cursor, uint64, error) {
		result = messages.CriticalPathResult{}
		err := link.Call(ctx, messages.MethodCriticalPath, &messages.SubsetParams{Page: p, IDs: ids}, &result)
		return result.IDs, result.NextCursor, result.AppliedIndex, err
	})
	if err != nil {
		return err
	}
	title := "the chain with the largest sum: " + sumText(result.Amount, result.Capped)
	return q.list(ctx, link, title, list, 0, fact{"amount", uint64(result.Amount)}, fact{"capped", result.Capped})
}

// ids collects the answer of a method that answers with ids.
func (q *graphQuery) ids(
	ctx context.Context, link *client.Client, method string, params func(messages.Page) messages.Params,
) (listing, error) {
	return q.collect(func(p messages.Page) ([]messages.DisbursementID, messages.Cursor, uint64, error) {
		var result messages.IDsResult
		err := link.Call(ctx, method, params(p), &result)
		return result.IDs, result.NextCursor, result.AppliedIndex, err
	})
}

// list prints an answer: for people with what each disbursement is. Total is how many
// there are in all, 0 if nobody knows.
func (q *graphQuery) list(ctx context.Context, link *client.Client, title string, l listing, total uint64, facts ...fact) error {
	if q.form.json() {
		return printJSON(q.std.out, object(slices.Concat(facts, []fact{
			{"ids", someIDs{ids: l.ids}}, {"more", l.more}, {"applied_index", l.index},
		})))
	}
	rows, err := fetchRows(ctx, link, l.ids)
	if err != nil {
		return err
	}
	fmt.Fprintln(q.std.out, title)
	if len(rows) == 0 {
		fmt.Fprintln(q.std.out, "  none")
		return nil
	}
	lines := terminal.Table{{"id", "state", "amount", "destination", "waits for", "memo"}}
	for _, row := range rows {
		lines = append(lines, rowCells(row))
	}
	lines.Print(q.std.out)
	switch {
	case l.more && total > 0:
		fmt.Fprintf(q.std.out, "  ... and %s more; --limit 0 lists all\n", terminal.Group(total-uint64(len(rows))))
	case l.more:
		fmt.Fprintln(q.std.out, "  ... and more; --limit 0 lists all")
	}
	return nil
}

// The longest texts in a table for people, in characters.
const (
	destinationShown = 24
	memoShown        = 40
	depsShown        = 4
)

func rowCells(row *messages.GetDisbursementResult) []string {
	d := &row.Disbursement
	return []string{
		strconv.FormatUint(uint64(d.ID), 10), d.Status.State.String(), terminal.Group(uint64(d.Amount)),
		terminal.Shorten(d.Destination, destinationShown), waitsFor(row), terminal.Shorten(d.Memo, memoShown),
	}
}

// waitsFor tells in few words why a disbursement is not paid yet: those that come first by
// their ids, then what else; a statement has the figures.
func waitsFor(row *messages.GetDisbursementResult) string {
	var reasons []string
	for i := range row.WaitingFor {
		switch w := &row.WaitingFor[i]; w.What {
		case messages.WaitsForDependencies:
			ids := someIDs{ids: w.IDs[:min(len(w.IDs), depsShown)], more: len(w.IDs) > depsShown}
			reasons = slices.Insert(reasons, 0, ids.String())
		case messages.WaitsForEpoch:
			reasons = append(reasons, fmt.Sprintf("epoch %d", w.Epoch))
		default:
			reasons = append(reasons, w.What.String())
		}
	}
	return cmp.Or(strings.Join(slices.Compact(reasons), ", "), "-")
}

// fetchesMax is how many disbursements are asked for at the same time.
const fetchesMax = 32

// fetchRows asks for each of the disbursements.
func fetchRows(ctx context.Context, link *client.Client, ids []messages.DisbursementID) ([]*messages.GetDisbursementResult, error) {
	rows := make([]*messages.GetDisbursementResult, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchesMax)
	for i, id := range ids {
		group.Go(func() error {
			rows[i] = new(messages.GetDisbursementResult)
			return link.Call(ctx, messages.MethodGetDisbursement, &messages.IDParams{ID: id}, rows[i])
		})
	}
	return rows, group.Wait()
}

func (q *graphQuery) waves(ctx context.Context, link *client.Client, ids []messages.DisbursementID) error {
	var waves [][]messages.DisbursementID
	list, err := q.collect(func(p messages.Page) ([]messages.DisbursementID, messages.Cursor, uint64, error) {
		var result messages.WavesResult
		err := link.Call(ctx, messages.MethodWaves, &messages.SubsetParams{Page: p, IDs: ids}, &result)
		waves = joinWaves(waves, &result)
		var all []messages.DisbursementID
		for _, wave := range result.Waves {
			all = append(all, wave...)
		}
		return all, result.NextCursor, result.AppliedIndex, err
	})
	if err != nil {
		return err
	}
	if q.form.json() {
		return printJSON(q.std.out, object{
			{"waves", append([][]messages.DisbursementID{}, waves...)}, {"more", list.more}, {"applied_index", list.index},
		})
	}
	fmt.Fprintln(q.std.out, "waves: each waits only for those before it")
	if len(waves) == 0 {
		fmt.Fprintln(q.std.out, "  none")
		return nil
	}
	lines := terminal.Table{{"wave", "size", "disbursements"}}
	for i, wave := range waves {
		shown := someIDs{ids: wave[:min(len(wave), idsShown)], more: len(wave) > idsShown}
		lines = append(lines, []string{strconv.Itoa(i + 1), strconv.Itoa(len(wave)), shown.String()})
	}
	lines.Print(q.std.out)
	if list.more {
		fmt.Fprintln(q.std.out, "  ... and more; --limit 0 lists all")
	}
	return nil
}

// joinWaves adds a page of waves, whose first one may go on with the last one known.
func joinWaves(waves [][]messages.DisbursementID, page *messages.WavesResult) [][]messages.DisbursementID {
	for i, wave := range page.Waves {
		if number := int(page.FirstWave) + i; number < len(waves) {
			waves[number] = append(waves[number], wave...)
		} else {
			waves = append(waves, wave)
		}
	}
	return waves
}
