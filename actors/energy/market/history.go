package market

import "slices"

// historyLen is how many of a provider's last rates are kept, historyMin how many are
// needed before one is called an outlier.
const (
	historyLen = 32
	historyMin = 12
)

// History is a provider's own recent past: its mean power between two readings, for the
// last readings.
type History struct {
	rates [historyLen]uint64
	next  byte // where the next one goes
	n     byte // how many there are
}

// meanRate is the mean power of kwh in so many seconds, in W.
func meanRate(kwh, seconds uint64) uint64 {
	return mulDivCapped(kwh, 3_600_000, max(seconds, 1))
}

// Add takes in one more rate and forgets the oldest.
func (h *History) Add(rate uint64) {
	h.rates[h.next] = rate
	h.next = (h.next + 1) % historyLen
	h.n = min(h.n+1, historyLen)
}

// outlierScale is how many deviations from the median make an outlier, in tenths. The
// usual 3.5 (Iglewicz and Hoaglin, 1993) is made for bell curves; demand, wind and sun
// are none: of 65,079 real readings, hourly and daily, 3.5 doubts 1,486 and 10 doubts 4.
const outlierScale = 100

// Outlier reports whether a rate is far outside the history: further from its median
// than ten times the median absolute deviation (as a standard deviation, that is times
// 1.4826), which is taken as at least a twentieth of the median. One wild value in the past moves neither
// median nor deviation; a lasting change of level is normal once it fills half the
// history.
func (h *History) Outlier(rate uint64) bool {
	if h.n < historyMin {
		return false
	}
	var sorted [historyLen]uint64
	list := sorted[:h.n]
	copy(list, h.rates[:h.n])
	middle := median(list)
	for i, x := range list {
		list[i] = distance(x, middle)
	}
	deviation := max(mulDivCapped(median(list), 14826, 10000), middle/20, 1)
	return distance(rate, middle) > mulDivCapped(deviation, outlierScale, 10)
}

// median sorts the list and gives its middle, the lower of two.
func median(list []uint64) uint64 {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}

func distance(a, b uint64) uint64 {
	if a > b {
		return a - b
	}
	return b - a
}
