package chaintest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

// transfer is a transaction the chain has.
type transfer struct {
	payout.Transaction
	sender string
	hash   disbursement.Hash
	block  uint64 // 0 while it is pending
}

// account is what the chain knows of one payer.
type account struct {
	confirmed []*transfer // nonce 1 first
	pending   map[uint64]*transfer
	sent      []uint64 // nonces in the order their transactions first came
	came      map[uint64]bool
}

// ledger is the chain itself. It is not safe for concurrent use; Node locks it.
type ledger struct {
	accounts map[string]*account
	balances map[string]messages.Amount
	byHash   map[disbursement.Hash]*transfer
	parsed   map[disbursement.Hash]payout.Transaction // all that ever came
	block    uint64
	id       string

	manual   bool // transactions wait for confirm
	gapless  bool // a nonce is refused while one below it is free
	replaces bool // a pending transaction makes room for another on its nonce
	refuse   func(payout.Transaction) string
}

func newLedger() *ledger {
	return &ledger{
		accounts: make(map[string]*account), balances: make(map[string]messages.Amount),
		byHash: make(map[disbursement.Hash]*transfer), parsed: make(map[disbursement.Hash]payout.Transaction),
	}
}

func (l *ledger) account(name string) *account {
	a := l.accounts[name]
	if a == nil {
		a = &account{pending: make(map[uint64]*transfer), came: make(map[uint64]bool)}
		l.accounts[name] = a
	}
	return a
}

func refused(code int, format string, args ...any) *chain.ResponseError {
	return &chain.ResponseError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// parse reads a transaction, and checks the signature of each once.
func (l *ledger) parse(raw []byte) (payout.Transaction, disbursement.Hash, error) {
	hash := disbursement.Hash(sha256.Sum256(raw))
	if tx, ok := l.parsed[hash]; ok {
		return tx, hash, nil
	}
	tx, hash, err := payout.ParseTransaction(raw)
	if err == nil {
		l.parsed[hash] = tx
	}
	return tx, hash, err
}

// come notes that a transaction has come, whatever becomes of it.
func (l *ledger) come(raw []byte) {
	tx, _, err := l.parse(raw)
	if err != nil {
		return
	}
	if a := l.account(payout.AccountOf(tx.Account)); !a.came[tx.Nonce] {
		a.came[tx.Nonce] = true
		a.sent = append(a.sent, tx.Nonce)
	}
}

// submit takes a transaction, or says why not.
func (l *ledger) submit(raw []byte) (disbursement.Hash, *chain.ResponseError) {
	tx, hash, err := l.parse(raw)
	if err != nil {
		return hash, refused(chain.CodeRefused, "%v", err)
	}
	if l.byHash[hash] != nil {
		return hash, refused(chain.CodeAlreadyKnown, "already known")
	}
	a := l.account(payout.AccountOf(tx.Account))
	switch other := a.pending[tx.Nonce]; {
	case tx.Nonce <= uint64(len(a.confirmed)):
		return hash, refused(chain.CodeNonceUsed, "the next nonce is %d", len(a.confirmed)+1)
	case tx.Nonce > math.MaxInt64:
		return hash, refused(chain.CodeRefused, "there is no nonce %d", tx.Nonce)
	case l.gapless && a.pending[tx.Nonce-1] == nil && tx.Nonce != uint64(len(a.confirmed))+1:
		return hash, refused(chain.CodeRefused, "nonce %d is free", tx.Nonce-1)
	case l.reason(tx) != "":
		return hash, refused(chain.CodeRefused, "%s", l.reason(tx))
	case other != nil && !l.replaces:
		return hash, refused(chain.CodeRefused, "another transaction waits for nonce %d", tx.Nonce)
	case other != nil:
		delete(l.byHash, other.hash)
	}
	t := &transfer{Transaction: tx, sender: payout.AccountOf(tx.Account), hash: hash}
	a.pending[tx.Nonce], l.byHash[hash] = t, t
	if !l.manual {
		l.confirm(a)
	}
	return hash, nil
}

func (l *ledger) reason(tx payout.Transaction) string {
	if l.refuse == nil || tx.Null() {
		return ""
	}
	return l.refuse(tx)
}

// confirm confirms what waits, in the order of nonces, up to the first gap.
func (l *ledger) confirm(a *account) {
	for {
		next := uint64(len(a.confirmed)) + 1
		t := a.pending[next]
		if t == nil {
			return
		}
		delete(a.pending, next)
		a.confirmed = append(a.confirmed, t)
		l.block++
		t.block = l.block
		l.balances[t.Destination] += t.Amount
	}
}

// transfer confirms a payment of anybody's.
func (l *ledger) transfer(sender, destination string, amount messages.Amount) disbursement.Hash {
	a := l.account(sender)
	tx := payout.Transaction{Nonce: uint64(len(a.confirmed)) + 1, Destination: destination, Amount: amount}
	hash := disbursement.Hash(sha256.Sum256(fmt.Appendf(nil, "%s %d %s %d", sender, tx.Nonce, destination, amount)))
	t := &transfer{Transaction: tx, sender: sender, hash: hash}
	a.pending[tx.Nonce], l.byHash[hash] = t, t
	l.confirm(a)
	return hash
}

// fork forgets an account's transactions from a nonce on.
func (l *ledger) fork(name string, nonce uint64) {
	a := l.account(name)
	for n, t := range a.pending {
		if n >= nonce {
			delete(l.byHash, t.hash)
			delete(a.pending, n)
		}
	}
	for uint64(len(a.confirmed)) >= nonce {
		last := len(a.confirmed) - 1
		t := a.confirmed[last]
		l.balances[t.Destination] -= t.Amount
		delete(l.byHash, t.hash)
		a.confirmed = a.confirmed[:last]
	}
}

func (l *ledger) transaction(p chain.TransactionParams) (chain.TransactionResult, *chain.ResponseError) {
	hash, ok := payout.ParseHash(p.TxHash)
	if !ok {
		return chain.TransactionResult{}, refused(-32602, "tx_hash is not a hash")
	}
	t := l.byHash[hash]
	if t == nil {
		return chain.TransactionResult{Status: chain.StatusUnknown}, nil
	}
	result := chain.TransactionResult{
		Status: chain.StatusPending, Account: t.sender, Nonce: chain.Number(t.Nonce),
		Destination: t.Destination, Amount: chain.Number(t.Amount), Block: chain.Number(t.block),
	}
	if t.block > 0 {
		result.Status = chain.StatusConfirmed
		result.Confirmations = chain.Number(l.block - t.block + 1)
	}
	return result, nil
}

func (l *ledger) nonce(p chain.NonceParams) chain.NonceResult {
	a := l.account(p.Account)
	result := chain.NonceResult{Next: chain.Number(len(a.confirmed) + 1)}
	if n := uint64(p.Nonce); n >= 1 && n <= uint64(len(a.confirmed)) {
		result.TxHash = hex.EncodeToString(a.confirmed[n-1].hash[:])
	}
	return result
}

// payments lists the confirmed payments of all accounts, by disbursement.
func (l *ledger) payments() map[messages.DisbursementID][]payout.Transaction {
	paid := make(map[messages.DisbursementID][]payout.Transaction)
	for _, name := range slices.Sorted(maps.Keys(l.accounts)) {
		for _, t := range l.accounts[name].confirmed {
			if !t.Null() {
				paid[t.ID] = append(paid[t.ID], t.Transaction)
			}
		}
	}
	return paid
}
