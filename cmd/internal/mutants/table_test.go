package mutants_test

const (
	treasury     = "./actors/treasury"
	executor     = "./actors/treasury/executor"
	records      = "./actors/treasury/disbursement"
	stateMachine = "./persistence"
	consensus    = "./cluster"
	model        = "./cmd/internal/sim" // where no smaller test comes so far
)

// mutants are the defences that money rests on.
var mutants = []mutant{
	// Who may.
	{name: "fence of submissions and accruals", file: "actors/treasury/shard.go",
		old: "txn.Fences = []persistence.ShardFence{fence}", new: "_ = fence", unit: treasury, model: 200, nodes: 10, short: true},
	{name: "fence of votes and rollbacks", file: "actors/durable/entity.go",
		old: "txn.Fences = append(txn.Fences, fence)", new: "_ = fence", unit: treasury, model: 200, nodes: 10, short: true},
	{name: "fence of sweeps", file: "actors/treasury/sweep.go",
		old: "txn.Fences = []persistence.ShardFence{fence}", new: "_ = fence", unit: treasury, model: 200, nodes: 10},
	{name: "fence of payments and staging", file: "actors/treasury/executor/executor.go",
		old: "txn.Fences = []persistence.ShardFence{x.Held()}", new: "", unit: treasury, model: 200, nodes: 10, short: true},
	{name: "fence of recorded payments", file: "actors/treasury/executor/recording.go",
		old: "Fences: []persistence.ShardFence{x.Held()},", new: "", unit: treasury, model: 200},
	{name: "fence of the binding", file: "actors/treasury/executor/binding.go",
		old: "Fences:     []persistence.ShardFence{x.Held()},", new: "", unit: treasury, model: 200, nodes: 10},
	{name: "fence of a line", file: "actors/treasury/executor/outside.go",
		old: "Fences: []persistence.ShardFence{x.Held()},", new: "", unit: treasury, model: 200},
	{name: "fence of confirmations", file: "actors/treasury/executor/confirming.go",
		old: "Fences:     []persistence.ShardFence{x.Held()},", new: "", unit: treasury, model: 200},
	{name: "fence of a resend", file: "actors/treasury/executor/resend.go",
		old: "Fences:     []persistence.ShardFence{x.Held()},", new: "", unit: treasury},
	{name: "fence of epochs", file: "actors/treasury/clock.go",
		old: "Fences:     []persistence.ShardFence{c.Held()},", new: "", unit: treasury, model: 200, nodes: 10},
	{name: "fences are compared", file: "persistence/judge.go",
		old: "fence.Fence != newest", new: "fence.Fence > newest", unit: stateMachine, model: 200, nodes: 100},

	{name: "assignments are compared", file: "persistence/judge.go",
		old: "a.From != newest", new: "a.From > newest", unit: stateMachine, model: 200},

	// What must still hold at the commit.
	{name: "a record's version", file: "actors/treasury/rows/write.go",
		old: "txn.Conditions = append(txn.Conditions, persistence.VersionIs(key, w.Version))", new: "", unit: treasury, model: 200},
	{name: "the epoch in which a window opens", file: "actors/treasury/rows/write.go",
		old: "if windows != 0 {", new: "if false {", unit: treasury, model: 200},
	{name: "the epoch in which an outside payment is recorded", file: "actors/treasury/executor/recording.go",
		old: "txn.Conditions = append(txn.Conditions, rows.EpochBefore(epoch+1))", new: "_ = epoch", unit: treasury, model: 200},
	{name: "the end of a vote or a rollback window", file: "actors/treasury/command.go",
		old: "if d.before != 0 {", new: "if false {", unit: treasury, model: 200},
	{name: "confirmation before an outside payment is final", file: "actors/treasury/rows/write.go",
		old: "txn.Conditions = append(txn.Conditions, persistence.CounterAtLeast(CounterConfirmed, int64(r.Nonce)))", new: "_ = r", unit: "./actors/treasury/rows"},
	{name: "a dependency lives", file: "actors/treasury/append.go",
		old: "txn.Conditions = append(txn.Conditions, liveDependency(dep))", new: "_ = dep", unit: treasury, model: 200},
	{name: "the line and the intent of recorded payments", file: "actors/treasury/executor/recording.go",
		old: "s.condition(), persistence.TagIn(rows.IntentKey(w.Intent.Nonce), byte(w.Intent.Kind)),", new: "", unit: treasury, model: 200},
	{name: "the binding of payments", file: "actors/treasury/executor/executor.go",
		old: "if x.binding.version != 0 {", new: "if false {", unit: treasury},
	{name: "a reversing transfer is free", file: "actors/treasury/command.go",
		old: "txn.Conditions = append(txn.Conditions, persistence.Absent(d.claim))", new: "", unit: treasury},
	{name: "a reversing transfer is claimed", file: "actors/treasury/command.go",
		old: "txn.Writes = append(txn.Writes, persistence.Write{Key: d.claim})", new: "", unit: treasury, model: 200},
	{name: "conditions are judged", file: "persistence/judge.go",
		old: "if !holds {", new: "if !holds && false {", unit: stateMachine, model: 200},

	// What the rules say.
	{name: "a step waits for its epoch", file: "actors/treasury/disbursement/step.go",
		old: "f.Epoch < due || r.AwaitsChain(f.Confirmed) {", new: "f.Epoch+1 < due || r.AwaitsChain(f.Confirmed) {", unit: records, model: 200, nodes: 20, short: true},
	{name: "a payment waits for its epoch", file: "actors/treasury/disbursement/execution.go",
		old: "f.Epoch < due {", new: "f.Epoch+1 < due {", unit: records, model: 200, nodes: 20},
	{name: "a payment waits for its dependencies", file: "actors/treasury/disbursement/execution.go",
		old: "if f.Unmet != 0 {", new: "if false {", unit: records, model: 2000},
	{name: "a payment wants funds", file: "actors/treasury/disbursement/execution.go",
		old: "f.Treasury < amount {", new: "f.Treasury < amount && false {", unit: records, model: 200},
	{name: "a vote has an end", file: "actors/treasury/disbursement/vote.go",
		old: "f.Epoch >= r.VoteDeadlineEpoch", new: "f.Epoch > r.VoteDeadlineEpoch", unit: records},
	{name: "no house is more than itself", file: "actors/treasury/disbursement/vote.go",
		old: "if total > messages.PPMMax {", new: "if false {", unit: records, model: 200},
	{name: "both houses", file: "actors/treasury/disbursement/vote.go",
		old: "q.OperatorsPPM && r.Approval", new: "q.OperatorsPPM || r.Approval", unit: records, model: 200, nodes: 20, short: true},
	{name: "a no counts as none", file: "actors/treasury/disbursement/vote.go",
		old: "v.House == house && v.Approve", new: "v.House == house", unit: records, model: 200},
	{name: "the window of a vote", file: "actors/treasury/disbursement/step.go",
		old: "after(f.Epoch, r.Payload.Proposal.VoteWindowEpochs)", new: "after(f.Epoch, 0)", unit: records, model: 200},
	{name: "the timelock", file: "actors/treasury/disbursement/step.go",
		old: "after(f.Epoch, r.Payload.Proposal.TimelockEpochs)", new: "f.Epoch", unit: records, model: 200},
	{name: "the window of a rollback", file: "actors/treasury/disbursement/rollback.go",
		old: "f.Epoch >= end &&", new: "f.Epoch > end &&", unit: records},
	{name: "what is staged is not cancelled", file: "actors/treasury/disbursement/rollback.go",
		old: "if r.Staged {", new: "if false {", unit: records, model: 200},
	{name: "the chain confirms before it is final", file: "actors/treasury/disbursement/record.go",
		old: "return r.State == messages.Executed && r.Outside && r.Nonce > confirmed", new: "return false && confirmed > 0", unit: treasury},
	{name: "what is final stays", file: "actors/treasury/disbursement/rollback.go",
		old: "messages.Queued, messages.Timelocked:\n\t\treturn nil\n\tcase messages.Executed, messages.Finalized,",
		new: "messages.Queued, messages.Timelocked, messages.Finalized:\n\t\treturn nil\n\tcase messages.Executed,", unit: records, model: 200, nodes: 60},
	{name: "an epoch is one", file: "actors/treasury/clock.go",
		old: "rows.BalanceAdd(rows.CounterEpoch, 1)", new: "rows.BalanceAdd(rows.CounterEpoch, 2)", unit: treasury, model: 200, nodes: 10},

	// Money and nonces.
	{name: "a balance is not negative", file: "actors/treasury/rows/keys.go",
		old: "Delta: delta, Min: 0,", new: "Delta: delta, Min: math.MinInt64,", unit: "./actors/treasury/rows"},
	{name: "the next nonce of the ledger", file: "actors/treasury/executor/payment.go",
		old: "Counter: rows.CounterNonce, Delta: 1, Min: int64(p.nonce), Max: int64(p.nonce),",
		new: "Counter: rows.CounterNonce, Delta: 1, Max: 1 << 60,", unit: treasury, model: 200},
	{name: "the next nonce of the chain", file: "actors/treasury/executor/staging.go",
		old: "Delta: 1, Min: int64(p.nonce), Max: int64(p.nonce),", new: "Delta: 1, Max: 1 << 60,", unit: treasury, model: 200},
	{name: "no nonce again after a skip", file: "actors/treasury/executor/recording.go",
		old: "if w.Intent.Kind != payout.Pay {", new: "if w.Intent.Kind == payout.Fill {", unit: model, model: 200},
	{name: "what the chain took is noted", file: "actors/treasury/executor/recording.go",
		old: "txn.Writes = append(txn.Writes, persistence.Write{\n\t\tKey: rows.SentKey(s.Nonce), Tag: byte(s.Kind), Value: payout.AppendSent(nil, &s),\n\t})",
		new: "", unit: treasury, model: 200},
	{name: "money goes to the payee", file: "actors/treasury/disbursement/execution.go",
		old: "{AccountInFlight, -amount}, {r.Payload.Disbursement.Destination, amount}", new: "{AccountInFlight, -amount}, {\"tb1thief\", amount}",
		unit: records, model: 200},

	{name: "what comes back is booked", file: "actors/treasury/disbursement/move.go",
		old: "m.Treasury = amount", new: "m.Treasury = amount - 1", unit: records, model: 200, nodes: 20},
	{name: "accounts add up", file: "actors/treasury/rows/write.go",
		old: "if accounts != 0 {", new: "if accounts > 0 {", unit: treasury, model: 200, nodes: 20},
	{name: "accruals add up", file: "actors/treasury/rows/keys.go",
		old: "BalanceAdd(CounterAccruals, int64(amount))", new: "BalanceAdd(CounterAccruals, int64(amount)-1)", unit: treasury, model: 200, nodes: 20},

	// Requests.
	{name: "a request is remembered", file: "persistence/judge.go",
		old: "if err != nil || !ok {\n\t\treturn Result{}, false, err", new: "if err != nil || !ok || ok {\n\t\treturn Result{}, false, err", unit: stateMachine, model: 200, nodes: 100},
	{name: "another request under the same id", file: "persistence/judge.go",
		old: "if first.PayloadHash != t.PayloadHash {", new: "if false {", unit: stateMachine},

	// Leaders, logs and reads.
	{name: "a read asks a majority", file: "cluster/reads.go",
		old: "if err := c.confirmLeadership(s.Term); err != nil {", new: "if err := error(nil); err != nil {", unit: consensus, nodes: 100},
	{name: "a leader sends nothing of the next term", file: "cluster/transport.go",
		old: "return n > 0 && request.Entries[n-1].Term > request.Term", new: "return n < 0", unit: consensus},
	{name: "a read waits for the log", file: "cluster/reads.go",
		old: "if c.AppliedIndex() >= index {", new: "if c.AppliedIndex() >= 0*index {", unit: consensus, nodes: 100},
}
