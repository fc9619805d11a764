package operations_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// sharedLog is a log in memory that any number of nodes follow. It outlives them.
type sharedLog struct {
	mu      sync.Mutex
	entries [][]byte
	fsms    []*persistence.FSM
	// Entries are committed, until lost says that nobody is told, or away that none is
	// taken.
	lost, away bool
}

// settled is an entry that the log has judged.
type settled struct {
	results []persistence.Result
	err     error
}

func (settled) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (s settled) Applied() <-chan struct{} { return s.Done() }

func (s settled) Results() ([]persistence.Result, error) { return s.results, s.err }

// Apply implements persistence.Log.
func (l *sharedLog) Apply(entry []byte) persistence.Future {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return settled{err: persistence.ErrUnavailable}
	}
	l.entries = append(l.entries, entry)
	var s settled
	for _, fsm := range l.fsms {
		if s.results, s.err = fsm.Apply(uint64(len(l.entries)), entry); s.err != nil {
			return s
		}
	}
	if l.lost {
		return settled{err: persistence.ErrUnknown}
	}
	return s
}

func (l *sharedLog) set(change func(*sharedLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// join replays the log into a machine and keeps it up to date.
func (l *sharedLog) join(fsm *persistence.FSM) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, entry := range l.entries {
		if _, err := fsm.Apply(uint64(i+1), entry); err != nil {
			return err
		}
	}
	l.fsms = append(l.fsms, fsm)
	return nil
}

func (l *sharedLog) leave(fsm *persistence.FSM) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.fsms {
		if l.fsms[i] == fsm {
			l.fsms = append(l.fsms[:i:i], l.fsms[i+1:]...)
			return
		}
	}
}

// node is one member: a runtime with an actor /shop and its child /shop/till.
type node struct {
	*operations.Operations
	t       testing.TB
	log     *sharedLog
	fsm     *persistence.FSM
	store   *persistence.Store
	journal *persistence.Journal
	system  *actors.System
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	asked   int
	said    said
}

// said is what the runtime wrote into its log, a line each.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) Enabled(context.Context, slog.Level) bool { return true }
func (s *said) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *said) WithGroup(string) slog.Handler            { return s }

func (s *said) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	return nil
}

// all gives the lines of a level and above.
func (s *said) all(level slog.Level) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		for l := level; l <= slog.LevelError; l += 4 {
			if strings.HasPrefix(line, l.String()) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// live runs a test in a bubble, with a log.
func live(t *testing.T, test func(t *testing.T, log *sharedLog)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, &sharedLog{}) })
}

// boot starts a node on what the log holds.
func boot(t testing.TB, log *sharedLog, name string, tune ...func(*operations.Config)) *node {
	t.Helper()
	n := &node{t: t, log: log}
	var err error
	n.store, err = persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	n.ok(err)
	n.fsm = persistence.NewFSM(n.store)
	n.ok(log.join(n.fsm))
	n.journal, err = persistence.NewJournal(persistence.DefaultJournalConfig(), log)
	n.ok(err)
	n.system, err = actors.New(actors.DefaultConfig(), slog.New(&n.said))
	n.ok(err)
	_, err = n.system.Spawn(shopSpec())
	n.ok(err)
	synctest.Wait()
	cfg := operations.Config{
		Node: messages.NodeID(name),
		Known: func(path string) bool {
			_, loaded := n.system.Lookup(path)
			return loaded || strings.HasPrefix(path, "/shop/customer-")
		},
	}
	for _, f := range tune {
		f(&cfg)
	}
	n.Operations, err = operations.New(cfg, n.system, n.store, n.journal)
	n.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.tasks.Go(func() { _ = n.journal.Run(ctx) })
	n.tasks.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	synctest.Wait()
	return n
}

// stop ends the node; the log stays.
func (n *node) stop() {
	n.t.Helper()
	n.log.leave(n.fsm)
	n.cancel()
	n.tasks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n.ok(n.system.Stop(ctx))
	n.ok(n.store.Close())
	time.Sleep(2 * time.Second) // buntdb's ticker ends then
}

func (n *node) ok(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// caller makes up a caller with a request id of its own.
func (n *node) caller() operations.Caller {
	n.asked++
	id := fmt.Sprintf("request-%p-%d", n, n.asked)
	return operations.Caller{Request: &durable.Request{Who: "ada", ID: id, Hash: [16]byte{byte(n.asked)}}, Reason: "a test"}
}

// within is how long a call waits.
func (n *node) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	n.t.Cleanup(cancel)
	return ctx
}

// is wants the two breakers of a path to be in a state.
func (n *node) is(path string, want breaker.State) {
	n.t.Helper()
	synctest.Wait()
	if got := n.system.Breaker(path); got != want {
		n.t.Errorf("%s: %s, want %s", path, got, want)
	}
	found, _ := n.system.Breakers(actors.BreakerPage{Path: path, NotClosed: true})
	both := 0
	for i := range found {
		if found[i].Path != path {
			continue
		}
		if both++; found[i].State != want {
			n.t.Errorf("%s: %v, want %s", path, found[i], want)
		}
	}
	if want != breaker.Closed && both != 2 {
		n.t.Errorf("%s: %v, want its cell and its own to be %s", path, found, want)
	}
}

// forced wants these paths to be forced.
func (n *node) forced(want ...string) {
	n.t.Helper()
	synctest.Wait()
	var got []string
	for _, f := range n.Forces() {
		got = append(got, f.Path)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		n.t.Errorf("forced: %v, want %v", got, want)
	}
}

// rows is the audit log, newest first, a line a row.
func (n *node) rows() []string {
	n.t.Helper()
	var lines []string
	for cursor := messages.Cursor(0); ; {
		page, refusal := n.Audit(messages.Page{Cursor: cursor, Limit: 3})
		if refusal != nil {
			n.t.Fatal(refusal)
		}
		for _, r := range page.Rows {
			lines = append(lines, strings.TrimSpace(fmt.Sprintln(r.ID, r.Who, r.Node, r.What, r.Path, r.Detail)))
		}
		if cursor = page.NextCursor; cursor == 0 {
			return lines
		}
	}
}

// shopper echoes, and makes a customer of any name it is told.
type shopper struct{}

func (shopper) Receive(ctx *actors.Context, msg any) error {
	if name, ok := msg.(string); ok {
		_, err := ctx.Spawn(actors.Spec{Name: name, New: func() actors.Actor { return shopper{} }})
		ctx.Reply(err == nil)
		return nil
	}
	ctx.Reply(true)
	return nil
}

func shopSpec() actors.Spec {
	return actors.Spec{Name: "shop", New: func() actors.Actor { return shopper{} }, Children: []actors.Spec{
		{Name: "till", New: func() actors.Actor { return shopper{} }},
	}}
}

// ask sends a message to the actor at a path and tells what came of it.
func (n *node) ask(path string, msg any) error {
	n.t.Helper()
	ref, ok := n.system.Lookup(path)
	if !ok {
		n.t.Fatalf("no actor %s", path)
	}
	_, err := actors.Ask[bool](n.within(), ref, msg)
	return err
}
