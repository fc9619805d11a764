// Package metrics lets a package declare its metric families where it keeps its counters:
// in the tags of a struct's fields.
//
//	type JournalStats struct {
//		Overloaded atomic.Uint64     `metric:"bursar_journal_overloaded_total" help:"Txns refused because the queue was full."`
//		Commit     metrics.Histogram `metric:"bursar_journal_commit_seconds" help:"Time of a batch." le:"-15..3"`
//	}
//
// So a new counter is two edits: its field, and the line that adds to it. The struct may be
// the live one, of atomic words, or a snapshot made for the scrape.
//
// The tags of a figure are:
//
//   - metric: the family's name, then labels that are constant, such as
//     bursar_journal_unfinished_total{outcome=unknown}. A family whose name ends in _total is
//     a counter, that of a Histogram a histogram, any other a gauge.
//   - help: what it means. One of a family's fields has it.
//   - le: the bounds of a histogram's classic buckets, in powers of two; see Histogram.
//
// Figures are whole numbers and floats, bool, time.Duration (in seconds), time.Time (in Unix
// seconds; the zero time is left out), the atomic words, Histogram, and pointers to these; a
// nil pointer is left out.
//
// A field with the tag label:"kind" names its struct's figures. A slice of structs has a row
// an element and says in max:"N" how many at most: the labels of what is beyond become
// "other" and their figures are added up, so that sums stay exact and nothing that comes
// from outside can make a node export without bound. Structs in structs are parts of them;
// with prefix:"bursar_rpc_" the names inside begin with that, with rows:"16" no slice inside
// has more rows. Other fields are ignored.
package metrics
