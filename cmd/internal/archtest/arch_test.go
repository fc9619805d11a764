package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/the-block/bursar"
	root   = "../../.." // of the repository, seen from this folder
)

// rule is one row of the package table.
type rule struct {
	pure       bool
	mayLock    bool
	mayImport  []string
	lineNumber int
}

// pkg is the part of `go list -json` that the rules speak about.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// name is the path inside the module: "actors/treasury".
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// home is the row that p belongs to.
func (p pkg) home() string { return homeOf(p.name()) }

// homeOf finds the row of a package: folders internal/x and xtest belong to the
// package around them, but below cmd each internal package has its own row.
func homeOf(name string) string {
	if before, _, found := strings.Cut(name, "/internal/"); found && before != "cmd" {
		return before
	}
	if parent := path.Dir(name); path.Base(name) == path.Base(parent)+"test" {
		return parent
	}
	return name
}

// tableRows returns the cells of the first Markdown table under the heading.
func tableRows(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/architecture.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 2 {
		t.Fatalf("docs/architecture.md has no table under %q", heading)
	}
	return rows[1:]
}

func list(cell string) []string {
	if cell == "" {
		return nil
	}
	return strings.Split(cell, ", ")
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	table := make(map[string]rule)
	for i, cells := range tableRows(t, "Packages") {
		table[cells[0]] = rule{pure: strings.HasPrefix(cells[1], "●"), mayLock: cells[1] == "● locks", mayImport: list(cells[3]), lineNumber: i}
	}
	return table
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryRowListsOnlyRowsBelowIt(t *testing.T) {
	table := rules(t)
	for name, row := range table {
		for _, imported := range row.mayImport {
			below, ok := table[imported]
			if !ok || below.lineNumber <= row.lineNumber {
				t.Errorf("row %s lists %s, which is no row below it", name, imported)
			}
		}
	}
}

func TestPackagesImportOnlyWhatTheirRowAllows(t *testing.T) {
	table := rules(t)
	for _, p := range packages(t) {
		home := p.home()
		if _, own := table[p.name()]; own {
			home = p.name()
		}
		row, ok := table[home]
		if !ok {
			t.Errorf("%s has no row in docs/architecture.md", p.name())
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			if !isOurs || homeOf(ours) == home {
				continue
			}
			if !slices.Contains(row.mayImport, homeOf(ours)) {
				t.Errorf("%s imports %s, which its row does not allow", p.name(), ours)
			}
		}
	}
}

func TestLibrariesStayAtHome(t *testing.T) {
	homes := tableRows(t, "Homes of libraries")
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, row := range homes {
				if isOf(imported, row[0]) && !slices.Contains(list(row[1]), p.home()) {
					t.Errorf("%s imports %s, whose home is %s", p.name(), imported, row[1])
				}
			}
		}
	}
}

// isOf reports whether the imported package belongs to the library.
func isOf(imported, library string) bool {
	return imported == library || strings.HasPrefix(imported, library+"/")
}
