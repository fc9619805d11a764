// Package demo lets a treasury relive the grants of a real DAO: it submits the
// embedded grants and expenses of the Decentraland DAO to a running node over
// MessagePack-RPC, as any client would, votes on them, and reports what became of
// them.
//
// An epoch stands for a month, and each month brings its grants:
//
//   - What was enacted before 2022 is the treasury's own payment, because nothing is
//     left to vote on. It is due in its month.
//   - Every other grant is a proposal. Three voters of each house, which are the demo's
//     own, vote so that what comes out is what the DAO decided. Enacted and passed ones
//     carry both houses, sit out their timelock and are paid. Rejected ones carry the
//     builders only, which is not enough. The votes that were still open (active) have
//     the operators' voices only and miss their quorum too. What was out of budget
//     carries both houses and is withdrawn in its timelock.
//   - Each expense depends on the grant its proposal_id names and waits until that
//     grant is final.
//   - The grant that most expenses wait for is recalled within its rollback window, on
//     purpose: its amount returns, and the expenses fail with it. This alone the DAO
//     did not do.
//
// Eighteen expenses name a grant that is not there and one grant is over nothing: the
// node must refuse these, and the demo counts the refusals. Request ids come from the
// rows, so that running it again submits, votes and pays nothing twice.
package demo
