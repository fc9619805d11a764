package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/audit/receipt"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

func newReceipt(std streams) *cobra.Command {
	var to target
	var out, since string
	command := &cobra.Command{
		Use:   "receipt ID",
		Short: "Write the receipt of one payment: a file that proves it without any node",
		Long: `Writes one payment as a file: its record with votes and transitions, the signed calls that moved it, and the
proof that all of them are rows of the cluster's audit, up to a checkpoint that the node has signed.

'bursar audit verify' checks the file, and so does the Python program of docs/how-to/check-a-receipt.md, on any
machine, without asking a node. With --since it proves as well that this audit has all rows of an older receipt's or
checkpoint's first: that nobody has changed or removed one since.`,
		Example: `  bursar receipt 17
  bursar receipt 17 --out grant-17.json --since grant-3.json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usagef("%q is no id of a disbursement", args[0])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			r, err := fetchReceipt(ctx, link, messages.DisbursementID(id), since)
			if err != nil {
				return err
			}
			p, err := r.Check(nil)
			if err != nil {
				return fmt.Errorf("what the node answered does not hold: %w", err)
			}
			if out == "" {
				out = fmt.Sprintf("receipt-%d.json", id)
			}
			if out == "-" {
				return printJSON(std.out, r)
			}
			if err := writeJSON(out, r); err != nil {
				return err
			}
			return printFacts(std.out, "text", out, provenFacts(p, r.Key))
		},
	}
	to.flags(command)
	command.Flags().StringVar(&out, "out", "", "the file, - for standard output (default receipt-ID.json)")
	sinceFlag(command, &since)
	return command
}

func sinceFlag(command *cobra.Command, since *string) {
	command.Flags().StringVar(since, "since", "", "file of an older receipt, export or checkpoint that this must extend")
}

func writeJSON(path string, value any) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := printJSON(file, value); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// checkpointIn gives the note of a receipt's, an export's or a checkpoint's file, "" for no file.
func checkpointIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	in := bufio.NewReader(file)
	if first, err := in.Peek(1); err != nil || first[0] != '{' {
		text, err := io.ReadAll(io.LimitReader(in, noteMax))
		return string(text), err
	}
	var held struct {
		Note string `json:"note"`
	}
	if err := json.NewDecoder(in).Decode(&held); err != nil || held.Note == "" {
		return "", fmt.Errorf("%s holds no receipt, export or checkpoint", path)
	}
	return held.Note, nil
}

// noteMax is longer than any note.
const noteMax = 64 << 10

// fetchReceipt asks a node for everything about one payment.
func fetchReceipt(ctx context.Context, link *client.Client, id messages.DisbursementID, since string) (*receipt.Receipt, error) {
	older, err := checkpointIn(since)
	if err != nil {
		return nil, err
	}
	r := &receipt.Receipt{Format: receipt.Format, Disbursement: uint64(id)}
	p := &messages.AuditParams{Page: messages.Page{Limit: messages.LimitMax}, ID: id, Leaves: true}
	if older != "" {
		checkpoint, err := receipt.ReadCheckpoint(older)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", since, err)
		}
		p.Since = checkpoint.Size
		r.Since = &receipt.Since{Note: older}
	}
	for {
		var page messages.AuditResult
		if err := link.Call(ctx, messages.MethodAudit, p, &page); err != nil {
			return nil, err
		}
		if p.ProofFor == 0 { // the pages after the first are for the same tree
			p.ProofFor, r.Note, r.Key = page.Size, page.Note, page.Key
			if r.Since != nil {
				r.Since.Proof = hexes(page.Since)
			}
		}
		for i := range page.Rows {
			r.Rows = append(r.Rows, receiptRow(&page.Rows[i]))
		}
		if page.NextCursor == 0 {
			break
		}
		p.Since, p.Cursor = 0, page.NextCursor
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("the audit has no rows of disbursement %d", id)
	}
	return r, operatorsOf(ctx, link, r)
}

func receiptRow(row *messages.AuditRow) receipt.Row {
	return receipt.Row{
		Number: row.ID, LeafHash: row.LeafHash, Leaf: row.Leaf, Proof: hexes(row.Proof),
		What: row.What, Who: row.Who, Detail: row.Detail,
	}
}

func hexes(list [][]byte) []receipt.Hex {
	out := make([]receipt.Hex, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// operatorsOf adds the keys of those who have signed calls in a receipt.
func operatorsOf(ctx context.Context, link *client.Client, r *receipt.Receipt) error {
	if !slices.ContainsFunc(r.Rows, func(row receipt.Row) bool { return row.What == "call" }) {
		return nil
	}
	r.Operators = make(map[string]receipt.Hex)
	for p := (messages.PageParams{Page: messages.Page{Limit: messages.LimitMax}}); ; {
		var page messages.OperatorsResult
		if err := link.Call(ctx, messages.MethodOperatorsList, &p, &page); err != nil {
			return err
		}
		for i := range page.Operators {
			o := &page.Operators[i]
			if slices.ContainsFunc(r.Rows, func(row receipt.Row) bool { return row.Who == o.Name }) {
				r.Operators[o.Name] = receipt.Hex(o.Key[:])
			}
		}
		if page.NextCursor == 0 {
			return nil
		}
		p.Cursor = page.NextCursor
	}
}

// provenFacts tells what a receipt proves.
func provenFacts(p *receipt.Proven, key string) []fact {
	d := &p.Record.Payload.Disbursement
	facts := []fact{
		{"disbursement", uint64(p.ID)}, {"state", p.Record.State.String()}, {"amount", uint64(d.Amount)},
		{"destination", d.Destination}, {"memo", d.Memo},
	}
	if p.Record.TxHash != (disbursement.Hash{}) {
		facts = append(facts, fact{"tx_hash", hex.EncodeToString(p.Record.TxHash[:])})
	}
	for _, t := range p.Record.Transitions {
		facts = append(facts, fact{t.State.String(), fmt.Sprintf("%s at entry %d, by %s", text(unixTime(t.At)), t.Index, t.Node)})
	}
	var votes, calls []string
	for i := range p.Votes {
		votes = append(votes, p.Votes[i].String())
	}
	for _, c := range p.Calls {
		signed := c.Path + " signed by " + c.Who
		if !c.Checked {
			signed += " (the key is not in the file)"
		}
		if len(c.ApprovedBy) > 0 {
			signed += ", approved by " + strings.Join(c.ApprovedBy, ", ")
		}
		calls = append(calls, signed)
	}
	facts = append(facts, fact{"votes", strings.Join(votes, "; ")}, fact{"calls", strings.Join(calls, "; ")}, fact{"row", p.Number})
	return append(facts, checkpointFacts(&p.Checkpoint, p.Since, key)...)
}

func checkpointFacts(c, since *receipt.Checkpoint, key string) []fact {
	facts := []fact{{"audit", c.Origin}, {"rows", c.Size}, {"root", c.Root.String()}}
	if since != nil {
		facts = append(facts, fact{"extends", fmt.Sprintf("the checkpoint of %d rows", since.Size)})
	}
	return append(facts, fact{"signed_with", key})
}
