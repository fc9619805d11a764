package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cmd/internal/draw"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// drawnMax is how many disbursements a picture holds; more cannot be taken in.
const drawnMax = 500

// hopsDefault is how far a picture around one disbursement reaches.
const hopsDefault = 3

// picture is what to draw of the graph.
type picture struct {
	*graphQuery
	svg    string
	dot    bool
	around uint64
	hops   int
}

func (p *picture) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&p.svg, "svg", "", "draw it into this SVG file; - is standard output")
	flags.BoolVar(&p.dot, "dot", false, "print it as DOT for Graphviz")
	uintVar(flags, &p.around, "around", "", 0, "draw the surroundings of this disbursement only")
	intVar(flags, &p.hops, "hops", hopsDefault, "how many steps the surroundings reach")
}

func (p *picture) asked() bool { return p.svg != "" || p.dot || p.around != 0 }

// draw makes the picture.
func (p *picture) draw(ctx context.Context, link *client.Client) error {
	switch {
	case p.svg != "" && p.dot:
		return usagef("--svg and --dot: choose one")
	case p.svg == "" && !p.dot:
		return usagef("--around is for a picture: add --svg FILE or --dot")
	case p.hops < 0:
		return usagef("--hops: %d is negative", p.hops)
	}
	scene, err := p.scene(ctx, link)
	if err != nil {
		return err
	}
	var drawn []byte
	if p.dot {
		drawn = draw.DOT(nil, scene)
	} else {
		drawn = draw.SVG(nil, scene)
	}
	if p.dot || p.svg == "-" {
		_, err := p.std.out.Write(drawn)
		return err
	}
	if err := os.WriteFile(p.svg, drawn, 0o644); err != nil {
		return err
	}
	return printFacts(p.std.out, p.form, fmt.Sprintf("%s: %s", p.svg, scene.Title), []fact{
		{"file", p.svg}, {"disbursements", len(scene.Nodes)},
	})
}

// scene chooses what is in the picture.
func (p *picture) scene(ctx context.Context, link *client.Client) (*draw.Graph, error) {
	var size messages.GraphResult
	if err := link.Call(ctx, messages.MethodGraph, &messages.NoParams{}, &size); err != nil {
		return nil, err
	}
	switch {
	case p.around != 0:
		return p.surroundings(ctx, link, messages.DisbursementID(p.around))
	case size.Nodes > drawnMax:
		return nil, fmt.Errorf("the graph has %s disbursements, a picture holds %d: choose its middle with --around ID, and its reach with --hops",
			terminal.Group(size.Nodes), drawnMax)
	case size.Nodes == 0:
		return nil, errors.New("there is nothing to draw yet: no disbursement was submitted")
	}
	ids, err := allIDs(ctx, link)
	if err != nil {
		return nil, err
	}
	rows, err := fetchRows(ctx, link, ids)
	if err != nil {
		return nil, err
	}
	scene := &draw.Graph{
		Title:    terminal.Plural(len(rows), "disbursement"),
		Subtitle: fmt.Sprintf("%s dependencies, at index %s of the log", terminal.Group(size.Edges), terminal.Group(size.AppliedIndex)),
	}
	for _, row := range rows {
		scene.Nodes = append(scene.Nodes, drawnNode(row))
	}
	return scene, nil
}

// allIDs lists every disbursement, the oldest first.
func allIDs(ctx context.Context, link *client.Client) ([]messages.DisbursementID, error) {
	var ids []messages.DisbursementID
	for cursor := messages.Cursor(0); ; {
		var result messages.DisbursementsResult
		params := &messages.DisbursementsParams{Page: messages.Page{Cursor: cursor, Limit: messages.LimitMax}}
		if err := link.Call(ctx, messages.MethodDisbursements, params, &result); err != nil {
			return nil, err
		}
		for _, row := range result.Disbursements {
			ids = append(ids, row.Disbursement.ID)
		}
		if cursor = result.NextCursor; cursor == 0 {
			slices.Reverse(ids)
			return ids, nil
		}
	}
}

