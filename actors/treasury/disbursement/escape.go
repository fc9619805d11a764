package disbursement

import "unicode"

// equalsString reports whether the inside of a valid JSON string, which starts
// at i, reads as word, with or without escapes.
func equalsString(word, text string, i int) bool {
	for k := range len(word) {
		c := text[i]
		if c == '\\' {
			var r rune
			if r, i = unescape(text, i); r != rune(word[k]) {
				return false
			}
			continue
		}
		if c != word[k] {
			return false
		}
		i++
	}
	return text[i] == '"'
}

// stringID reads the inside of a valid JSON string, which starts at i, as an id
// between white space. Any character of it may be an escape.
func stringID(text string, i int) (id uint64, ok bool) {
	i = skipEscapedSpace(text, i)
	for {
		c, next := text[i], i+1
		if c == '\\' {
			var r rune
			if r, next = unescape(text, i); r > '9' {
				return 0, false
			}
			c = byte(r)
		}
		if !isDigit(c) {
			break
		}
		if id, ok = appendDigit(id, c); !ok {
			return 0, false
		}
		i = next
	}
	return id, ok && text[skipEscapedSpace(text, i)] == '"'
}

// skipEscapedSpace is skipSpace inside a valid JSON string.
func skipEscapedSpace(text string, i int) int {
	for {
		if i = skipSpace(text, i); text[i] != '\\' {
			return i
		}
		switch text[i+1] {
		case 't', 'n', 'r', 'f':
			i += 2
		case 'u':
			if r, _ := hex4(text[i+2:]); !unicode.IsSpace(r) {
				return i
			}
			i += 6
		default:
			return i
		}
	}
}

// unescape reads the valid escape sequence at i, and gives the position behind
// it. It reads surrogates one by one, also those of a pair: no caller looks for
// a character that takes two.
func unescape(text string, i int) (rune, int) {
	switch c := text[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		r, _ := hex4(text[i+2:])
		return r, i + 6
	default:
		return rune(c), i + 2
	}
}

// hex4 reads four hexadecimal digits.
func hex4(text string) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		d := hexDigits[text[i]]
		if d == 0 {
			return 0, false
		}
		r = r<<4 | rune(d-1)
	}
	return r, true
}

// hexDigits gives the value of a hexadecimal digit plus 1, and 0 for other bytes.
var hexDigits = [256]byte{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'a': 11, 'b': 12, 'c': 13, 'd': 14, 'e': 15, 'f': 16,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16,
}
