package market

import (
	"strings"
	"unicode/utf8"

	"github.com/the-block/bursar/messages"
)

func invalid(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeValidationFailed, format, args...)
}

func inactive(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeProviderInactive, format, args...)
}

func mismatch(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeMeterMismatch, format, args...)
}

func conflict(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeSettlementConflict, format, args...)
}

// UnknownProvider refuses a call about a provider that nobody registered.
func UnknownProvider(id messages.ProviderID) *messages.Error {
	return inactive("provider %s is not known; register it first", id)
}

// checkText wants valid UTF-8 that is not blank, in at most limit bytes.
func checkText(field, text string, limit int) *messages.Error {
	switch n := len(text); {
	case n > limit:
		return invalid("%s has %d bytes, at most %d are allowed", field, n, limit)
	case !utf8.ValidString(text):
		return invalid("%s must be valid UTF-8", field)
	case strings.TrimSpace(text) == "":
		return invalid("%s must not be blank", field)
	}
	return nil
}
