package messages

// OptionFields describes the parameters of every method for the test that writes the
// manual.
func OptionFields() []Field { return describe(new(Options)) }

// AppendByFields writes a message as its fields say, for those that are written by hand
// elsewhere.
func AppendByFields(b []byte, m Result) []byte { return appendMessage(b, m.(message)) }
