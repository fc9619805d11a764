package operations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// timesMax bounds how often one injected fault happens.
const timesMax = 1_000_000

// Inject makes trouble for the next messages of this node's actors, once it stands in
// the audit log. A node that was not started for it refuses. A repeat of the request
// makes no more trouble.
func (o *Operations) Inject(ctx context.Context, c Caller, p *messages.InjectParams) (*messages.InjectResult, *messages.Error) {
	if !o.cfg.FaultInjection {
		return nil, messages.Errorf(messages.CodeUnauthorized,
			"node %s injects no faults: it was not started with --fault-injection", o.cfg.Node)
	}
	fault, refusal := faultOf(p)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := o.findTarget(fault); refusal != nil {
		return nil, refusal
	}
	if !o.reserve() {
		return nil, messages.Errorf(messages.CodeOverloaded, "%d faults wait to happen, the most there may be", actors.FaultsMax)
	}
	defer o.unreserve()
	done, refusal := o.commit(ctx, c, injection(fault))
	if refusal != nil {
		return nil, refusal
	}
	if !done.duplicate {
		if err := o.system.Inject(fault); err != nil { // nobody else injects, and there is room
			return nil, messages.Errorf(messages.CodeInternal, "%v", err)
		}
	}
	return &messages.InjectResult{Node: string(o.cfg.Node), AuditID: o.auditID(done.id), Duplicate: done.duplicate}, nil
}

// findTarget refuses a fault that would wait for ever for somebody to happen to.
func (o *Operations) findTarget(f actors.Fault) *messages.Error {
	if f.Kind == "" {
		if o.cfg.Known(f.Path) {
			return nil
		}
		return notFound(f.Path)
	}
	kinds := slices.Concat(o.system.Kinds(), o.cfg.Kinds)
	if slices.Contains(kinds, f.Kind) {
		return nil
	}
	slices.Sort(kinds)
	return messages.Errorf(messages.CodeNotFound, "there are no actors of kind %q; there are %s",
		f.Kind, strings.Join(slices.Compact(kinds), ", "))
}

// faultOf reads a fault from the parameters of a call.
func faultOf(p *messages.InjectParams) (actors.Fault, *messages.Error) {
	mode, ok := actors.ParseFaultMode(p.Mode)
	if !ok {
		return actors.Fault{}, messages.Errorf(messages.CodeValidationFailed,
			"params.mode: %q is none of panic, error, stall, slow", p.Mode)
	}
	const delayMax = uint64(actors.FaultDelayMax / time.Millisecond)
	blocks := mode == actors.FaultStall || mode == actors.FaultSlow
	invalid := func(format string, args ...any) (actors.Fault, *messages.Error) {
		return actors.Fault{}, messages.Errorf(messages.CodeValidationFailed, format, args...)
	}
	switch {
	case p.Path == "" && p.Kind == "":
		return invalid("params: name one actor by path, or all of a kind by kind")
	case p.Path != "" && p.Kind != "":
		return invalid("params: path %q and kind %q are given; name only one", p.Path, p.Kind)
	case p.Times > timesMax:
		return invalid("params.times: %d is more than %d", p.Times, timesMax)
	case p.DelayMS > delayMax:
		return invalid("params.delay_ms: %d is more than %d", p.DelayMS, delayMax)
	case blocks && p.DelayMS == 0:
		return invalid("params.delay_ms: %s needs a delay of at least 1 ms", mode)
	case p.Path != "":
		if refusal := checkPath(p.Path); refusal != nil {
			return actors.Fault{}, refusal
		}
	}
	return actors.Fault{
		Path: p.Path, Kind: p.Kind, Mode: mode,
		Times: int(max(p.Times, 1)), Delay: time.Duration(p.DelayMS) * time.Millisecond,
	}, nil
}

// injection is how the audit log tells a fault.
func injection(f actors.Fault) change {
	ch := change{action: inject, path: f.Path, detail: fmt.Sprintf("%s, %d times", f.Mode, f.Times)}
	if f.Kind != "" {
		ch.path = "kind:" + f.Kind
	}
	if f.Delay > 0 {
		ch.detail += ", " + f.Delay.String()
	}
	return ch
}

// reserve keeps room for one more fault, so that none is in the audit log that did not
// happen.
func (o *Operations) reserve() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.system.FaultsWaiting()+o.injecting >= actors.FaultsMax {
		return false
	}
	o.injecting++
	return true
}

func (o *Operations) unreserve() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.injecting--
}
