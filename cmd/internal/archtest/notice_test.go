package archtest_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of NOTICE anew")

const noticeHeading = "Bursar's program contains code of these modules, under the licences named\n" +
	"(generated: go test ./cmd/internal/archtest -run UpToDate -update):\n"

// TestNoticeIsUpToDate holds NOTICE against the modules linked into the program: the
// licence of each, and the notices that the Apache License asks to be passed on.
func TestNoticeIsUpToDate(t *testing.T) {
	path := filepath.Join(root, "NOTICE")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(string(written), noticeHeading)
	want := strings.TrimRight(own, "\n") + "\n\n" + noticeHeading + "\n" + linkedModules(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(written) != want {
		t.Error("NOTICE is out of date: go test ./cmd/internal/archtest -run UpToDate -update")
	}
}

// linkedModules is the list of modules with their licences, then their notices.
func linkedModules(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "./cmd/bursar")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0") // what is linked depends on them
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	var modules, notices strings.Builder
	for _, line := range slices.Compact(lines) {
		module, dir, found := strings.Cut(line, " ")
		if !found {
			continue // the standard library
		}
		licences := licencesOf(fileNamed(t, dir, "licen[cs]e|copying"))
		if len(licences) == 0 {
			t.Errorf("%s: no licence that this test knows; read it, and add it to licenceTexts if Bursar may link it", module)
		}
		fmt.Fprintf(&modules, "  %-48s %s\n", module, strings.Join(licences, ", "))
		if notice := fileNamed(t, dir, "notice"); len(notice) > 0 {
			fmt.Fprintf(&notices, "\nNotice of %s:\n\n", module)
			for line := range strings.Lines(strings.TrimSpace(string(notice)) + "\n") {
				notices.WriteString(strings.TrimRight("  "+line, " \n") + "\n")
			}
		}
	}
	return modules.String() + notices.String()
}

// fileNamed reads the file of the folder whose name, without its ending, matches.
func fileNamed(t *testing.T, dir, name string) []byte {
	t.Helper()
	pattern := regexp.MustCompile(`(?i)^(` + name + `)(\.[a-z]+)?$`)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pattern.MatchString(entry.Name()) {
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	return nil
}

// licenceTexts are the words, without commas, by which each licence is known. A file may
// hold several.
var licenceTexts = []struct{ name, words string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"BSD-3-Clause", "to endorse or promote products derived from this software"},
	{"BSD-2-Clause", "redistribution and use in source and binary forms"},
	{"CC0-1.0", "cc0 1.0 universal"},
	{"ISC", "distribute this software for any purpose with or without fee is hereby granted"},
	{"MIT", "permission is hereby granted free of charge to any person obtaining a copy"},
	{"MPL-2.0", "mozilla public license version 2.0"},
}

func licencesOf(text []byte) (names []string) {
	words := bytes.Join(bytes.Fields(bytes.ToLower(bytes.ReplaceAll(text, []byte(","), nil))), []byte(" "))
	for _, licence := range licenceTexts {
		if licence.name == "BSD-2-Clause" && slices.Contains(names, "BSD-3-Clause") {
			continue // the third clause comes after the words of the two
		}
		if bytes.Contains(words, []byte(licence.words)) {
			names = append(names, licence.name)
		}
	}
	return names
}

func TestLicencesAreKnownByTheirText(t *testing.T) {
	for text, want := range map[string][]string{
		"Apache License\n                Version 2.0, January 2004\n":                                                          {"Apache-2.0"},
		"Permission is hereby granted, free of charge, to any\nperson obtaining a copy":                                        {"MIT"},
		"Redistribution and use in source and binary forms, with or":                                                           {"BSD-2-Clause"},
		"Redistribution and use in source and binary forms ... to endorse or\npromote products derived from this software":     {"BSD-3-Clause"},
		"Mozilla Public License, version 2.0":                                                                                  {"MPL-2.0"},
		"Permission to use, copy, modify, and distribute this software for any purpose with or\nwithout fee is hereby granted": {"ISC"},
		"GNU GENERAL PUBLIC LICENSE Version 3":                                                                                 nil,
		"":                                                                                                                     nil,
	} {
		if got := licencesOf([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("licencesOf(%q) = %v, want %v", text, got, want)
		}
	}
}
