package alertdrill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/monitoring"
)

// How long each step may take: the longest time of an alert is an hour, 72 s here, and what a
// condition looks back on may be an hour, too.
const (
	fireWithin    = 4 * time.Minute
	routeWithin   = 30 * time.Second
	resolveWithin = 5 * time.Minute
	endWithin     = 2 * time.Minute
	keepPause     = 500 * time.Millisecond
)

// Seen is what became of an alert. Times count from the fault; they are 0 where it did not
// come so far.
type Seen struct {
	Pending, Firing, Routed, Ended, Resolved time.Duration
	// Receivers were told of it. HeldBackBy are alerts that kept it from them.
	Receivers, HeldBackBy []string
}

// ErrCannot is the error of a fault that cannot be made here.
var ErrCannot = errors.New("this alert cannot be drilled here")

// Run makes the fault of an alert, follows the alert until all its receivers know, takes the
// fault back and follows it until it is resolved. told hears each step as it is seen. The
// error says which step did not come.
func (t *Trial) Run(ctx context.Context, f *Fault, told func(at time.Duration, text string)) (Seen, error) {
	if f.begin == nil && f.keep == nil {
		return Seen{}, fmt.Errorf("%w: %s", ErrCannot, f.Why)
	}
	t.sink.forget()
	began := time.Now()
	seen := Seen{}
	step := func(at *time.Duration, text string, args ...any) {
		*at = time.Since(began)
		told(*at, fmt.Sprintf(text, args...))
	}
	told(0, "fault: "+f.Does)
	stop, err := t.make(ctx, f)
	if err == nil {
		err = t.follow(ctx, f, &seen, step)
	}
	// Whatever happened and whoever is in a hurry, the next drill finds a sound cluster.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	err = errors.Join(err, stop(ending))
	if err != nil {
		return seen, err
	}
	step(&seen.Ended, "the fault is taken back")
	return seen, t.clear(ctx, f, &seen, step)
}

// make makes the fault and keeps it up until stop, which takes it back.
func (t *Trial) make(ctx context.Context, f *Fault) (stop func(context.Context) error, err error) {
	if f.begin != nil {
		err = f.begin(ctx, t)
	}
	keeping, cancel := context.WithCancel(ctx)
	kept := make(chan error, 1)
	go func() {
		var failed error
		for failed == nil && f.keep != nil && keeping.Err() == nil {
			failed = f.keep(keeping, t)
			waitFor(keeping, keepPause)
		}
		if keeping.Err() != nil {
			failed = nil // it was told to end
		}
		kept <- failed
	}()
	return func(ctx context.Context) error {
		cancel()
		err := <-kept
		if f.end != nil {
			err = errors.Join(err, f.end(ctx, t))
		}
		return err
	}, err
}

type stepped func(at *time.Duration, text string, args ...any)

// follow waits for pending, firing and routed.
func (t *Trial) follow(ctx context.Context, f *Fault, seen *Seen, step stepped) error {
	err := t.await(ctx, fireWithin, f.Alert+" fires", func(ctx context.Context) (bool, error) {
		states, err := t.ask.alerts(ctx)
		state := states[f.Alert]
		if state != "" && seen.Pending == 0 {
			step(&seen.Pending, "pending")
		}
		return state == stateFiring, err
	})
	if err != nil {
		return err
	}
	step(&seen.Firing, "firing")
	what := "all receivers of " + f.Alert + " are told"
	if f.HeldBack != "" {
		what = f.Alert + " is held back by " + f.HeldBack
	}
	err = t.await(ctx, routeWithin, what, func(ctx context.Context) (bool, error) {
		receivers, by, err := t.ask.route(ctx, f.Alert)
		seen.HeldBackBy = by
		seen.Receivers = t.sink.heard(f.Alert, stateFiring)
		if f.HeldBack != "" {
			return slices.Contains(by, f.HeldBack), err
		}
		return len(receivers) > 0 && slices.Equal(receivers, seen.Receivers), err
	})
	switch {
	case err != nil:
		return err
	case f.HeldBack != "":
		step(&seen.Routed, "held back by %v, which explains it", seen.HeldBackBy)
	default:
		step(&seen.Routed, "routed: %v were told", seen.Receivers)
	}
	return nil
}

// clear waits until the alert is over and whoever was told of it knows.
func (t *Trial) clear(ctx context.Context, f *Fault, seen *Seen, step stepped) error {
	err := t.await(ctx, resolveWithin, f.Alert+" is resolved and its receivers know", func(ctx context.Context) (bool, error) {
		states, err := t.ask.alerts(ctx)
		if err != nil || states[f.Alert] != "" {
			return false, err
		}
		known := t.sink.heard(f.Alert, "resolved")
		for _, receiver := range t.sink.heard(f.Alert, stateFiring) {
			if !slices.Contains(known, receiver) {
				return false, nil
			}
		}
		return true, nil
	})
	if err == nil {
		step(&seen.Resolved, "resolved")
	}
	return err
}

// Calm waits until what one fault leaves behind cannot be taken for what the next one makes:
// the alert itself is not there, and none that could hold it back. Warnings that look back on
// hours may be.
func (t *Trial) Calm(ctx context.Context, f *Fault) error {
	return t.await(ctx, resolveWithin, f.Alert+" is not there, nor any critical alert", func(ctx context.Context) (bool, error) {
		states, err := t.ask.alerts(ctx)
		for _, alert := range monitoring.Alerts() {
			if states[alert.Name] != "" && (alert.Name == f.Alert || alert.Severity == "critical") {
				return false, err
			}
		}
		return true, err
	})
}
