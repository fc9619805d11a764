package supervision

import "time"

// History remembers restarts. The zero value has none.
type History struct{ restarts []time.Time }

// Allow records a restart at now and reports whether it stays within limit. It
// forgets restarts that have left the period, so a History never grows past
// limit.Restarts entries.
func (h *History) Allow(limit Intensity, now time.Time) bool {
	if h.Count(limit, now) >= limit.Restarts {
		return false
	}
	h.restarts = append(h.restarts, now)
	return true
}

// Count returns the number of restarts within the period that ends at now, and
// forgets older ones.
func (h *History) Count(limit Intensity, now time.Time) int {
	begin := now.Add(-limit.Period)
	gone := 0
	for gone < len(h.restarts) && !h.restarts[gone].After(begin) {
		gone++
	}
	h.restarts = h.restarts[gone:]
	return len(h.restarts)
}
