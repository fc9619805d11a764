package messages

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The addresses of payees.
const (
	// DestinationPrefix begins each.
	DestinationPrefix = "tb1"
	destinationWant   = "want " + DestinationPrefix + " and 1 to 117 lower-case ASCII letters or digits"
)

// DestinationFault says what is wrong with the address of a payee, and where; it is
// empty for one that is right.
func DestinationFault(s string) string {
	rest, ok := strings.CutPrefix(s, DestinationPrefix)
	switch {
	case strings.TrimSpace(s) == "":
		return "must not be blank; " + destinationWant
	case !ok:
		return fmt.Sprintf("must start with %s, got %s; %s", DestinationPrefix, quoted(s), destinationWant)
	case rest == "":
		return fmt.Sprintf("%s has nothing behind it; %s", quoted(s), destinationWant)
	case len(s) > DestinationMax:
		return fmt.Sprintf("has %d bytes, at most %d are allowed: %s", len(s), DestinationMax, quoted(s))
	}
	for i, r := range rest {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			i += len(DestinationPrefix)
			return fmt.Sprintf("%s has %s at position %d; %s", quoted(s), shown(s[i:], r), position(s, i), destinationWant)
		}
	}
	return ""
}

// IdentityFault says what is wrong with a name of somebody or something, and where; it
// is empty for one that is right: no control, invisible or direction-changing
// character, no white space at either end, no blank other than the space.
func IdentityFault(s string) string {
	for i, r := range s {
		end := i == 0 || i+len(string(r)) == len(s)
		switch {
		case r == utf8.RuneError && !utf8.ValidString(s[i:]), unicode.IsSpace(r) && (end || r != ' '), hidden(r):
			return fmt.Sprintf("%s has %s at position %d; leave it out", quoted(s), shown(s[i:], r), position(s, i))
		}
	}
	return ""
}

// hidden reports whether nobody sees a character, or it turns others around.
func hidden(r rune) bool {
	switch {
	case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector, unicode.Bidi_Control):
		return true
	default:
		return r == '\u2800' || r == '\u115f' || r == '\u1160' || r == '\u3164' || r == '\uffa0'
	}
}

// position counts characters from 1.
func position(s string, i int) int { return utf8.RuneCountInString(s[:i]) + 1 }

// quoted shows a stranger's text so that nothing in it acts.
func quoted(s string) string {
	const longest = 160
	if len(s) > longest {
		return strconv.QuoteToASCII(s[:longest]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// shown names the character that s begins with.
func shown(s string, r rune) string {
	switch {
	case r == utf8.RuneError && len(s) > 0 && s[0] != "\uFFFD"[0]:
		return fmt.Sprintf("the byte 0x%02x", s[0])
	case r == ' ':
		return "a blank"
	case r < utf8.RuneSelf && strconv.IsPrint(r):
		return strconv.QuoteRuneToASCII(r)
	default:
		return fmt.Sprintf("the character %U", r)
	}
}

// identity refuses a text that is no name.
func (f *fields) identity(v string) *fields {
	if f.got && f.strict {
		if fault := IdentityFault(v); fault != "" {
			f.in.Refuse("%s", fault)
		}
	}
	return f
}
