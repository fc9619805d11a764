package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

func newSubmit(std streams) *cobra.Command {
	s := submission{std: std, cfg: batch.DefaultConfig()}
	var payment messages.Disbursement
	var planFile string
	var checkOnly bool
	command := &cobra.Command{
		Use:   "submit [FILE]",
		Short: "Submit one disbursement, or a file of them",
		Long: `Submits one disbursement given by flags, or every row of a file ("-" reads CSV from standard
input). Without a proposal it is the treasury's own payment: it needs an operator, and runs when
its epoch has come, its dependencies are final and the funds are there.

CSV files name their columns in the first line: destination and amount, and if you like memo and
scheduled_epoch (default 1: at once). Files ending in .jsonl or .ndjson hold one payload a line:
{"disbursement": {"destination": ..., "amount": ...}, "proposal": {...}}.

A file can be submitted again after whatever happened: rows that are in already are recognised
and counted as duplicates. They are recognised by their content and by the file's name; a file of
the same name with rows that shall be paid once more needs another --batch name. So does standard
input, whose name is "-".

Payments that wait for one another are a plan (--plan FILE). Rows name themselves in the column id
and what they wait for in the column parents, separated by spaces; JSON files hold {"items":
[{"ref", "payload", "after": [ref]}]}. Nothing is submitted unless the whole file is sound: a cycle
is told with its refs. A plan goes in by parts of up to 1,000 items, each all or nothing, in the
order of their dependencies; at the end it tells which ref has become which id. Run again, it
submits nothing twice. --check only judges it and needs no node.`,
		Example: `  bursar submit --destination tb1payee --amount 5000 --memo 'first payment'
  bursar submit --destination tb1payee --amount 70 --memo 'depends_on=1,2' --request-id march-70
  bursar submit payments.csv
  bursar submit payments.csv --batch salaries-2026-03
  bursar submit --plan grants.csv --check
  bursar submit --plan grants.csv --output json
  jq -c .payments[] books.json > books.jsonl && bursar submit books.jsonl`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.cfg.InFlight < 1 || s.cfg.Patience <= 0 {
				return usagef("--in-flight %d and --patience %s must be positive", s.cfg.InFlight, s.cfg.Patience)
			}
			if planFile != "" {
				if len(args) > 0 || s.requestID != "" {
					return usagef("a plan goes alone: neither a file beside it nor --request-id")
				}
				return s.plan(cmd.Context(), planFile, payment, checkOnly)
			}
			if checkOnly {
				return usagef("--check is for a --plan")
			}
			if len(args) == 0 {
				if payment.Destination == "" || !cmd.Flags().Changed("amount") {
					return usagef("name a file, or give --destination and --amount")
				}
				return s.one(cmd.Context(), messages.Payload{Disbursement: payment})
			}
			for _, flag := range []string{"destination", "amount", "memo", "epoch", "request-id"} {
				if cmd.Flags().Changed(flag) {
					return usagef("--%s is for a single disbursement and cannot go with a file", flag)
				}
			}
			return s.file(cmd.Context(), args[0])
		},
	}
	s.to.flags(command)
	s.form.flag(command)
	flags := command.Flags()
	flags.StringVar(&planFile, "plan", "", "file of disbursements that depend on one another; the flags of a payment\nstand in for what its rows do not name")
	flags.BoolVar(&checkOnly, "check", false, "judge the plan and submit nothing")
	flags.StringVar(&payment.Destination, "destination", "", "account to pay, beginning with tb1")
	flags.Uint64Var((*uint64)(&payment.Amount), "amount", 0, "amount in the smallest unit of BLOCK")
	flags.StringVar(&payment.Memo, "memo", "", "memo; it may hold dependencies: depends_on=1,2 or JSON")
	flags.Uint64Var((*uint64)(&payment.ScheduledEpoch), "epoch", 1, "epoch from which it may run")
	flags.StringVar(&s.requestID, "request-id", "", "makes a repeat harmless (default: a new one)")
	flags.StringVar(&s.batchName, "batch", "", "what the rows belong to (default: the file's name)")
	flags.IntVar(&s.cfg.InFlight, "in-flight", s.cfg.InFlight, "rows that wait for their answers at the same time")
	flags.DurationVar(&s.cfg.Patience, "patience", s.cfg.Patience, "how long to try a row again while the node cannot take it")
	return command
}

// submission is the submit command as its flags describe it.
type submission struct {
	std       streams
	to        target
	form      format
	cfg       batch.Config
	requestID string
	batchName string
}

