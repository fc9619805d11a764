package messages

// OptionFields exposes the tables' general parts to the test that writes the manual.
var OptionFields = []Field{requestID, deadlineMS, consistency}
