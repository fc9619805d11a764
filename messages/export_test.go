package messages

// OptionFields describes the parameters of every method for the test that writes the
// manual.
func OptionFields() []Field { return describe(new(Options)) }

// AppendByFields writes a message as its fields say, for those that are written by hand
// elsewhere.
func AppendByFields(b []byte, m Result) []byte { return appendMessage(b, m.(message)) }

// DecodePayload reads what AppendPayload wrote, under the wire's rules.
func DecodePayload(b []byte) (Payload, error) {
	p := new(Payload)
	if f := decodeWhole(b, "payload", p, true); f != nil {
		return Payload{}, faultError(f)
	}
	return *p, nil
}