// one submits a single disbursement.
func (s *submission) one(ctx context.Context, payload messages.Payload) error {
	ctx, cancel := context.WithTimeout(ctx, s.to.timeout)
	defer cancel()
	link := s.to.connect()
	defer link.Close()
	id := cmp.Or(s.requestID, "cli-"+rand.Text())
	params := &messages.SubmitDisbursementParams{Options: messages.Options{RequestID: id}, Payload: payload}
	var result messages.SubmitDisbursementResult
	err := link.Call(ctx, messages.MethodSubmitDisbursement, params, &result)
	if errors.Is(err, &messages.Error{Code: messages.CodeOutcomeUnknown}) {
		return fmt.Errorf("%w; repeat the command with --request-id %s to learn the outcome", err, id)
	}
	if err != nil {
		return err
	}
	title := fmt.Sprintf("disbursement %d is committed and on disk", result.ID)
	if result.Duplicate {
		title = fmt.Sprintf("disbursement %d was submitted before; nothing was done", result.ID)
	}
	return printFacts(s.std.out, s.form, title, []fact{
		{"id", uint64(result.ID)}, {"created_at", unixTime(result.CreatedAt)}, {"duplicate", result.Duplicate},
	})
}

// file submits every row of a file and tells what became of them.
func (s *submission) file(ctx context.Context, name string) error {
	in, err := s.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if filepath.Ext(name) == ".json" {
		return usagef("%s: a JSON document is a plan, submitted with --plan; rows of JSON stand in a .jsonl file", name)
	}
	rows, err := readRows(name, in)
	if err != nil {
		return usageError{err}
	}
	link := s.to.connect()
	defer link.Close()
	items := itemsOf(cmp.Or(s.batchName, filepath.Base(name)), rows)
	count := &counts{rows: len(rows)}
	bar := terminal.NewBar(s.std.err, len(rows))
	start := time.Now()
	err = batch.Submit(ctx, link, items, s.cfg, func(i int, o batch.Outcome) {
		count.add(rows[i].line, o)
		bar.Show(count.done(), count.line())
	})
	bar.End(count.done(), count.line())
	if err := s.report(name, count, time.Since(start)); err != nil {
		return err
	}
	switch {
	case err != nil:
		return fmt.Errorf("%d rows have no outcome yet; run the same command again: %w", len(rows)-count.done(), err)
	case len(count.refused) > 0:
		return fmt.Errorf("%d of %d rows were refused; mend them and run the same command again", len(count.refused), len(rows))
	default:
		return nil
	}
}

// open opens a file, or standard input for "-".
func (s *submission) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.std.in), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// counts is what became of a file's rows.
type counts struct {
	rows, fresh, duplicates int
	refused                 []refusal
}

// refusal is a row that was not taken.
type refusal struct {
	Line    int    `json:"line"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

func (c *counts) add(line int, o batch.Outcome) {
	switch {
	case o.Refused != nil:
		c.refused = append(c.refused, refusal{Line: line, Name: o.Refused.Code.String(), Message: o.Refused.Message})
	case o.Duplicate:
		c.duplicates++
	default:
		c.fresh++
	}
}

func (c *counts) done() int { return c.fresh + c.duplicates + len(c.refused) }

func (c *counts) line() string {
	return fmt.Sprintf("%d new, %d duplicates, %d refused", c.fresh, c.duplicates, len(c.refused))
}

// refusalsShown is how many refused rows are printed for people.
const refusalsShown = 20

func (s *submission) report(name string, c *counts, took time.Duration) error {
	slices.SortFunc(c.refused, func(a, b refusal) int { return cmp.Compare(a.Line, b.Line) })
	if s.form.json() {
		return printJSON(s.std.out, object{
			{"rows", c.rows}, {"new", c.fresh}, {"duplicates", c.duplicates},
			{"refused", append([]refusal{}, c.refused...)}, {"seconds", took.Seconds()},
		})
	}
	fmt.Fprintf(s.std.out, "%s: %d rows: %s, in %s\n", name, c.rows, c.line(), took.Round(time.Millisecond))
	printRefusals(s.std.out, c.refused)
	return nil
}

func printRefusals(w io.Writer, refused []refusal) {
	byName := make(map[string]int)
	for _, r := range refused {
		byName[r.Name]++
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		fmt.Fprintf(w, "  refused %s: %d\n", name, byName[name])
	}
	for i, r := range refused {
		if i == refusalsShown {
			fmt.Fprintf(w, "  ... and %d more; --output json lists all\n", len(refused)-i)
			return
		}
		fmt.Fprintf(w, "  line %d: %s: %s\n", r.Line, r.Name, r.Message)
	}
}
