package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each command has a page, and groff finds nothing to warn of in it.
func TestManualPagesAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	if err := writeManuals(newRoot(streams{}), dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "bursar*.1"))
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	var all bytes.Buffer
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range []string{".TH ", ".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH EXIT STATUS\n"} {
			if !strings.Contains(string(text), section) {
				t.Errorf("%s lacks %q", filepath.Base(page), section)
			}
		}
		all.Write(text)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return // the sections above are what is left to hold
	}
	command := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-z", "-Kutf8")
	command.Stdin = &all
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%.2000s", err, out)
	}
}

func TestRoffLosesNothing(t *testing.T) {
	if got, want := roff(".a -b\n'c\\d"), `\&.a \-b`+"\n"+`\&'c\ed`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
