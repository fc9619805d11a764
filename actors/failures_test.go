package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
)

// lines is a log of which a test reads the attributes.
type lines struct {
	mu  sync.Mutex
	all []map[string]string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := map[string]string{"msg": r.Message}
	r.Attrs(func(a slog.Attr) bool { line[a.Key] = a.Value.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	return nil
}

// failed lists what was logged about failures.
func (l *lines) failed() (list []map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if line["msg"] == "actor failed" {
			list = append(list, line)
		}
	}
	return list
}

type poison struct{}

func TestAPanicSaysWhereItWasAndOnWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s, err := actors.New(actors.DefaultConfig(), slog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Stop(context.Background()) }()
		ref := spawn(t, s, spec("a", func(_ *actors.Context, msg any) error {
			if _, ok := msg.(poison); ok {
				var nobody *strings.Builder
				nobody.WriteString("x") // panics
			}
			return errors.New("plain")
		}))
		for _, msg := range []any{poison{}, "text", poison{}} {
			if err := ref.Tell(msg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // its restart
		}
		got := log.failed()
		if len(got) != 3 {
			t.Fatalf("%d failures in the log, want 3: %v", len(got), got)
		}
		if got[0]["message"] != "actors_test.poison" || !strings.Contains(got[0]["stack"], "failures_test.go:") ||
			!strings.Contains(got[0]["where"], ".go:") {
			t.Errorf("the first panic: %v", got[0])
		}
		if got[1]["message"] != "string" || got[1]["where"] != "" || got[1]["stack"] != "" {
			t.Errorf("an error: %v", got[1])
		}
		if got[2]["where"] == "" || got[2]["stack"] != "" {
			t.Errorf("another panic within a minute: %v, want no stack", got[2])
		}
		kept := s.Failures("/a")
		if len(kept) != 3 || kept[1].Err != "plain" || kept[0].Stack == "" || kept[2].Message != "actors_test.poison" {
			t.Errorf("remembered: %+v", kept)
		}
	})
}

func TestFailuresThatAreRememberedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for i := range 300 {
			ref := spawn(t, s, spec(fmt.Sprintf("a%d", i), func(*actors.Context, any) error { return errors.New("no") }))
			if err := ref.Tell(1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute) // or the breaker above them opens
		}
		last := spawn(t, s, spec("last", func(_ *actors.Context, msg any) error { return fmt.Errorf("failure %v", msg) }))
		for i := range 12 {
			_ = last.Tell(i)
			time.Sleep(10 * time.Minute)
		}
		kept := s.Failures("/last")
		if len(kept) != 5 || kept[0].Err != "failure 11" || kept[4].Err != "failure 7" {
			t.Errorf("%d are remembered: %v, want the newest five", len(kept), kept)
		}
		total := 0
		for i := range 300 {
			total += len(s.Failures(fmt.Sprintf("/a%d", i)))
		}
		if total > 256 {
			t.Errorf("%d are remembered of the others", total)
		}
	})
}
