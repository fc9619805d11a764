package membership

import (
	"context"
	"log"
	"log/slog"
	"net"
	"strings"
)

// newGossipLogger turns memberlist's lines into ours. What matters of them the callbacks
// tell already, so they are for debugging, but for two: bytes from somebody that make no
// sense, and a firewall that lets TCP pass and UDP not.
func newGossipLogger(to *slog.Logger, c *callbacks) *log.Logger {
	return log.New(&gossipLog{to: to, callbacks: c}, "", 0)
}

type gossipLog struct {
	to        *slog.Logger
	callbacks *callbacks
}

// Write takes one line: "[LEVEL] memberlist: text", some with "from=address" behind it.
func (g *gossipLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimPrefix(rest, "memberlist: ")
	_, from, named := strings.Cut(rest, " from=")
	switch {
	case level == "[ERR]" && named && !strings.HasPrefix(rest, "Failed push/pull merge"): // that one NotifyMerge told
		host := from
		if h, _, err := net.SplitHostPort(from); err == nil {
			host = h
		}
		g.callbacks.warn(host, "somebody's gossip makes no sense; is the gossip key the same there, and is it a node?",
			"from", from, "err", rest)
	case level == "[WARN]" && strings.Contains(rest, "over TCP but UDP"):
		g.callbacks.warn("", "a member answers over TCP and not over UDP; let UDP pass the firewalls at the gossip port",
			"err", rest)
	case g.to.Enabled(context.Background(), slog.LevelDebug):
		g.callbacks.note(func(ctx context.Context) { g.to.DebugContext(ctx, rest) })
	}
	return len(line), nil
}
