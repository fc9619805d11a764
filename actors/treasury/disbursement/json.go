package disbursement

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// malformed is the position after something that is not JSON.
const malformed = -1

// jsonScanner validates a JSON object in one pass, without recursion, and picks
// out the array under depends_on. It accepts exactly what encoding/json does:
// RFC 8259, with invalid UTF-8 and lone surrogates allowed inside strings, where
// they read as U+FFFD. A memo cannot nest deeper than it is long, so the kinds
// of the open containers fit in one bit a byte.
//
// The methods take the position where something starts and give the one after
// it, or malformed.
type jsonScanner struct {
	text    string
	objects [MemoBytesMax / 64]uint64 // bit d: the container at depth d is an object
}

// at gives the byte at i, or 0, which is valid nowhere in JSON, past the end.
func (s *jsonScanner) at(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

// space skips white space.
func (s *jsonScanner) space(i int) int {
	for i < len(s.text) && s.text[i] <= ' ' {
		switch s.text[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// members reads the whole text, an object, and leaves in l the list under its
// last key depends_on. It gives how often that key came up, and whether all of
// the text is well formed.
func (s *jsonScanner) members(l *memoList) (keys int, ok bool) {
	i := s.space(1)
	if s.at(i) == '}' {
		return 0, i+1 == len(s.text)
	}
	for {
		start := i
		if i = s.key(i); i == malformed {
			return keys, false
		}
		if !s.isDependsOn(start) {
			i = s.value(i)
		} else {
			keys++
			l.reset()
			i = s.dependencies(i, l)
		}
		if i == malformed {
			return keys, false
		}
		i = s.space(i)
		switch s.at(i) {
		case ',':
			i = s.space(i + 1)
		case '}':
			return keys, i+1 == len(s.text)
		default:
			return keys, false
		}
	}
}

// dependencies reads the value of a key depends_on into l, if it is an array.
func (s *jsonScanner) dependencies(i int, l *memoList) int {
	if s.at(i) != '[' {
		return s.value(i)
	}
	l.listed = true
	i = s.space(i + 1)
	if s.at(i) == ']' {
		return i + 1
	}
	for {
		start := i
		if i = s.value(i); i == malformed {
			return malformed
		}
		l.add(itemID(s.text[start:i]))
		i = s.space(i)
		switch s.at(i) {
		case ',':
			i = s.space(i + 1)
		case ']':
			return i + 1
		default:
			return malformed
		}
	}
}

// value skips one value of any kind, however deep.
func (s *jsonScanner) value(i int) int {
	depth := 0
	for {
		switch c := s.at(i); c {
		case '{', '[':
			s.push(depth, c == '{')
			depth++
			i = s.space(i + 1)
			if s.at(i) == c+2 { // an empty container: } is {+2, ] is [+2
				depth--
				i++
				break
			}
			if c == '{' {
				if i = s.key(i); i == malformed {
					return malformed
				}
			}
			continue
		default:
			if i = s.scalar(i); i == malformed {
				return malformed
			}
		}
		if i, depth = s.closers(i, depth); depth == 0 {
			return i
		}
	}
}

// closers reads what may follow a value at the given depth: closing brackets,
// then a comma, and in an object the next key. It stops where the next value
// starts, or at depth 0.
func (s *jsonScanner) closers(i, depth int) (next, left int) {
	for depth > 0 {
		object := s.object(depth - 1)
		i = s.space(i)
		switch c := s.at(i); {
		case c == ',':
			i = s.space(i + 1)
			if !object {
				return i, depth
			}
			if i = s.key(i); i == malformed {
				return malformed, 0
			}
			return i, depth
		case object && c == '}', !object && c == ']':
			depth--
			i++
		default:
			return malformed, 0
		}
	}
	return i, 0
}

// push notes the kind of the container at the given depth.
func (s *jsonScanner) push(depth int, object bool) {
	bit := uint64(1) << (depth % 64)
	if object {
		s.objects[depth/64] |= bit
	} else {
		s.objects[depth/64] &^= bit
	}
}

// object tells the kind of the container at the given depth.
func (s *jsonScanner) object(depth int) bool {
	return s.objects[depth/64]>>(depth%64)&1 == 1
}

// key skips a key and its colon, up to where the value starts.
func (s *jsonScanner) key(i int) int {
	if s.at(i) != '"' {
		return malformed
	}
	if i = s.string(i); i == malformed {
		return malformed
	}
	i = s.space(i)
	if s.at(i) != ':' {
		return malformed
	}
	return s.space(i + 1)
}

// scalar skips a string, a number or a literal.
func (s *jsonScanner) scalar(i int) int {
	switch c := s.at(i); {
	case c == '"':
		return s.string(i)
	case c == '-' || isDigit(c):
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return malformed
}

func (s *jsonScanner) literal(i int, word string) int {
	if !strings.HasPrefix(s.text[i:], word) {
		return malformed
	}
	return i + len(word)
}

func (s *jsonScanner) number(i int) int {
	if s.at(i) == '-' {
		i++
	}
	switch c := s.at(i); {
	case c == '0':
		i++
	case isDigit(c):
		i = s.digits(i)
	default:
		return malformed
	}
	if s.at(i) == '.' {
		if i++; !isDigit(s.at(i)) {
			return malformed
		}
		i = s.digits(i)
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		if !isDigit(s.at(i)) {
			return malformed
		}
		i = s.digits(i)
	}
	return i
}

func (s *jsonScanner) digits(i int) int {
	for i < len(s.text) && isDigit(s.text[i]) {
		i++
	}
	return i
}

// string skips a string from its opening to its closing quote.
func (s *jsonScanner) string(i int) int {
	for i++; i < len(s.text); {
		switch c := s.text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = s.escape(i); i == malformed {
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

// escape skips an escape sequence from its backslash on.
func (s *jsonScanner) escape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(s.text[i+2:]); ok {
			return i + 6
		}
	}
	return malformed
}

// isDependsOn tells whether the valid string that starts at i reads depends_on,
// with or without escapes.
func (s *jsonScanner) isDependsOn(i int) bool {
	rest := s.text[i+1:]
	for k := range len(dependsOn) {
		r, size := decodedRune(rest)
		if r != rune(dependsOn[k]) {
			return false
		}
		rest = rest[size:]
	}
	return rest[0] == '"'
}

// itemID reads an item of a list, a valid JSON value, as an id.
func itemID(value string) (uint64, bool) {
	if value[0] != '"' {
		return parseID(value)
	}
	text := value[1 : len(value)-1]
	if strings.IndexByte(text, '\\') < 0 {
		return parseID(strings.TrimSpace(text))
	}
	return escapedID(text)
}

// escapedID reads an id between white space in the inside of a valid JSON
// string, any character of which may be an escape.
func escapedID(text string) (id uint64, ok bool) {
	const (
		before = iota
		inside
		after
	)
	part := before
	for len(text) > 0 {
		r, size := decodedRune(text)
		text = text[size:]
		switch {
		case unicode.IsSpace(r):
			if part == inside {
				part = after
			}
		case part == after || r > '9':
			return 0, false
		default:
			part = inside
			if id, ok = appendDigit(id, byte(r)); !ok {
				return 0, false
			}
		}
	}
	return id, part != before
}

// decodedRune reads the first character of the inside of a valid JSON string,
// and how many bytes it takes there. Every surrogate reads as U+FFFD, also one
// of a pair: no caller looks for characters that need a pair.
func decodedRune(text string) (rune, int) {
	switch c := text[0]; {
	case c >= utf8.RuneSelf:
		return utf8.DecodeRuneInString(text)
	case c != '\\':
		return rune(c), 1
	}
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ := hex4(text[2:])
		if r >= 0xD800 && r <= 0xDFFF {
			r = utf8.RuneError
		}
		return r, 6
	default:
		return rune(c), 2
	}
}

// hex4 reads four hexadecimal digits.
func hex4(text string) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := text[i]
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
