package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/the-block/bursar/cmd/internal/localcluster/localclustertest"
)

var (
	live  = flag.String("live", "", "run the scenarios on real nodes: short or full")
	kills = flag.Int("kills", 0, "how often TestKill kills a node; 0 for what -live says")
	keep  = flag.Bool("keep", false, "keep logs and data of scenarios that succeed, too")
)

// program is the file under test, built once.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if *live == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "bursar-chaos-program-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "bursar")
	if err := localclustertest.Build(program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// needs skips a scenario unless it was asked for: with -live full, or also with short.
func needs(t *testing.T, form string) {
	t.Helper()
	if *live != "full" && *live != form {
		t.Skipf("runs real nodes; -live %s asks for it (make chaos)", form)
	}
}

// pick is one value for -live full and another for short.
func pick[T any](full, short T) T {
	if *live == "full" {
		return full
	}
	return short
}
