package receipt_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/audit/receipt"
	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// log is a whole tree in memory, as package tlog keeps one: nothing of the Store's is used.
type log struct {
	hashes []tlog.Hash
	leaves [][]byte
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *log) add(t testing.TB, leaf *persistence.Leaf) {
	leaf.Number = uint64(len(l.leaves) + 1)
	b := persistence.AppendLeaf(nil, leaf)
	hashes, err := tlog.StoredHashes(int64(len(l.leaves)), b, l)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes, l.leaves = append(l.hashes, hashes...), append(l.leaves, b)
}

func (l *log) root(t testing.TB, size int) tlog.Hash {
	root, err := tlog.TreeHash(int64(size), l)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// signing is a node's key.
type signing struct {
	signer note.Signer
	key    string
}

func newSigning(t testing.TB, origin string) signing {
	secret, key, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signing{signer, key}
}

func (s signing) checkpoint(t testing.TB, l *log, size int) string {
	root := l.root(t, size)
	text := fmt.Sprintf("%s\n%d\n%s\n", s.signer.Name(), size, base64.StdEncoding.EncodeToString(root[:]))
	b, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func hexes(hashes []tlog.Hash) (list []receipt.Hex) {
	for i := range hashes {
		list = append(list, hashes[i][:])
	}
	return list
}

// paid is the record of a payment of 100.
func paid() []byte {
	r := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1alice", Amount: 100, ScheduledEpoch: 1}}, nil, disbursement.Facts{Node: "n1"})
	return disbursement.AppendRecord(nil, &r)
}

// signedCall is the row of a call that alice has signed.
func signedCall(t testing.TB, key ed25519.PrivateKey) []byte {
	envelope := []byte(`{"method":"gov.treasury.vote"}`)
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	row := messages.AuditRow{
		Who: "alice", What: "call", Path: messages.MethodVote, KeyID: hex.EncodeToString(sum[:8]), Envelope: envelope,
		Signature: ed25519.Sign(key, append([]byte(messages.CallPrefix), envelope...)),
	}
	b, err := messages.AppendResult(make([]byte, 8), &row)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// made is a receipt for disbursement 7 from a tree of other rows, and the key it is checked with.
func made(t testing.TB) (*receipt.Receipt, *log, signing) {
	alice := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	l, node := &log{}, newSigning(t, "bursar/abc")
	for i := range 40 {
		l.add(t, &persistence.Leaf{Index: uint64(i), Key: persistence.RecordKey('o', uint64(i+1)), Version: 1, Data: []byte("other")})
	}
	l.add(t, &persistence.Leaf{Index: 50, Key: rows.RecordKey(7), Tag: 1, Version: 1, Data: []byte("as it was")})
	l.add(t, &persistence.Leaf{Index: 60, Key: rows.RecordKey(7), Tag: 1, Version: 2, Data: paid()})
	cast := disbursement.Cast{Vote: disbursement.Vote{House: messages.Builders, Voter: "bob", WeightPPM: 300, Approve: true}, Reason: "why not"}
	l.add(t, &persistence.Leaf{Index: 60, Key: rows.CastKey(7, 1), Version: 1, Data: disbursement.AppendCast(nil, &cast)})
	l.add(t, &persistence.Leaf{Index: 60, Key: persistence.RecordKey(authority.TableCalls, 1), Tag: 1, Version: 1, Data: signedCall(t, alice)})
	for range 20 {
		l.add(t, &persistence.Leaf{Index: 70, Key: persistence.RecordKey('o', 99), Version: 1, Data: []byte("other")})
	}
	size := len(l.leaves)
	r := &receipt.Receipt{
		Format: receipt.Format, Disbursement: 7, Note: node.checkpoint(t, l, size), Key: node.key,
		Operators: map[string]receipt.Hex{"alice": receipt.Hex(alice.Public().(ed25519.PublicKey))},
	}
	for _, number := range []int64{44, 43, 42, 41} {
		proof, err := tlog.ProveRecord(int64(size), number-1, l)
		if err != nil {
			t.Fatal(err)
		}
		hash := persistence.LeafHash(l.leaves[number-1])
		row := receipt.Row{Number: uint64(number), LeafHash: hash[:], Proof: hexes(proof)}
		if number != 41 {
			row.Leaf = l.leaves[number-1]
		}
		r.Rows = append(r.Rows, row)
	}
	extends, err := tlog.ProveTree(int64(size), 30, l)
	if err != nil {
		t.Fatal(err)
	}
	r.Since = &receipt.Since{Note: node.checkpoint(t, l, 30), Proof: hexes(extends)}
	return r, l, node
}

func TestAReceiptProvesItsPayment(t *testing.T) {
	r, l, node := made(t)
	p, err := r.Check([]string{newSigning(t, "bursar/abc").key, node.key})
	if err != nil {
		t.Fatal(err)
	}
	d := &p.Record.Payload.Disbursement
	if p.ID != 7 || p.Number != 42 || d.Amount != 100 || d.Destination != "tb1alice" || p.Earlier != 1 || p.Since.Size != 30 {
		t.Errorf("%+v", p)
	}
	if len(p.Votes) != 1 || p.Votes[0].String() != "bob of builders, 300 ppm, for: why not" {
		t.Errorf("votes: %+v", p.Votes)
	}
	if len(p.Calls) != 1 || !p.Calls[0].Checked || p.Calls[0].Who != "alice" || p.Calls[0].Path != messages.MethodVote {
		t.Errorf("calls: %+v", p.Calls)
	}
	want := receipt.Checkpoint{Origin: "bursar/abc", Size: uint64(len(l.leaves)), Root: l.root(t, len(l.leaves))}
	if p.Checkpoint != want {
		t.Errorf("checkpoint %+v, want %+v", p.Checkpoint, want)
	}
	if _, err := r.Check(nil); err != nil {
		t.Errorf("with its own key: %v", err)
	}
}

// TestAForgedReceiptIsRefused changes one thing at a time.
func TestAForgedReceiptIsRefused(t *testing.T) {
	for what, forge := range map[string]func(*receipt.Receipt, *log, signing){
		"another format":       func(r *receipt.Receipt, _ *log, _ signing) { r.Format = "bursar-receipt-2" },
		"another disbursement": func(r *receipt.Receipt, _ *log, _ signing) { r.Disbursement = 8 },
		"no row of its own":    func(r *receipt.Receipt, _ *log, _ signing) { r.Rows = r.Rows[:1] },
		"no rows":              func(r *receipt.Receipt, _ *log, _ signing) { r.Rows = nil },
		"a row twice":          func(r *receipt.Receipt, _ *log, _ signing) { r.Rows = append(r.Rows, r.Rows[2]) },
		"another number":       func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].Number++ },
		"number 0":             func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].Number = 0 },
		"a number beyond":      func(r *receipt.Receipt, l *log, _ signing) { r.Rows[2].Number = uint64(len(l.leaves) + 1) },
		"another hash":         func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].LeafHash[0] ^= 1 },
		"a hash cut":           func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].LeafHash = r.Rows[2].LeafHash[:31] },
		"a proof cut":          func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].Proof = r.Rows[2].Proof[1:] },
		"a hash too many": func(r *receipt.Receipt, _ *log, _ signing) {
			r.Rows[2].Proof = append(r.Rows[2].Proof, r.Rows[2].Proof[0])
		},
		"a short hash in a proof": func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[2].Proof[0] = r.Rows[2].Proof[0][:31] },
		"another amount": func(r *receipt.Receipt, _ *log, _ signing) {
			r.Rows[2].Leaf = bytes.Replace(r.Rows[2].Leaf, []byte{0, 100}, []byte{0, 101}, 1)
		},
		"another leaf of the tree":     func(r *receipt.Receipt, l *log, _ signing) { r.Rows[2].Leaf = l.leaves[40] },
		"an earlier leaf of the other": func(r *receipt.Receipt, l *log, _ signing) { r.Rows[3].Leaf = l.leaves[39] },
		"another operator's key":       func(r *receipt.Receipt, _ *log, _ signing) { r.Rows[0].Leaf[len(r.Rows[0].Leaf)-1] ^= 1 },
		"a checkpoint of another size": func(r *receipt.Receipt, l *log, s signing) { r.Note = s.checkpoint(t, l, 50) },
		"a checkpoint cut":             func(r *receipt.Receipt, _ *log, _ signing) { r.Note = r.Note[:len(r.Note)-9] },
		"a checkpoint changed":         func(r *receipt.Receipt, _ *log, _ signing) { r.Note = strings.Replace(r.Note, "\n64\n", "\n65\n", 1) },
		"no checkpoint":                func(r *receipt.Receipt, _ *log, _ signing) { r.Note = "" },
		"an older of another size":     func(r *receipt.Receipt, l *log, s signing) { r.Since.Note = s.checkpoint(t, l, 31) },
		"an older of another tree": func(r *receipt.Receipt, _ *log, s signing) {
			other := &log{}
			for range 30 {
				other.add(t, &persistence.Leaf{Key: "o", Data: []byte("never there")})
			}
			r.Since.Note = s.checkpoint(t, other, 30)
		},
		"an older that nobody knows": func(r *receipt.Receipt, l *log, _ signing) {
			r.Since.Note = newSigning(t, "bursar/abc").checkpoint(t, l, 30)
		},
	} {
		r, l, node := made(t)
		forge(r, l, node)
		if p, err := r.Check([]string{node.key}); !errors.Is(err, receipt.ErrFalse) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
}

