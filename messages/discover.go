package messages

import (
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// WireVersion is the version of the methods as rpc.discover tells it.
const WireVersion = "1.0.0"

// MethodInfo is one method of an OpenRPC document.
type MethodInfo struct {
	Name           string          `msgpack:"name"`
	Summary        string          `msgpack:"summary"`
	ParamStructure string          `msgpack:"paramStructure"`
	Params         List[ParamInfo] `msgpack:"params"`
	Result         ResultInfo      `msgpack:"result"`
	Errors         List[ErrorInfo] `msgpack:"errors"`
	Role           string          `msgpack:"x-role"`
	Mutates        bool            `msgpack:"x-mutates"`
}

// ParamInfo is one parameter of an OpenRPC method.
type ParamInfo struct {
	Name     string `msgpack:"name"`
	Summary  string `msgpack:"summary"`
	Required bool   `msgpack:"required"`
	Schema   Schema `msgpack:"schema"`
}

// ResultInfo is the result of an OpenRPC method.
type ResultInfo struct {
	Name   string `msgpack:"name"`
	Schema Schema `msgpack:"schema"`
}

// ErrorInfo is one error of an OpenRPC method.
type ErrorInfo struct {
	Code    Code   `msgpack:"code"`
	Message string `msgpack:"message"`
}

// Schema is the part of JSON Schema that the table needs.
type Schema struct {
	Type        string     `msgpack:"type,omitempty"`
	Description string     `msgpack:"description,omitempty"`
	Default     string     `msgpack:"x-default,omitempty"`
	Items       *Schema    `msgpack:"items,omitempty"`
	Properties  Properties `msgpack:"properties,omitempty"`
}

// Property is one named part of an object's schema.
type Property struct {
	Name   string
	Schema Schema
}

// Properties is a list that stands as a map on the wire, in its own order.
type Properties []Property

// EncodeMsgpack writes the map.
func (p Properties) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := enc.EncodeMapLen(len(p)); err != nil {
		return err
	}
	for i := range p {
		if err := enc.EncodeString(p[i].Name); err != nil {
			return err
		}
		if err := enc.Encode(&p[i].Schema); err != nil {
			return err
		}
	}
	return nil
}

// DecodeMsgpack reads the map. Its length was checked by the scan.
func (p *Properties) DecodeMsgpack(dec *msgpack.Decoder) error {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return err
	}
	for range n {
		var prop Property
		if prop.Name, err = dec.DecodeString(); err != nil {
			return err
		}
		if err := dec.Decode(&prop.Schema); err != nil {
			return err
		}
		*p = append(*p, prop)
	}
	return nil
}

// Document builds the answer to rpc.discover from the method table.
func Document() *DiscoverResult {
	doc := &DiscoverResult{
		OpenRPC: "1.3.2",
		Info: DiscoverInfo{
			Title:       "Bursar",
			Version:     WireVersion,
			Description: "A clustered treasury that pays each disbursement exactly once.",
		},
	}
	for _, m := range Methods() {
		doc.Methods = append(doc.Methods, describe(m))
	}
	return doc
}

func describe(m *Method) MethodInfo {
	info := MethodInfo{
		Name: m.Name, Summary: m.Summary, ParamStructure: "by-name",
		Role: m.Who.String(), Mutates: m.Mutates,
		Result: ResultInfo{Name: "result", Schema: objectSchema("", m.Result)},
	}
	for _, f := range m.AllParams() {
		schema := f.schema()
		schema.Description = ""
		info.Params = append(info.Params, ParamInfo{
			Name: f.Name, Summary: f.Text, Required: f.Required, Schema: schema,
		})
	}
	for _, code := range append(CommonErrors(), m.Errors...) {
		info.Errors = append(info.Errors, ErrorInfo{Code: code, Message: code.String()})
	}
	return info
}

// AllParams lists the method's own parameters and the options that go with it.
func (m *Method) AllParams() []Field {
	if m.Mutates {
		return with(m.Params, requestID, deadlineMS)
	}
	return with(m.Params, consistency, deadlineMS)
}

func (f *Field) schema() Schema {
	kind, list := strings.CutPrefix(f.Type, "list of ")
	if list {
		items := Field{Type: kind, Fields: f.Fields}
		inner := items.schema()
		return Schema{Type: "array", Description: f.Text, Default: f.Default, Items: &inner}
	}
	if f.Type == "map" {
		return Schema{Type: "object", Description: f.Text}
	}
	schema := objectSchema(f.Type, f.Fields)
	schema.Description, schema.Default = f.Text, f.Default
	return schema
}

func objectSchema(kind string, fields []Field) Schema {
	schema := Schema{Type: kind}
	if kind == "" {
		schema.Type = "object"
	}
	for i := range fields {
		schema.Properties = append(schema.Properties, Property{Name: fields[i].Name, Schema: fields[i].schema()})
	}
	return schema
}
