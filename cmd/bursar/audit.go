package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/audit/receipt"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

func newAudit(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "audit",
		Short: "Take the audit out of the cluster, and check it without any node",
		Long: `Every change by a person, every move of money and every automatic trip is a row of the audit. The rows add up to
the root of a Merkle tree, which is the same on every node; a checkpoint is its size and root, signed by a node.`,
		Example: `  bursar audit checkpoint > today.note
  bursar audit export --out audit.jsonl --since today.note
  bursar audit verify audit.jsonl --key 'bursar/...'`,
	}
	command.AddCommand(newAuditCheckpoint(std), newAuditExport(std), newAuditVerify(std))
	return command
}

func newAuditCheckpoint(std streams) *cobra.Command {
	var to target
	var form format
	command := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print a checkpoint, signed by the node",
		Long: `Prints what the audit adds up to: a signed note with the number of its rows and the root of their tree. Who keeps
it can tell later, from any node's proof, whether a row was changed or removed. The key that it is signed with goes to
standard error: keep it where no node can change it.`,
		Example: `  bursar audit checkpoint > today.note
  bursar audit checkpoint --output json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			var c messages.CheckpointResult
			if err := link.Call(ctx, messages.MethodCheckpoint, &messages.CheckpointParams{}, &c); err != nil {
				return err
			}
			if form.json() {
				return printJSON(std.out, object{{"note", c.Note}, {"key", c.Key}, {"node", c.Node}, {"size", c.Size}, {"root", receipt.Hex(c.Root)}})
			}
			fmt.Fprint(std.out, c.Note)
			fmt.Fprintf(std.err, "signed by %s with the key %s\n", c.Node, c.Key)
			return nil
		},
	}
	to.flags(command)
	form.flag(command)
	return command
}

func newAuditExport(std streams) *cobra.Command {
	var to target
	var out, since string
	command := &cobra.Command{
		Use:   "export",
		Short: "Write all rows of the audit into a file that proves itself",
		Long: `Writes one line of JSON for each row of the audit, oldest first, behind a line with a checkpoint that they add up
to. Of a row that was written anew since there is the hash alone; the newer row tells all that it did. The
file is checked before the command ends, also against the file of --since.`,
		Example: `  bursar audit export --out audit.jsonl
  bursar audit export --out today.jsonl --since yesterday.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("--out: name the file")
			}
			older, err := checkpointIn(since)
			if err != nil {
				return err
			}
			link := to.connect()
			defer link.Close()
			if err := exportAudit(cmd.Context(), std, link, &to, out); err != nil {
				return err
			}
			return verifyExport(std, "text", out, nil, older)
		},
	}
	to.flags(command)
	command.Flags().StringVar(&out, "out", "", "the file")
	sinceFlag(command, &since)
	return command
}

// exportAudit writes the rows page by page. They are of one size of the tree, however it grows.
func exportAudit(ctx context.Context, std streams, link *client.Client, to *target, out string) (err error) {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, w.Flush(), file.Close()) }()
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	p := &messages.AuditParams{Page: messages.Page{Limit: messages.LimitMax}, Order: messages.OldestFirst, Leaves: true}
	var bar *terminal.Bar
	for done := 0; ; {
		page, err := auditPage(ctx, link, to, p)
		if err != nil {
			return err
		}
		if bar == nil {
			p.ProofFor = page.Size
			bar = terminal.NewBar(std.err, int(page.Size))
			if err := lines.Encode(receipt.Head{Format: receipt.ExportFormat, Note: page.Note, Key: page.Key}); err != nil {
				return err
			}
		}
		for i := range page.Rows {
			row := receiptRow(&page.Rows[i])
			row.Proof = nil // all rows together are the proof
			if err := lines.Encode(row); err != nil {
				return err
			}
		}
		done += len(page.Rows)
		bar.Show(done, exportWork)
		if page.NextCursor == 0 || p.ProofFor == 0 {
			bar.End(done, exportWork)
			return nil
		}
		p.Cursor = page.NextCursor
	}
}

const exportWork = "rows exported"

func auditPage(ctx context.Context, link *client.Client, to *target, p *messages.AuditParams) (*messages.AuditResult, error) {
	ctx, cancel := context.WithTimeout(ctx, to.timeout)
	defer cancel()
	page := &messages.AuditResult{}
	return page, link.Call(ctx, messages.MethodAudit, p, page)
}

func newAuditVerify(std streams) *cobra.Command {
	var keys []string
	var since string
	var form format
	command := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a receipt or an export of the audit, without any node",
		Long: `Checks the file of 'bursar receipt' or 'bursar audit export': that its checkpoint is signed with one of the keys given,
that each of its rows is in the tree of that checkpoint, and with --since that this tree extends an older one. No
node is asked. The first thing that does not hold is named, and the exit code is 1.

Without --key the file's own key is believed: then the file is whole, but anybody may have made it. Get the
keys once, from each node, with 'bursar audit checkpoint', and keep them.`,
		Example: `  bursar audit verify receipt-17.json --key 'bursar/...'
  bursar audit verify audit.jsonl --key KEY1 --key KEY2 --since january.note`,
		Args: exactlyOneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			older, err := checkpointIn(since)
			if err != nil {
				return err
			}
			if r, err := readReceipt(args[0]); err != nil {
				return err
			} else if r != nil {
				return verifyReceipt(std, form, r, keys, older)
			}
			return verifyExport(std, form, args[0], keys, older)
		},
	}
	command.Flags().StringArrayVar(&keys, "key", nil, "key of a node, as 'bursar audit checkpoint' tells it; may be given several times")
	sinceFlag(command, &since)
	form.flag(command)
	return command
}

// readReceipt reads a receipt's file; nil for one of another kind.
func readReceipt(path string) (*receipt.Receipt, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	r := &receipt.Receipt{}
	if err := json.NewDecoder(io.LimitReader(file, receiptMax)).Decode(r); err != nil {
		return nil, fmt.Errorf("%s is neither a receipt nor an export: %w", path, err)
	}
	if r.Format == receipt.ExportFormat {
		return nil, nil
	}
	return r, nil
}

// receiptMax is longer than any receipt.
const receiptMax = 64 << 20

func verifyReceipt(std streams, form format, r *receipt.Receipt, keys []string, older string) error {
	warnOwnKey(std, keys)
	p, err := r.Check(keys)
	if err != nil {
		return err
	}
	if older != "" {
		held, err := receipt.ReadCheckpoint(older) // Check has judged who signed it
		if err != nil {
			return fmt.Errorf("the older checkpoint: %w", err)
		}
		if p.Since == nil || *p.Since != held {
			return errors.New("the receipt has no proof from that checkpoint; make it with 'bursar receipt ID --since FILE'")
		}
	}
	return printFacts(std.out, form, "the receipt holds", provenFacts(p, r.Key))
}

func verifyExport(std streams, form format, path string, keys []string, older string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	e, err := receipt.CheckExport(file, keys, older)
	if err != nil {
		return err
	}
	warnOwnKey(std, keys)
	facts := append([]fact{{"rows_in_full", e.Whole}}, checkpointFacts(&e.Checkpoint, e.Since, e.Key)...)
	return printFacts(std.out, form, "the export holds", facts)
}

// warnOwnKey says that a file was checked with the key that it names itself.
func warnOwnKey(std streams, keys []string) {
	if len(keys) == 0 {
		fmt.Fprintln(std.err, "no --key: the key is the file's own, so anybody may have made the file; compare it with the nodes'")
	}
}
