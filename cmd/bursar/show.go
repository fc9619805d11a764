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
	tally  demo.Tally
	loaded uint64 // payments of --load that were taken
	first  bool   // the first payment was told
	hinted bool
	rate   rate
}

func newShow(screen *display, m *member, load int, began time.Time) *show {
	return &show{
		screen: screen, member: m, load: load, began: began,
		link: &link{addr: m.cfg.Address(node.PortRPC)},
	}
}

// run submits and watches until ctx ends.
func (s *show) run(ctx context.Context) error {
	defer s.link.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.submit(ctx) })
	group.Go(func() error { return s.watch(ctx) })
	if err := group.Wait(); err != nil && !ended(err) {
		return err
	}
	return nil
}

func (s *show) submit(ctx context.Context) error {
	book, err := demo.Load()
	if err != nil {
		return err
	}
	cfg := batch.DefaultConfig()
	_, err = demo.Run(ctx, s.link, book, cfg, func(t *demo.Tally) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tally = *t
		s.tally.Refused = maps.Clone(t.Refused)
	})
	if err != nil {
		return fmt.Errorf("the demo: %w", err)
	}
	if s.load == 0 {
		return nil
	}
	return s.keepLoad(ctx, cfg)
}

// loadSlices is how many portions of --load are submitted in a second.
const loadSlices = 10

// keepLoad accrues and submits load payments of one unit each second. A node that
// cannot keep up gets the next portion late, not on top.
func (s *show) keepLoad(ctx context.Context, cfg batch.Config) error {
	run := fmt.Sprintf("load-%x", s.began.UnixNano())
	tick := time.NewTicker(time.Second / loadSlices)
	defer tick.Stop()
	for slice := 0; ; slice++ {
		from, to := slice*s.load/loadSlices, (slice+1)*s.load/loadSlices
		if err := s.submitLoad(ctx, cfg, run, from, to); err != nil {
			return fmt.Errorf("the load: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *show) submitLoad(ctx context.Context, cfg batch.Config, run string, from, to int) error {
	if from == to {
		return nil
	}
	accrual := &messages.AccrueParams{
		Options: messages.Options{RequestID: fmt.Sprintf("%s-accrual-%d", run, from)},
		Amount:  messages.Amount(to - from),
		Source:  "load",
	}
	err := batch.Persist(ctx, cfg.Patience, func() error {
		return s.link.Call(ctx, messages.MethodAccrue, accrual, new(messages.AccrueResult))
	})
	if err != nil {
		return err
	}
	items := make([]batch.Item, 0, to-from)
	for n := from; n < to; n++ {
		items = append(items, batch.Item{
			RequestID: fmt.Sprintf("%s-%d", run, n),
			Payload: messages.Payload{Disbursement: messages.Disbursement{
				Destination: fmt.Sprintf("tb1load%02d", n%100), Amount: 1, Memo: "load", ScheduledEpoch: 1,
			}},
		})
	}
	return batch.Submit(ctx, s.link, items, cfg, func(int, batch.Outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.loaded++
	})
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
	if !s.first && f.paid() > 0 {
		s.first = true
		s.screen.event("first payment executed %s after the start", now.Sub(s.began).Round(10*time.Millisecond))
	}
	perSecond := s.rate.add(now, f.paid())
	taken := uint64(s.tally.Submitted()) + s.loaded
	refused := refusedText(s.tally.Refused)
	s.screen.show([]string{
		"",
		fmt.Sprintf("  epoch %-8s balance %s", group(f.count("bursar_epoch")), group(f.count("treasury_balance"))),
		fmt.Sprintf("  submitted %-8s acknowledged: committed and on disk   (in the books: %s)", group(taken), group(f.all())),
		fmt.Sprintf("  refused   %s", refused),
		fmt.Sprintf("  waiting   %-8s executed %-8s finalized %-8s rolled back %s",
			group(f.open()-f.in(messages.Executed)), group(f.in(messages.Executed)),
			group(f.in(messages.Finalized)), group(f.in(messages.RolledBack))),
		fmt.Sprintf("  %s payments/s", group(perSecond)),
	}, fmt.Sprintf("epoch %d: ", f.count("bursar_epoch")),
		fmt.Sprintf("submitted %d, refused %s, executed %d, finalized %d, balance %d, %d payments/s",
			taken, refused, f.in(messages.Executed), f.in(messages.Finalized),
			f.count("treasury_balance"), perSecond))
	if !s.hinted && taken > 0 && f.all() >= taken && f.open() == 0 {
		s.hinted = true
		s.screen.keep()
		s.screen.event("%s", s.hints())
	}
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
func (s *show) hints() string {
	rpc, pages := s.member.cfg.Address(node.PortRPC), s.member.cfg.Address(node.PortHTTP)
	return fmt.Sprintf(`
Every payment is final. What to try next, in another terminal:

  bin/bursar status --addr %[1]s
  bin/bursar submit --addr %[1]s --destination tb1me --amount 42 --memo 'my first payment'
  bin/bursar call --addr %[1]s gov.treasury.get_disbursement '{"id": 1000}'
  curl -s http://%[2]s/metrics | grep -E 'treasury|governance'
  open http://%[2]s/ in a browser
  kill -9 %[3]d     the node: nothing is lost, it comes back here

Ctrl-C ends it.
`, rpc, pages, s.member.pid.Load())
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
