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
				break // perhaps white space, of which there is some beyond ASCII
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
		if text[i] != '\\' {
			if i = skipSpace(text, i); text[i] != '\\' {
				return i
			}
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
	a, b, c, d := hexDigits[text[0]], hexDigits[text[1]], hexDigits[text[2]], hexDigits[text[3]]
	const digit = 0x10 // in the table: there is one
	r = rune(a&0xF)<<12 | rune(b&0xF)<<8 | rune(c&0xF)<<4 | rune(d&0xF)
	return r, a&b&c&d&digit != 0
}

// hexDigits gives the value of a hexadecimal digit plus 16, and 0 for other bytes.
var hexDigits = [256]byte{
	'0': 16, '1': 17, '2': 18, '3': 19, '4': 20, '5': 21, '6': 22, '7': 23, '8': 24, '9': 25,
	'a': 26, 'b': 27, 'c': 28, 'd': 29, 'e': 30, 'f': 31,
	'A': 26, 'B': 27, 'C': 28, 'D': 29, 'E': 30, 'F': 31,
}