// TestASignatureOfSomebodyElseIsRefused: the leaf is in the tree, and still a lie.
func TestASignatureOfSomebodyElseIsRefused(t *testing.T) {
	l, node := &log{}, newSigning(t, "bursar/abc")
	alice := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	call := signedCall(t, alice)
	call = bytes.Replace(call, []byte("treasury.vote\"}"), []byte("treasury.vota\"}"), 1) // the envelope, not the path
	l.add(t, &persistence.Leaf{Key: rows.RecordKey(1), Version: 1, Data: paid()})
	l.add(t, &persistence.Leaf{Key: persistence.RecordKey(authority.TableCalls, 1), Version: 1, Data: call})
	r := &receipt.Receipt{Format: receipt.Format, Disbursement: 1, Note: node.checkpoint(t, l, 2), Operators: map[string]receipt.Hex{"alice": receipt.Hex(alice.Public().(ed25519.PublicKey))}}
	for number := range int64(2) {
		proof, err := tlog.ProveRecord(2, number, l)
		if err != nil {
			t.Fatal(err)
		}
		hash := persistence.LeafHash(l.leaves[number])
		r.Rows = append(r.Rows, receipt.Row{Number: uint64(number + 1), LeafHash: hash[:], Leaf: l.leaves[number], Proof: hexes(proof)})
	}
	if _, err := r.Check([]string{node.key}); !errors.Is(err, receipt.ErrFalse) || !strings.Contains(err.Error(), "alice has not signed it") {
		t.Error(err)
	}
	r.Operators = nil
	if p, err := r.Check([]string{node.key}); err != nil || p.Calls[0].Checked {
		t.Errorf("without the key: %+v, %v", p, err)
	}
}

