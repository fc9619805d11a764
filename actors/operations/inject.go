package operations

import (
	"context"
	"fmt"
	"math"
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
	if fault.Path != "" && !o.cfg.Known(fault.Path) {
		return nil, notFound(fault.Path)
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
	return &messages.InjectResult{Node: string(o.cfg.Node), AuditID: done.id, Duplicate: done.duplicate}, nil
}

// faultOf reads a fault from the parameters of a call.
func faultOf(p *messages.InjectParams) (actors.Fault, *messages.Error) {
	mode, ok := actors.ParseFaultMode(p.Mode)
	if !ok {
		return actors.Fault{}, messages.Errorf(messages.CodeValidationFailed,
			"params.mode: %q is none of panic, error, stall, slow", p.Mode)
	}
	if p.Times > timesMax || p.DelayMS > math.MaxInt32 {
		return actors.Fault{}, messages.Errorf(messages.CodeValidationFailed,
			"params: at most %d times, for 600,000 ms each", timesMax)
	}
	fault := actors.Fault{
		Path: p.Path, Kind: p.Kind, Mode: mode,
		Times: int(max(p.Times, 1)), Delay: time.Duration(p.DelayMS) * time.Millisecond,
	}
	if err := fault.Validate(); err != nil {
		return actors.Fault{}, messages.Errorf(messages.CodeValidationFailed, "params: %v", err)
	}
	return fault, nil
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
