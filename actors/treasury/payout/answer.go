package payout

import (
	"fmt"

	"github.com/the-block/bursar/actors/treasury/disbursement"
)

// Ask is a question to the chain about an intent.
type Ask byte

// The questions.
const (
	// Submit sends the intent's bytes.
	Submit Ask = iota + 1
	// Inquire asks whether the chain has the transaction with the intent's hash.
	Inquire
	// Watch asks which transaction is confirmed on the intent's nonce.
	Watch
	// Confirm asks whether the transaction with the intent's hash is final: confirmed, as
	// deep as the treasury wants it.
	Confirm
)

// String names the question in logs.
func (a Ask) String() string {
	switch a {
	case Submit:
		return "submit"
	case Inquire:
		return "inquire"
	case Watch:
		return "watch"
	case Confirm:
		return "confirm"
	}
	return fmt.Sprintf("ask(%d)", byte(a))
}

// Verdict is what the chain said.
type Verdict byte

// The verdicts. Unclear may follow each question; the others follow the one they
// stand under.
const (
	// Unclear says that nothing is known: the network, a time-out, a server that
	// failed, or an answer that makes no sense. What was sent may have been taken.
	Unclear Verdict = iota + 1

	// Accepted says that the chain has the transaction, now or already, and keeps it
	// until its nonce is confirmed.
	Accepted
	// Refused says that the chain does not have the transaction and will not take it.
	Refused
	// NonceUsed says that a transaction, this or another, is confirmed on the nonce.
	NonceUsed

	// Known says that the chain has the transaction, confirmed or not yet; as an answer
	// to Confirm that it is not final yet.
	Known
	// Unknown says that it does not.
	Unknown

	// Taken says that the transaction Tx is confirmed on the nonce.
	Taken
	// Free says that none is confirmed on it yet.
	Free

	// Final says that the transaction is confirmed, as deep as was asked for.
	Final
)

var verdictNames = [...]string{
	Unclear: "unclear", Accepted: "accepted", Refused: "refused", NonceUsed: "nonce_used",
	Known: "known", Unknown: "unknown", Taken: "taken", Free: "free",
	Final: "final",
}

// String names the verdict in logs.
func (v Verdict) String() string {
	if v >= Unclear && v <= Final {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict(%d)", byte(v))
}

// answers reports whether v is an answer to a.
func (v Verdict) answers(a Ask) bool {
	switch v {
	case Unclear:
		return true
	case Accepted, Refused, NonceUsed:
		return a == Submit
	case Known, Unknown:
		return a == Inquire || a == Confirm
	case Taken, Free:
		return a == Watch
	case Final:
		return a == Confirm
	}
	return false
}

// stands reports whether v means the same whatever becomes of the nonces below. A
// refusal may be for a gap there, and then is one for now only.
func (v Verdict) stands() bool {
	switch v {
	case Accepted, NonceUsed, Known, Taken, Final:
		return true
	case Unclear, Refused, Unknown, Free:
		return false
	}
	return false
}

// Answer is a verdict with its details.
type Answer struct {
	Verdict Verdict
	// Reason goes with Unclear and Refused.
	Reason string
	// Tx goes with Taken.
	Tx disbursement.Hash
}
