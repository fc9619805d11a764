package payout

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Binding is the way by which payments leave the treasury, as the log holds it from the
// first payment on. Nonces belong to it: paid by another account, or on another chain, what
// is recorded here would be said of payments that nobody made.
type Binding struct {
	Submitter string // ledger or http
	// Account is that of the outside chain. Bound to the ledger it is the one that was used
	// before, "" if none was: nonces on the chain belong to it.
	Account string
	// Chain is the id of the outside chain; "" where its node does not tell.
	Chain string
}

// bindingVersion begins a stored binding; three texts follow, each behind its length in one
// byte.
const bindingVersion = 1

// AppendBinding appends the encoding of b to dst. No text may have more than 255 bytes.
func AppendBinding(dst []byte, b Binding) []byte {
	dst = append(dst, bindingVersion)
	for _, text := range []string{b.Submitter, b.Account, b.Chain} {
		dst = append(append(dst, byte(len(text))), text...)
	}
	return dst
}

// DecodeBinding reads what AppendBinding wrote.
func DecodeBinding(data []byte) (b Binding, err error) {
	fault := fmt.Errorf("payout: not a stored binding: %d bytes", len(data))
	if len(data) == 0 || data[0] != bindingVersion {
		return Binding{}, fault
	}
	data = data[1:]
	for _, text := range []*string{&b.Submitter, &b.Account, &b.Chain} {
		if len(data) == 0 || len(data) < 1+int(data[0]) {
			return Binding{}, fault
		}
		*text, data = string(data[1:1+data[0]]), data[1+data[0]:]
	}
	if len(data) > 0 {
		return Binding{}, fault
	}
	return b, nil
}

// String names the binding to people.
func (b Binding) String() string {
	text := b.Submitter
	if b.Submitter == "ledger" {
		return text
	}
	if b.Account != "" {
		text += " with account " + b.Account
	}
	if b.Chain != "" {
		text += " on chain " + b.Chain
	}
	return text
}

// Mismatch says why a node that is configured for mine must not pay for a treasury that is
// bound to b; "" if it may. A chain without a name is any.
func (b Binding) Mismatch(mine Binding) string {
	if b.Submitter == "ledger" && mine.Submitter == "ledger" {
		return ""
	}
	sameChain := b.Chain == mine.Chain || b.Chain == "" || mine.Chain == ""
	if b.Submitter == mine.Submitter && b.Account == mine.Account && sameChain {
		return ""
	}
	return fmt.Sprintf("the treasury is bound to %s, and this node is configured for %s", b, mine)
}

// Check says what is wrong with a binding that somebody asks for; nil if it can be.
func (b Binding) Check() *messages.Error {
	refuse := func(format string, args ...any) *messages.Error {
		return messages.Errorf(messages.CodeValidationFailed, format, args...)
	}
	switch {
	case b.Submitter == "ledger" && (b.Account != "" || b.Chain != ""):
		return refuse("the ledger has neither account nor chain_id")
	case b.Submitter == "ledger":
		return nil
	case b.Submitter != "http":
		return refuse("submitter is %q, want ledger or http", b.Submitter)
	case len(b.Account) != len(AccountOf([32]byte{})) || b.Account[:3] != "tb1":
		return refuse("account is %q, want tb1 and the public key in 64 hexadecimal digits", b.Account)
	case len(b.Chain) > ChainIDBytesMax:
		return refuse("chain_id has %d bytes, at most %d are allowed", len(b.Chain), ChainIDBytesMax)
	}
	return nil
}

// ChainIDBytesMax is the longest name of a chain.
const ChainIDBytesMax = 64
