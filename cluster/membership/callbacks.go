package membership

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/the-block/bursar/messages"
)

// callbacks are what memberlist calls, much of it while it holds its own lock: they note
// and return.
type callbacks struct {
	table   *table
	addr    string // where this node gossips
	started time.Time
	log     *slog.Logger
	limiter *limiter
	// notes are what Run has to do. A note that finds it full is lost: it only logs.
	notes chan func(context.Context)
	// fatal holds the first reason why the node must stop.
	fatal chan error

	mu        sync.Mutex
	claims    map[string]target        // addresses that answer, or answered, to a name kept for another
	strangers map[string]*foreignError // addresses of another cluster's nodes
}

func newCallbacks(t *table, addr string, log *slog.Logger) *callbacks {
	return &callbacks{
		table: t, addr: addr, started: time.Now(), log: log, limiter: newLimiter(),
		notes: make(chan func(context.Context), notesMax), fatal: make(chan error, 1),
		claims: make(map[string]target), strangers: make(map[string]*foreignError),
	}
}

func (c *callbacks) note(act func(context.Context)) {
	select {
	case c.notes <- act:
	default:
	}
}

// warn notes a warning, the same about the same once a minute.
func (c *callbacks) warn(about, message string, args ...any) {
	if c.limiter.allow(message+about, time.Now()) {
		c.note(func(ctx context.Context) { c.log.WarnContext(ctx, message, args...) })
	}
}

// hail is what this node tells in a full exchange.
func (c *callbacks) hail() hail {
	me := c.table.me()
	return hail{name: me.Name, boot: me.Boot, uptime: time.Since(c.started), addr: c.addr}
}

// NodeMeta gives what the node tells about itself.
func (c *callbacks) NodeMeta(int) []byte { return appendMeta(nil, c.table.me()) }

// NotifyMsg takes a good-bye.
func (c *callbacks) NotifyMsg(b []byte) {
	h, err := decodeHail(b)
	if err != nil {
		return
	}
	if ch, told := c.table.leaving(h.name, h.boot, time.Now()); told {
		c.logChange(ch)
	}
}

// GetBroadcasts gives nothing: all news are gossip's own.
func (c *callbacks) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState gives the node's side of a full exchange.
func (c *callbacks) LocalState(bool) []byte { return appendHail(nil, c.hail()) }

// MergeRemoteState takes the other side of a full exchange, and settles whose the name is
// where both go by the same.
func (c *callbacks) MergeRemoteState(b []byte, _ bool) {
	other, err := decodeHail(b)
	me := c.hail()
	if err != nil || other.name != me.name || other.boot == me.boot {
		return
	}
	if !yields(me, other) {
		c.warn(other.addr, "another node goes by this node's name; it was told to stop",
			"addr", other.addr, "member", other.name)
		return
	}
	select {
	case c.fatal <- &NameTakenError{Name: me.name, Addr: other.addr, Uptime: other.uptime}:
	default: // there is a reason to stop already
	}
}

// NotifyConflict takes note of a second address for a name, which is asked who it is: one that
// has this node's name may have to stop, and a member that moved gets its name once the
// address before is given up.
func (c *callbacks) NotifyConflict(existing, other *memberlist.Node) {
	mine := messages.NodeID(other.Name) == c.table.me().Name
	if !mine {
		c.warn(other.Name, "two addresses claim one name; if both are up, one of them must be stopped",
			"member", other.Name, "from", existing.Address(), "to", other.Address())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.claims) < claimsMax {
		c.claims[other.Address()] = target{rival: mine}
	}
}

// takeClaims returns the addresses that answered to a name kept for another, and forgets them.
func (c *callbacks) takeClaims() map[string]target {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.claims
	c.claims = make(map[string]target)
	return taken
}

// NotifyMerge judges a full exchange in which two nodes meet. Who comes with members of
// another cluster only is turned away; who has some of ours, too, is heard, and its
// foreigners are turned away one by one.
func (c *callbacks) NotifyMerge(nodes []*memberlist.Node) error {
	me := c.table.me()
	var refusal *foreignError
	for _, n := range nodes {
		meta, err := decodeMeta(messages.NodeID(n.Name), n.Meta)
		gone := n.State == memberlist.StateDead || n.State == memberlist.StateLeft
		switch {
		case err != nil || gone || meta.Cluster == "" || me.Cluster == "":
		case meta.Cluster == me.Cluster:
			return nil
		default:
			refusal = &foreignError{theirs: meta.Cluster, ours: me.Cluster}
			c.stranger(meta, n.Address(), refusal)
		}
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

// stranger takes note of another cluster's node, for the one who asked it and the one
// who was asked.
func (c *callbacks) stranger(meta Meta, addr string, refusal *foreignError) {
	c.mu.Lock()
	if len(c.strangers) < saidMax {
		c.strangers[addr] = refusal
	}
	c.mu.Unlock()
	c.warn(addr, "a node of another cluster was turned away: "+refusal.Error(), "member", meta.Name, "addr", addr)
}

// strangeness is why the node at addr was turned away, nil where it was not.
func (c *callbacks) strangeness(addr string) *foreignError {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer delete(c.strangers, addr)
	return c.strangers[addr]
}

// NotifyAlive judges a node that is said to be alive.
func (c *callbacks) NotifyAlive(n *memberlist.Node) error {
	me := c.table.me()
	if messages.NodeID(n.Name) == me.Name {
		return nil
	}
	meta, err := decodeMeta(messages.NodeID(n.Name), n.Meta)
	if err == nil {
		err = c.table.admits(meta)
	}
	if err != nil {
		c.warn(n.Address(), "a node was not taken for a member", "member", clip(n.Name), "addr", n.Address(), "err", err)
	}
	return err
}

// NotifyJoin takes note of a member that is alive.
func (c *callbacks) NotifyJoin(n *memberlist.Node) { c.alive(n) }

// NotifyUpdate takes note of what a member tells anew.
func (c *callbacks) NotifyUpdate(n *memberlist.Node) { c.alive(n) }

func (c *callbacks) alive(n *memberlist.Node) {
	meta, err := decodeMeta(messages.NodeID(n.Name), n.Meta)
	if err != nil {
		return // NotifyAlive has refused it
	}
	if ch, told := c.table.alive(meta, n.Address(), time.Now()); told {
		c.logChange(ch)
	}
}

// NotifyLeave takes note of a member that is gone.
func (c *callbacks) NotifyLeave(n *memberlist.Node) {
	if ch, told := c.table.gone(messages.NodeID(n.Name), time.Now()); told {
		c.logChange(ch)
	}
}

// logChange notes the line of the log that a change is worth.
func (c *callbacks) logChange(ch change) {
	level, message := slog.LevelInfo, "member joined"
	switch {
	case ch.member.State == Dead:
		level, message = slog.LevelWarn, "member fell silent"
	case ch.member.State == Left:
		message = "member left"
	case ch.restarted:
		message = "member restarted"
	case ch.from != 0:
		message = "member is back"
	}
	attrs := []slog.Attr{slog.Any("member", ch.member.Name), slog.String("addr", ch.member.GossipAddr())}
	if ch.from != 0 {
		attrs = append(attrs, slog.String("from", ch.from.String()))
	}
	attrs = append(attrs, slog.String("to", ch.member.State.String()))
	c.note(func(ctx context.Context) { c.log.LogAttrs(ctx, level, message, attrs...) })
}
