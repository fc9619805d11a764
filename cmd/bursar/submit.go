package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

func newSubmit(std streams) *cobra.Command {
	s := submission{std: std, cfg: batch.DefaultConfig()}
	var payment messages.Disbursement
	var planFile string
	command := &cobra.Command{
		Use:   "submit [FILE]",
		Short: "Submit one disbursement, or a file of them",
		Long: `Submits one disbursement given by flags, or every row of a file ("-" reads CSV from standard
input). Without a proposal it is the treasury's own payment: it needs an operator, and runs when
its epoch has come, its dependencies are final and the funds are there.

CSV files name their columns in the first line: destination and amount, and if you like memo,
scheduled_epoch (default 1: at once) and request_id. Columns may be separated by commas, semicolons
or tabs. Amounts are whole smallest units in digits. Files ending in .jsonl or .ndjson hold one
payload a line: {"disbursement": {"destination": ..., "amount": ...}, "proposal": {...}}. All of a
file is judged before any of it is sent; --check does no more than that and needs no node.

A file can be submitted again after whatever happened: rows that are in already are recognised
and counted as duplicates. They are recognised by their content and by the file's name, or by a
request_id of their own; a file of the same name with rows that shall be paid once more needs
another --batch name. So does standard input, whose name is "-".

Where the words of a memo look like dependencies and name none (depends_on = 1), the payment would wait
for nothing: it is told and asked for, and refused where nobody can answer, unless --yes says that it is
meant so. On a terminal much money (more than 1,000,000,000 together, or 1,000 payments) is asked for, too.

What went in is final. A row that was changed after it was paid, or that went in with a file of
another name, is told, and paid beside the old one only with --again. So that it is noticed, what
went in is remembered beside the file, in .bursar-submitted.jsonl.

Payments that wait for one another are a plan (--plan FILE). Rows name themselves in the column id
and what they wait for in the column parents, separated by spaces; JSON files hold {"items":
[{"ref", "payload", "after": [ref]}]}. Nothing is submitted unless the whole file is sound: a cycle
is told with its refs. A plan goes in by parts of up to 1,000 items, each all or nothing, in the
order of their dependencies; at the end it tells which ref has become which id. Run again, it
submits nothing twice.`,
		Example: `  bursar submit --destination tb1payee --amount 5000 --memo 'first payment'
  bursar submit --destination tb1payee --amount 70 --memo 'depends_on=1,2' --request-id march-70
  bursar submit payments.csv
  bursar submit payments.csv --check
  bursar submit payments.csv --batch salaries-2026-03 --ids salaries-ids.csv
  bursar submit --plan grants.csv --check
  bursar submit --plan grants.csv --output json
  jq -c .payments[] books.json > books.jsonl && bursar submit books.jsonl`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.cfg.InFlight < 1 || s.cfg.RetryFor <= 0 {
				return usagef("--in-flight %d and --retry-for %s must be positive", s.cfg.InFlight, s.cfg.RetryFor)
			}
			if cmd.Flags().Changed("batch") && s.batchName == "" {
				return usagef("--batch is empty; leave it out to name the batch after the file")
			}
			if cmd.Flags().Changed("plan") {
				if len(args) > 0 || s.requestID != "" {
					return usagef("a plan goes alone: neither a file beside it nor --request-id")
				}
				return s.plan(cmd.Context(), planFile, payment)
			}
			if len(args) == 0 {
				if s.checkOnly || s.again || s.idsFile != "" {
					return usagef("--check, --again and --ids are for a FILE")
				}
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
	flags.BoolVar(&s.checkOnly, "check", false, "judge the file and submit nothing; it needs no node")
	flags.BoolVar(&s.again, "again", false, "pay rows that are new or changed though the file, or another one, went in before")
	flags.BoolVarP(&s.yes, "yes", "y", false, "ask nothing, and take memos as they are")
	flags.StringVar(&s.idsFile, "ids", "", "file to write line,id into: which row has become which disbursement")
	flags.StringVar(&payment.Destination, "destination", "", "account to pay, beginning with tb1")
	uintVar(flags, &payment.Amount, "amount", "", 0, "amount in the smallest unit of BLOCK")
	flags.StringVar(&payment.Memo, "memo", "", "memo; it may hold dependencies: depends_on=1,2 or JSON")
	uintVar(flags, &payment.ScheduledEpoch, "epoch", "", 1, "epoch from which it may run")
	requestIDVar(flags, &s.requestID)
	flags.StringVar(&s.batchName, "batch", "", "what the rows belong to (default: the file's name)")
	intVar(flags, &s.cfg.InFlight, "in-flight", s.cfg.InFlight, "rows that wait for their answers at the same time")
	flags.DurationVar(&s.cfg.RetryFor, "retry-for", s.cfg.RetryFor, "how long to try a row again while the node cannot take it")
	return command
}

// dependencies are what a payment waits for.
type dependencies []messages.DisbursementID

// String is the list as people read it.
func (d dependencies) String() string {
	if len(d) == 0 {
		return "nothing"
	}
	return idList(d)
}

// MarshalJSON writes a list, even an empty one.
func (d dependencies) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]messages.DisbursementID{}, d...))
}

