// Package payout holds what must be decided while an outside chain pays: which
// transaction is sent next, and what an answer, or the lack of one, means for the
// disbursement it pays.
//
// It is pure. A [Window] holds the intents in flight, ordered by nonce. Next names
// the questions to put to the chain now, Answer turns the chain's answers into
// [Decision]s, and whoever carries a decision out tells the window when the log
// has it. Time and chance are arguments.
//
// The rules that keep a disbursement from being paid twice, or being rolled back
// although it was paid:
//
//   - An intent is in the log before its bytes are sent, and only those bytes are
//     ever sent for it.
//   - A payment that the chain accepted, or has, is executed.
//   - A payment that was refused is rolled back at once only if all nonces below it
//     were known to be taken when it was sent, and no try of it ended unclear: then the
//     chain cannot have it. Intents that come from the log after a restart may have been
//     tried.
//   - Any other payment is given up by sending a null transaction on its nonce. Which
//     of the two the chain confirms decides: one nonce confirms one transaction.
//   - Nothing is sent on a nonce before all nonces below it are taken or sent, in one
//     round: the lowest of a round is judged as if it had been sent alone, and so counts
//     the tries; those behind it can be accepted, and are asked again for all else. A
//     nonce that comes free is filled at once, so that no gap stays.
package payout