// exported is an export of a log, as bytes.
func exported(t testing.TB, l *log, note, key string, without map[int]bool) []byte {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	if err := lines.Encode(receipt.Head{Format: receipt.ExportFormat, Note: note, Key: key}); err != nil {
		t.Fatal(err)
	}
	for i, leaf := range l.leaves {
		hash := persistence.LeafHash(leaf)
		row := receipt.Row{Number: uint64(i + 1), LeafHash: hash[:], Leaf: leaf}
		if without[i] {
			row.Leaf = nil
		}
		if err := lines.Encode(row); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestAnExportAddsUp: for any size it does, and not with a line changed, cut, swapped or missing.
func TestAnExportAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, node := &log{}, newSigning(t, "bursar/abc")
		size := rapid.IntRange(0, 70).Draw(rt, "rows")
		for i := range size {
			l.add(t, &persistence.Leaf{Index: uint64(i), Key: "o", Data: fmt.Append(nil, i)})
		}
		old := rapid.IntRange(0, size).Draw(rt, "older")
		file := exported(t, l, node.checkpoint(t, l, size), node.key, map[int]bool{size / 2: true})
		e, err := receipt.CheckExport(bytes.NewReader(file), []string{node.key}, node.checkpoint(t, l, old))
		if err != nil || e.Checkpoint.Size != uint64(size) || e.Since.Size != uint64(old) || size > 0 && e.Whole != uint64(size-1) {
			rt.Fatalf("%+v, %v", e, err)
		}
		if size < 2 {
			return
		}
		lines := bytes.SplitAfter(file, []byte("\n"))
		at := rapid.IntRange(1, size-1).Draw(rt, "line")
		switch rapid.IntRange(0, 3).Draw(rt, "how") {
		case 0:
			lines[at], lines[at+1] = lines[at+1], lines[at]
		case 1:
			lines = append(lines[:at], lines[at+1:]...)
		case 2:
			lines = lines[:at+1]
		case 3:
			lines[at] = bytes.Replace(lines[at], []byte(`"leaf_hash":"`), []byte(`"leaf_hash":"00`), 1)
		}
		_, err = receipt.CheckExport(bytes.NewReader(bytes.Join(lines, nil)), []string{node.key}, "")
		if !errors.Is(err, receipt.ErrFalse) {
			rt.Fatalf("a changed export: %v", err)
		}
		other := &log{}
		for range old {
			other.add(t, &persistence.Leaf{Key: "o", Data: []byte("never there")})
		}
		if _, err = receipt.CheckExport(bytes.NewReader(file), nil, node.checkpoint(t, other, old)); old > 0 && !errors.Is(err, receipt.ErrFalse) {
			rt.Fatalf("another history: %v", err)
		}
	})
}

// FuzzCheck takes any file: it is refused, never a panic.
func FuzzCheck(f *testing.F) {
	r, l, node := made(f)
	b, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(exported(f, l, node.checkpoint(f, l, len(l.leaves)), node.key, nil))
	f.Add([]byte(`{"format":"bursar-receipt-1","note":"bursar/x\n1\n","rows":[{"number":1}]}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		var r receipt.Receipt
		if json.Unmarshal(file, &r) == nil {
			_, _ = r.Check([]string{node.key})
			_, _ = r.Check(nil)
		}
		_, _ = receipt.CheckExport(bytes.NewReader(file), nil, "")
	})
}