// submission is the submit command as its flags describe it.
type submission struct {
	std       streams
	to        target
	form      format
	cfg       batch.Config
	requestID string
	batchName string
	idsFile   string
	checkOnly bool
	again     bool // what went in before is no obstacle
	yes       bool // nothing is asked
}

// one submits a single disbursement.
func (s *submission) one(ctx context.Context, payload messages.Payload) error {
	deps, refusal := disbursement.Check(payload)
	if refusal != nil {
		return refusal
	}
	d := &payload.Disbursement
	if words := payfile.Misspelt(&payload, deps); words != "" {
		if err := s.settleMisspelt("--memo", []string{fmt.Sprintf("%q names no dependency", words)}); err != nil {
			return err
		}
	}
	if d.Amount > askTotal {
		if err := s.confirm(d.Destination, fmt.Sprintf("pay %s?", terminal.Group(uint64(d.Amount)))); err != nil {
			return err
		}
	}
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
		{"id", uint64(result.ID)}, {"created_at", unixTime(result.CreatedAt)}, {"duplicate", result.Duplicate}, {"depends_on", dependencies(deps)},
	})
}

// file submits every row of a file and tells what became of them.
func (s *submission) file(ctx context.Context, name string) error {
	f, err := s.read(name)
	if err != nil {
		return err
	}
	sum := f.Sum()
	if err := s.tellSum(name, sum, f.Misspelt()); err != nil {
		return err
	}
	if s.checkOnly {
		return printFacts(s.std.out, s.form, name+" is sound; nothing was submitted", []fact{
			{"rows", len(f.Rows)}, {"total", sum.Amount()}, {"waiting", sum.Waiting},
		})
	}
	nodes := s.to.connect()
	defer nodes.Close()
	batchName := cmp.Or(s.batchName, filepath.Base(name))
	items := f.Items(batchName)
	memory, err := s.openMemory(ctx, name)
	if err != nil {
		return err
	}
	if memory != nil {
		defer memory.Close()
		doubts := memory.Doubts(batchName, f, items, s.batchName != "")
		if err := s.settleDoubts(ctx, nodes, name, len(f.Rows), doubts); err != nil {
			return err
		}
	}
	if err := s.confirmSum(name, sum); err != nil {
		return err
	}
	return s.send(ctx, nodes, memory, &sending{name: name, batch: batchName, file: f, items: items})
}

// sending is a file that is being sent.
type sending struct {
	name, batch string
	file        *payfile.File
	items       []batch.Item
	ids         []messages.DisbursementID // by place; 0 has none
	done        []bool
}

func (s *submission) send(ctx context.Context, nodes batch.Client, memory *payfile.Memory, f *sending) error {
	rows := f.file.Rows
	f.ids, f.done = make([]messages.DisbursementID, len(rows)), make([]bool, len(rows))
	if memory != nil {
		if err := memory.Begin(f.batch, f.items); err != nil && !s.again {
			return fmt.Errorf("%s: nothing was submitted, for it could not be remembered (%w); --again submits it all the same", f.name, err)
		}
	}
	count := &counts{rows: len(rows)}
	bar := terminal.NewBar(s.std.err, len(rows))
	start := time.Now()
	failure := batch.Submit(ctx, nodes, f.items, s.cfg, func(i int, o batch.Outcome) {
		count.add(rows[i].Line, o)
		f.ids[i], f.done[i] = o.ID, true
		if memory != nil && o.Refused == nil {
			memory.Note(f.batch, &rows[i], f.items[i].RequestID, o.ID)
		}
		bar.Show(count.done(), count.line())
	})
	bar.End(count.done(), count.line())
	if memory != nil {
		if failure == nil {
			memory.End(f.batch)
		}
		if err := memory.Close(); err != nil {
			fmt.Fprintf(s.std.err, "bursar: what went in could not be remembered: %v\n", err)
		}
	}
	if err := errors.Join(s.report(f.name, count, time.Since(start)), s.writeIDs(f)); err != nil {
		return err
	}
	switch {
	case failure != nil:
		first := rows[slices.Index(f.done, false)].Line
		return fmt.Errorf("%s no outcome yet, the first in line %d; run the same command again: %w",
			have(len(rows)-count.done(), "row"), first, failure)
	case len(count.refused) > 0:
		return fmt.Errorf("%d of %s refused; mend them and run the same command again",
			len(count.refused), were(len(rows), "row"))
	default:
		return nil
	}
}

