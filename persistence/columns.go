package persistence

import (
	"encoding/binary"
	"slices"
)

// ColumnsMax is how many columns a table may have.
const ColumnsMax = 16

// Columns are numbers kept in memory for each record of a numbered table, beside its
// tag: an epoch, an amount, the hash of a name. Select filters by them, newest first,
// at a nanosecond a record or less, where an ordered index per field would cost more
// than the whole of Apply may take.
type Columns struct {
	Count int
	// Extract fills into, of length Count, from a record. It must be pure and fast, must
	// not keep data, and must not fail: it runs while entries are applied.
	Extract func(tag byte, data []byte, into []uint64)
}

// Selection asks for record numbers of one table, newest first.
type Selection struct {
	Table  Table
	Before uint64 // numbers below this one; 0 begins with the newest
	Limit  int    // numbers wanted
	// Tags are those accepted; none accepts every tag.
	Tags []byte
	// Ranges must all hold.
	Ranges []Range
	// Examine bounds the records looked at; 0 is SelectRowsMax.
	Examine int
}

// Range holds if the column's number is from Min to Max, both included.
type Range struct {
	Column   int
	Min, Max uint64
}

// single reports whether only one number is in the range.
func (r Range) single() bool { return r.Min == r.Max }

// SelectRowsMax is how many records one Select looks at.
const SelectRowsMax = 1 << 21

// Select gives the numbers of records that match, newest first, and the Before of the
// next page, 0 if there is none. Without Columns for the table it finds nothing. The
// records are read with Get afterwards and may have changed by then: who must know
// judges the record again.
func (s *Store) Select(q Selection) (numbers []uint64, next uint64) {
	left := q.Examine
	if left <= 0 || left > SelectRowsMax {
		left = SelectRowsMax
	}
	m := newMatcher(&q, left)
	next = q.Before
	for first := true; (first || next > 0) && m.left > 0 && len(m.found) < q.Limit; first = false {
		next = s.selectPage(&q, m, next)
	}
	return m.found, next
}

// selectPage looks at one page of the table, holding the lock for some microseconds,
// and gives the number before which to go on.
func (s *Store) selectPage(q *Selection, m *matcher, before uint64) (next uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.derived.columns[q.Table]
	if t == nil {
		return 0
	}
	end := t.rows // places below it are looked at; the record at place p has number p+1
	if before > 0 {
		end = min(end, before-1)
	}
	if end == 0 {
		return 0
	}
	page := (end - 1) / columnPageRows
	base := page * columnPageRows
	end = base + m.match(t.pages[page], base, end-base)
	if end == 0 {
		return 0
	}
	return end + 1
}

// matcher carries a Selection through the pages.
type matcher struct {
	found  []uint64
	limit  int
	left   int
	any    bool // every tag is accepted
	tags   [256]bool
	ranges []Range // one that asks for a single number stands first
}

func newMatcher(q *Selection, left int) *matcher {
	m := &matcher{limit: q.Limit, left: left, any: len(q.Tags) == 0, ranges: slices.Clone(q.Ranges)}
	if i := slices.IndexFunc(m.ranges, Range.single); i > 0 {
		m.ranges[0], m.ranges[i] = m.ranges[i], m.ranges[0]
	}
	for _, tag := range q.Tags {
		m.tags[tag] = true
	}
	return m
}

// match looks at the places of p below end, downwards, and gives the place above which
// all were looked at.
func (m *matcher) match(p *columnPage, base, end uint64) uint64 {
	if !p.mayMatch(m) {
		return 0
	}
	for end > 0 && m.left > 0 && len(m.found) < m.limit {
		end = m.skip(p, end)
		if end == 0 || m.left == 0 {
			return end
		}
		end--
		m.left--
		if m.accepts(p.states[end]) && p.holds(m.ranges, end) {
			m.found = append(m.found, base+end+1)
		}
	}
	return end
}

// skip passes over the places for which the first range does not hold: the loop that
// most of the time goes into.
func (m *matcher) skip(p *columnPage, end uint64) uint64 {
	if len(m.ranges) == 0 {
		return end
	}
	r := &m.ranges[0]
	column := p.columns[r.Column]
	low, width := r.Min, r.Max-r.Min
	stop := end - min(end, uint64(m.left))
	i := end
	for i > stop && column[(i-1)%columnPageRows]-low > width {
		i--
		if i%8 == 0 && width == 0 {
			i = p.skipPrints(r, i, stop)
		}
	}
	m.left -= int(end - i)
	return i
}

