package authority

import (
	"math"
	"slices"
	"time"
)

// Figures are what a scrape is told.
type Figures struct {
	Scopes []ScopeFigures `max:"3"`
	// Expiry is nil without operators; keys that have ended count until they are replaced or revoked.
	Expiry *time.Time `metric:"bursar_operator_key_expiry_timestamp_seconds" help:"When the first operator's key ends or ended, of those that are not revoked; absent without operators."`
}

// ScopeFigures are about one thing that can be paused.
type ScopeFigures struct {
	Scope  string `label:"scope"`
	Paused bool   `metric:"bursar_treasury_paused" help:"1 while operators have paused the scope: executor, treasury, market."`
}

// Figures gives what a scrape is told, as of what this node has applied.
func (a *Authority) Figures() *Figures {
	s, err := a.State()
	if err != nil {
		return &Figures{}
	}
	return s.figures(a.now())
}

func (s *State) figures(now uint64) *Figures {
	f := &Figures{}
	for _, scope := range []string{ScopeExecutor, ScopeTreasury, ScopeMarket} {
		pause, paused := s.Pauses[scope]
		paused = paused && (pause.Until == 0 || pause.Until > now)
		f.Scopes = append(f.Scopes, ScopeFigures{Scope: scope, Paused: paused})
	}
	var ends []uint64
	for _, o := range s.Operators {
		if !o.Revoked {
			ends = append(ends, o.NotAfter)
		}
	}
	if len(ends) > 0 {
		first := time.Unix(int64(min(slices.Min(ends), math.MaxInt64)), 0)
		f.Expiry = &first
	}
	return f
}
