package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

var (
	// shellLine is a line of a code block that calls the program.
	shellLine = regexp.MustCompile(`(?m)^ {4}(?:[a-z]+)?(?:\$ )?(?:(?:sudo|bin/)? ?)bursar ((?:\\\n|.)*)$`)
	fenced    = regexp.MustCompile("(?ms)^```(?:sh|console|bash|text)?\n(.*?)^```$")
)

// words splits a line as a shell does, up to what ends a command. An unquoted "#" begins a
// comment.
func words(line string) (list []string) {
	var word strings.Builder
	quote, inside := rune(0), false
	for _, r := range strings.ReplaceAll(line, "\\\n", " ") + " " {
		switch {
		case quote == r && quote != 0:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case strings.ContainsRune("|;>&#", r) && !inside:
			return list
		case r == ' ' || r == '\n' || r == '\t':
			if inside {
				list = append(list, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	return list
}

// Every command that the pages tell one to run exists, has its flags, takes its arguments, and
// calls a method that there is with parameters that it takes.
func TestCommandsOfThePagesExist(t *testing.T) {
	root := os.DirFS("../..")
	pages, err := fs.Glob(root, "docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	howTo, err := fs.Glob(root, "docs/how-to/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, page := range slices.Concat(pages, howTo) {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := fenced.ReplaceAllFunc(text, func(block []byte) []byte { // as if indented
			return bytes.ReplaceAll(block, []byte("\n"), []byte("\n    "))
		})
		for _, line := range shellLine.FindAllStringSubmatch(string(blocks), -1) {
			checked++
			if fault := commandFault(words(line[1])); fault != "" {
				t.Errorf("%s: bursar %s: %s", filepath.Base(page), line[1], fault)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d commands were found", checked)
	}
}

// commandFault says what is wrong with a command line; "" if nothing is.
func commandFault(args []string) string {
	if len(args) == 0 {
		return ""
	}
	command, rest, err := newRoot(streams{}).Find(args)
	if err != nil || !command.HasParent() {
		return "there is no such command"
	}
	command.InitDefaultHelpFlag()
	if err := command.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if help, err := command.Flags().GetBool("help"); err == nil && help {
		return ""
	}
	rest = command.Flags().Args()
	if err := command.ValidateArgs(rest); err != nil {
		return err.Error()
	}
	if command.Name() != "call" {
		return ""
	}
	method := messages.MethodByName(rest[0])
	if method == nil {
		return "there is no such method"
	}
	params := "{}"
	if len(rest) > 1 && rest[1] != "-" {
		params = rest[1]
	}
	packed, err := wire.PackJSON([]byte(capitals.ReplaceAllString(params, ": 1$1")))
	if err != nil {
		return err.Error()
	}
	if _, fault := method.Decode(packed, messages.JSON); fault != nil {
		return fault.Error()
	}
	return ""
}

// capitals stand for a number that the reader fills in.
var capitals = regexp.MustCompile(`: [A-Z]+([,}\]])`)

func TestACommandThatIsNotThereIsFound(t *testing.T) {
	for line, good := range map[string]bool{
		"status --addr HOST:9000   # on each node": true, "call gov.treasury.statement '{\"id\": ID}' | less": true, "cert issue --help": true,
		"statsu": false, "status --adr HOST:9000": false, "status one": false, "call energy.market": false,
		"call gov.treasury.statement '{\"idd\": 1}'": false, "call gov.treasury.statement": false, "monitoring drill --list": true,
	} {
		if fault := commandFault(words(line)); (fault == "") != good {
			t.Errorf("bursar %s: %q", line, fault)
		}
	}
}