// skipPrints passes over places, eight at a time, none of which has the print of the
// number that r asks for.
func (p *columnPage) skipPrints(r *Range, i, stop uint64) uint64 {
	const ones, highs = 0x0101_0101_0101_0101, 0x8080_8080_8080_8080
	prints := p.prints[r.Column][:]
	wanted := ones * uint64(printOf(r.Min))
	for i >= stop+8 {
		unlike := binary.LittleEndian.Uint64(prints[i-8:i]) ^ wanted
		if (unlike-ones)&^unlike&highs != 0 { // a byte of it is 0
			break
		}
		i -= 8
	}
	return i
}

// printOf is one byte of a number's hash.
func printOf(v uint64) byte { return byte(v * 0x9e3779b97f4a7c15 >> 56) }

func (m *matcher) accepts(state uint16) bool {
	return state != 0 && (m.any || m.tags[byte(state-1)])
}

// columnPageRows keeps pages small enough to be made without a stall and skipped as a
// whole.
const columnPageRows = 1 << 12

type columnTable struct {
	Columns
	pages   []*columnPage
	rows    uint64
	scratch []uint64
}

// columnPage holds columnPageRows records.
type columnPage struct {
	states  [columnPageRows]uint16 // tag + 1, 0 where there is no record
	held    [257]uint16            // how many places have each state
	columns []*[columnPageRows]uint64
	prints  []*[columnPageRows]byte // printOf each number, to look for one of them
	// low and high enclose every number each column ever held.
	low, high []uint64
}

func newColumnTable(c Columns) *columnTable {
	return &columnTable{Columns: c, scratch: make([]uint64, c.Count)}
}

func newColumnPage(count int) *columnPage {
	p := &columnPage{
		held:    [257]uint16{columnPageRows},
		columns: make([]*[columnPageRows]uint64, count),
		prints:  make([]*[columnPageRows]byte, count),
		low:     make([]uint64, count),
		high:    make([]uint64, count),
	}
	for i := range p.columns {
		p.columns[i] = new([columnPageRows]uint64)
		p.prints[i] = new([columnPageRows]byte)
		p.low[i] = ^uint64(0)
	}
	return p
}

// set notes the record with the given number, from 1.
func (t *columnTable) set(number uint64, tag byte, data []byte) {
	place := number - 1
	for uint64(len(t.pages)) <= place/columnPageRows {
		t.pages = append(t.pages, newColumnPage(t.Count))
	}
	t.rows = max(t.rows, number)
	p, i := t.pages[place/columnPageRows], place%columnPageRows
	p.become(i, uint16(tag)+1)
	if t.Count == 0 {
		return
	}
	clear(t.scratch)
	t.Extract(tag, data, t.scratch)
	for c, v := range t.scratch {
		p.columns[c][i] = v
		p.prints[c][i] = printOf(v)
		p.low[c] = min(p.low[c], v)
		p.high[c] = max(p.high[c], v)
	}
}

func (t *columnTable) remove(number uint64) {
	place := number - 1
	if place/columnPageRows < uint64(len(t.pages)) {
		t.pages[place/columnPageRows].become(place%columnPageRows, 0)
	}
}

func (p *columnPage) become(i uint64, state uint16) {
	p.held[p.states[i]]--
	p.held[state]++
	p.states[i] = state
}

// mayMatch is false if no place of the page can match.
func (p *columnPage) mayMatch(m *matcher) bool {
	for _, r := range m.ranges {
		if r.Column < 0 || r.Column >= len(p.columns) || r.Min > r.Max ||
			r.Max < p.low[r.Column] || r.Min > p.high[r.Column] {
			return false
		}
	}
	if m.any {
		return true
	}
	for tag, wanted := range m.tags {
		if wanted && p.held[tag+1] > 0 {
			return true
		}
	}
	return false
}

func (p *columnPage) holds(ranges []Range, i uint64) bool {
	for k := range ranges {
		r := &ranges[k]
		if v := p.columns[r.Column][i]; v < r.Min || v > r.Max {
			return false
		}
	}
	return true
}
