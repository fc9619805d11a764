package actors_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors"
)

// boxTwin is the obviously right mailbox: four lists, looked at in order.
type boxTwin struct {
	limit                  int
	mode                   actors.Mode
	door                   actors.Door
	scheduled              bool
	system, internal, user []int
	stash, replay          []letterKept
	unfinished             int // user messages let in and not finished
	hand                   *letterKept
}

type letterKept struct {
	msg  int
	from string
}

// post says why a user message is not let in, and whether the actor is to be woken.
func (m *boxTwin) post(msg int) (why actors.Reason, wake bool) {
	switch {
	case m.door != actors.Open:
		return actors.Stopped, false
	case m.unfinished == m.limit:
		return actors.MailboxFull, false
	}
	m.user = append(m.user, msg)
	m.unfinished++
	return 0, m.wake(m.mode != actors.Held)
}

func (m *boxTwin) postInternal(msg int) (why actors.Reason, wake bool) {
	if m.door == actors.Closed {
		return actors.Stopped, false
	}
	m.internal = append(m.internal, msg)
	return 0, m.wake(m.mode == actors.Serving)
}

func (m *boxTwin) postSystem(msg int) (wake bool) {
	m.system = append(m.system, msg)
	return m.wake(true)
}

// wake reports whether the actor is to be scheduled, who has something to do.
func (m *boxTwin) wake(something bool) bool {
	wake := something && !m.scheduled
	m.scheduled = m.scheduled || wake
	return wake
}

// next is where the next message comes from, "" if none is to be served.
func (m *boxTwin) next() string {
	switch {
	case len(m.system) > 0:
		return "system"
	case m.mode == actors.Serving && len(m.internal) > 0:
		return "internal"
	case m.mode != actors.Held && len(m.replay) > 0:
		return "replay"
	case m.mode != actors.Held && len(m.user) > 0:
		return "user"
	}
	return ""
}

func (m *boxTwin) take() (msg int, from string) {
	pop := func(list *[]int) int {
		first := (*list)[0]
		*list = (*list)[1:]
		return first
	}
	switch from = m.next(); from {
	case "system":
		return pop(&m.system), from
	case "internal":
		m.hand = &letterKept{pop(&m.internal), from}
	case "user":
		m.hand = &letterKept{pop(&m.user), from}
	case "replay":
		m.hand = &m.replay[0]
		m.replay = m.replay[1:]
	default:
		return 0, ""
	}
	return m.hand.msg, m.hand.from
}

func (m *boxTwin) finish() {
	if m.hand != nil && m.hand.from == "user" {
		m.unfinished--
	}
	m.hand = nil
}

func (m *boxTwin) unstash() {
	m.replay = append(slices.Clone(m.stash), m.replay...)
	m.stash = nil
}

func (m *boxTwin) park() bool {
	if m.next() != "" {
		return false
	}
	m.scheduled = false
	return true
}

// shutIfIdle drains only if nothing waits and nothing is kept.
func (m *boxTwin) shutIfIdle() bool {
	if m.unfinished > 0 || len(m.internal) > 0 || m.door != actors.Open {
		return false
	}
	m.door = actors.Draining
	return true
}

func (m *boxTwin) empty() []int {
	left := slices.Clone(m.internal)
	for _, k := range m.replay {
		left = append(left, k.msg)
	}
	left = append(left, m.user...)
	m.door, m.internal, m.user, m.replay = actors.Closed, nil, nil, nil
	return left
}

// TestAMailboxBehavesLikeItsTwin posts to all lanes while one consumer, which is what a
// mailbox promises to have, serves, stashes, fails and restarts, drains and ends.
func TestAMailboxBehavesLikeItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 3, 200}).Draw(t, "limit")
		box, model := actors.NewMailbox(limit), &boxTwin{limit: limit, mode: actors.Held}
		posted, ended := 0, false
		mode := func(to actors.Mode) { box.SetMode(to); model.mode = to }
		same := func(what string, got, want any) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-twin +mailbox):\n%s", what, diff)
			}
		}
		type posting struct {
			Why  actors.Reason
			Wake bool
		}
		post := func(t *rapid.T) {
			for range rapid.SampledFrom([]int{1, 1, 2, 150}).Draw(t, "burst") {
				posted++
				why, wake := box.Post(posted)
				wantWhy, wantWake := model.post(posted)
				same("post", posting{why, wake}, posting{wantWhy, wantWake})
			}
		}
		// turn is the consumer's: only who is scheduled has one, and never inside a message.
		turn := func(do func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				if !model.scheduled || model.hand != nil {
					t.Skip("no turn")
				}
				do(t)
			}
		}
		take := func() bool {
			msg, from := box.Take()
			wantMsg, wantFrom := model.take()
			same("taken", fmt.Sprint(from, " ", msg), fmt.Sprint(wantFrom, " ", wantMsg))
			return from != ""
		}
		inHand := func(do func()) func(*rapid.T) {
			return func(t *rapid.T) {
				if model.hand == nil {
					t.Skip("nothing in hand")
				}
				do()
			}
		}
		finish := func() { box.Finish(); model.finish() }
		unstash := func() { box.Unstash(); model.unstash() }
		t.Repeat(map[string]func(*rapid.T){
			"post":       post,
			"post again": post,
			"post internal": func(*rapid.T) {
				posted++
				why, wake := box.PostInternal(posted)
				wantWhy, wantWake := model.postInternal(posted)
				same("post internal", posting{why, wake}, posting{wantWhy, wantWake})
			},
			"post system": func(*rapid.T) {
				posted++
				same("post system", box.PostSystem(posted), model.postSystem(posted))
			},
			"take":   turn(func(*rapid.T) { take() }),
			"finish": inHand(finish),
			"handle some": turn(func(t *rapid.T) {
				for range rapid.IntRange(1, 160).Draw(t, "messages") {
					if !take() {
						break
					}
					finish()
				}
			}),
			"stash":   inHand(func() { box.Stash(); model.stash = append(model.stash, *model.hand); model.hand = nil }),
			"unstash": inHand(unstash),
			"fail":    inHand(func() { finish(); mode(actors.Held) }),
			"start":   turn(func(*rapid.T) { mode(actors.Serving) }),
			"restart": turn(func(*rapid.T) { mode(actors.Held); unstash(); mode(actors.Serving) }),
			"refuse": turn(func(t *rapid.T) {
				if model.mode != actors.Held {
					t.Skip("it serves")
				}
				mode(actors.Refusing)
			}),
			"park": turn(func(*rapid.T) { same("parked", box.Park(), model.park()) }),
			"idle": turn(func(*rapid.T) { same("shut if idle", box.ShutIfIdle(), model.shutIfIdle()) }),
			"drain": func(*rapid.T) {
				box.Shut(actors.Draining)
				model.door = max(model.door, actors.Draining)
			},
			"end": turn(func(t *rapid.T) {
				if ended || rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
					t.Skip("not yet")
				}
				ended = true
				mode(actors.Held)
				unstash()
				same("left", fmt.Sprint(box.Empty()), fmt.Sprint(model.empty()))
			}),
			"": func(*rapid.T) {
				if !ended {
					same("depth", box.Depth(), model.unfinished)
				}
			},
		})
	})
}
