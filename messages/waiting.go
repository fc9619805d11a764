package messages

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// WaitingKind says what keeps a disbursement from being paid. The zero value is none.
type WaitingKind byte

// What may keep a disbursement from being paid.
const (
	WaitsForEpoch        WaitingKind = iota + 1 // Epoch, At
	WaitsForVotes                               // House, Have, Need until Epoch, At
	WaitsForTimelock                            // Epoch, At
	WaitsForDependencies                        // IDs
	WaitsForFunds                               // Have, Need, Short
	WaitsForBreaker                             // RetryAfterMS
	WaitsForPause                               // IDs, Reason
	WaitsForChain                               // Nonce
	WaitsForQuorum                              // Reason
)

var waitingKinds = []string{
	WaitsForEpoch: "epoch", WaitsForVotes: "votes", WaitsForTimelock: "timelock", WaitsForDependencies: "dependencies",
	WaitsForFunds: "funds", WaitsForBreaker: "breaker", WaitsForPause: "pause", WaitsForChain: "chain", WaitsForQuorum: "quorum",
}

// String gives the wire's word.
func (k WaitingKind) String() string {
	if k == 0 || int(k) >= len(waitingKinds) {
		return "nothing"
	}
	return waitingKinds[k]
}

// Waiting is one thing that a disbursement still waits for before it is paid, with the
// figures that belong to its kind only.
type Waiting struct {
	What  WaitingKind
	Epoch Epoch
	// At is about when the epoch comes, in Unix seconds; 0 where no clock reaches it.
	At           uint64
	House        string
	IDs          []DisbursementID
	Have, Need   uint64
	Short        Amount
	RetryAfterMS uint64
	Nonce        uint64
	Reason       string
}

func (w *Waiting) fields(f *fields) {
	word(f, "what", &w.What, waitingKinds, "")
	votes := w.What == WaitsForVotes
	timed := votes || w.What == WaitsForEpoch || w.What == WaitsForTimelock
	f.only(timed).uint("epoch", (*uint64)(&w.Epoch), "Of epoch, timelock and votes: when it comes, or the vote ends.")
	f.only(timed && w.At != 0).uint("at", &w.At, "About when that is; Unix seconds.")
	f.only(votes).text("house", &w.House, "Of votes: the house, `operators` or `builders`.")
	f.only(w.What == WaitsForDependencies || w.What == WaitsForPause).
		ids("ids", &w.IDs, 0, "Of dependencies: those that are not finalized. Of pause: the record that the executor has paused at.")
	f.only(votes || w.What == WaitsForFunds).uint("have", &w.Have, "Of votes: what the house has approved, in ppm. Of funds: the treasury's balance.")
	f.only(votes || w.What == WaitsForFunds).uint("need", &w.Need, "Of votes: the house's quorum, in ppm. Of funds: the amount.")
	f.only(w.What == WaitsForFunds).uint("short", (*uint64)(&w.Short), "Of funds: what is missing.")
	f.only(w.What == WaitsForBreaker).uint("retry_after_ms", &w.RetryAfterMS, "Of breaker: when the executor tries again.")
	f.only(w.What == WaitsForChain).uint("nonce", &w.Nonce, "Of chain: the nonce of the transaction that the chain has not answered for.")
	f.only(w.What == WaitsForPause || w.What == WaitsForQuorum).text("reason", &w.Reason, "Of pause and quorum: why.")
}

// Text tells it to people, at a given time.
func (w *Waiting) Text(now time.Time) string {
	switch w.What {
	case WaitsForEpoch:
		return fmt.Sprintf("epoch %d%s", w.Epoch, w.about(now))
	case WaitsForVotes:
		return fmt.Sprintf("votes of the %s until epoch %d%s: %s of %s", w.House, w.Epoch, w.about(now), percent(w.Have), percent(w.Need))
	case WaitsForTimelock:
		return fmt.Sprintf("the timelock until epoch %d%s", w.Epoch, w.about(now))
	case WaitsForDependencies:
		return fmt.Sprintf("%s, not finalized yet", idsText("dependency", "dependencies", w.IDs))
	case WaitsForFunds:
		return fmt.Sprintf("funds: the treasury holds %d of %d, %d short", w.Have, w.Need, w.Short)
	case WaitsForBreaker:
		return fmt.Sprintf("the executor's breaker, which is open; it tries again in %s", time.Duration(w.RetryAfterMS)*time.Millisecond)
	case WaitsForPause:
		return fmt.Sprintf("an operator: the executor has paused at %s: %s", idsText("disbursement", "disbursements", w.IDs), w.Reason)
	case WaitsForChain:
		return fmt.Sprintf("the chain: its payment is staged under nonce %d", w.Nonce)
	case WaitsForQuorum:
		return "the cluster: " + w.Reason
	}
	return ""
}

// idsText is a list of ids behind the word for one, or for several.
func idsText(one, several string, ids []DisbursementID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatUint(uint64(id), 10)
	}
	if len(ids) == 1 {
		several = one
	}
	return several + " " + strings.Join(texts, ", ")
}

// about tells how far away At is.
func (w *Waiting) about(now time.Time) string {
	if w.At == 0 {
		return ""
	}
	left := time.Duration(max(int64(w.At)-now.Unix(), 0)) * time.Second
	return fmt.Sprintf(" (in about %s)", left)
}

// percent writes parts per million.
func percent(ppm uint64) string { return fmt.Sprintf("%g %%", float64(ppm)/10_000) }
