package disbursement

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// dependsOn is the key of a JSON memo's list and the word that starts a plain one.
const dependsOn = "depends_on"

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
	ids   []uint64 // as written, among the first DependenciesMax items
	room  int      // how many ids there may be
	items int      // of the whole list; of a plain one not counted beyond the first too many
	badAt int      // position, from 1, of the first item looked at that is no id; 0 if none
	fault memoFault
}

// scan reads a whole memo into an empty list. It is total and linear in the memo's length.
//
// Surrounding white space (as Unicode defines it) does not count. What remains
// is either a JSON object with an array under the top-level key depends_on, or
// the words "depends_on=" or "depends_on:" followed by items between commas.
// The first DependenciesMax items are looked at; one counts if it is written as
// plain digits that fit in 64 bits, or, in JSON, is a string that holds such
// digits between white space. Everything else has no dependencies: an empty or
// overlong memo, JSON that is malformed anywhere, an object without that array.
func (l *memoList) scan(memo string) {
	memo = trimSpace(memo)
	switch {
	case memo == "" || len(memo) > MemoBytesMax:
	case memo[0] == '{':
		l.scanJSON(memo)
	case strings.HasPrefix(memo, dependsOn+"="), strings.HasPrefix(memo, dependsOn+":"):
		l.scanPlain(memo, len(dependsOn)+1)
	}
}

// scanPlain reads items between commas from i on. A blank item is no id.
func (l *memoList) scanPlain(memo string, i int) {
	l.room = min(strings.Count(memo[i:], ",")+1, DependenciesMax)
	for {
		id, end, ok := bareID(memo, i)
		if !ok {
			id, end, ok = scanID(memo, i)
		}
		if end < len(memo) && memo[end] != ',' {
			ok = false
			if next := strings.IndexByte(memo[end:], ','); next >= 0 {
				end += next
			} else {
				end = len(memo)
			}
		}
		l.add(id, ok)
		if end == len(memo) {
			return
		}
		if l.items == DependenciesMax {
			l.items++ // the item behind this comma
			return
		}
		i = end + 1
	}
}

// scanJSON reads a memo that starts with an opening brace. A malformed one has
// no list, whatever stands before the fault.
func (l *memoList) scanJSON(memo string) {
	s := jsonScanner{text: memo}
	if !s.object() {
		if s.keys > 0 || strings.Contains(memo, dependsOn) {
			l.fault = memoMalformed
		}
		return
	}
	switch {
	case s.keys > 1:
		l.fault = memoKeyTwice
	case s.keys == 1 && !s.array:
		l.fault = memoNoArray
	}
	l.room = min(s.items, DependenciesMax)
	for _, start := range s.starts[:l.room] {
		l.add(itemID(memo, int(start)))
	}
	l.items = s.items
}

// add takes in the next item, an id if ok.
func (l *memoList) add(id uint64, ok bool) {
	l.items++
	if !ok {
		if l.badAt == 0 {
			l.badAt = l.items
		}
		return
	}
	if l.ids == nil {
		l.ids = make([]uint64, 0, l.room)
	}
	l.ids = append(l.ids, id)
}

// set sorts the ids and drops duplicates, in place.
func (l *memoList) set() []uint64 {
	for i := 1; i < len(l.ids); i++ {
		if l.ids[i-1] >= l.ids[i] {
			slices.Sort(l.ids)
			return slices.Compact(l.ids)
		}
	}
	return l.ids // as people mostly write it
}

// bareID is scanID for the items that most lists are made of: up to 19 digits, which
// always fit, right up to a comma or the end of the text.
func bareID(text string, i int) (id uint64, end int, ok bool) {
	end = i
	for last := min(len(text), i+safeDigits); end < last && isDigit(text[end]); end++ {
		id = id*10 + uint64(text[end]-'0')
	}
	return id, end, end > i && (end == len(text) || text[end] == ',')
}

// safeDigits is how many digits always fit in 64 bits.
const safeDigits = 19

// scanID reads white space, digits and white space from i on, and gives the
// position where it met something else. It is ok if there were digits, any number
// of leading zeros among them, and what they say fits in 64 bits.
func scanID(text string, i int) (id uint64, end int, ok bool) {
	i = skipSpace(text, i)
	start, sure := i, min(len(text), i+safeDigits)
	for ; i < sure && isDigit(text[i]); i++ {
		id = id*10 + uint64(text[i]-'0')
	}
	ok = i > start
	for ; i < len(text) && isDigit(text[i]); i++ {
		if ok {
			id, ok = appendDigit(id, text[i])
		}
	}
	return id, skipSpace(text, i), ok
}

// appendDigit gives 10*id plus a digit, unless that exceeds 64 bits.
func appendDigit(id uint64, digit byte) (sum uint64, ok bool) {
	const cutoff = (1<<64 - 1) / 10
	sum = id*10 + uint64(digit-'0')
	return sum, id < cutoff || id == cutoff && sum >= id
}
