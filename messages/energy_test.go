package messages_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
)

func TestProviderIDsAreWrittenInHexAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 64).Draw(t, "shift")
		id := messages.ProviderID(rapid.Uint64().Draw(t, "id") >> shift)
		text := id.String()
		if want := fmt.Sprintf("energy-0x%08x", uint64(id)); text != want {
			t.Errorf("String = %s, want %s", text, want)
		}
		if got, ok := messages.ParseProviderID(text); !ok || got != id {
			t.Errorf("ParseProviderID(%s) = %d, %v", text, got, ok)
		}
	})
	for _, text := range []string{"", "energy-0x", "energy-0x1", "energy-0x0000000G", "energy-0x0000000A",
		"energy-0x000000001", "Energy-0x00000001", "00000001", "energy-0x+0000001", "energy-0x00000001 "} {
		if id, ok := messages.ParseProviderID(text); ok {
			t.Errorf("ParseProviderID(%q) = %d, want a refusal", text, id)
		}
	}
}
