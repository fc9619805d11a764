package messages

import (
	"math"
	"strings"

	"github.com/the-block/bursar/messages/internal/pack"
)

// WireVersion is the version of the methods as rpc.discover tells it.
const WireVersion = "1.1.0"

// DiscoverResult answers rpc.discover: the method table as an OpenRPC document.
type DiscoverResult struct {
	OpenRPC string
	Info    DiscoverInfo
	Methods []MethodInfo
}

func (r *DiscoverResult) fields(f *fields) {
	f.text("openrpc", &r.OpenRPC, "The version of OpenRPC.")
	object(f, "info", &r.Info, "What is described.")
	if f.mode == describing {
		f.describe("methods", "list of object", "The methods.") // whose schemas hold schemas
		return
	}
	objects(f, "methods", &r.Methods, 0, "")
}

// DiscoverInfo names what is described.
type DiscoverInfo struct {
	Title       string
	Version     string
	Description string
}

func (i *DiscoverInfo) fields(f *fields) {
	f.text("title", &i.Title, "Its name.")
	f.text("version", &i.Version, "The version of the wire.")
	f.text("description", &i.Description, "One sentence.")
}

// MethodInfo is one method of an OpenRPC document.
type MethodInfo struct {
	Name           string
	Summary        string
	ParamStructure string
	Params         []ParamInfo
	Result         ResultInfo
	Errors         []ErrorInfo
	Role           string
	Mutates        bool
}

func (i *MethodInfo) fields(f *fields) {
	f.text("name", &i.Name, "")
	f.text("summary", &i.Summary, "")
	f.text("paramStructure", &i.ParamStructure, "")
	objects(f, "params", &i.Params, 0, "")
	object(f, "result", &i.Result, "")
	objects(f, "errors", &i.Errors, 0, "")
	f.text("x-role", &i.Role, "")
	f.bool("x-mutates", &i.Mutates, "")
}

// ParamInfo is one parameter of an OpenRPC method.
type ParamInfo struct {
	Name     string
	Summary  string
	Required bool
	Schema   Schema
}

func (i *ParamInfo) fields(f *fields) {
	f.text("name", &i.Name, "")
	f.text("summary", &i.Summary, "")
	f.bool("required", &i.Required, "")
	object(f, "schema", &i.Schema, "")
}

// ResultInfo is the result of an OpenRPC method.
type ResultInfo struct {
	Name   string
	Schema Schema
}

func (i *ResultInfo) fields(f *fields) {
	f.text("name", &i.Name, "")
	object(f, "schema", &i.Schema, "")
}

// ErrorInfo is one error of an OpenRPC method.
type ErrorInfo struct {
	Code    Code
	Message string
}

func (i *ErrorInfo) fields(f *fields) {
	code := int64(i.Code)
	f.int("code", &code, "")
	if f.got {
		i.Code = Code(code)
	}
	f.text("message", &i.Message, "")
}

// Schema is the part of JSON Schema that the table needs.
type Schema struct {
	Types       []string // one of them
	Description string
	Default     string // in words
	Enum        []string
	// Bounded has integers from Minimum to Maximum.
	Bounded   bool
	Minimum   int64
	Maximum   uint64
	MaxLength uint64
	MaxItems  uint64
	Encoding  string // of binary, over JSON
	Items     *Schema
	// Properties are in their own order, Required are some of their names.
	Properties []Property
	Required   []string
}

func (s *Schema) fields(f *fields) {
	f.only(len(s.Types) > 0).types("type", &s.Types)
	f.may("").text("description", &s.Description, "")
	f.may("").text("x-default", &s.Default, "")
	f.may("").texts("enum", &s.Enum, 0, "")
	f.only(s.Bounded).int("minimum", &s.Minimum, "")
	if f.got { // it is read: what is written is shared
		s.Bounded = true
	}
	f.only(s.Bounded).uint("maximum", &s.Maximum, "")
	f.may("").uint("maxLength", &s.MaxLength, "")
	f.may("").uint("maxItems", &s.MaxItems, "")
	f.may("").text("contentEncoding", &s.Encoding, "")
	optional(f.may(""), "items", &s.Items, func() *Schema { return new(Schema) }, "")
	properties(f, "properties", &s.Properties)
	f.may("").texts("required", &s.Required, 0, "")
}

// Property is one named part of an object's schema.
type Property struct {
	Name   string
	Schema Schema
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
		doc.Methods = append(doc.Methods, openRPC(m))
	}
	return doc
}

func openRPC(m *Method) MethodInfo {
	info := MethodInfo{
		Name: m.Name, Summary: m.Summary, ParamStructure: "by-name", Params: []ParamInfo{},
		Role: m.Who.String(), Mutates: m.Mutates,
		Result: ResultInfo{Name: "result", Schema: objectSchema(m.Result)},
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

func (f *Field) schema() Schema {
	var s Schema
	if kind, list := strings.CutPrefix(f.Type, "list of "); list {
		items := Field{Type: kind, Fields: f.Fields}
		inner := items.schema()
		s = Schema{Types: []string{"array"}, Items: &inner, MaxItems: f.Max}
	} else {
		s = f.scalar()
	}
	s.Description, s.Default, s.Enum = f.Text, f.Default, f.Enum
	if f.Nullable {
		s.Types = append(s.Types, "null")
	}
	return s
}

func (f *Field) scalar() Schema {
	switch f.Type {
	case "object":
		return objectSchema(f.Fields)
	case "map":
		return Schema{Types: []string{"object"}}
	case "string":
		return Schema{Types: []string{"string"}, MaxLength: f.Max}
	case "binary":
		return Schema{Types: []string{"string"}, MaxLength: 2 * f.Max, Encoding: "base16"}
	case "integer":
		s := Schema{Types: []string{"integer"}, Bounded: true, Maximum: math.MaxUint64}
		switch {
		case f.Signed:
			s.Minimum, s.Maximum = math.MinInt64, math.MaxInt64
		case f.Max > 0:
			s.Maximum = f.Max
		}
		return s
	default:
		return Schema{Types: []string{f.Type}}
	}
}

func objectSchema(list []Field) Schema {
	s := Schema{Types: []string{"object"}}
	for i := range list {
		s.Properties = append(s.Properties, Property{Name: list[i].Name, Schema: list[i].schema()})
		if list[i].Required {
			s.Required = append(s.Required, list[i].Name)
		}
	}
	return s
}

// types is one word, or a list of them.
func (f *fields) types(name string, v *[]string) {
	switch {
	case f.mode == appending && len(*v) == 1:
		f.text(name, &(*v)[0], "")
	case f.mode == decoding && f.here(name):
		if f.in.Kind() == "a string" {
			*v = []string{f.in.Text()}
		} else {
			*v = readList(f, 0, func(s *string) { *s = f.in.Text() })
		}
	case f.mode == appending:
		f.texts(name, v, 0, "")
	}
}

// properties is a map of schemas in their own order, left out where there are none.
func properties(f *fields, name string, v *[]Property) {
	switch f.mode {
	case decoding:
		if f.here(name) {
			f.in.Map()
			for f.in.Next() {
				p := Property{Name: string(f.in.Key())}
				f.in.Map()
				f.entries(&p.Schema, nil)
				*v = append(*v, p)
			}
		}
	case appending:
		if f.may("").writes(name, len(*v) == 0) {
			f.b = pack.AppendMap(f.b, len(*v))
			for i := range *v {
				f.b = pack.AppendString(f.b, (*v)[i].Name)
				f.append(&(*v)[i].Schema)
			}
		}
	case describing:
	}
}
