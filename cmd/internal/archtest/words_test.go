package archtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// outside are texts that speak of something a reader of this repository does not
// have. They are put together here, so that this file does not hold them.
var outside = []string{
	"../" + "shared", "/home" + "/", "/root" + "/", "/work" + "/", "proxy.golang" + ".org", "co-authored" + "-by",
}

func TestNoFileSpeaksOfAnythingOutsideTheProject(t *testing.T) {
	for _, name := range trackedFiles(t) {
		if strings.HasSuffix(name, "go.sum") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, but not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range outside {
			if line := lineOf(content, word); line > 0 {
				t.Errorf("%s:%d holds %q", name, line, word)
			}
		}
	}
}

// lineOf returns the 1-based line of the first occurrence of word, whatever its
// case, or 0.
func lineOf(content []byte, word string) int {
	lower := bytes.ToLower(content)
	i := bytes.Index(lower, bytes.ToLower([]byte(word)))
	if i < 0 {
		return 0
	}
	return 1 + bytes.Count(lower[:i], []byte("\n"))
}

func trackedFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no git work tree, as in a source archive: %v", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}
