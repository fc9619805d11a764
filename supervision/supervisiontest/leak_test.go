package supervisiontest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/supervisiontest"
)

func forgotten(never chan struct{}) { <-never }

// A leak ends the process, so it is looked at from another one.
func TestALeakedGoroutineIsNamed(t *testing.T) {
	const leaking = "BURSAR_TEST_LEAK"
	if os.Getenv(leaking) != "" {
		supervisiontest.Run(t, func(_ *testing.T, tree *supervisiontest.Tree) {
			tree.Spawn(shop(supervision.OneForOne))
			go forgotten(make(chan struct{}))
		})
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestALeakedGoroutineIsNamed$")
	command.Env = append(os.Environ(), leaking+"=1")
	out, err := command.CombinedOutput()
	if err == nil {
		t.Error("the scenario passes")
	}
	failure, _, _ := strings.Cut(string(out), "panic: ")
	if strings.Count(failure, "a goroutine was leaked, it is in chan receive") != 1 ||
		!strings.Contains(failure, "supervisiontest_test.forgotten(") ||
		!strings.Contains(failure, "created by github.com/the-block/bursar/supervision/supervisiontest_test.TestALeakedGoroutineIsNamed") {
		t.Errorf("the failure does not name the one goroutine, and where it was started:\n%s", out)
	}
}
