package node_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cmd/internal/node"
)

// TestCallersLeaveFilesForTheNode: whatever the limit, what the node itself opens fits beside
// them, and so do those who look after it.
func TestCallersLeaveFilesForTheNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, most := rapid.Uint64Range(0, 1<<40).Draw(t, "files"), rapid.IntRange(16, 1<<16).Draw(t, "most")
		got := node.CallersFor(files, most)
		const own, reserve, least = 128, 64, 16
		switch {
		case got > most, got < least:
			t.Errorf("%d callers, of %d", got, most)
		case files > own+reserve+least && uint64(got)+own+reserve > files:
			t.Errorf("%d callers with %d files", got, files)
		case files >= uint64(most)+own+reserve && got != most:
			t.Errorf("%d callers with %d files, and %d may come", got, files, most)
		}
	})
}
