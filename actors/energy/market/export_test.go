package market

// What the tests hold against a twin.
var (
	Log2       = log2
	Exp2Scaled = exp2Scaled
	MeanRate   = meanRate
)

// The limits of the history, for its tests.
const (
	LogBits    = logBits
	HistoryLen = historyLen
	HistoryMin = historyMin
)
