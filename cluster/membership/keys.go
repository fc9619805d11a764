package membership

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// Limits of the file of keys.
const (
	keySize     = 32
	keysMax     = 8
	keysFileMax = 64 << 10
)

// loadKeys reads the keys in their order: the first encrypts.
func loadKeys(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, keysFileMax))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	keys, err := decodeKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeys, path, err)
	}
	return keys, nil
}

// decodeKeys reads one key a line; empty lines and what follows a # do not count. No
// error quotes a key.
func decodeKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := bytes.Cut(lines.Bytes(), []byte("#"))
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(line))
		switch {
		case err != nil || len(key) != keySize:
			return nil, fmt.Errorf("line %d is not %d bytes in base64", number, keySize)
		case slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }):
			return nil, fmt.Errorf("line %d repeats a key", number)
		case len(keys) == keysMax:
			return nil, fmt.Errorf("there are more than %d keys", keysMax)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key; write one with: head -c %d /dev/urandom | base64", keySize)
	}
	return keys, nil
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	changed time.Time
	size    int64
}

// stampOf is the zero stamp where there is no file.
func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{changed: info.ModTime(), size: info.Size()}
}

// heedKeys takes up keys that have changed. Those that cannot be used leave the old in use.
func (m *Membership) heedKeys(ctx context.Context) {
	if m.cfg.KeyFile == "" {
		return
	}
	at := stampOf(m.cfg.KeyFile)
	if at == m.keysAt {
		return
	}
	m.keysAt = at
	before := m.keyring.GetKeys()
	if err := m.Reload(); err != nil {
		m.log.WarnContext(ctx, "the new gossip keys cannot be used; the old ones stay", "err", err)
		return
	}
	if slices.EqualFunc(before, m.keyring.GetKeys(), bytes.Equal) {
		return // the file was only touched
	}
	m.log.InfoContext(ctx, "new gossip keys are in use")
}

// newKeyring makes a keyring of the keys in their order.
func newKeyring(keys [][]byte) (*memberlist.Keyring, error) {
	return memberlist.NewKeyring(keys[1:], keys[0])
}

// rotate makes the ring hold these keys and no others, the first encrypting. Readers of
// the ring share its slice, which removing from its end leaves as it is: so the wanted
// keys are brought to the front before others are removed. Other wanted keys than the
// first are used for an instant on the way, which does no harm then: who removes a key
// has installed the others everywhere.
func rotate(ring *memberlist.Keyring, keys [][]byte) error {
	for _, key := range keys {
		if err := ring.AddKey(key); err != nil {
			return err
		}
	}
	if len(ring.GetKeys()) == len(keys) {
		return ring.UseKey(keys[0])
	}
	for _, key := range slices.Backward(keys) {
		if err := ring.UseKey(key); err != nil {
			return err
		}
	}
	unwanted := ring.GetKeys()[len(keys):]
	for _, key := range slices.Backward(unwanted) {
		if err := ring.RemoveKey(key); err != nil {
			return err
		}
	}
	return nil
}
