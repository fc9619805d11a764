package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/demo"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

// showEvery is how often the summary is drawn anew.
const showEvery = 200 * time.Millisecond

// show runs the demo against a node and tells how it goes.
type show struct {
	screen *display
	member *member
	link   *link
	load   int
	began  time.Time

	mu     sync.Mutex
	tally  *demo.Tally
	loaded uint64 // payments of --load that were taken
	first  bool   // firstText was told
	rate   rate
}

func newShow(screen *display, m *member, load int, began time.Time) *show {
	return &show{
		screen: screen, member: m, load: load, began: began, tally: new(demo.Tally),
		link: &link{addr: m.cfg.Address(node.PortRPC)},
	}
}

// run tells the story, then keeps the load up, and watches until ctx ends.
func (s *show) run(ctx context.Context) error {
	defer s.link.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.play(ctx) })
	group.Go(func() error { return s.watch(ctx) })
	if err := group.Wait(); err != nil && !ended(err) {
		return err
	}
	return nil
}

func (s *show) play(ctx context.Context) error {
	book, err := demo.Load()
	if err != nil {
		return err
	}
	cfg := batch.DefaultConfig()
	if _, err = demo.Run(ctx, s.link, book, cfg, s.note); err != nil {
		return fmt.Errorf("the demo: %w", err)
	}
	if s.load == 0 {
		return nil
	}
	l := load{link: s.link, cfg: cfg, run: fmt.Sprintf("load-%x", s.began.UnixNano()), payees: book.Payees(), perSecond: s.load}
	return l.keep(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.loaded++
	})
}

// note takes the story's newest tally and tells what is news in it.
func (s *show) note(t *demo.Tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Cascade != nil && s.tally.Cascade == nil {
		s.screen.event("%s", cascadeText(t.Cascade))
	}
	if t.End != nil && s.tally.End == nil {
		s.screen.event("%s\n%s", endText(t.End, time.Since(s.began)), s.hints(t))
	}
	s.tally = t
}

// watch draws the summary until ctx ends. While the node is not ready it says so.
func (s *show) watch(ctx context.Context) error {
	for wait(ctx, showEvery) {
		f, err := readFigures(ctx, s.member.cfg.Address(node.PortHTTP))
		if err != nil || f["bursar_ready"] != 1 { // while it recovers, its books are not whole
			away := string(s.member.cfg.Name) + " is not ready"
			s.screen.show([]string{"", "  " + away}, "", away)
			continue
		}
		s.draw(f, time.Now())
	}
	return nil
}

func (s *show) draw(f figures, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.first && f.paid() > 0 && s.tally.Submitted() > 0 {
		s.first = true
		s.screen.event("%s", s.firstText(f, now))
	}
	perSecond := s.rate.add(now, f.paid())
	taken := uint64(s.tally.Submitted()) + s.loaded
	refused := refusedText(s.tally.Refused)
	votes := group(uint64(s.tally.Votes))
	if s.tally.Late > 0 {
		votes += fmt.Sprintf(" (and %d too late)", s.tally.Late)
	}
	s.screen.show([]string{
		"",
		fmt.Sprintf("  epoch %-10s %-28s balance %s",
			group(f.count("bursar_epoch")), s.chapter(), group(f.count("treasury_balance"))),
		fmt.Sprintf("  submitted %-6s acknowledged: committed and on disk   (in the books: %s)", group(taken), group(f.all())),
		fmt.Sprintf("  refused   %s", refused),
		fmt.Sprintf("  votes     %s", votes),
		fmt.Sprintf("  on the way: draft %-5s voting %-4s queued %-4s timelocked %-4s executed %s", group(f.in(messages.Draft)),
			group(f.in(messages.Voting)), group(f.in(messages.Queued)), group(f.in(messages.Timelocked)), group(f.in(messages.Executed))),
		fmt.Sprintf("  at the end: finalized %-8s rolled back %s", group(f.in(messages.Finalized)), group(f.in(messages.RolledBack))),
		fmt.Sprintf("  %s payments/s", group(perSecond)),
	}, fmt.Sprintf("epoch %d: ", f.count("bursar_epoch")),
		fmt.Sprintf("%s, submitted %d, refused %s, draft %d, voting %d, queued %d, timelocked %d, executed %d, finalized %d, "+
			"rolled back %d, balance %d, %d payments/s",
			s.chapter(), taken, refused, f.in(messages.Draft), f.in(messages.Voting), f.in(messages.Queued),
			f.in(messages.Timelocked), f.in(messages.Executed), f.in(messages.Finalized), f.in(messages.RolledBack),
			f.count("treasury_balance"), perSecond))
}

