// Package localclustertest builds the program that tests start as nodes.
package localclustertest

import (
	"fmt"
	"os/exec"
)

// Build builds the program, with more arguments of go build, if any.
func Build(to string, more ...string) error {
	args := append([]string{"build", "-o", to}, more...)
	out, err := exec.Command("go", append(args, "github.com/the-block/bursar/cmd/bursar")...).CombinedOutput() //nolint:noctx // as long as it takes
	if err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}
