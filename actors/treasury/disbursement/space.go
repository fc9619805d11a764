package disbursement

// skipSpace gives the position of the first character from i on that is no
// white space. It knows the characters of unicode.IsSpace by their bytes, which
// is several times faster than decoding them.
func skipSpace(text string, i int) int {
	if i < len(text) && text[i] > ' ' && text[i] < 0xC2 { // mostly there is none
		return i
	}
	return skipSpaces(text, i)
}

func skipSpaces(text string, i int) int {
	for i < len(text) {
		switch c := text[i]; {
		case c == ' ' || c-'\t' < 5:
			i++
		case c < 0xC2 || c > 0xE3:
			return i
		case len(text)-i >= 2 && isSpace2(c, text[i+1]):
			i += 2
		case len(text)-i >= 3 && isSpace3(c, text[i+1], text[i+2]):
			i += 3
		default:
			return i
		}
	}
	return i
}

// spaceBefore gives how many bytes the white space character takes that ends
// text, 0 if none does.
func spaceBefore(text string) int {
	n := len(text)
	if n == 0 {
		return 0
	}
	c := text[n-1]
	switch {
	case c == ' ' || c-'\t' < 5:
		return 1
	case c < 0x80:
		return 0
	case n >= 2 && isSpace2(text[n-2], c):
		return 2
	case n >= 3 && isSpace3(text[n-3], text[n-2], c):
		return 3
	}
	return 0
}

// isSpace2 knows U+0085 and U+00A0.
func isSpace2(a, b byte) bool { return a == 0xC2 && (b == 0x85 || b == 0xA0) }

// isSpace3 knows U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F and U+3000.
func isSpace3(a, b, c byte) bool {
	switch {
	case a == 0xE2 && b == 0x80:
		return c >= 0x80 && c <= 0x8A || c == 0xA8 || c == 0xA9 || c == 0xAF
	case a == 0xE2 && b == 0x81:
		return c == 0x9F
	case a == 0xE1:
		return b == 0x9A && c == 0x80
	}
	return a == 0xE3 && b == 0x80 && c == 0x80
}

// trimSpace is strings.TrimSpace without its slow way through wide characters.
func trimSpace(text string) string {
	text = text[skipSpace(text, 0):]
	for {
		n := spaceBefore(text)
		if n == 0 {
			return text
		}
		text = text[:len(text)-n]
	}
}
