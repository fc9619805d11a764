package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Keys are what objects are encrypted with, if Recipients are there, and decrypted.
type Keys struct {
	Recipients []age.Recipient
	Identities []age.Identity
}

// ParseRecipient adds a recipient, age1..., for whom objects are encrypted.
func (k *Keys) ParseRecipient(text string) error {
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return fmt.Errorf("%q is no recipient: make one with age-keygen, and give what it calls the public key", text)
	}
	k.Recipients = append(k.Recipients, r)
	return nil
}

// ReadIdentities adds what age-keygen has written.
func (k *Keys) ReadIdentities(r io.Reader) error {
	list, err := age.ParseIdentities(r)
	if err != nil {
		return fmt.Errorf("not a key file of age-keygen: %w", err)
	}
	k.Identities = append(k.Identities, list...)
	return nil
}

// counted hashes and counts what passes through.
type counted struct {
	sum   hash.Hash
	bytes int64
}

func newCounted() *counted { return &counted{sum: sha256.New()} }

func (c *counted) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return c.sum.Write(p)
}

func (c *counted) extent() Extent {
	return Extent{Bytes: c.bytes, SHA256: hex.EncodeToString(c.sum.Sum(nil))}
}

// seal compresses, and encrypts if there is a recipient, all that write writes, to w.
func (k *Keys) seal(w io.Writer, write func(io.Writer) error) (stored, held Extent, err error) {
	out, in := newCounted(), newCounted()
	w = io.MultiWriter(w, out)
	var closers []io.Closer
	if len(k.Recipients) > 0 {
		encrypted, err := age.Encrypt(w, k.Recipients...)
		if err != nil {
			return stored, held, err
		}
		closers, w = append(closers, encrypted), encrypted
	}
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return stored, held, err
	}
	closers = append(closers, compressed)
	err = write(io.MultiWriter(compressed, in))
	for i := len(closers) - 1; i >= 0; i-- {
		err = errors.Join(err, closers[i].Close())
	}
	return out.extent(), in.extent(), err
}

// windowMax bounds the memory that a damaged object can ask for.
const windowMax = 64 << 20

// unseal has read read what an object holds. What is stored and held must be what m says;
// until unseal returns nil, what was read is not to be believed.
func (k *Keys) unseal(m *Manifest, object io.Reader, read func(io.Reader) error) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, m.Object, fmt.Sprintf(format, args...))
	}
	out, in := newCounted(), newCounted()
	object = io.TeeReader(io.LimitReader(object, m.Stored.Bytes+1), out)
	plain := object
	if m.Encrypted {
		if len(k.Identities) == 0 {
			return fmt.Errorf("%w: %s: give the key file with --key", ErrKey, m.Object)
		}
		decrypted, err := age.Decrypt(object, k.Identities...)
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			// A damaged header reads the same: the hash of what is stored tells.
			if _, err := io.Copy(io.Discard, object); err == nil && out.extent() == m.Stored {
				return fmt.Errorf("%w: %s: for another key than those in the key file", ErrKey, m.Object)
			}
		}
		if err != nil {
			return damaged("it cannot be decrypted: %v", err)
		}
		plain = decrypted
	}
	decoder, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(windowMax))
	if err != nil {
		return err
	}
	defer decoder.Close()
	content := io.TeeReader(io.LimitReader(decoder, m.Held.Bytes+1), in)
	readErr := read(content)
	_, restErr := io.Copy(io.Discard, content)
	if _, err := io.Copy(io.Discard, object); err != nil { // to its end: the hash covers all
		return fmt.Errorf("read %s: %w", m.Object, err)
	}
	switch stored, held := out.extent(), in.extent(); {
	case stored.Bytes != m.Stored.Bytes:
		return damaged("it is not %d bytes long", m.Stored.Bytes)
	case stored != m.Stored:
		return damaged("its bytes have the hash %.12s, those written had %.12s", stored.SHA256, m.Stored.SHA256)
	case readErr != nil:
		return fmt.Errorf("%s: %w", m.Object, readErr)
	case restErr != nil:
		return damaged("%v", restErr)
	case held != m.Held:
		return damaged("what it holds has the hash %.12s, what was written had %.12s", held.SHA256, m.Held.SHA256)
	}
	return nil
}
