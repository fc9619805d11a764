package payout_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestBytesStayAsTheyAre: transactions are in the hands of others, intents in logs.
func TestBytesStayAsTheyAre(t *testing.T) {
	first := pay(t, 300)
	skip := signer(t).Skip(&first, "skipped by an operator")
	tried := first
	tried.Tries = 7
	golden := map[string][]byte{
		"transaction-v2-pay":  first.Raw,
		"transaction-v2-null": signer(t).Fill(7, 258).Raw,
		"intent-v1-pay":       payout.AppendIntent(nil, &first),
		"intent-v1-skip":      payout.AppendIntent(nil, &skip),
		"intent-v2-tried":     payout.AppendIntent(nil, &tried),
	}
	for name, got := range golden {
		file := filepath.Join("testdata", name+".hex")
		if *update {
			if err := os.WriteFile(file, []byte(hex.Dump(got)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), hex.Dump(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestATransactionSaysWhatItPays(t *testing.T) {
	record := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1payee", Amount: messages.AmountMax, Memo: strings.Repeat("é", 1000), ScheduledEpoch: 1,
	}}, nil, disbursement.Facts{})
	i := signer(t).Pay(12, 34, &record)
	tx, hash, err := payout.ParseTransaction(i.Raw)
	if err != nil {
		t.Fatal(err)
	}
	want := payout.Transaction{
		Account: tx.Account, Nonce: 34, ID: 12, Amount: messages.AmountMax, Destination: "tb1payee",
		Memo: strings.Repeat("é", 512),
	}
	if diff := cmp.Diff(want, tx); diff != "" {
		t.Error(diff)
	}
	if hash != i.Hash || hash != sha256.Sum256(i.Raw) {
		t.Error("the hash is not that of the bytes")
	}
	if got := payout.AccountOf(tx.Account); got != signer(t).Account() || len(got) > disbursement.DestinationBytesMax {
		t.Errorf("account %s", got)
	}
	if again := signer(t).Pay(12, 34, &record); !bytes.Equal(again.Raw, i.Raw) {
		t.Error("the same payment has other bytes")
	}
	null := signer(t).Fill(9, 34)
	if tx, _, err := payout.ParseTransaction(null.Raw); err != nil || !tx.Null() || tx.Nonce != 34 {
		t.Errorf("null transaction %+v: %v", tx, err)
	}
	if skip := signer(t).Skip(&i, "no"); !bytes.Equal(skip.Raw, null.Raw) || skip.Rival != i.Hash || skip.ID != 12 {
		t.Errorf("skip %+v", skip)
	}
}

func TestAnyChangeSpoilsATransaction(t *testing.T) {
	raw := pay(t, 1).Raw
	for at := range raw {
		spoilt := bytes.Clone(raw)
		spoilt[at] ^= 1
		if _, _, err := payout.ParseTransaction(spoilt); !errors.Is(err, payout.ErrTransaction) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if _, _, err := payout.ParseTransaction(raw[:at]); !errors.Is(err, payout.ErrTransaction) {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if _, _, err := payout.ParseTransaction(append(bytes.Clone(raw), 0)); !errors.Is(err, payout.ErrTransaction) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestASignerKeepsItsKey(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xab}, ed25519.SeedSize))
	s, err := payout.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if shown := fmt.Sprintf(format, s); strings.Contains(shown, "abab") || strings.Contains(shown, "171") {
			t.Errorf("%s shows %s", format, shown)
		}
	}
	if _, err := payout.NewSigner(key[:40]); err == nil {
		t.Error("a short key is taken")
	}
}

func FuzzDecodeIntent(f *testing.F) {
	first := pay(f, 1)
	skip := signer(f).Skip(&first, "no")
	f.Add(payout.AppendIntent(nil, &first))
	f.Add(payout.AppendIntent(nil, &skip))
	skip.Tries = 3
	f.Add(payout.AppendIntent(nil, &skip))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := payout.DecodeIntent(5, data)
		if err != nil {
			if !errors.Is(err, payout.ErrIntent) {
				t.Fatal(err)
			}
			return
		}
		if again := payout.AppendIntent(nil, &i); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

func FuzzParseTransaction(f *testing.F) {
	f.Add(pay(f, 1).Raw)
	f.Add(signer(f).Fill(1, 2).Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, _, err := payout.ParseTransaction(raw)
		if err != nil {
			return
		}
		if tx.Account == [32]byte(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)) &&
			!bytes.Equal(signer(t).Sign(&tx), raw) {
			t.Fatalf("%x is signed by another", raw)
		}
	})
}

func TestIntentsOfUnknownShapeAreRefused(t *testing.T) {
	first := pay(t, 1)
	good := payout.AppendIntent(nil, &first)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:75], "another version": change(0, 3), "no kind": change(1, 0),
		"another kind": change(1, 4), "a reason beyond the end": change(74, 4),
	} {
		if _, err := payout.DecodeIntent(1, data); !errors.Is(err, payout.ErrIntent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := payout.DecodeIntent(0, good); !errors.Is(err, payout.ErrIntent) {
		t.Errorf("nonce 0: %v", err)
	}
}
