package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Format names the first version of a receipt's file.
const Format = "bursar-receipt-1"

// Hex is bytes that a file has in hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Receipt is the file of one payment.
type Receipt struct {
	Format       string         `json:"format"`
	Disbursement uint64         `json:"disbursement"`
	Note         string         `json:"note"`
	Key          string         `json:"key"`  // that the note is said to be signed with
	Rows         []Row          `json:"rows"` // newest first
	Since        *Since         `json:"since,omitempty"`
	Operators    map[string]Hex `json:"operators,omitempty"` // the keys of those who signed calls
}

// Row is one leaf of the tree.
type Row struct {
	Number   uint64 `json:"number"`
	LeafHash Hex    `json:"leaf_hash"`
	Leaf     Hex    `json:"leaf,omitempty"`
	Proof    []Hex  `json:"proof,omitempty"`
	// What, Who and Detail are for people: nothing is proven by them.
	What   string `json:"what,omitempty"`
	Who    string `json:"who,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Since proves that the tree extends an older one.
type Since struct {
	Note  string `json:"note"`
	Proof []Hex  `json:"proof"`
}

// Proven is what a receipt proves.
type Proven struct {
	Checkpoint Checkpoint
	Since      *Checkpoint // an older one that it extends
	ID         messages.DisbursementID
	Number     uint64 // of the leaf
	Record     disbursement.Record
	Votes      []disbursement.Cast // as they were cast, newest first
	Calls      []Call              // newest first
	Earlier    int                 // leaves of the payment before this one
}

// Call is a signed call that changed the payment.
type Call struct {
	messages.AuditRow
	// Checked says that the signature was checked: the receipt has the key whose id the leaf has.
	Checked bool
}

// Check holds a receipt against the keys that its checkpoints may be signed with. Without
// any the receipt's own key is believed, and whoever has signed the older checkpoint.
func (r *Receipt) Check(keys []string) (*Proven, error) {
	if r.Format != Format {
		return nil, falsef("its format is %q, not %s", r.Format, Format)
	}
	openOlder := func(note string) (Checkpoint, error) { return OpenCheckpoint(note, keys) }
	if len(keys) == 0 {
		keys, openOlder = []string{r.Key}, ReadCheckpoint
	}
	checkpoint, err := OpenCheckpoint(r.Note, keys)
	if err != nil {
		return nil, err
	}
	p := &Proven{Checkpoint: checkpoint, ID: messages.DisbursementID(r.Disbursement)}
	if r.Since != nil {
		older, err := openOlder(r.Since.Note)
		if err != nil {
			return nil, fmt.Errorf("the older checkpoint: %w", err)
		}
		if err := Extends(checkpoint, older, r.Since.Proof); err != nil {
			return nil, err
		}
		p.Since = &older
	}
	for i := range r.Rows {
		if err := p.take(&r.Rows[i], r); err != nil {
			return nil, fmt.Errorf("row %d: %w", r.Rows[i].Number, err)
		}
	}
	if p.Number == 0 {
		return nil, falsef("it has no row of disbursement %d as it was at its checkpoint", r.Disbursement)
	}
	return p, nil
}

// Extends checks that a tree has the rows of an older one first.
func Extends(newer, older Checkpoint, proof []Hex) error {
	hashes, err := hashesOf(proof)
	if err != nil {
		return err
	}
	switch {
	case newer.Origin != older.Origin:
		return falsef("its checkpoints are of two clusters, %s and %s", newer.Origin, older.Origin)
	case older.Size > newer.Size:
		return falsef("the older checkpoint is of %d rows, the newer of %d", older.Size, newer.Size)
	case older.Size == newer.Size && older.Root != newer.Root:
		return falsef("two checkpoints of %d rows have different roots", newer.Size)
	case older.Size == 0 || older.Size == newer.Size:
		return nil
	}
	if err := tlog.CheckTree(hashes, int64(newer.Size), newer.Root, int64(older.Size), older.Root); err != nil {
		return falsef("its %d rows do not begin with the %d of the older checkpoint: %w", newer.Size, older.Size, err)
	}
	return nil
}

func hashesOf(list []Hex) ([]persistence.TreeHash, error) {
	hashes := make([]persistence.TreeHash, len(list))
	var err error
	for i, h := range list {
		if hashes[i], err = hashOf(h); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

func hashOf(h Hex) (hash persistence.TreeHash, err error) {
	if len(h) != len(hash) {
		return hash, falsef("a hash of %d bytes", len(h))
	}
	return persistence.TreeHash(h), nil
}

// take checks one row, and takes in what it proves.
func (p *Proven) take(row *Row, r *Receipt) error {
	leaf, err := row.check(&p.Checkpoint)
	switch {
	case err != nil:
		return err
	case leaf == nil:
		p.Earlier++
		return nil
	}
	switch key := leaf.Key; {
	case key == rows.RecordKey(p.ID):
		if p.Number != 0 {
			return falsef("disbursement %d is there twice", p.ID)
		}
		p.Number = leaf.Number
		if p.Record, err = disbursement.DecodeRecord(leaf.Data); err != nil {
			return falsef("the record cannot be read: %w", err)
		}
		return nil
	case voteOn(key, p.ID):
		cast, err := disbursement.DecodeCast(leaf.Data)
		if err != nil {
			return falsef("the vote cannot be read: %w", err)
		}
		p.Votes = append(p.Votes, cast)
		return nil
	case key.Table() == authority.TableCalls:
		call := messages.AuditRow{ID: leaf.Number, Index: leaf.Index}
		if err := authority.DescribeCall(leaf.Data, &call); err != nil {
			return falsef("the call cannot be read: %w", err)
		}
		checked, err := checkCall(&call, r.Operators[call.Who])
		p.Calls = append(p.Calls, Call{call, checked})
		return err
	}
	return falsef("it is about something else: key %x", string(leaf.Key))
}

func voteOn(key persistence.Key, id messages.DisbursementID) bool {
	on, ok := rows.CastOf(key)
	return ok && on == id
}

// check holds a row against a checkpoint. Without its bytes it gives no leaf: what the row
// said was overwritten, and is told by a later row.
func (row *Row) check(c *Checkpoint) (*persistence.Leaf, error) {
	proof, err := hashesOf(row.Proof)
	if err != nil {
		return nil, err
	}
	hash, err := hashOf(row.LeafHash)
	if err != nil {
		return nil, err
	}
	if row.Number == 0 || row.Number > c.Size {
		return nil, falsef("it is none of the %d rows", c.Size)
	}
	if err := tlog.CheckRecord(proof, int64(c.Size), c.Root, int64(row.Number-1), hash); err != nil {
		return nil, falsef("its proof does not lead to the root: %w", err)
	}
	if row.Leaf == nil {
		return nil, nil
	}
	if persistence.LeafHash(row.Leaf) != hash {
		return nil, falsef("its leaf has another hash")
	}
	leaf, err := persistence.ParseLeaf(row.Leaf)
	if err != nil {
		return nil, falsef("%w", err)
	}
	if leaf.Number != row.Number {
		return nil, falsef("its leaf says that it is row %d", leaf.Number)
	}
	return &leaf, nil
}

// checkCall checks what an operator has signed, if key is the one whose id the leaf has.
func checkCall(call *messages.AuditRow, key Hex) (checked bool, err error) {
	sum := sha256.Sum256(key)
	if len(key) != ed25519.PublicKeySize || hex.EncodeToString(sum[:8]) != call.KeyID || call.Signature == nil {
		return false, nil
	}
	if !ed25519.Verify(ed25519.PublicKey(key), append([]byte(messages.CallPrefix), call.Envelope...), call.Signature) {
		return false, falsef("%s has not signed it", call.Who)
	}
	return true, nil
}
