package messages

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Code is the number of an error on the wire. Numbers are never reused.
type Code int32

// The codes: JSON-RPC's own, Bursar's, and the energy market's.
const (
	CodeParse          Code = -32700
	CodeInvalidRequest Code = -32600
	CodeMethodNotFound Code = -32601
	CodeInvalidParams  Code = -32602
	CodeInternal       Code = -32603

	CodeValidationFailed    Code = -34001
	CodeNotFound            Code = -34002
	CodeMissingDependency   Code = -34003
	CodeDependencyCycle     Code = -34004
	CodeTooManyDependencies Code = -34005
	CodeMemoTooLong         Code = -34006
	CodeInvalidTransition   Code = -34007
	CodeInsufficientFunds   Code = -34008
	CodeCircuitOpen         Code = -34009
	CodeOverloaded          Code = -34010
	CodeUnavailable         Code = -34011
	CodeUnauthorized        Code = -34012
	CodeRequestIDConflict   Code = -34013
	CodeOutcomeUnknown      Code = -34014
	CodeDependencyFailed    Code = -34015

	CodeSignatureInvalid   Code = -33001
	CodeMeterMismatch      Code = -33003
	CodeQuorumFailed       Code = -33004
	CodeSettlementConflict Code = -33005
	CodeProviderInactive   Code = -33006
	CodeNonceReplay        Code = -33007
	CodeTimestampSkew      Code = -33008
	CodeRehearsal          Code = -33020
)

// names holds each code's name as it stands in an error's "name" field.
var names = map[Code]string{
	CodeParse:               "parse_error",
	CodeInvalidRequest:      "invalid_request",
	CodeMethodNotFound:      "method_not_found",
	CodeInvalidParams:       "invalid_params",
	CodeInternal:            "internal",
	CodeValidationFailed:    "validation_failed",
	CodeNotFound:            "not_found",
	CodeMissingDependency:   "missing_dependency",
	CodeDependencyCycle:     "dependency_cycle",
	CodeTooManyDependencies: "too_many_dependencies",
	CodeMemoTooLong:         "memo_too_long",
	CodeInvalidTransition:   "invalid_transition",
	CodeInsufficientFunds:   "insufficient_funds",
	CodeCircuitOpen:         "circuit_open",
	CodeOverloaded:          "overloaded",
	CodeUnavailable:         "unavailable",
	CodeUnauthorized:        "unauthorized",
	CodeRequestIDConflict:   "request_id_conflict",
	CodeOutcomeUnknown:      "outcome_unknown",
	CodeDependencyFailed:    "dependency_failed",
	CodeSignatureInvalid:    "signature_invalid",
	CodeMeterMismatch:       "meter_mismatch",
	CodeQuorumFailed:        "quorum_failed",
	CodeSettlementConflict:  "settlement_conflict",
	CodeProviderInactive:    "provider_inactive",
	CodeNonceReplay:         "nonce_replay",
	CodeTimestampSkew:       "timestamp_skew",
	CodeRehearsal:           "rehearsal",
}

// String gives the code's name, or its number where it has none.
func (c Code) String() string {
	if name, ok := names[c]; ok {
		return name
	}
	return strconv.Itoa(int(c))
}

// Error is a refusal or failure as a caller sees it: {code, name, message, data?}.
// The name follows from the code. A refusal is a reply, never a failure of the
// actor that gave it.
type Error struct {
	Code    Code
	Message string
	// Data holds facts a program may act on, such as "retry_after_ms" (integer),
	// "cycle" (list of refs) or "dependency" (id). Values are strings, integers,
	// booleans and lists of those; it is nil where there are none.
	Data map[string]any
}

// Errorf returns an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// With returns a copy of e that carries one more fact.
func (e *Error) With(key string, value any) *Error {
	data := make(map[string]any, len(e.Data)+1)
	for k, v := range e.Data {
		data[k] = v
	}
	data[key] = value
	return &Error{Code: e.Code, Message: e.Message, Data: data}
}

// Error gives name and message, as the command line prints them.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

// Is reports whether target is an Error of the same code, so that errors.Is
// compares codes and never text.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Codes lists every code that has a name, ascending.
func Codes() []Code {
	return slices.Sorted(maps.Keys(names))
}
