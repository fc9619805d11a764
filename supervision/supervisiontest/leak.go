package supervisiontest

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

// stacksMax bounds the stacks that are looked through, in bytes.
const stacksMax = 1 << 20

// noLeaks fails the test for each goroutine of its bubble that is left besides its own.
// The bubble ends the process over them anyway, by a panic that calls it a deadlock among
// the stacks of the whole process.
func noLeaks(t testing.TB) {
	synctest.Wait()
	stacks := make([]byte, stacksMax)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, leak := range leaks(string(stacks)) {
		t.Error(leak)
	}
}

var bubbleOf = regexp.MustCompile(`^goroutine \d+ .*\[(.*), (synctest bubble \d+)`)

// leaks describes the goroutines of the first one's bubble, besides the first and the two
// that wait for it: those that began the bubble and the test in it.
func leaks(stacks string) (found []string) {
	all := strings.Split(stacks, "\n\n")
	own := bubbleOf.FindStringSubmatch(all[0])
	if own == nil {
		return nil
	}
	for _, stack := range all[1:] {
		header := bubbleOf.FindStringSubmatch(stack)
		if header == nil || header[2] != own[2] || strings.Contains(stack, "\ninternal/synctest.Run(") ||
			strings.Contains(stack, "\ntesting/synctest.testingSynctestTest(") {
			continue
		}
		found = append(found, fmt.Sprintf("a goroutine was leaked, it is in %s:\n%s", header[1], stack))
	}
	return found
}
