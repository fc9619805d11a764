package persistence

import "fmt"

// Condition must hold at the commit, or the Txn is Refused. Make one with Exists,
// Absent, VersionIs, TagIn, TagNotIn, CounterBelow or CounterAtLeast.
type Condition struct {
	kind conditionKind
	key  Key    // a row's key, or a counter's name
	n    uint64 // a version, or the bits of an int64
	tags string
}

type conditionKind byte

const (
	conditionExists conditionKind = iota + 1
	conditionAbsent
	conditionVersionIs
	conditionTagIn
	conditionTagNotIn
	conditionCounterBelow
	conditionCounterAtLeast
)

// Exists holds if there is a row under key.
func Exists(key Key) Condition { return Condition{kind: conditionExists, key: key} }

// Absent holds if there is no row under key.
func Absent(key Key) Condition { return Condition{kind: conditionAbsent, key: key} }

// VersionIs holds if the row under key was written n times since it was created. A
// row that is not there has no version, and VersionIs(key, 0) never holds.
func VersionIs(key Key, n uint64) Condition {
	return Condition{kind: conditionVersionIs, key: key, n: n}
}

// TagIn holds if there is a row under key and its tag is one of tags.
func TagIn(key Key, tags ...byte) Condition {
	return Condition{kind: conditionTagIn, key: key, tags: string(tags)}
}

// TagNotIn holds if there is a row under key and its tag is none of tags.
func TagNotIn(key Key, tags ...byte) Condition {
	return Condition{kind: conditionTagNotIn, key: key, tags: string(tags)}
}

// CounterBelow holds if the counter is less than n.
func CounterBelow(counter string, n int64) Condition {
	return Condition{kind: conditionCounterBelow, key: Key(counter), n: uint64(n)}
}

// CounterAtLeast holds if the counter is n or more.
func CounterAtLeast(counter string, n int64) Condition {
	return Condition{kind: conditionCounterAtLeast, key: Key(counter), n: uint64(n)}
}

// String tells the condition as a dump of the log shows it.
func (c Condition) String() string {
	switch c.kind {
	case conditionExists:
		return fmt.Sprintf("%x exists", string(c.key))
	case conditionAbsent:
		return fmt.Sprintf("%x is absent", string(c.key))
	case conditionVersionIs:
		return fmt.Sprintf("%x has version %d", string(c.key), c.n)
	case conditionTagIn:
		return fmt.Sprintf("%x has a tag of %v", string(c.key), []byte(c.tags))
	case conditionTagNotIn:
		return fmt.Sprintf("%x has a tag not of %v", string(c.key), []byte(c.tags))
	case conditionCounterBelow:
		return fmt.Sprintf("%s < %d", string(c.key), int64(c.n))
	case conditionCounterAtLeast:
		return fmt.Sprintf("%s >= %d", string(c.key), int64(c.n))
	}
	return fmt.Sprintf("condition(%d)", byte(c.kind))
}
