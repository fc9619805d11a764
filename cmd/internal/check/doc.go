// Package check is CHECK: it holds the Stores of a cluster's nodes against what callers
// were told, and says what it found.
//
// A check asks of every Store at rest whether (a) the books balance, every row of the
// history follows from the one before and each nonce paid one disbursement; whether (b)
// every acknowledged submission is there, once, as it was acknowledged; and whether (c)
// all Stores hold the same rows at the same index. Stores are looked at one after the
// other, live ones or such that Rebuild makes from a data directory.
package check
