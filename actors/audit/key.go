package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keyFile is where a node keeps what it signs checkpoints with: 32 bytes in hex.
const keyFile = "checkpoint.key"

// OpenKey reads the key of the node whose data directory dir is, and makes it where there
// is none yet.
func OpenKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of checkpoints: %w", err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the key of checkpoints: %s holds no 32 bytes in hex; remove it, and the node makes a new one", path)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // it never fails
	next := path + ".tmp"
	err := os.WriteFile(next, []byte(hex.EncodeToString(seed)+"\n"), 0o600)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of checkpoints: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Origin names the log of a cluster, as the first line of its checkpoints.
func Origin(cluster string) string { return "bursar/" + cluster }

// signer signs notes in the name of a cluster's log.
type signer struct {
	name string
	key  ed25519.PrivateKey
}

func (s *signer) public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Name implements note.Signer.
func (s *signer) Name() string { return s.name }

// KeyHash implements note.Signer.
func (s *signer) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(s.name+"\n\x01"), s.public()...)) // 1 is Ed25519
	return binary.BigEndian.Uint32(sum[:])
}

// Sign implements note.Signer.
func (s *signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }

// verifier gives the key as those who check notes want it.
func (s *signer) verifier() (string, error) { return note.NewEd25519VerifierKey(s.name, s.public()) }
