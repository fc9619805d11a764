package mutants_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	chosen = flag.String("mutants", "none", "which mutants to look for: all, short, or a part of a name")
	suites = flag.String("suites", "unit,model,nodes", "by which suites, of those that are to find them")
)

const root = "../../.." // of the repository, seen from this folder

// mutant is the program without one of its defences.
type mutant struct {
	name string
	// file has old, once; the mutant has new there.
	file, old, new string
	// unit is the package whose tests must find it.
	unit string
	// model and nodes are how many seeds of the two simulations find it, 2,000 and 200 at
	// most; 0 where it cannot be seen there, mostly because another defence stands behind it.
	model, nodes int
	short        bool // looked for on every change
}

// TestEachMutantIsOne holds the table against the code: what a mutant takes out is there.
func TestEachMutantIsOne(t *testing.T) {
	names := make(map[string]bool)
	seen := 0
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 || m.old == m.new || names[m.name] || m.unit == "" || m.model > 2000 || m.nodes > 200 {
			t.Errorf("%s: %s has it %d times, or the row is not well formed", m.name, m.file, n)
		}
		names[m.name] = true
		if m.model > 0 || m.nodes > 0 {
			seen++
		}
	}
	if len(mutants) < 40 || 100*seen < 80*len(mutants) {
		t.Errorf("%d mutants, of which a simulation finds %d; want 40, and four in five", len(mutants), seen)
	}
}

// TestMutantsAreFound makes the mutants that -mutants names, one after the other, and has
// each suite that is to find one run until it does.
func TestMutantsAreFound(t *testing.T) {
	for _, m := range mutants {
		if *chosen == "all" || *chosen == "short" && m.short || strings.Contains(m.name, *chosen) {
			t.Run(m.name, func(t *testing.T) { m.find(t) })
		}
	}
}

func (m *mutant) find(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{mutated: bytes.Replace(text, []byte(m.old), []byte(m.new), 1), overlay: list} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	suite := func(name string, args ...string) {
		if !strings.Contains(*suites, name) {
			return
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), suiteMax)
		defer cancel()
		args = append([]string{"test", "-vet=off", "-overlay", overlay, "-failfast", "-timeout", "4m"}, args...)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		switch {
		case bytes.Contains(out, []byte("[build failed]")):
			t.Fatalf("it is no program:\n%s", out)
		case bytes.Contains(out, []byte("panic: test timed out")) || ctx.Err() != nil:
			t.Errorf("%s: go %s does not end", name, strings.Join(args[6:], " "))
		case err == nil:
			t.Errorf("%s: go %s does not find it in %s", name, strings.Join(args[6:], " "), time.Since(began).Round(time.Second))
		default:
			t.Logf("%s finds it in %s: %s", name, time.Since(began).Round(time.Second), finding(out))
		}
	}
	suite("unit", m.unit)
	examples := filepath.Join(root, m.unit, "testdata", "rapid") // of what only a mutant fails
	if err := os.RemoveAll(examples); err != nil {
		t.Error(err)
	}
	_ = os.Remove(filepath.Dir(examples)) // if nothing else is there
	if m.model > 0 {
		suite("model", "./cmd/internal/sim", "-run", "^TestModel$", "-seeds", fmt.Sprint(m.model))
	}
	if m.nodes > 0 {
		suite("nodes", "./cmd/internal/node", "-run", "^TestSimulation$", "-seeds", fmt.Sprint(m.nodes))
	}
}

// suiteMax bounds one suite, its build included.
const suiteMax = 8 * time.Minute

// finding is the line in which a suite says what is wrong.
func finding(out []byte) string {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if at := strings.Index(line, "_test.go:"); at >= 0 {
			return line[:min(len(line), 200)]
		}
	}
	return strings.TrimSpace(string(out[:min(len(out), 200)]))
}
