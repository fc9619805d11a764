package kinds

import (
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision"
)

// Kind is one kind of actors.
type Kind struct {
	// Name is the kind's, on every node: 1 to 32 lower-case letters, digits and dashes.
	Name string
	// New makes an actor whenever one starts: at its first message, after a failure, on
	// another node.
	New func(*Seat) actors.Actor
	// Codec carries messages and replies between nodes, and to actors of the same node.
	Codec Codec
	// MailboxLimit is how many messages one actor may have that it has not finished; 0
	// takes the node's.
	MailboxLimit int
	// Supervision is what becomes of actors that fail, as of children made on demand: by
	// its Template. The zero value isolates each behind a circuit breaker of its own.
	Supervision supervision.Spec
}

// Seat is what an actor is given when it is made.
type Seat struct {
	// Cluster reaches the other actors.
	*Cluster
	// Key is which actor of its kind it is.
	Key string
}

// Codec turns what a kind's actors are told and reply into bytes and back. Every node has
// the same one, or one that understands its bytes.
type Codec interface {
	Encode(v any) ([]byte, error)
	// Decode must not keep b. The bytes come from another node of the cluster.
	Decode(b []byte) (any, error)
}

// Address says which actor is meant.
type Address struct {
	Kind string
	// Key is 1 to 128 printable bytes without a slash.
	Key string
}

// String gives the actor's path on the node it lives on.
func (a Address) String() string { return Root + "/" + a.Kind + "/" + a.Key }

// Root is the actor above all kinds.
const Root = "/kinds"

const (
	// KindsMax is how many kinds a program may bring along.
	KindsMax = 16
	// MessageBytesMax is the longest encoded message or reply.
	MessageBytesMax = 256 << 10
	keyMax          = 128
)

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// check says what is wrong with a program's kinds.
func check(list []Kind) error {
	if len(list) > KindsMax {
		return fmt.Errorf("kinds: %d are more than %d", len(list), KindsMax)
	}
	seen := make(map[string]bool, len(list))
	var errs []error
	for _, k := range list {
		switch {
		case !nameRule.MatchString(k.Name):
			errs = append(errs, fmt.Errorf("kinds: %q is not 1 to 32 lower-case letters, digits and dashes", k.Name))
		case seen[k.Name]:
			errs = append(errs, fmt.Errorf("kinds: there are two of the name %s", k.Name))
		case k.New == nil || k.Codec == nil:
			errs = append(errs, fmt.Errorf("kinds: %s needs New and Codec", k.Name))
		}
		seen[k.Name] = true
	}
	return errors.Join(errs...)
}

// checkKey says what is wrong with a key.
func checkKey(key string) *messages.Error {
	bad := func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }
	if key == "" || len(key) > keyMax || strings.ContainsFunc(key, bad) {
		return messages.Errorf(messages.CodeValidationFailed, "key %.140q is not 1 to %d printable bytes without a slash", key, keyMax)
	}
	return nil
}

// ShardOf is the shard, of so many, whose owner an actor lives on. Nodes of different
// versions agree on it: it never changes.
func ShardOf(to Address, shards int) messages.ShardID {
	h := fnv.New64a()
	_, _ = h.Write([]byte(to.Kind + "/" + to.Key)) // never fails
	return messages.ShardID(h.Sum64() % uint64(shards))
}

// spec describes the actor of a key to its parent.
func (k *Kind) spec(cluster *Cluster, key string) actors.Spec {
	return actors.Spec{Name: key, Kind: k.Name, MailboxLimit: k.MailboxLimit,
		New: func() actors.Actor { return k.New(&Seat{Cluster: cluster, Key: key}) }}
}

// encode is the Codec's, within limits: a panic in it is an error.
func (k *Kind) encode(v any) (b []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			b, err = nil, fmt.Errorf("the codec of kind %s panics on %T: %v", k.Name, v, cause)
		}
	}()
	b, err = k.Codec.Encode(v)
	if err == nil && len(b) > MessageBytesMax {
		return nil, fmt.Errorf("%T has %d bytes, which is more than %d", v, len(b), MessageBytesMax)
	}
	return b, err
}

func (k *Kind) decode(b []byte) (v any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			v, err = nil, fmt.Errorf("the codec of kind %s panics: %v", k.Name, cause)
		}
	}()
	return k.Codec.Decode(b)
}
