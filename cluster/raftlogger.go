package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// newRaftLogger turns Raft's lines into ours. What it calls an error is a warning
// here - a peer out of reach, say - since whatever a person must act on is logged
// by Consensus itself; everything else is for debugging.
func newRaftLogger(log *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	logger.RegisterSink(&raftSink{log: log, warned: make(map[string]time.Time)})
	return logger
}

// warnEvery is the least time between two warnings in the same words: Raft repeats
// itself several times a second while a voter is away. Those between are for debugging.
const warnEvery = 10 * time.Second

// raftSink receives every line of Raft, its transport and its log.
type raftSink struct {
	log *slog.Logger

	mu     sync.Mutex
	warned map[string]time.Time // by Raft's words, of which there are few
}

// due reports whether a warning in these words is to be given at now.
func (s *raftSink) due(msg string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.warned[msg]) < warnEvery {
		return false
	}
	s.warned[msg] = now
	return true
}

// raftKeys maps the attributes worth keeping to the keys of our logs.
var raftKeys = map[string]string{
	"error":     "err",
	"err":       "err",
	"term":      "term",
	"index":     "index",
	"server-id": "member",
	"target":    "member",
	"peer":      "member",
	"from":      "from",
	"to":        "to",
}

// ending reports whether a line tells of a stream that this node has closed itself.
func ending(args []any) bool {
	for _, arg := range args {
		if err, ok := arg.(error); ok && errors.Is(err, net.ErrClosed) {
			return true
		}
	}
	return false
}

// Accept takes one line. args alternate keys and values.
func (s *raftSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	at := slog.LevelDebug
	if level >= hclog.Error && !ending(args) && s.due(msg, time.Now()) {
		at = slog.LevelWarn
	}
	ctx := context.Background()
	if !s.log.Enabled(ctx, at) {
		return
	}
	var attrs []slog.Attr
	for i := 0; i+1 < len(args); i += 2 {
		if name, ok := args[i].(string); ok && raftKeys[name] != "" {
			attrs = append(attrs, slog.Any(raftKeys[name], args[i+1]))
		}
	}
	s.log.LogAttrs(ctx, at, msg, attrs...)
}
