package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

func newCall(std streams) *cobra.Command {
	var to target
	var by signer
	command := &cobra.Command{
		Use:   "call METHOD [JSON]",
		Short: "Call any method of a node with parameters as JSON",
		Long: `Calls any method and prints its result as JSON. The parameters are one JSON object; "-" reads
it from standard input. They are checked before they are sent: a name that is not known, there twice or missing is told.
'bursar call rpc.discover' lists the methods with their parameters.

With --sign-with an operator signs the call (auth.call). One that needs more approvals answers the number it waits under, {pending,
have, need}; others approve it with approvals.approve.

An error is printed as {code, name, message, data} and the exit code is 1.`,
		Example: `  bursar call gov.treasury.balance
  bursar call gov.treasury.get_disbursement '{"id": 1}'
  bursar call gov.treasury.disbursements '{"status": "scheduled", "limit": 5}'
  bursar call gov.treasury.accrue '{"amount": 1000, "request_id": "march"}'
  bursar call gov.treasury.accrue '{"amount": 1000}' --sign-with ann.key --operator ann
  bursar call rpc.discover`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a METHOD; 'bursar call rpc.discover' lists them")
			}
			return atMost(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := callParams(std.in, args[1:])
			if err != nil {
				return err
			}
			signed, err := by.wanted(cmd)
			if err != nil {
				return err
			}
			if !signed {
				return call(cmd.Context(), std, to, nil, args[0], params)
			}
			return call(cmd.Context(), std, to, &by, args[0], params)
		},
	}
	to.flags(command)
	by.flags(command)
	return command
}

// callParams returns the JSON object of the arguments, an empty one if there is none.
func callParams(in io.Reader, args []string) ([]byte, error) {
	if len(args) == 0 {
		return []byte("{}"), nil
	}
	params := []byte(args[0])
	if args[0] == "-" {
		var err error
		if params, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	}
	params, err := payfile.Text(params)
	if err != nil {
		return nil, usagef("the parameters: %v", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(params, &object); err != nil || object == nil {
		return nil, usagef("the parameters are no JSON object: %q", params)
	}
	return params, nil
}

func call(ctx context.Context, std streams, to target, by *signer, method string, params []byte) error {
	if messages.MethodByName(method) == nil {
		if near, ok := messages.PublicTable().Nearest(method); ok {
			return usagef("no method %q; did you mean %s?", method, near)
		}
		return usagef("no method %q; 'bursar call rpc.discover' lists them", method)
	}
	warnOfSlips(std, method, params)
	ctx, cancel := context.WithTimeout(ctx, to.timeout)
	defer cancel()
	link := to.connect()
	defer link.Close()
	again := ""
	if by != nil {
		sealed, id, err := by.seal(ctx, link, method, params)
		if err != nil {
			return err
		}
		method, params = messages.MethodAuthCall, sealed
		again = fmt.Sprintf("; to make the same call again give \"request_id\": %q", id)
	}
	result, err := link.CallJSON(ctx, method, params)
	var refusal *messages.Error
	if errors.As(err, &refusal) {
		if err := printJSON(std.err, errorFacts(refusal)); err != nil {
			return err
		}
		return fmt.Errorf("%s was answered with %s%s", method, refusal.Code, again)
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, again)
	}
	return printAnswer(std.out, result)
}

// printAnswer prints a node's JSON with a field a line.
func printAnswer(w io.Writer, answer []byte) error {
	var indented bytes.Buffer
	if err := json.Indent(&indented, answer, "", "  "); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	_, err := fmt.Fprintln(w, visibleJSON(indented.String()))
	return err
}

// warnOfSlips tells of what a node takes without a word and may be a slip: a field that a
// reader passes over, a memo that looks like dependencies and names none.
func warnOfSlips(std streams, method string, text []byte) {
	m := messages.MethodByName(method)
	packed, err := wire.PackJSON(text)
	if err != nil {
		return // it is refused
	}
	params, refused := m.Decode(packed, messages.JSON)
	if refused != nil {
		return
	}
	warn := func(slip string) { fmt.Fprintf(std.err, "bursar: %s: %s\n", method, terminal.Visible(slip)) }
	switch params := params.(type) {
	case *messages.SubmitDisbursementParams:
		warnOfMemo(warn, &params.Payload)
	case *messages.PlanParams:
		for i := range params.Items {
			warnOfMemo(warn, &params.Items[i].Payload)
		}
	}
	if ignored := m.Ignored(packed, messages.JSON); !m.Mutates && ignored != nil {
		warn("it passes over " + ignored.Message)
	}
}

func warnOfMemo(warn func(string), p *messages.Payload) {
	if deps, refused := disbursement.Check(*p); refused == nil {
		if words := payfile.Misspelt(p, deps); words != "" {
			warn(fmt.Sprintf("%q in its memo names no dependency", words))
		}
	}
}

func errorFacts(e *messages.Error) object {
	facts := object{{"code", e.Code}, {"name", e.Code.String()}, {"message", e.Message}}
	if len(e.Data) > 0 {
		facts = append(facts, fact{"data", e.Data})
	}
	return facts
}
