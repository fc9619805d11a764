package messages

// Field describes one parameter or one part of a result.
type Field struct {
	Name string
	// Type is "integer" (unsigned unless the text says otherwise), "string",
	// "boolean", "object" or "map", or "list of" and one of those.
	Type     string
	Required bool   // of parameters: the call is refused without it
	Default  string // what an absent parameter means
	Text     string
	Fields   []Field // of an object, or of a list's objects
}

// The helpers keep the table readable: a row is one line.

func must(name, kind, text string) Field {
	return Field{Name: name, Type: kind, Required: true, Text: text}
}

func may(name, kind, deflt, text string, fields ...Field) Field {
	return Field{Name: name, Type: kind, Default: deflt, Text: text, Fields: fields}
}

func out(name, kind, text string, fields ...Field) Field {
	return Field{Name: name, Type: kind, Text: text, Fields: fields}
}

var (
	idParam       = must("id", "integer", "The disbursement's id.")
	cursorParam   = may("cursor", "integer", "first page", "The `next_cursor` of the page before.")
	limitParam    = may("limit", "integer", "100", "Rows on the page; at most 1,000.")
	idsLimitParam = may("limit", "integer", "40000", "Ids on the page; at most 40,000.")
	requestID     = may("request_id", "string", "stamped at the ingress", "Makes a repeat harmless; at most 64 bytes.")
	deadlineMS    = may("deadline_ms", "integer", "5000", "How long the caller waits, in milliseconds; at most 60,000, 0 is the default.")
	consistency   = may("consistency", "string", "linearizable", "`linearizable` or `local` (may lag; answers without quorum).")
	nextCursor    = out("next_cursor", "integer", "Cursor of the next page; nil after the last.")
	appliedIndex  = out("applied_index", "integer", "Index of the log that the answer is true for.")
	duplicate     = out("duplicate", "boolean", "True for a repeat, which changed nothing.")
	subsetParam   = may("ids", "list of integer", "all", "The disbursements to look at; at most 10,000.")
	payloadFields = []Field{
		may("proposal", "object", "none", "What is voted on; absent, null or {} for a treasury-initiated payment.",
			proposalFields...),
		may("disbursement", "object", "", "The payment.", paymentFields...),
	}
	proposalFields = []Field{
		may("title", "string", "", "Not blank."),
		may("summary", "string", "", "Not blank."),
		may("deps", "list of integer", "[]", "Ids it depends on; if empty, the memo's count."),
		may("attachments", "list of object", "[]", "Documents beside it; at most 64.",
			may("name", "string", "", "What it is."), may("uri", "string", "", "Where it is.")),
		may("quorum", "object", "", "Approval each house must reach; not both 0.",
			may("operators_ppm", "integer", "0", "At most 1,000,000."),
			may("builders_ppm", "integer", "0", "At most 1,000,000.")),
		may("vote_window_epochs", "integer", "4", "Not 0."),
		may("timelock_epochs", "integer", "2", "Not 0."),
		may("rollback_window_epochs", "integer", "1", "Not 0."),
	}
	receiptFields = []Field{
		may("account", "string", "", "Who confirms."),
		may("amount", "integer", "0", "The share, in the smallest unit of BLOCK."),
	}
	paymentFields = []Field{
		may("destination", "string", "", "The payee; starts with `tb1`."),
		may("amount", "integer", "0", "In the smallest unit of BLOCK; 1 to 2^63-1."),
		may("memo", "string", "", "At most 8,192 bytes; may name dependencies."),
		may("scheduled_epoch", "integer", "0", "Not before this epoch; not 0."),
		may("expected_receipts", "list of object", "[]", "Shares that add up to the amount; at most 1,000.",
			receiptFields...),
	}
	itemsParam = Field{Name: "items", Type: "list of object", Required: true,
		Text: "At most 1,000.", Fields: []Field{
			may("ref", "string", "", "Names the item within the plan; at most 128 bytes."),
			may("payload", "object", "", "As for submit_disbursement."),
			may("after", "list of string", "[]", "Refs of items it depends on."),
		}}
	statusFields = []Field{
		out("state", "string", "draft, voting, queued, timelocked, executed, finalized or rolled_back."),
		out("vote_deadline_epoch", "integer", "Of voting."),
		out("operators_ppm", "integer", "Of voting: approval so far."),
		out("builders_ppm", "integer", "Of voting: approval so far."),
		out("activation_epoch", "integer", "Of queued."),
		out("ready_epoch", "integer", "Of timelocked."),
		out("tx_hash", "string", "Of executed, finalized."),
		out("executed_at", "integer", "Of executed, finalized: Unix seconds."),
		out("executed_epoch", "integer", "Of executed, finalized."),
		out("finalized_at", "integer", "Of finalized: Unix seconds."),
		out("reason", "string", "Of rolled_back."),
		out("rolled_back_at", "integer", "Of rolled_back: Unix seconds."),
		out("prior_tx", "string", "Of rolled_back: the transaction that had paid, if any."),
	}
	rowFields = []Field{
		out("disbursement", "object", "The disbursement.",
			out("id", "integer", "Its id."),
			out("destination", "string", "The payee."),
			out("amount", "integer", "In the smallest unit of BLOCK."),
			out("memo", "string", "As submitted."),
			out("scheduled_epoch", "integer", "As submitted."),
			out("created_at", "integer", "Unix seconds."),
			out("status", "object", "The state and that state's fields.", statusFields...),
			out("expected_receipts", "list of object", "As submitted.", receiptFields...),
			out("proposal", "object", "As submitted; absent where there is none.", proposalFields...)),
		out("deps", "list of integer", "The canonical dependencies."),
	}
	snapshotFields = []Field{
		out("id", "integer", "1, 2, 3 ... without gaps."),
		out("balance", "integer", "After the change."),
		out("delta", "integer", "The change; signed."),
		out("event", "string", "accrual, executed or cancelled."),
		out("recorded_at", "integer", "Unix seconds."),
		out("disbursement_id", "integer", "Nil for an accrual."),
	}
	executorFields = []Field{
		out("node", "string", "Its owner; empty while there is none."),
		out("next_nonce", "integer", "The nonce watermark."),
		out("staged", "integer", "Intents in flight."),
		out("due", "integer", "Records that wait for funds or their turn."),
		out("paused_id", "integer", "The record it has paused at, or nil."),
		out("paused_reason", "string", "Why."),
		out("submitter", "string", "ledger or http."),
		out("breaker", "string", "closed, open, half_open, forced_open or forced_closed."),
		out("last_executed_at", "integer", "Unix seconds; 0 for never."),
		out("last_error", "string", "The last one."),
		out("last_error_at", "integer", "Unix seconds; 0 for never."),
	}
)

func with(fields []Field, more ...Field) []Field {
	return append(append([]Field(nil), fields...), more...)
}
