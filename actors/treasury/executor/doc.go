// Package executor makes the treasury's payments: in the cluster's own accounts, or on an
// outside chain. There is one in the cluster, a durable.Singleton; its shard's fence, the
// versions of records and the nonce watermark make a second one harmless.
//
// It takes its work from the read model, decides by the rules of package disbursement and
// leaves to payout what an outside chain is sent next.
package executor
