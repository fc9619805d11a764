package chain

import (
	"encoding/json"
	"strconv"
	"strings"
)

// The methods of a chain node.
const (
	MethodSubmit      = "chain_submit"
	MethodTransaction = "chain_transaction"
	MethodNonce       = "chain_nonce"
	MethodInfo        = "chain_info"
)

// The error codes of a chain node that mean something certain. Every other is unclear.
const (
	CodeRefused      = -40001 // the chain does not have the transaction and will not take it
	CodeNonceUsed    = -40002 // a transaction is confirmed on the nonce
	CodeAlreadyKnown = -40003 // the chain has the transaction
)

// The states of a transaction.
const (
	StatusUnknown   = "unknown"
	StatusPending   = "pending"
	StatusConfirmed = "confirmed"
)

// Number is an unsigned number that may be written as a string of decimal digits.
type Number uint64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(text []byte) error {
	digits := string(text)
	if len(digits) > 1 && strings.HasPrefix(digits, `"`) && strings.HasSuffix(digits, `"`) {
		digits = digits[1 : len(digits)-1]
	}
	value, err := strconv.ParseUint(digits, 10, 64)
	*n = Number(value)
	return err
}

// SubmitParams are the parameters of chain_submit; hexadecimal.
type SubmitParams struct {
	RawTx string `json:"raw_tx"`
}

// SubmitResult answers chain_submit.
type SubmitResult struct {
	TxHash string `json:"tx_hash"`
}

// TransactionParams are the parameters of chain_transaction.
type TransactionParams struct {
	TxHash string `json:"tx_hash"`
}

// TransactionResult answers chain_transaction. All but Status belong to a transaction
// that is not unknown.
type TransactionResult struct {
	Status      string `json:"status"`
	Account     string `json:"account,omitempty"`
	Nonce       Number `json:"nonce,omitempty"`
	Destination string `json:"destination,omitempty"`
	Amount      Number `json:"amount,omitempty"`
	Block       Number `json:"block,omitempty"` // of a confirmed one
	// Confirmations is how many blocks confirm it, its own among them. A node that does
	// not tell confirms for good: 1 is read as enough.
	Confirmations Number `json:"confirmations,omitempty"`
}

// InfoResult answers chain_info, which a node need not know.
type InfoResult struct {
	ChainID string `json:"chain_id"`
}

// NonceParams are the parameters of chain_nonce.
type NonceParams struct {
	Account string `json:"account"`
	Nonce   Number `json:"nonce"`
}

// NonceResult answers chain_nonce: the account's lowest nonce that is not confirmed
// yet, and the transaction that is confirmed on the nonce asked about, "" if none is.
type NonceResult struct {
	Next   Number `json:"next"`
	TxHash string `json:"tx_hash"`
}

// Request is a request as it is sent.
type Request struct {
	Version string          `json:"jsonrpc"`
	ID      uint64          `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// Response is an answer as it comes.
type Response struct {
	Version string          `json:"jsonrpc"`
	ID      *uint64         `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *ResponseError  `json:"error,omitempty"`
}

// ResponseError is an error as it comes.
type ResponseError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}
