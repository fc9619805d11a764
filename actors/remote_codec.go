package actors

import (
	"fmt"
	"maps"
	"reflect"
)

// Codecs are the types of messages and replies that may leave a node. Every node
// registers the same ones, before it joins the others. The zero value is empty.
type Codecs struct {
	byType map[reflect.Type]*codec
	byKind map[uint16]*codec
}

// codec turns one type into bytes and back.
type codec struct {
	kind   uint16
	name   string
	append func(b []byte, msg any) []byte
	decode func(b []byte) (any, error)
}

// kindNil is the kind of a nil reply.
const kindNil = 0

// Register lets values of type T travel between nodes under a number from 1 on, which
// is never used for anything else again: other versions of the program know it.
//
// appendTo appends the value's bytes to b. decode reads them back; it must be total,
// since another node wrote them, must not keep b, and need not copy what it does not
// keep. Both run on any goroutine. A pointer type spares an allocation a message.
//
// ErrCodec: number 0, or a number or type that is registered already.
func Register[T any](c *Codecs, kind uint16, appendTo func(b []byte, v T) []byte, decode func(b []byte) (T, error)) error {
	t := reflect.TypeFor[T]()
	switch {
	case kind == kindNil:
		return fmt.Errorf("%w: %v has number 0", ErrCodec, t)
	case t.Kind() == reflect.Interface:
		return fmt.Errorf("%w: %v is an interface, not a message", ErrCodec, t)
	case c.byKind[kind] != nil:
		return fmt.Errorf("%w: number %d of %v is taken", ErrCodec, kind, t)
	case c.byType[t] != nil:
		return fmt.Errorf("%w: %v has number %d already", ErrCodec, t, c.byType[t].kind)
	}
	if c.byType == nil {
		c.byType, c.byKind = make(map[reflect.Type]*codec), make(map[uint16]*codec)
	}
	added := &codec{
		kind:   kind,
		name:   t.String(),
		append: func(b []byte, msg any) []byte { return appendTo(b, msg.(T)) },
		decode: func(b []byte) (any, error) { return decode(b) },
	}
	c.byType[t], c.byKind[kind] = added, added
	return nil
}

func (c *Codecs) clone() Codecs {
	return Codecs{byType: maps.Clone(c.byType), byKind: maps.Clone(c.byKind)}
}

// knows reports whether v's type may leave the node.
func (c *Codecs) knows(v any) bool { return c.byType[reflect.TypeOf(v)] != nil }

// encode appends msg's bytes; ok is false if its type may not leave the node.
func (c *Codecs) encode(b []byte, msg any) (out []byte, kind uint16, ok bool) {
	if msg == nil {
		return b, kindNil, true
	}
	known := c.byType[reflect.TypeOf(msg)]
	if known == nil {
		return b, 0, false
	}
	return known.append(b, msg), known.kind, true
}

// decode makes a message of what another node sent, or says why it cannot. A codec
// that panics is one that refuses.
func (c *Codecs) decode(kind uint16, b []byte) (msg any, why Reason) {
	if kind == kindNil {
		return nil, 0
	}
	known := c.byKind[kind]
	if known == nil {
		return nil, UnknownKind
	}
	defer func() {
		if recover() != nil {
			msg, why = nil, Malformed
		}
	}()
	msg, err := known.decode(b)
	if err != nil {
		return nil, Malformed
	}
	return msg, 0
}

// typeName is the Go type of a kind, for dead letters.
func (c *Codecs) typeName(kind uint16) string {
	if known := c.byKind[kind]; known != nil {
		return known.name
	}
	return fmt.Sprintf("kind %d", kind)
}