func have(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " has"
	}
	return terminal.Plural(n, thing) + " have"
}

func were(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " was"
	}
	return terminal.Plural(n, thing) + " were"
}

// read reads and judges a file.
func (s *submission) read(name string) (*payfile.File, error) {
	if filepath.Ext(name) == ".json" {
		return nil, usagef("%s: a JSON document is a plan, submitted with --plan; rows of JSON stand in a .jsonl file", name)
	}
	text, err := s.load(name)
	if err != nil {
		return nil, err
	}
	f, err := payfile.Read(name, text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", name, err)}
	}
	s.tell(name, f.Notes)
	return f, nil
}

// tell tells people how a file was read.
func (s *submission) tell(name string, notes []string) {
	for _, note := range notes {
		fmt.Fprintf(s.std.err, "%s: %s\n", name, note)
	}
}

// fileBytesMax is the largest file that is read.
const fileBytesMax = 1 << 30

// load reads a file, or standard input for "-".
func (s *submission) load(name string) ([]byte, error) {
	in := s.std.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, fileBytesMax+1))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", name, err)}
	}
	if len(text) > fileBytesMax {
		return nil, usagef("%s: it is larger than 1 GiB; cut it into parts", name)
	}
	return text, nil
}

// openMemory opens the memory of a file's directory. Without one, changed rows are not
// noticed: then there is none if that is said, and an error otherwise.
func (s *submission) openMemory(ctx context.Context, name string) (*payfile.Memory, error) {
	dir := "."
	if name != "-" {
		dir = filepath.Dir(name)
	}
	memory, err := payfile.OpenMemory(ctx, dir, func() {
		fmt.Fprintf(s.std.err, "%s: another submission from this directory is under way; waiting for its end\n", name)
	})
	switch {
	case err == nil:
		return memory, nil
	case ctx.Err() != nil:
		return nil, err
	case s.again:
		fmt.Fprintf(s.std.err, "bursar: rows that change after they were paid will not be noticed: %v\n", err)
		return nil, nil
	default:
		return nil, fmt.Errorf("%s: nothing was submitted, for what went in from this directory cannot be read or noted: %w; "+
			"mend that, or pay every row that the cluster does not know with --again", name, err)
	}
}

// doubtsTold is how many rows of each kind of doubt are told.
const doubtsTold = 20

// settleDoubts tells what a memory has against sending the file as it is, and is nil if it
// is to be sent all the same.
func (s *submission) settleDoubts(ctx context.Context, nodes batch.Client, name string, rows int, d *payfile.Doubts) error {
	if !d.Any() || !s.ours(ctx, nodes, d) {
		return nil
	}
	var told []string
	for i, c := range d.Changed {
		if i == doubtsTold {
			told = append(told, fmt.Sprintf("... and %d more rows were paid as something else", len(d.Changed)-i))
			break
		}
		told = append(told, fmt.Sprintf("line %d was paid as %d to %s (disbursement %d); this pays %d more",
			c.Line, c.Paid.Amount, c.Paid.Destination, c.Paid.ID, c.Amount))
	}
	if n := len(d.Again); n > 0 {
		told = append(told, fmt.Sprintf("%d of %s submitted before from %s", n, were(rows, "row"), d.Again[0].Paid.Batch))
	}
	if d.Unfinished {
		told = append(told, "its last run ended before every row had an outcome, and it has changed since: run it as it was first")
	}
	if n := len(d.Damaged); n > 0 {
		told = append(told, fmt.Sprintf("%s in %s cannot be read, the first is line %d: which rows they named is not known; mend or delete them",
			terminal.Plural(n, "line"), payfile.MemoryName, d.Damaged[0]))
	}
	for _, line := range told {
		fmt.Fprintf(s.std.err, "%s: %s\n", name, terminal.Visible(line))
	}
	if s.again || s.ask(name, "submit it all the same?") {
		return nil
	}
	return usagef("%s: nothing was submitted; what ran is final, and --again pays the new rows beside it (a column request_id says which rows are the same)", name)
}

