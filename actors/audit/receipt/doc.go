// Package receipt checks what a cluster's audit hands out, without any node: receipts of
// payments and exports of the whole audit.
//
// It trusts the keys that its caller gives it, SHA-256 and Ed25519, and nothing else in a
// file. Its functions hold no state and may be called from anywhere.
package receipt
