package messages

import (
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden reports whether people cannot see a character, or it moves a cursor or turns text
// around.
func Hidden(r rune) bool { return !unicode.IsPrint(r) || hidden(r) }

// VisibleParts cuts a text into what people can read as it is, and escapes for what they
// cannot see, or what moves a cursor or turns text around: \n, \x1b, \u202e.
func VisibleParts(text string) iter.Seq2[string, bool] {
	return func(yield func(part string, escaped bool) bool) {
		plain := 0 // where what is not yielded yet begins
		for i := 0; i < len(text); {
			r, size := utf8.DecodeRuneInString(text[i:])
			escape := ""
			switch {
			case r == utf8.RuneError && size == 1: // no UTF-8
				escape = `\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:]
			case Hidden(r):
				escape = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
			}
			i += size
			if escape == "" {
				continue
			}
			if before := text[plain : i-size]; before != "" && !yield(before, false) || !yield(escape, true) {
				return
			}
			plain = i
		}
		if plain < len(text) {
			yield(text[plain:], false)
		}
	}
}

// Visible is a text with escapes for what people cannot see. All that strangers wrote goes
// through it before people read it.
func Visible(text string) string {
	var b strings.Builder
	for part := range VisibleParts(text) {
		b.WriteString(part)
	}
	return b.String()
}