// surroundings walks from one disbursement in both directions, breadth first, until
// the picture is full.
func (p *picture) surroundings(ctx context.Context, link *client.Client, id messages.DisbursementID) (*draw.Graph, error) {
	found := map[messages.DisbursementID]*neighbour{}
	level := []messages.DisbursementID{id}
	full := false
	for hop := 0; len(level) > 0; hop++ {
		met, err := fetchNeighbours(ctx, link, level)
		if err != nil {
			return nil, err
		}
		for _, n := range met {
			found[n.row.Disbursement.ID] = n
		}
		if hop == p.hops {
			break
		}
		if level = nextLevel(found, met); len(found)+len(level) > drawnMax {
			level, full = level[:drawnMax-len(found)], true
		}
	}
	scene := &draw.Graph{Title: fmt.Sprintf("Disbursement %d and its surroundings", id)}
	scene.Subtitle = fmt.Sprintf("%s in reach: --hops %d", terminal.Plural(len(found), "disbursement"), p.hops)
	if full {
		scene.Subtitle += fmt.Sprintf("; cut at %d", drawnMax)
	}
	for _, n := range found {
		node := drawnNode(n.row)
		node.Focus = node.ID == id
		for _, dependent := range n.dependents {
			if found[dependent] == nil {
				node.Hidden++
			}
		}
		scene.Nodes = append(scene.Nodes, node)
	}
	slices.SortFunc(scene.Nodes, func(a, b draw.Node) int { return int(a.ID) - int(b.ID) })
	return scene, nil
}

// neighbour is a disbursement and what waits for it.
type neighbour struct {
	row        *messages.GetDisbursementResult
	dependents []messages.DisbursementID
}

// nextLevel lists who is next to those just met and not found yet, ascending.
func nextLevel(found map[messages.DisbursementID]*neighbour, met []*neighbour) []messages.DisbursementID {
	var next []messages.DisbursementID
	for _, n := range met {
		for _, id := range slices.Concat(n.row.Deps, n.dependents) {
			if found[id] == nil {
				next = append(next, id)
			}
		}
	}
	slices.Sort(next)
	return slices.Compact(next)
}

func fetchNeighbours(ctx context.Context, link *client.Client, ids []messages.DisbursementID) ([]*neighbour, error) {
	rows, err := fetchRows(ctx, link, ids)
	if err != nil {
		return nil, err
	}
	met := make([]*neighbour, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchesMax)
	for i, row := range rows {
		group.Go(func() error {
			var result messages.IDsResult
			// More dependents than a picture holds need not be known by id.
			params := &messages.DependentsParams{ID: row.Disbursement.ID, Page: messages.Page{Limit: messages.LimitMax}}
			err := link.Call(ctx, messages.MethodDependents, params, &result)
			met[i] = &neighbour{row: row, dependents: result.IDs}
			return err
		})
	}
	return met, group.Wait()
}

// tipMemoMax is how much of a memo the text beside a box tells, in characters.
const tipMemoMax = 300

func drawnNode(row *messages.GetDisbursementResult) draw.Node {
	d := &row.Disbursement
	label := d.Memo
	if d.Proposal != nil {
		label = d.Proposal.Title
	}
	tip := []string{
		fmt.Sprintf("#%d %s", d.ID, d.Status.State),
		fmt.Sprintf("%s to %s", terminal.Group(uint64(d.Amount)), d.Destination),
		fmt.Sprintf("due from epoch %d", d.ScheduledEpoch),
	}
	if len(row.Deps) > 0 {
		tip = append(tip, "depends on "+someIDs{ids: row.Deps}.String())
	}
	for i := range row.WaitingFor {
		tip = append(tip, "waits for "+terminal.Visible(row.WaitingFor[i].Text(time.Now())))
	}
	if d.Status.Reason != "" {
		tip = append(tip, "rolled back: "+terminal.Visible(d.Status.Reason))
	}
	if label != "" {
		tip = append(tip, terminal.Shorten(label, tipMemoMax))
	}
	return draw.Node{
		ID: d.ID, State: d.Status.State, Amount: d.Amount, Deps: row.Deps,
		Label: terminal.Visible(disbursement.Note(label)), Tip: terminal.VisibleLines(strings.Join(tip, "\n")),
	}
}
