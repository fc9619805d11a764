package supervision_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

var update = flag.Bool("update", false, "rewrite the golden conversations in testdata")

// TestConversations plays the scripts of testdata. A line that begins with > is
// something that happens, at a time since the start; the lines below it are the
// actions it causes. Lines that begin with # are remarks.
//
//	> spec all_for_one threshold=5 restarts=3 period=1m   describe the supervisor
//	> child b permanent                                   add a child; "template" adds the template
//	> start                                               build it and start its children
//	> 1s fail b                                           b fails; also exit, stopped
//	> 1s own fail                                         what it guards itself fails
//	> 1s force b forced_open                              an operator; "own" for its own; also reset
//	> 5m run                                              tick whenever Next says, until then
//	> 5m stop                                             end it
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			got := (&stage{t: t, spec: named(supervision.OneForOne)}).play(string(want))
			if *update {
				if err := os.WriteFile(script, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want), got); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// stage plays one conversation.
type stage struct {
	t    *testing.T
	spec supervision.Spec
	s    *supervision.Supervisor
	now  time.Time
}

func (g *stage) play(script string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			out.WriteString(line + "\n")
			continue
		}
		if words, ok := strings.CutPrefix(line, "> "); ok {
			out.WriteString(line + "\n")
			for _, answer := range g.say(strings.Fields(words)) {
				out.WriteString("  " + answer + "\n")
			}
		}
	}
	return out.String()
}

func (g *stage) say(words []string) []string {
	switch words[0] {
	case "spec":
		g.describe(words[1:])
		return nil
	case "child":
		g.spec.Children = append(g.spec.Children, g.child(words[1], words[2:]))
		return nil
	case "template":
		g.spec.Template = g.child("", words[1:])
		return nil
	case "start":
		g.s, g.now = supervise(g.t, g.spec), start
		return g.lines(g.s.Start())
	}
	then := start.Add(g.duration(words[0]))
	if words[1] == "run" {
		return g.run(then)
	}
	g.now = then
	return g.lines(g.happen(words[1:]))
}

// happen does what words say at g.now.
func (g *stage) happen(words []string) []supervision.Action {
	s, now := g.s, g.now
	name := ""
	if len(words) > 1 && words[1] != "own" {
		name = words[1]
	}
	switch words[0] {
	case "fail":
		gate := breaker.NewGate(s.Cells().Own(), s.Cells().Cell(s.ChildPath(name)))
		return s.Failed(name, gate.Current(), now, 0)
	case "exit":
		return s.Exited(name, now, 0)
	case "stopped":
		s.Stopped(name)
		return nil
	case "own":
		return s.OwnFailed(s.Cells().Own().Current(), now)
	case "force":
		state := breaker.ForcedOpen
		if words[2] == breaker.ForcedClosed.String() {
			state = breaker.ForcedClosed
		}
		return s.Force(name, state, now)
	case "reset":
		return s.Reset(name, now)
	case "stop":
		return s.Stop()
	}
	g.t.Fatalf("nobody understands %q", words)
	return nil
}

// run ticks whenever the supervisor wants it until then.
func (g *stage) run(then time.Time) []string {
	var answers []string
	for {
		next, ok := g.s.Next(g.now)
		if !ok || next.After(then) {
			g.now = then
			return answers
		}
		if next.After(g.now) {
			g.now = next
		}
		for _, answer := range g.lines(g.s.Tick(g.now)) {
			answers = append(answers, g.now.Sub(start).String()+" "+answer)
		}
	}
}

func (g *stage) lines(actions []supervision.Action) []string {
	var out []string
	for _, a := range actions {
		line := a.String()
		if !a.Until.IsZero() {
			line += " until " + a.Until.Sub(start).String()
		}
		out = append(out, line)
	}
	return out
}

func (g *stage) describe(words []string) {
	for strategy := supervision.OneForOne; strategy <= supervision.RestForOne; strategy++ {
		if strategy.String() == words[0] {
			g.spec.Strategy = strategy
		}
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "threshold":
			g.spec.Breaker.FailureThreshold = g.number(value)
		case "restarts":
			g.spec.Intensity.Restarts = g.number(value)
		case "period":
			g.spec.Intensity.Period = g.duration(value)
		case "backoff":
			g.spec.Backoff.Initial = g.duration(value)
		case "max":
			g.spec.Backoff.Max = g.duration(value)
		default:
			g.t.Fatalf("nobody understands %q", word)
		}
	}
}

func (g *stage) child(name string, words []string) supervision.ChildSpec {
	spec := supervision.ChildSpec{Name: name, Shutdown: 5 * time.Second}
	for restart := supervision.Permanent; restart <= supervision.Temporary; restart++ {
		if restart.String() == words[0] {
			spec.Restart = restart
		}
	}
	if len(words) > 1 && words[1] == supervision.IsolateChild.String() {
		spec.GiveUp = supervision.IsolateChild
	}
	return spec
}

func (g *stage) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

func (g *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		g.t.Fatal(fmt.Errorf("line %q: %w", text, err))
	}
	return d
}
