package persistence

import (
	"fmt"
	"strings"
)

// Condition must hold at the commit, or the Txn is Refused. Make one with Exists,
// Absent, VersionIs, TagIn, TagNotIn, CounterBelow, CounterAtLeast or Unchanged.
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
	conditionUnchanged
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

// Unchanged is VersionIs for what gives the proposer the right to propose: if it does not
// hold the Txn has FailedRight, which no proposer can mistake for a condition of its own.
// From feature level LevelNotes on.
func Unchanged(key Key, n uint64) Condition {
	return Condition{kind: conditionUnchanged, key: key, n: n}
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

// failure says what it is that does not hold.
func (c *Condition) failure() FailedKind {
	if c.kind == conditionUnchanged {
		return FailedRight
	}
	return FailedCondition
}

// String tells the condition with keys and tags as bytes.
func (c Condition) String() string {
	return c.Text(
		func(k Key) string { return fmt.Sprintf("%x", string(k)) },
		func(_ Table, tag byte) string { return fmt.Sprint(tag) },
	)
}

// Text tells the condition as a dump of the log shows it, with the caller's names for
// its keys and tags.
func (c Condition) Text(key func(Key) string, tag func(Table, byte) string) string {
	switch c.kind {
	case conditionExists:
		return key(c.key) + " exists"
	case conditionAbsent:
		return key(c.key) + " is absent"
	case conditionVersionIs:
		return fmt.Sprintf("%s has version %d", key(c.key), c.n)
	case conditionUnchanged:
		return fmt.Sprintf("%s is unchanged at version %d", key(c.key), c.n)
	case conditionTagIn, conditionTagNotIn:
		names := make([]string, 0, len(c.tags))
		for _, b := range []byte(c.tags) {
			names = append(names, tag(c.key.Table(), b))
		}
		relation := "is"
		if c.kind == conditionTagNotIn {
			relation = "is not"
		}
		return fmt.Sprintf("%s %s %s", key(c.key), relation, strings.Join(names, " or "))
	case conditionCounterBelow:
		return fmt.Sprintf("%s < %d", string(c.key), int64(c.n))
	case conditionCounterAtLeast:
		return fmt.Sprintf("%s >= %d", string(c.key), int64(c.n))
	}
	return fmt.Sprintf("condition(%d)", byte(c.kind))
}
