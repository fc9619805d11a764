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

// Mailbox is a mailbox with the one consumer that an actor's worker is.
type Mailbox struct {
	box       mailbox
	lifecycle []any
	stash     []kept
	hand      kept
}

// NewMailbox returns a mailbox that lets limit user messages in, as a new actor has it:
// held until SetMode.
func NewMailbox(limit int) *Mailbox {
	m := &Mailbox{}
	m.box.limit, m.box.slabs, m.box.mode = uint32(limit), &slabs{}, held
	return m
}

// The modes and doors of a mailbox.
const (
	Serving, Refusing, Held = serving, refusing, held
	Open, Draining, Closed  = doorOpen, doorDraining, doorClosed
)

// Mode and Door are what a mailbox serves and lets in.
type (
	Mode = mode
	Door = door
)

func (m *Mailbox) Post(msg int) (why Reason, wake bool) { return m.box.offer(item{msg: msg}, 0) }
func (m *Mailbox) PostInternal(msg int) (why Reason, wake bool) {
	return m.box.offerInternal(item{msg: msg})
}
func (m *Mailbox) PostSystem(msg int) (wake bool) { return m.box.offerSystem(msg) }
func (m *Mailbox) SetMode(to Mode)                { m.box.setMode(to) }
func (m *Mailbox) Shut(to Door)                   { m.box.shut(to) }
func (m *Mailbox) ShutIfIdle() bool               { return m.box.shutIfIdle() }
func (m *Mailbox) Depth() int                     { return m.box.load().depth }

// Take serves the next message as a worker would, system messages first, and says from
// which lane it came: "system", "internal", "user", or "" if there is none.
func (m *Mailbox) Take() (msg int, from string) {
	if m.box.urgent.Load() {
		m.lifecycle = append(m.lifecycle, m.box.takeUrgent()...)
	}
	if len(m.lifecycle) > 0 {
		msg = m.lifecycle[0].(int)
		m.lifecycle = m.lifecycle[1:]
		return msg, "system"
	}
	var counts, ok bool
	switch m.box.mode {
	case serving:
		m.hand.item, counts, ok = m.box.next()
	case refusing:
		m.hand.item, counts, ok = m.box.nextUser()
	case held:
	}
	if !ok {
		return 0, ""
	}
	m.hand.counts = counts
	if counts {
		return m.hand.msg.(int), "user"
	}
	return m.hand.msg.(int), "internal"
}

// Finish closes the books on the message in hand; Stash keeps it; Unstash brings all
// that were kept back.
func (m *Mailbox) Finish() {
	if m.hand.counts {
		m.box.done.Store(m.box.done.Load() + 1)
	}
	m.hand = kept{}
}

func (m *Mailbox) Stash() { m.stash, m.hand = append(m.stash, m.hand), kept{} }

func (m *Mailbox) Unstash() {
	if len(m.stash) > 0 {
		m.box.unstash(m.stash)
		m.stash = nil
	}
}

// Park gives the mailbox back unless there is something to serve.
func (m *Mailbox) Park() bool { return len(m.lifecycle) == 0 && m.box.park() }

// Empty closes the mailbox and gives up what waits, in order.
func (m *Mailbox) Empty() []int {
	var left []int
	for _, it := range m.box.empty() {
		left = append(left, it.msg.(int))
	}
	return left
}

// Busiest returns the n actors that handled most messages since it was last called, the
// busiest first, and how many messages wait for the actors of each kind.
func (s *System) Busiest(n int) (top []Busy, depths map[string]int) {
	s.sampler.mu.Lock()
	defer s.sampler.mu.Unlock()
	found := s.look(n)
	return found.busy(), found.depths
}

// Division divides totals among so many actors and the rest.
type Division struct{ shares shares }

// NewDivision begins at zero.
func NewDivision(n int) *Division {
	d := new(Division)
	for range n {
		d.shares.all = append(d.shares.all, new(share))
	}
	return d
}

// Divide grants the actors what they were found to have done, as far as the total grew.
func (d *Division) Divide(messages []float64, total float64) {
	deltas := make([]tally, len(messages))
	for i, n := range messages {
		deltas[i].messages = n
	}
	d.shares.divide(deltas, tally{messages: total})
}

// Granted is what each actor's series shows, the rest's last.
func (d *Division) Granted() []float64 {
	var out []float64
	for _, one := range d.shares.all {
		out = append(out, one.granted.messages)
	}
	return append(out, d.shares.rest.messages)
}
