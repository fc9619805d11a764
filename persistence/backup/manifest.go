package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what an object holds.
type Kind string

// The kinds of objects.
const (
	Base  Kind = "base"
	Piece Kind = "piece"
)

// formatVersion is that of manifests and of what they describe.
const formatVersion = 1

// Manifest describes one object. It is stored as JSON; SHA256, its last field, covers all
// other bytes, so that nothing in it can change unnoticed.
type Manifest struct {
	Version int    `json:"version"`
	Kind    Kind   `json:"kind"`
	Cluster string `json:"cluster"`
	// First and Last are the entries that a piece holds; of a base both are the entry whose
	// state it is.
	First uint64 `json:"first_index"`
	Last  uint64 `json:"last_index"`
	// FirstTerm and LastTerm are their terms, FirstAt and LastAt the leader's clock when it
	// appended them.
	FirstTerm uint64    `json:"first_term"`
	LastTerm  uint64    `json:"last_term"`
	FirstAt   time.Time `json:"first_at"`
	LastAt    time.Time `json:"last_at"`
	// Level is the feature level of the log: what a program must know to read it.
	Level uint16 `json:"feature_level"`
	// Object names the object, Stored is what it is and Held what it holds once decrypted
	// and decompressed.
	Object    string `json:"object"`
	Encrypted bool   `json:"encrypted"`
	Stored    Extent `json:"stored"`
	Held      Extent `json:"held"`
	// Before and After are the log's running hash before First and after Last. Of a base
	// Before is "", and After is too where the log before it was not shipped.
	Before string `json:"log_hash_before,omitempty"`
	After  string `json:"log_hash_after,omitempty"`
	// Facts are what the Store of a base adds up to.
	Facts *Facts `json:"facts,omitempty"`
	// Node wrote it, under Fence.
	Node  string `json:"node"`
	Fence uint64 `json:"fence"`

	SHA256 string `json:"sha256"`
}

// Extent is how many bytes there are, and their hash.
type Extent struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Facts are what a Store adds up to.
type Facts struct {
	Digest        string `json:"digest"`
	Rows          uint64 `json:"rows"`
	Disbursements uint64 `json:"disbursements"`
	Treasury      uint64 `json:"treasury"`
}

const (
	manifestSuffix = ".json"
	objectSuffix   = ".zst"
	// manifestBytesMax bounds what is read of one.
	manifestBytesMax = 16 << 10
)

// name is the manifest's own: by kind, cluster and indexes, so that names sort as the log
// does.
func (m *Manifest) name() string { return m.stem() + manifestSuffix }

func (m *Manifest) stem() string {
	if m.Kind == Base {
		return fmt.Sprintf("%s-%s-%020d", m.Kind, m.Cluster, m.Last)
	}
	return fmt.Sprintf("%s-%s-%020d-%020d", m.Kind, m.Cluster, m.First, m.Last)
}

// encode seals the manifest and gives its bytes.
func (m *Manifest) encode() ([]byte, error) {
	m.SHA256 = ""
	open, err := m.marshal()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(open)
	m.SHA256 = hex.EncodeToString(sum[:])
	return m.marshal()
}

func (m *Manifest) marshal() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// decodeManifest reads what encode gave, to the byte.
func decodeManifest(name string, b []byte) (*Manifest, error) {
	damaged := func(what string) error { return fmt.Errorf("%w: %s: %s", ErrDamaged, name, what) }
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, damaged("it is no manifest")
	}
	if m.Version != formatVersion {
		return nil, fmt.Errorf("%s: format %d, this program knows %d; use a newer one, if it was not damaged", name, m.Version, formatVersion)
	}
	again := m
	sealed, err := again.encode()
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(sealed, b):
		return nil, damaged("it is not what was written")
	case m.name() != name:
		return nil, damaged("it belongs to " + m.name())
	case !strings.HasPrefix(m.Object, m.stem()+"-"):
		return nil, damaged("it names " + m.Object + " as its object")
	}
	return &m, nil
}

// errShape is returned for bytes that do not have the form of a piece.
var errShape = errors.New("it does not have the form of a piece")
