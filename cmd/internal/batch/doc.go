// Package batch submits many disbursements over one client, many at a time, and
// each exactly once: every item has a request id of its own, and an answer that
// leaves the outcome open is asked for again under the same id.
package batch
