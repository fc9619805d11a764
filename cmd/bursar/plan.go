package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

// plan submits a file of disbursements that depend on one another.
func (s *submission) plan(ctx context.Context, name string, absent messages.Disbursement) error {
	text, err := s.load(name)
	if err != nil {
		return err
	}
	p, err := payfile.ReadPlan(name, text, absent)
	if err != nil {
		return usageError{s.cyclesFile(name, err)}
	}
	s.tell(name, p.Notes)
	sum := p.Sum()
	if err := s.tellSum(name, sum, p.Misspelt()); err != nil {
		return err
	}
	if s.checkOnly {
		return printFacts(s.std.out, s.form, name+" is sound; nothing was submitted", []fact{
			{"items", len(p.Items)}, {"total", sum.Amount()}, {"dependencies", p.Edges()}, {"parts", len(p.Parts)},
		})
	}
	if err := s.confirmSum(name, sum); err != nil {
		return err
	}
	nodes := s.to.connect()
	defer nodes.Close()
	bar := terminal.NewBar(s.std.err, len(p.Items))
	start := time.Now()
	outcome, failure := p.Submit(ctx, nodes, cmp.Or(s.batchName, filepath.Base(name)), s.cfg.RetryFor, func(o *payfile.Outcome) {
		bar.Show(o.Done(), o.Line())
	})
	bar.End(outcome.Done(), outcome.Line())
	if err := s.reportPlan(name, p, outcome, time.Since(start)); err != nil {
		return err
	}
	return failure
}

// cyclesFile writes cycles that are too long to be told whole into a file, and says where.
func (s *submission) cyclesFile(name string, err error) error {
	var faults *payfile.Faults
	if !errors.As(err, &faults) || len(faults.Cycles) == 0 {
		return fmt.Errorf("%s: %w", name, err)
	}
	file, fileErr := os.CreateTemp("", "bursar-cycles-*.txt")
	if fileErr != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer file.Close()
	for _, refs := range faults.Cycles {
		if _, fileErr = fmt.Fprintln(file, strings.Join(refs, "\n")+"\n"); fileErr != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Errorf("%s: %w\nwhole: %s", name, err, file.Name())
}

// planIDsShown is how many ids are printed for people.
const planIDsShown = 100

func (s *submission) reportPlan(name string, p *payfile.Plan, o *payfile.Outcome, took time.Duration) error {
	if s.form.json() {
		ids := make(map[string]messages.DisbursementID, o.Done())
		for i, id := range o.IDs {
			if id != 0 {
				ids[p.Items[i].Ref] = id
			}
		}
		return printJSON(s.std.out, object{
			{"items", len(p.Items)}, {"parts", len(p.Parts)}, {"new", o.Fresh}, {"duplicates", o.Duplicates},
			{"ids", ids}, {"seconds", took.Seconds()},
		})
	}
	fmt.Fprintf(s.std.out, "%s: %s in %s: %s, in %s\n", name, terminal.Plural(len(p.Items), "item"),
		terminal.Plural(len(p.Parts), "part"), o.Line(), took.Round(time.Millisecond))
	printPlanIDs(s.std.out, p.Items, o)
	return nil
}

func printPlanIDs(w io.Writer, items []messages.PlanItem, o *payfile.Outcome) {
	rows := terminal.Table{{"ref", "id"}}
	for i, id := range o.IDs {
		if len(rows) > planIDsShown {
			break
		}
		if id != 0 {
			rows = append(rows, []string{items[i].Ref, strconv.FormatUint(uint64(id), 10)})
		}
	}
	if len(rows) > 1 {
		rows.Print(w)
	}
	if more := o.Done() - (len(rows) - 1); more > 0 {
		fmt.Fprintf(w, "  ... and %s more; --output json lists all\n", terminal.Group(uint64(more)))
	}
}
