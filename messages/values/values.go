// Package values carries Go values of chosen types between processes: MessagePack, each
// value beside the name of its type. A Codec is not changed once it is made, so any
// goroutine may use it.
package values

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// Codec encodes values of the types it was made for, and nil.
type Codec struct {
	byType map[reflect.Type]string
	byName map[string]reflect.Type
}

// New makes a codec for the types of the samples, whose values do not matter. A type goes
// by its own name, without its package: it can move, and not be renamed. A sample that is
// a pointer stands for the pointer type: what arrives is one too.
//
// The error names a sample that is nil, has a type without a name, or one whose name
// another has already.
func New(samples ...any) (*Codec, error) {
	c := &Codec{byType: make(map[reflect.Type]string), byName: make(map[string]reflect.Type)}
	for i, sample := range samples {
		t := reflect.TypeOf(sample)
		if t == nil {
			return nil, fmt.Errorf("values: sample %d is nil", i+1)
		}
		name := nameOf(t)
		switch {
		case name == "":
			return nil, fmt.Errorf("values: %v has no name; declare a type", t)
		case c.byName[name] != nil:
			return nil, fmt.Errorf("values: %v and %v have the same name", c.byName[name], t)
		}
		c.byType[t], c.byName[name] = name, t
	}
	return c, nil
}

func nameOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// Encode gives the bytes of a value: a list of its type's name and itself.
func (c *Codec) Encode(v any) ([]byte, error) {
	name := ""
	if v != nil {
		var known bool
		if name, known = c.byType[reflect.TypeOf(v)]; !known {
			return nil, fmt.Errorf("values: %T was not given to New", v)
		}
	}
	var out bytes.Buffer
	out.Write(pack.AppendString(pack.AppendArray(nil, 2), name))
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&out)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("values: encode %T: %w", v, err)
	}
	return out.Bytes(), nil
}

// Decode reads what Encode has written, in this process or another. Fields that the type
// does not have are ignored, those that are missing are zero: both ends need not be of the
// same version.
func (c *Codec) Decode(b []byte) (any, error) {
	var scanner pack.Scanner
	if n, verdict := scanner.Scan(b, messages.PeerLimits); verdict != pack.Complete || n != len(b) {
		return nil, fmt.Errorf("values: %d bytes are not one value: %s", len(b), verdict)
	}
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(b))
	if n, err := dec.DecodeArrayLen(); err != nil || n != 2 {
		return nil, fmt.Errorf("values: want a list of a type's name and a value")
	}
	name, err := dec.DecodeString()
	if err != nil {
		return nil, fmt.Errorf("values: the type's name: %w", err)
	}
	if name == "" {
		return nil, dec.DecodeNil()
	}
	t := c.byName[name]
	if t == nil {
		return nil, fmt.Errorf("values: no type %.100q was given to New", name)
	}
	v := reflect.New(t)
	if err := dec.DecodeValue(v.Elem()); err != nil {
		return nil, fmt.Errorf("values: decode %v: %w", t, err)
	}
	return v.Elem().Interface(), nil
}
