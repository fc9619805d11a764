package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the generated documents anew")

const referencePath = "../../docs/reference/cli.md"

func TestCommandReferenceIsUpToDate(t *testing.T) {
	t.Setenv(addrEnv, "")
	t.Setenv(tlsDirEnv, "")
	var out bytes.Buffer
	out.WriteString("# Commands\n\nGenerated from the program's own help: `go test ./cmd/bursar -run UpToDate -update`.\n\n" +
		"Exit codes: 0 done, 1 failed, 2 wrong usage.\n")
	describe(&out, newRoot(streams{}))
	if *update {
		if err := os.WriteFile(referencePath, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, out.Bytes()) {
		t.Error("docs/reference/cli.md is out of date: go test ./cmd/bursar -run UpToDate -update")
	}
}

// describe writes a command and, below it, its children.
func describe(out *bytes.Buffer, command *cobra.Command) {
	command.InitDefaultHelpFlag()
	fmt.Fprintf(out, "\n## %s\n\n", command.CommandPath())
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	fmt.Fprintf(out, "%s\n\n    %s\n", text, command.UseLine())
	if command.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n\n%s\n", indented(command.Example))
	}
	if flags := command.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(out, "\nFlags:\n\n%s\n", indented(strings.TrimRight(flags.FlagUsages(), "\n")))
	}
	for _, child := range command.Commands() {
		if child.IsAvailableCommand() && child.Name() != "help" {
			describe(out, child)
		}
	}
}

func indented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("    "+strings.TrimPrefix(line, "  "), " ")
	}
	return strings.Join(lines, "\n")
}
