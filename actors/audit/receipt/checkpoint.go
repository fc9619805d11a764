package receipt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/the-block/bursar/persistence"
)

// ErrFalse is returned for what does not prove what it says.
var ErrFalse = errors.New("it proves nothing")

func falsef(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFalse}, args...)...)
}

// Checkpoint is what a signed note says of an audit.
type Checkpoint struct {
	Origin string // "bursar/" and the cluster's id
	Size   uint64
	Root   persistence.TreeHash
}

// OpenCheckpoint takes a note apart that one of the keys has signed.
func OpenCheckpoint(signed string, keys []string) (c Checkpoint, err error) {
	verifiers := make([]note.Verifier, 0, len(keys))
	for _, key := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return c, fmt.Errorf("the key %q: %w", key, err)
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifiers...))
	if err != nil {
		return c, falsef("its checkpoint is signed by none of the %d keys given: %w", len(keys), err)
	}
	return parseCheckpoint(opened.Text)
}

// ReadCheckpoint takes a note apart whoever has signed it.
func ReadCheckpoint(signed string) (Checkpoint, error) {
	text, _, ok := strings.Cut(signed, "\n\n")
	if !ok {
		return Checkpoint{}, falsef("it is no signed note")
	}
	return parseCheckpoint(text + "\n")
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "bursar/") {
		return c, falsef("it is no checkpoint of a cluster")
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseUint(lines[1], 10, 63); err != nil || lines[1] != strconv.FormatUint(c.Size, 10) {
		return c, falsef("the size %q of its checkpoint is no number", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return c, falsef("the root %q of its checkpoint is no hash", lines[2])
	}
	c.Root = persistence.TreeHash(root)
	return c, nil
}
