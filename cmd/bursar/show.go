package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

func newShow(std streams) *cobra.Command {
	var to target
	var form format
	command := &cobra.Command{
		Use:   "show ID",
		Short: "Show a disbursement: how it came there, who voted, and why it is not paid yet",
		Long: `Shows one disbursement: what it pays, where it stands and everything it still waits for, every step of
its life, and every vote that was cast, also those that a later one of the same voter took the place
of. With --output json it is the answer of gov.treasury.statement.`,
		Example: `  bursar show 17
  bursar show 17 --output json`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			if form.json() {
				answer, err := link.CallJSON(ctx, messages.MethodStatement, fmt.Appendf(nil, `{"id": %d}`, ids[0]))
				if err != nil {
					return err
				}
				return printAnswer(std.out, answer)
			}
			s, err := statement(ctx, link, ids[0])
			if err != nil {
				return err
			}
			return showStatement(std.out, s, time.Now())
		},
	}
	to.flags(command)
	form.flag(command)
	return command
}

// statement asks for a statement with the votes of all its pages.
func statement(ctx context.Context, link *client.Client, id messages.DisbursementID) (*messages.StatementResult, error) {
	var whole *messages.StatementResult
	for params := (messages.StatementParams{ID: id}); ; {
		page := new(messages.StatementResult)
		if err := link.Call(ctx, messages.MethodStatement, &params, page); err != nil {
			return nil, err
		}
		if whole == nil {
			whole = page
		} else {
			whole.Votes = append(whole.Votes, page.Votes...)
		}
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			whole.NextCursor = 0
			return whole, nil
		}
	}
}

// showStatement prints a statement for people.
func showStatement(w io.Writer, s *messages.StatementResult, now time.Time) error {
	d := &s.Disbursement
	facts := []fact{{"pays", fmt.Sprintf("%s to %s", terminal.Group(uint64(d.Amount)), d.Destination)}}
	if p := d.Proposal; p != nil {
		facts = append(facts, fact{"proposal", p.Title})
	}
	facts = append(facts,
		fact{"memo", d.Memo}, fact{"depends_on", dependencies(s.Deps)}, fact{"due_from", fmt.Sprintf("epoch %d", d.ScheduledEpoch)})
	for _, of := range []fact{{"transaction", d.Status.TxHash}, {"paid_before_by", d.Status.PriorTx}, {"reason", d.Status.Reason}} {
		if of.value != "" {
			facts = append(facts, of)
		}
	}
	title := fmt.Sprintf("disbursement %d is %s", d.ID, strings.ReplaceAll(d.Status.State.String(), "_", " "))
	if err := printFacts(w, "text", title, facts); err != nil {
		return err
	}
	for i := range s.WaitingFor {
		fmt.Fprintf(w, "  waits for %s\n", terminal.Visible(s.WaitingFor[i].Text(now)))
	}
	steps := terminal.Table{{"when", "epoch", "state", "node", "log entry", ""}}
	for _, t := range s.Transitions {
		steps = append(steps, []string{text(unixTime(t.At)), terminal.Group(uint64(t.Epoch)), t.To, t.Node, terminal.Group(t.Index), t.Reason})
	}
	steps.Print(w)
	if len(s.Votes) > 0 {
		votesTable(s.Votes).Print(w)
	}
	return nil
}

// votesTable lists votes, oldest first.
func votesTable(votes []messages.CastVote) terminal.Table {
	table := terminal.Table{{"voted", "house", "voter", "weight", "", "sent by", ""}}
	for i := range votes {
		v := &votes[i]
		when, choice, note := "", "against", v.Reason
		if v.At != 0 {
			when = text(unixTime(v.At))
		}
		if v.Approve {
			choice = "for"
		}
		if v.Replaced {
			note = strings.TrimSpace("replaced by a later one. " + note)
		}
		weight := strconv.FormatFloat(float64(v.WeightPPM)/10_000, 'f', -1, 64) + " %"
		table = append(table, []string{when, v.House.String(), v.Voter, weight, choice, v.Who, note})
	}
	return table
}