// ours reports whether the rows of a memory are in the books of the cluster that is called:
// some may be of one that is gone.
func (s *submission) ours(ctx context.Context, nodes batch.Client, d *payfile.Doubts) bool {
	var paid []payfile.Paid
	for _, c := range d.Changed {
		paid = append(paid, c.Paid)
	}
	for _, a := range d.Again {
		paid = append(paid, a.Paid)
	}
	for _, p := range paid[:min(len(paid), doubtsTold)] {
		ctx, cancel := context.WithTimeout(ctx, s.to.timeout)
		var result messages.GetDisbursementResult
		err := nodes.Call(ctx, messages.MethodGetDisbursement, &messages.IDParams{ID: p.ID}, &result)
		cancel()
		if found := &result.Disbursement; err == nil && found.Destination == p.Destination && found.Amount == p.Amount {
			return true
		}
		if err != nil && !errors.Is(err, &messages.Error{Code: messages.CodeNotFound}) {
			return true // it cannot be told: better asked than paid
		}
	}
	return len(paid) == 0
}

// Sending more than this is asked for where somebody can answer.
const (
	askRows  = 1000
	askTotal = 1_000_000_000
)

// confirmSum asks before much is sent.
func (s *submission) confirmSum(name string, sum *payfile.Sum) error {
	if sum.Payments <= askRows && sum.AtMost(askTotal) {
		return nil
	}
	return s.confirm(name, fmt.Sprintf("submit %s, %s together?", terminal.Plural(sum.Payments, "payment"), sum.Amount()))
}

// confirm asks where somebody can answer.
func (s *submission) confirm(name, question string) error {
	if s.yes || !s.attended(name) || s.ask(name, question) {
		return nil
	}
	return usagef("%s: nothing was submitted", name)
}

// tellSum tells what a file was understood to say, and is nil if it is to be sent so.
func (s *submission) tellSum(name string, sum *payfile.Sum, misspelt []string) error {
	waiting := ""
	if sum.Waiting > 0 {
		waiting = fmt.Sprintf(", %d of them with dependencies", sum.Waiting)
	}
	fmt.Fprintf(s.std.err, "%s: %s, %s together%s\n", name, terminal.Plural(sum.Payments, "payment"), sum.Amount(), waiting)
	return s.settleMisspelt(name, misspelt)
}

// settleMisspelt tells what looks like dependencies and is none, and is nil if that is meant.
func (s *submission) settleMisspelt(name string, told []string) error {
	if len(told) == 0 {
		return nil
	}
	for i, line := range told {
		if i == doubtsTold {
			fmt.Fprintf(s.std.err, "%s: ... and %d more\n", name, len(told)-i)
			break
		}
		fmt.Fprintf(s.std.err, "%s: %s\n", name, terminal.Visible(line))
	}
	if s.yes || s.ask(name, "pay without waiting?") {
		return nil
	}
	return usagef("%s: nothing was submitted; a memo names dependencies as depends_on=1,2 and nothing before it, or as "+
		`{"depends_on": [1, 2]}; --yes takes it as it is`, name)
}

// attended reports whether somebody can answer a question.
func (s *submission) attended(name string) bool {
	in, ok := s.std.in.(io.Writer) // a terminal is both
	return ok && name != "-" && terminal.Is(in) && terminal.Is(s.std.err)
}

// ask asks a question, and takes everything but yes for no.
func (s *submission) ask(name, question string) bool {
	if !s.attended(name) {
		return false
	}
	fmt.Fprintf(s.std.err, "%s: %s [y/N] ", name, question)
	var answer string
	_, _ = fmt.Fscanln(s.std.in, &answer) // nothing is no
	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

// writeIDs writes which line has become which disbursement.
func (s *submission) writeIDs(f *sending) error {
	if s.idsFile == "" {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("line,id\n")
	for i, id := range f.ids {
		if id != 0 {
			fmt.Fprintf(&b, "%d,%d\n", f.file.Rows[i].Line, id)
		}
	}
	return os.WriteFile(s.idsFile, b.Bytes(), 0o644)
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
	fmt.Fprintf(s.std.out, "%s: %s: %s, in %s\n", name, terminal.Plural(c.rows, "row"), c.line(), took.Round(time.Millisecond))
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
