package disbursement

import "strings"

// malformed is the position after something that is not JSON.
const malformed = -1

// jsonScanner validates a JSON object in one pass, without recursion, and notes
// where the items of the array under its top-level key depends_on start. It
// accepts exactly what encoding/json does: RFC 8259, with invalid UTF-8 and lone
// surrogates allowed inside strings, where they read as U+FFFD.
//
// The methods take the position where something starts and give the one after
// it, or malformed.
type jsonScanner struct {
	text string
	keys int // how often the top-level key depends_on came up

	// The value of the last such key.
	array  bool                    // it is an array
	items  int                     // of so many items
	starts [DependenciesMax]uint16 // the first of which start here

	// outer[k] holds the kinds of the 64 containers around the one at depth
	// 64*k. A memo cannot nest deeper than it is long.
	outer [MemoBytesMax/64 + 1]uint64
}

// object reads the whole text, which starts with an opening brace, and reports
// whether it is one well-formed object.
func (s *jsonScanner) object() bool {
	const isObject = 1 // the bit of an object in kinds; the ASCII of { and } has bit 5 set, that of [ and ] has not
	var (
		text  = s.text
		i     = 0
		depth = uint(0)
		kinds uint64 // of the innermost 64 open containers, the innermost in bit 0
		ours  bool   // the last top-level key was depends_on
	)
next:
	for {
		// At i, the text starts or an item or member of the innermost container does.
		if kinds&isObject != 0 {
			key := i
			if i = s.key(i); i == malformed {
				return false
			}
			if depth == 1 {
				ours = i-key > len(dependsOn) && s.enter(key, i)
			}
		} else if ours && depth == 2 {
			s.note(i)
		}
		switch c := at(text, i); c {
		case '{', '[':
			var first byte
			if first, i = token(text, i+1); first == c+2 { // its closing bracket
				i++
				break
			}
			if depth%64 == 0 {
				if depth > uint(len(text)-i) {
					return false // too deep to be closed
				}
				s.outer[depth/64] = kinds
			}
			kinds = kinds<<1 | uint64(c>>5&1)
			depth++
			// Lists of lists of lists: whatever is in them, it is no item of ours.
			for first == '[' && kinds&isObject == 0 && depth > 2 && depth%64 != 0 && at(text, i+1) == '[' {
				kinds <<= 1
				depth++
				i++
			}
			continue next
		case '"':
			i = skipString(text, i)
		case '-':
			i = skipNumber(text, i)
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			var more bool
			if i, more = s.numbers(i, kinds&isObject == 0, ours && depth == 2); more {
				continue next
			}
		default:
			i = skipLiteral(text, i)
		}
		if i == malformed {
			return false
		}
		// A value has ended: so may the containers around it.
		for {
			if depth == 0 {
				return i == len(text)
			}
			var c byte
			switch c, i = token(text, i); c {
			case ',':
				_, i = token(text, i+1)
				continue next
			case '}', ']':
				if kinds&isObject != uint64(c>>5&1) {
					return false
				}
				i++
				depth--
				kinds >>= 1
				for c == ']' && depth%64 != 0 && kinds&isObject == 0 && at(text, i) == ']' {
					i++
					depth--
					kinds >>= 1
				}
				if depth%64 == 0 {
					kinds = s.outer[depth/64]
				}
			default:
				return false
			}
		}
	}
}

// numbers skips a number that starts with a digit. In a list it goes on to what most
// lists are made of: integers right up to the next comma; list says that it may, and
// ours that they are to be noted. If more, the list's next item starts at end.
func (s *jsonScanner) numbers(i int, list, ours bool) (end int, more bool) {
	for {
		end = i + 1
		for s.text[i] != '0' && isDigit(at(s.text, end)) {
			end++
		}
		switch c := at(s.text, end); {
		case c == ',' && list:
			if c, i = token(s.text, end+1); !isDigit(c) {
				return i, true
			}
			if ours {
				s.note(i)
			}
		case c == '.' || c|0x20 == 'e':
			return skipNumber(s.text, i), false
		default:
			return end, false
		}
	}
}

// key skips a key and its colon, up to where the value starts.
func (s *jsonScanner) key(i int) int {
	if at(s.text, i) != '"' {
		return malformed
	}
	if i = skipString(s.text, i); i == malformed {
		return malformed
	}
	colon, i := token(s.text, i)
	if colon != ':' {
		return malformed
	}
	_, i = token(s.text, i+1)
	return i
}

// enter looks at a valid top-level key and reports whether it reads depends_on.
// If so it forgets what an equal key held before.
func (s *jsonScanner) enter(key, value int) bool {
	if !equalsString(dependsOn, s.text, key+1) {
		return false
	}
	s.keys++
	s.items = 0
	s.array = at(s.text, value) == '['
	return true
}

// note takes in the start of the list's next item.
func (s *jsonScanner) note(i int) {
	if s.items < len(s.starts) {
		s.starts[s.items] = uint16(i)
	}
	s.items++
}

// itemID reads the item that starts at i of a list in well-formed JSON as an id.
func itemID(text string, i int) (uint64, bool) {
	if text[i] == '"' {
		return stringID(text, i+1)
	}
	id, end, ok := scanID(text, i)
	return id, ok && (text[end] == ',' || text[end] == ']')
}

// at gives the byte at i or, past the end, 0, which is valid nowhere in JSON.
func at(text string, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return 0
}

// token skips the white space that JSON allows between its tokens, which there
// hardly ever is. It gives the first byte behind it, as at does, and its position.
func token(text string, i int) (c byte, start int) {
	if i < len(text) && text[i] > ' ' {
		return text[i], i
	}
	return spacedToken(text, i)
}

func spacedToken(text string, i int) (c byte, start int) {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return at(text, i), i
}

func skipLiteral(text string, i int) int {
	rest := text[i:]
	switch {
	case strings.HasPrefix(rest, "true"), strings.HasPrefix(rest, "null"):
		return i + 4
	case strings.HasPrefix(rest, "false"):
		return i + 5
	}
	return malformed
}

// skipNumber skips a number that starts with a digit or a minus. A zero ends its
// integer part: that no digit follows is for the caller to see.
func skipNumber(text string, i int) int {
	if text[i] == '-' {
		i++
	}
	if at(text, i) == '0' {
		i++
	} else if i = skipDigits(text, i); i == malformed {
		return malformed
	}
	if at(text, i) == '.' {
		if i = skipDigits(text, i+1); i == malformed {
			return malformed
		}
	}
	if at(text, i)|0x20 == 'e' {
		if c := at(text, i+1); c == '+' || c == '-' {
			i++
		}
		return skipDigits(text, i+1)
	}
	return i
}

// skipDigits skips one digit or more.
func skipDigits(text string, i int) int {
	start := i
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	if i == start {
		return malformed
	}
	return i
}

// skipString skips a string from its opening to its closing quote.
func skipString(text string, i int) int {
	for i++; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if shortEscapes[at(text, i+1)] {
				i += 2
			} else if i = skipHexEscape(text, i); i == malformed {
				return malformed
			}
		case c < ' ':
			return malformed
		default:
			i++
		}
	}
	return malformed
}

// shortEscapes are the characters that a backslash may stand before, but for u.
var shortEscapes = [256]bool{
	'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true,
}

// skipHexEscape skips an escape sequence with u from its backslash on.
func skipHexEscape(text string, i int) int {
	if at(text, i+1) == 'u' {
		if _, ok := hex4(text[i+2:]); ok {
			return i + 6
		}
	}
	return malformed
}

func isDigit(c byte) bool { return c-'0' <= 9 }
