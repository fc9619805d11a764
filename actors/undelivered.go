package actors

// Undeliverable is a message whose sender waits for an answer by other means than
// Ask. The runtime tells it when no actor will answer it: a breaker turned it away
// after it was accepted, its actor ended before its turn, or failed on it. A message
// that Tell refused is not told: its sender has the error.
//
// Undelivered is called once, on a worker, and must not block. err is what an asker
// would get.
type Undeliverable interface {
	Undelivered(err error)
}

// undelivered tells msg, if it wants to know, that nobody will answer it. A panic
// ends here: the actor whose turn it is has no part in it.
func undelivered(msg any, why func() error) {
	if m, ok := msg.(Undeliverable); ok {
		defer func() { _ = recover() }()
		m.Undelivered(why())
	}
}
