package actors

// BreakSupervision makes the actor's supervision core panic at whatever it is asked,
// until its next incarnation. It returns once that is so.
func BreakSupervision(ref Ref) {
	done := make(chan struct{})
	ref.cell.postSystem(executeOrder{func() {
		ref.cell.offspring().machine = nil
		close(done)
	}})
	<-done
}

// BreakRoot does the same to the root's.
func (s *System) BreakRoot() { BreakSupervision(s.root.ref()) }
