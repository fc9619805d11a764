package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/node"
)

// newMan is for those who make packages; people have --help.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands into a directory",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name the DIR to write into")
			}
			return writeManuals(cmd.Root(), args[0])
		},
	}
}

// writeManuals writes one page a command, those below it included.
func writeManuals(command *cobra.Command, dir string) error {
	name := strings.ReplaceAll(command.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), manual(command), 0o644); err != nil {
		return err
	}
	for _, child := range command.Commands() {
		if child.IsAvailableCommand() && child.Name() != "help" {
			if err := writeManuals(child, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// manual is the page of a command in man(7).
func manual(command *cobra.Command) []byte {
	command.InitDefaultHelpFlag()
	var out bytes.Buffer
	path := command.CommandPath()
	name := strings.ReplaceAll(path, " ", "-")
	long := command.Long
	if long == "" {
		long = command.Short + "."
	}
	fmt.Fprintf(&out, ".TH %s 1 \"\" \"bursar %s\" \"Bursar\"\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n",
		strings.ToUpper(roff(name)), node.Version, roff(name), roff(command.Short), roff(command.UseLine()))
	fmt.Fprintf(&out, ".SH DESCRIPTION\n%s", verbatim(long))
	if flags := command.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(&out, ".SH OPTIONS\n%s", verbatim(strings.TrimRight(flags.FlagUsages(), "\n")))
	}
	if command.Example != "" {
		fmt.Fprintf(&out, ".SH EXAMPLES\n%s", verbatim(command.Example))
	}
	fmt.Fprint(&out, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage.\n")
	var others []string
	if command.HasParent() {
		others = append(others, strings.ReplaceAll(command.Parent().CommandPath(), " ", "-"))
	}
	for _, child := range command.Commands() {
		if child.IsAvailableCommand() && child.Name() != "help" {
			others = append(others, name+"-"+child.Name())
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(&out, ".SH SEE ALSO\n.BR %s (1)\n", strings.Join(escaped(others), " (1),\n.BR "))
	}
	return out.Bytes()
}

// verbatim keeps the lines of a text as they are.
func verbatim(text string) string { return ".nf\n" + roff(text) + "\n.fi\n" }

func escaped(names []string) []string {
	for i := range names {
		names[i] = roff(names[i])
	}
	return names
}

// roff takes the meaning from what has one in man(7): backslashes and hyphens anywhere, a
// period or quote at the start of a line.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
