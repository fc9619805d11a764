package archtest_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	// codeMark names, in a page, the file that the Go code from there to the next mark is.
	codeMark = regexp.MustCompile(`(?m)^<!-- code: (\S+) -->$`)
	goBlock  = regexp.MustCompile("(?ms)^```go\n(.*?)\n```$")
	clause   = regexp.MustCompile(`(?m)^package \w+\n`)
)

// A page that names a file shows all of it from the package clause on, in pieces. So what
// a reader copies is what the tests run.
func TestPagesShowTheCodeThatRuns(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, page := range pages {
		text := read(t, page)
		marks := codeMark.FindAllStringSubmatchIndex(text, -1)
		for i, mark := range marks {
			shown++
			part, name := text[mark[1]:], text[mark[2]:mark[3]]
			if i+1 < len(marks) {
				part = text[mark[1]:marks[i+1][0]]
			}
			var blocks []string
			for _, block := range goBlock.FindAllStringSubmatch(part, -1) {
				blocks = append(blocks, block[1])
			}
			_, code, found := cutAt(read(t, filepath.Join(root, filepath.FromSlash(name))), clause)
			if !found {
				t.Errorf("%s has no package clause", name)
			}
			if diff := cmp.Diff(strings.Join(blocks, "\n\n"), strings.TrimSpace(code)); diff != "" {
				t.Errorf("%s does not show %s: page -, file +\n%s", filepath.Base(page), name, diff)
			}
		}
	}
	if shown == 0 {
		t.Error("no page shows code")
	}
}

// cutAt is strings.Cut at the first match.
func cutAt(s string, at *regexp.Regexp) (before, after string, found bool) {
	place := at.FindStringIndex(s)
	if place == nil {
		return s, "", false
	}
	return s[:place[0]], s[place[1]:], true
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// diffBlock finds a diff; the links in it are of the files that it changes.
var diffBlock = regexp.MustCompile("(?s)```diff\n.*?```")

// link finds the target of a Markdown link.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	for _, name := range trackedFiles(t) {
		if filepath.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, but not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(diffBlock.ReplaceAllString(goBlock.ReplaceAllString(string(text), ""), ""), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			}
		}
	}
}

var buildDiffs = flag.Bool("build", false, "build the tree with the diffs of docs/how-to/develop.md (make docs)")

// The diffs that show how to add something fit the code there is, and one another; with
// -build a copy of the tree with all of them builds, and its alert is complete.
func TestTheDiffsOfTheHowToApply(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "how-to", "develop.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```diff\n")[1:]
	if len(blocks) < 5 {
		t.Errorf("docs/how-to/develop.md shows %d diffs, want a method, an actor kind, a metric, a command and an alert", len(blocks))
	}
	tree := t.TempDir()
	run := func(dir, input, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s%s", name, err, out, input)
		}
		return string(out)
	}
	for name := range strings.SplitSeq(strings.TrimRight(run(root, "", "git", "ls-files", "-z"), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) { // deleted, and not yet committed
			continue
		}
		to := filepath.Join(tree, name)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, block := range blocks {
		diff, _, _ := strings.Cut(block, "```")
		run(tree, diff, "git", "apply", "-")
	}
	if !*buildDiffs {
		return
	}
	run(tree, "", "go", "build", "-trimpath", "./...")
	run(tree, "", "go", "test", "-trimpath", "-run", "EveryAlertHas", "./monitoring", "./cmd/internal/alertdrill")
}
