package messages

// ForceResult answers force_open, force_close and reset.
type ForceResult struct {
	Path      string `msgpack:"path"`
	State     string `msgpack:"state"` // forced_open, forced_closed, or closed after a reset
	AuditID   uint64 `msgpack:"audit_id"`
	Duplicate bool   `msgpack:"duplicate"`
}

// InjectResult answers supervision.inject.
type InjectResult struct {
	Node      string `msgpack:"node"` // where it happens
	AuditID   uint64 `msgpack:"audit_id"`
	Duplicate bool   `msgpack:"duplicate"`
}

// BusyActor is one of the busiest actors.
type BusyActor struct {
	Path         string `msgpack:"path"`
	Kind         string `msgpack:"kind"`
	MailboxDepth uint64 `msgpack:"mailbox_depth"`
	Messages     uint64 `msgpack:"messages"` // processed within the window
}

// ActorsTopResult answers actors.top for the answering node.
type ActorsTopResult struct {
	Actors   List[BusyActor] `msgpack:"actors"`
	WindowMS uint64          `msgpack:"window_ms"`
	Node     string          `msgpack:"node"`
}

// ActorResult answers actors.get for the answering node.
type ActorResult struct {
	Actor ActorInfo `msgpack:"actor"`
	// Refused counts messages turned away, StalledMS is how long the message in hand
	// has taken, where that is too long.
	Refused   uint64 `msgpack:"refused"`
	StalledMS uint64 `msgpack:"stalled_ms,omitempty"`
	// Breakers are the actor's own and its cell, where they are not closed.
	Breakers List[BreakerInfo] `msgpack:"breakers"`
	Node     string            `msgpack:"node"`
}

// AuditRow is one thing an operator did.
type AuditRow struct {
	ID     uint64 `msgpack:"id"`
	At     uint64 `msgpack:"at"` // Unix seconds
	Who    string `msgpack:"who"`
	What   string `msgpack:"what"` // force_open, force_close, reset or inject
	Path   string `msgpack:"path"`
	Node   string `msgpack:"node"` // that took the call
	Detail string `msgpack:"detail,omitempty"`
}

// AuditResult answers admin.audit.
type AuditResult struct {
	Rows         List[AuditRow] `msgpack:"rows"`
	NextCursor   Cursor         `msgpack:"next_cursor"`
	AppliedIndex uint64         `msgpack:"applied_index"`
}
