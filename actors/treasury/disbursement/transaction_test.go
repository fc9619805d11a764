package disbursement_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury/disbursement"
)

func TestLedgerTxIsAlwaysTheSame(t *testing.T) {
	r := disbursement.New(direct(memo("grant")), nil, at(1))
	tx, hash := disbursement.LedgerTx(258, 9, r)
	want := "bursar-tx\x01" +
		"\x00\x00\x00\x00\x00\x00\x01\x02" + "\x00\x00\x00\x00\x00\x00\x00\x09" + "\x00\x00\x00\x00\x00\x00\x03\xe8" +
		"\x00\x08tb1payee" + "\x00\x05grant"
	if diff := cmp.Diff(want, string(tx)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if hash != sha256.Sum256(tx) {
		t.Error("the hash is not that of the bytes")
	}
}

func TestLedgerTxCutsTheMemoAndTheRecordKeepsIt(t *testing.T) {
	r := disbursement.New(direct(memo(strings.Repeat("x", 1023)+"é and on")), nil, at(1))
	tx, _ := disbursement.LedgerTx(1, 1, r)
	if !strings.HasSuffix(string(tx), "\x03\xff"+strings.Repeat("x", 1023)) {
		t.Errorf("the transaction ends in %q", tx[len(tx)-4:])
	}
	if got := len(r.Payload.Disbursement.Memo); got != 1032 {
		t.Errorf("the stored memo has %d bytes, want 1032", got)
	}
}

func TestTransactionsOfDifferentPaymentsDiffer(t *testing.T) {
	r := disbursement.New(direct(), nil, at(1))
	_, hash := disbursement.LedgerTx(1, 1, r)
	_, otherID := disbursement.LedgerTx(2, 1, r)
	_, otherNonce := disbursement.LedgerTx(1, 2, r)
	if hash == otherID || hash == otherNonce || otherID == otherNonce {
		t.Error("two of them have one hash")
	}
}
