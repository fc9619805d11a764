package backup

import (
	"context"
	"strings"
	"time"
)

// Retention says what is kept.
type Retention struct {
	// Any is how far back any moment can be restored.
	Any time.Duration
	// Hourly and Daily are how long one base an hour, and one a day, is kept.
	Hourly, Daily time.Duration
	// Unfinished is how old an object without a manifest is before it counts as left behind.
	Unfinished time.Duration
}

// DefaultRetention returns what an archiver keeps.
func DefaultRetention() Retention {
	return Retention{Any: 48 * time.Hour, Hourly: 30 * 24 * time.Hour, Daily: 180 * 24 * time.Hour, Unfinished: 6 * time.Hour}
}

// Superfluous lists the objects that no kept point needs, a manifest before what it names. It
// is empty while anything is damaged: nobody knows then what is still needed.
func (r Retention) Superfluous(s *Set, now time.Time) (names []string) {
	if len(s.Faults) > 0 || len(s.Bases) == 0 {
		return nil
	}
	// The newest base that is old enough leads to any moment after it.
	from := newest(s.Bases, func(m *Manifest) bool { return now.Sub(m.LastAt) >= r.Any })
	if from == nil {
		from = s.Bases[0]
	}
	var hour, day time.Time // of the newest base that is kept, walking back
	for i := len(s.Bases) - 1; i >= 0; i-- {
		m := s.Bases[i]
		age := now.Sub(m.LastAt)
		thisHour, thisDay := m.LastAt.Truncate(time.Hour), m.LastAt.Truncate(24*time.Hour)
		switch {
		case m.Last >= from.Last:
		case age <= r.Hourly && !thisHour.Equal(hour):
		case age <= r.Daily && !thisDay.Equal(day):
		default:
			names = append(names, m.name(), m.Object)
			continue
		}
		hour, day = thisHour, thisDay
	}
	for _, m := range s.Pieces {
		if m.Last <= from.Last {
			names = append(names, m.name(), m.Object)
		}
	}
	for _, name := range s.dropped {
		if now.Sub(s.listed[name].Modified) >= r.Unfinished {
			names = append(names, name)
		}
	}
	return append(names, s.oldFences()...)
}

// oldFences are all but the newest.
func (s *Set) oldFences() (names []string) {
	last := ""
	for name := range s.listed {
		if isFence(name) && name > last {
			last = name
		}
	}
	for name := range s.listed {
		if isFence(name) && strings.Compare(name, last) < 0 {
			names = append(names, name)
		}
	}
	return names
}

// Prune removes what is superfluous, and says how many objects that were.
func Prune(ctx context.Context, target Target, names []string) (removed int, err error) {
	for _, name := range names {
		if err := target.Remove(ctx, name); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