// firstText tells of the first payment, or of those of an earlier run.
func (s *show) firstText(f figures, now time.Time) string {
	if s.tally.Duplicates > 0 {
		return fmt.Sprintf("the story goes on where it was: %s payments are in the books", group(f.paid()))
	}
	return fmt.Sprintf("first payment executed %s after the start", now.Sub(s.began).Round(10*time.Millisecond))
}

// chapter is what the show is at.
func (s *show) chapter() string {
	switch {
	case s.tally.End != nil && s.load > 0:
		return fmt.Sprintf("live load of %d/s", s.load)
	case s.tally.End != nil:
		return "all is settled"
	case s.tally.Month.IsZero():
		return "opening the books"
	default:
		return s.tally.Month.Format("January 2006")
	}
}

// cascadeText tells of a rollback that took others along.
func cascadeText(c *demo.Cascade) string {
	return fmt.Sprintf(`rollback of disbursement %d, %q: %s returned to the treasury
  %d expenses over %s waited for it and are rolled back with it, each with the reason
  %q`, c.Root, shortened(c.Title), group(uint64(c.Returned)), c.Failed, group(uint64(c.Amount)), c.Reason)
}

// titleMax is how much of a title is shown, in characters.
const titleMax = 48

func shortened(title string) string {
	runes := []rune(strings.TrimSpace(title))
	if len(runes) <= titleMax {
		return string(runes)
	}
	return string(runes[:titleMax-1]) + "…"
}

// endText sums the story up.
func endText(e *demo.End, took time.Duration) string {
	return fmt.Sprintf(`all is settled at epoch %d, %s after the start:
  %d payments are final, %d missed their quorum, %d failed with what they waited for, %d were cancelled or recalled
  accrued %s = balance %s + paid %s`,
		e.Epoch, took.Round(100*time.Millisecond), e.Finalized, e.NoQuorum, e.Failed, e.Cancelled,
		group(uint64(e.Accrued)), group(uint64(e.Balance)), group(uint64(e.Spent)))
}

func refusedText(refused map[messages.Code]int) string {
	if len(refused) == 0 {
		return "0"
	}
	var parts []string
	total := 0
	for _, code := range slices.Sorted(maps.Keys(refused)) {
		total += refused[code]
		parts = append(parts, fmt.Sprintf("%s %d", code, refused[code]))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// hints is what to try while the node runs.
func (s *show) hints(t *demo.Tally) string {
	rpc, pages := s.member.cfg.Address(node.PortRPC), s.member.cfg.Address(node.PortHTTP)
	root := messages.DisbursementID(1)
	if t.Cascade != nil {
		root = t.Cascade.Root
	}
	more := ""
	if s.load > 0 {
		more = fmt.Sprintf("\nFrom now on %d small payments a second go to the same payees, funded by accruals (--load 0: none).\n", s.load)
	}
	return fmt.Sprintf(`%[5]s
What to try next, in another terminal:

  bin/bursar status --addr %[1]s
  bin/bursar call --addr %[1]s gov.treasury.statement '{"id": %[4]d}'    the life of what was rolled back
  bin/bursar graph --addr %[1]s --around %[4]d --hops 1 --svg cascade.svg    a picture of what went down with it
  bin/bursar tree --addr %[1]s    the actors and their supervisors
  bin/bursar submit --addr %[1]s --destination tb1me --amount 42 --memo 'my first payment'
  curl -s http://%[2]s/metrics | grep -E 'treasury|governance'
  open http://%[2]s/ in a browser
  kill -9 %[3]d    the node: nothing is lost, it comes back here

Ctrl-C ends it.
`, rpc, pages, s.member.pid.Load(), root, more)
}

// rate is the growth of a counter over the last second or so.
type rate struct {
	samples []sample
}

type sample struct {
	at time.Time
	n  uint64
}

// rateWindow is how far back a rate looks.
const rateWindow = time.Second

// add takes a reading and returns the growth per second.
func (r *rate) add(now time.Time, n uint64) uint64 {
	r.samples = append(r.samples, sample{now, n})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
	oldest := r.samples[0]
	elapsed := now.Sub(oldest.at)
	if elapsed <= 0 || n < oldest.n {
		return 0
	}
	return uint64(float64(n-oldest.n)/elapsed.Seconds() + 0.5)
}
