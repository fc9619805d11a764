package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that cannot be carried out as it is written.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// written is the first error of writing to the outputs: what nobody could read was not said.
func (s streams) written() error {
	for name, out := range map[string]io.Writer{"standard output": s.out, "standard error": s.err} {
		if checked, ok := out.(*terminal.Checked); ok && checked.Err() != nil {
			return fmt.Errorf("%s: %w", name, checked.Err())
		}
	}
	return nil
}

// exitError is a failure with an exit code of its own.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// run carries out one command line and returns its exit code.
func run(ctx context.Context, std streams, args []string) int {
	root := newRoot(std)
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = std.written()
	}
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		fmt.Fprintf(std.err, "bursar: %s\n", terminal.VisibleLines(err.Error()))
		return exit.code
	case errors.As(err, &usage):
		fmt.Fprintf(std.err, "bursar: %s\nSee '%s --help'.\n", terminal.VisibleLines(err.Error()), command.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(std.err, "bursar: %s\n", terminal.VisibleLines(err.Error()))
		if hint := wrongPort(ctx, command.Flags(), err); hint != "" {
			fmt.Fprintf(std.err, "bursar: %s\n", hint)
		}
		return exitFailed
	}
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "bursar",
		Short: "Pays a blockchain treasury's disbursements exactly once",
		Long: `Bursar pays a blockchain treasury's disbursements exactly once. Every disbursement is an
actor, every change goes through a replicated log and is on disk before it is acknowledged.

New here? 'bursar dev' starts a treasury on this machine and pays a real DAO's grants.`,
		Example: `  bursar dev                      try it: three nodes, a demo, a live summary
  bursar node --data /var/lib/bursar
  bursar submit --destination tb1payee --amount 5000 --memo 'first payment'
  bursar submit payments.csv      resumable: run it twice, nothing is paid twice
  bursar status                   how the node and the money are`,
		Version:           node.Version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return checkTarget(cmd.Flags()) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetVersionTemplate("bursar {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	root.SetHelpCommand(newHelp(root))
	root.AddCommand(
		newNode(std), newDev(std), newSubmit(std), newCall(std), newStatus(std), newHealth(std), newDrain(std),
		newGraph(std), newTree(std), newTop(std),
		newShow(std), newOracle(std),
		newKeygen(std, "  bursar keygen ann.key", " An operator signs with it: bursar call --sign-with."),
		newBench(std), newMetrics(std), newMonitoring(std), newJournal(std), newVerify(std), newReceipt(std), newAudit(std), newBackup(std), newRestore(std), newRecover(std), newDrill(std), newCert(std),
		newService(std), newMan(), newVersion(std),
	)
	for _, command := range root.Commands() {
		command.Args = asUsage(command.Args)
	}
	return root
}

// newHelp is cobra's help command, but a command that is not there is wrong usage.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			command, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(command, strings.Join(args, " "))
			}
			command.InitDefaultHelpFlag()
			return command.Help()
		},
	}
}

// flagError puts the name of the flag in front of a value that does not fit.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, valueError(err))
	}
	return err
}

// valueError words a value that does not fit as its reader thinks of it: without the
// name of the function that could not parse it.
func valueError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	if want := valueOf[invalid.GetFlag().Value.Type()]; want != "" {
		return fmt.Errorf("%q is not %s", invalid.GetValue(), want)
	}
	return invalid.Unwrap()
}

// valueOf says what a flag of a type wants, for those whose parsers do not.
var valueOf = map[string]string{
	"uint64":   "a whole number from 0 to 18446744073709551615",
	"uint":     "a whole number from 0 up",
	"int":      "a whole number",
	"bool":     "true or false",
	"duration": "a duration such as 250ms, 10s or 5m",
}

// needsSubcommand is the RunE of a command that does nothing by itself.
func needsSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	var names []string
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return usagef("name one of its commands: %s", strings.Join(names, ", "))
}

func unknownCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if similar := root.SuggestionsFor(name); len(similar) > 0 {
		return usagef("unknown command %q; did you mean %s?", name, strings.Join(similar, " or "))
	}
	return usagef("unknown command %q", name)
}

// atMost allows so many arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%q is one argument too many", args[n])
		}
		return nil
	}
}

// asUsage makes a complaint about the arguments a usage error; none are allowed
// where the command does not say.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = atMost(0)
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// builtFrom is the commit that this program was built from, and when that was made. Only a
// build in a clone of the repository knows.
func builtFrom() (commit, date string) {
	commit, date = "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return commit, date
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.time":
			date = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty {
		commit += " with changes"
	}
	return commit, date
}

func newVersion(std streams) *cobra.Command {
	var form format
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and of its wire, and the commit it was built from",
		RunE: func(*cobra.Command, []string) error {
			commit, date := builtFrom()
			facts := []fact{
				{"version", node.Version},
				{"commit", commit},
				{"date", date},
				{"wire", messages.WireVersion},
				{"go", runtime.Version()},
				{"platform", runtime.GOOS + "/" + runtime.GOARCH},
			}
			return printFacts(std.out, form, fmt.Sprintf("bursar %s", node.Version), facts)
		},
	}
	form.flag(command)
	return command
}
