package disbursement

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// dependsOn is the key of a JSON memo's list and the word that starts a plain one.
const dependsOn = "depends_on"

// ParseDependencies gives the ids a memo depends on, ascending and without
// duplicates; nil when there are none. It is total and linear in the memo's
// length, and allocates nothing but its result.
//
// Surrounding white space (as Unicode defines it) does not count. What remains
// is either a JSON object with an array under the top-level key depends_on, or
// the words "depends_on=" or "depends_on:" followed by items between commas.
// The first DependenciesMax items are looked at; one counts if it is written as
// plain digits that fit in 64 bits, or, in JSON, is a string that holds such
// digits between white space. Everything else has no dependencies: an empty or
// overlong memo, JSON that is malformed anywhere, an object without that array.
func ParseDependencies(memo string) []uint64 {
	var list memoList
	list.scan(memo)
	return sortedSet(list.found())
}

// CutMemo gives the part of the memo that the paying transaction carries: at
// most TxMemoBytesMax bytes, cut where a character starts.
func CutMemo(memo string) string { return cutText(memo, TxMemoBytesMax) }

// cutText cuts text to at most limit bytes, where a character starts.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for cut := limit; cut > limit-utf8.UTFMax; cut-- {
		if utf8.RuneStart(text[cut]) {
			return text[:cut]
		}
	}
	return text[:limit] // not UTF-8: no boundary is near
}

// memoFault is what a submission is refused for although a reader of the memo
// would just find fewer dependencies, or none.
type memoFault byte

const (
	memoSound     memoFault = iota
	memoMalformed           // starts with { and holds depends_on, but is no JSON
	memoKeyTwice            // the top-level key depends_on stands there twice
	memoNoArray             // something else than an array is under the key
)

// memoList is what a scan finds in a memo.
type memoList struct {
	ids    [DependenciesMax]uint64 // as written, among the first DependenciesMax items
	n      int                     // how many of ids are set
	items  int                     // all items of the list; counting stops above DependenciesMax in a plain list
	badAt  int                     // position, from 1, of the first item that is no id; 0 if none
	fault  memoFault
	listed bool // whether there is a list at all, be it empty
}

// scan reads a whole memo into an empty list.
func (l *memoList) scan(memo string) {
	memo = strings.TrimSpace(memo)
	switch {
	case memo == "" || len(memo) > MemoBytesMax:
	case memo[0] == '{':
		l.scanJSON(memo)
	case strings.HasPrefix(memo, dependsOn) && len(memo) > len(dependsOn):
		if sign := memo[len(dependsOn)]; sign == '=' || sign == ':' {
			l.scanPlain(memo[len(dependsOn)+1:])
		}
	}
}

// scanPlain reads items between commas. A blank item is an item, and no id.
func (l *memoList) scanPlain(rest string) {
	l.listed = true
	for more := true; more && l.items <= DependenciesMax; {
		var item string
		item, rest, more = strings.Cut(rest, ",")
		id, ok := parseID(strings.TrimSpace(item))
		l.add(id, ok)
	}
}

// scanJSON reads a memo that starts with an opening brace. A malformed one
// leaves no list, whatever stood before the fault.
func (l *memoList) scanJSON(memo string) {
	s := jsonScanner{text: memo}
	keys, ok := s.members(l)
	switch {
	case !ok:
		l.reset()
		if keys > 0 || strings.Contains(memo, dependsOn) {
			l.fault = memoMalformed
		}
	case keys > 1:
		l.fault = memoKeyTwice
	case keys == 1 && !l.listed:
		l.fault = memoNoArray
	}
}

// add takes in the next item, an id if ok.
func (l *memoList) add(id uint64, ok bool) {
	l.items++
	switch {
	case !ok && l.badAt == 0:
		l.badAt = l.items
	case ok && l.items <= DependenciesMax:
		l.ids[l.n] = id
		l.n++
	}
}

// reset forgets the list: of equal keys only the last counts.
func (l *memoList) reset() {
	l.n, l.items, l.badAt, l.listed = 0, 0, 0, false
}

// found gives the ids as written. They live in l.
func (l *memoList) found() []uint64 { return l.ids[:l.n] }

// sortedSet gives a sorted copy of ids without duplicates, nil if there are none.
func sortedSet(ids []uint64) []uint64 {
	if len(ids) == 0 {
		return nil
	}
	set := make([]uint64, len(ids))
	copy(set, ids)
	slices.Sort(set)
	return slices.Compact(set)
}

// parseID reads plain digits, any number of leading zeros among them, that fit
// in 64 bits.
func parseID(digits string) (uint64, bool) {
	if digits == "" {
		return 0, false
	}
	var id uint64
	for i := range len(digits) {
		var ok bool
		if id, ok = appendDigit(id, digits[i]); !ok {
			return 0, false
		}
	}
	return id, true
}

// appendDigit gives 10*id + c, unless c is no digit or the result exceeds 64 bits.
func appendDigit(id uint64, c byte) (uint64, bool) {
	const cutoff = (1<<64 - 1) / 10
	d := uint64(c - '0')
	if d > 9 || id > cutoff {
		return 0, false
	}
	sum := id*10 + d
	return sum, sum >= d
}
