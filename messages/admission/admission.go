package admission

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// Config says how many connections there may be, and whose.
type Config struct {
	// Max is the most at a time.
	Max int
	// Share is the most of them that one address beyond loopback may hold; addresses of one
	// IPv6 network of 64 bits are one.
	Share int
	// Reserve is how many of them only loopback may hold, so that whoever is on the machine
	// can look after it while the world calls.
	Reserve int
}

// ConfigOf gives an address a quarter of most, and keeps a sixteenth for loopback.
func ConfigOf(most int) Config {
	return Config{Max: most, Share: max(most/4, 1), Reserve: most / 16}
}

// Book holds who is connected.
type Book struct {
	cfg Config

	mu      sync.Mutex
	total   int
	remote  int // of total, beyond loopback
	callers map[netip.Addr]*caller
}

// caller is one address.
type caller struct {
	addr     netip.Addr
	loopback bool
	total    int
	unproven list.List // of *Ticket, the longest waiting first
}

// Ticket is one connection's place.
type Ticket struct {
	book  *Book
	of    *caller
	cut   func()
	place *list.Element // in of.unproven; nil once it has shown itself
	left  bool
}

// New makes an empty Book.
func New(cfg Config) *Book { return &Book{cfg: cfg, callers: make(map[netip.Addr]*caller)} }

// Admit gives a new connection from an address its place, or nil where there is none. cut
// ends the connection; it is called, once at most and on no goroutine of its own, when the
// place is needed before Prove was called. Leave follows in any case.
func (b *Book) Admit(from net.Addr, cut func()) *Ticket {
	ticket, evicted := b.admit(addrOf(from), cut)
	if evicted != nil {
		evicted.cut()
	}
	return ticket
}

func (b *Book) admit(from netip.Addr, cut func()) (ticket, evicted *Ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.callers[from]
	if c == nil {
		c = &caller{addr: from, loopback: from.IsLoopback()}
	}
	switch {
	case !c.loopback && c.total >= b.cfg.Share:
		evicted = c.oldest()
	case b.total >= b.cfg.Max, !c.loopback && b.remote >= b.cfg.Max-b.cfg.Reserve:
		evicted = b.busiest(c.loopback).oldest()
	default:
		return b.enter(c, cut), nil
	}
	if evicted == nil {
		return nil, nil
	}
	b.leave(evicted)
	return b.enter(c, cut), evicted
}

// enter gives c one more place. mu is held.
func (b *Book) enter(c *caller, cut func()) *Ticket {
	b.callers[c.addr] = c
	c.total++
	b.total++
	if !c.loopback {
		b.remote++
	}
	t := &Ticket{book: b, of: c, cut: cut}
	t.place = c.unproven.PushBack(t)
	return t
}

// leave gives a place back. mu is held.
func (b *Book) leave(t *Ticket) {
	if t.left {
		return
	}
	t.left = true
	if t.place != nil {
		t.of.unproven.Remove(t.place)
	}
	t.of.total--
	b.total--
	if !t.of.loopback {
		b.remote--
	}
	if t.of.total == 0 {
		delete(b.callers, t.of.addr)
	}
}

// busiest is the address with the most connections that have shown nothing, an empty one
// where there is none. Only loopback can make loopback make way. mu is held.
func (b *Book) busiest(loopback bool) *caller {
	busiest := new(caller)
	for _, c := range b.callers {
		if (loopback || !c.loopback) && c.unproven.Len() > busiest.unproven.Len() {
			busiest = c
		}
	}
	return busiest
}

// oldest has waited longest without showing anything; nil for none.
func (c *caller) oldest() *Ticket {
	if front := c.unproven.Front(); front != nil {
		return front.Value.(*Ticket)
	}
	return nil
}

// Prove notes that the connection has shown itself: it makes way for nobody any more.
func (t *Ticket) Prove() {
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	if t.place != nil && !t.left {
		t.of.unproven.Remove(t.place)
		t.place = nil
	}
}

// Leave gives the place back. It may be called twice.
func (t *Ticket) Leave() {
	t.book.mu.Lock()
	defer t.book.mu.Unlock()
	t.book.leave(t)
}

// networkBits is how much of an IPv6 address is its network's.
const networkBits = 64

// addrOf is the address that counts; those of unknown kinds are one, which is remote.
func addrOf(from net.Addr) netip.Addr {
	addrPort, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return netip.Addr{}
	}
	addr := addrPort.Addr().Unmap().WithZone("")
	if addr.Is4() || addr.IsLoopback() {
		return addr
	}
	return netip.PrefixFrom(addr, networkBits).Masked().Addr()
}
