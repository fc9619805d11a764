package admission_test

import (
	"fmt"
	"net"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages/admission"
)

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

var _ net.Addr = addr("")

// door lets callers in and knows who was cut.
type door struct {
	*admission.Book
	cut []string
}

func newDoor(cfg admission.Config) *door { return &door{Book: admission.New(cfg)} }

func (d *door) call(from, name string) *admission.Ticket {
	return d.Admit(addr(from), func() { d.cut = append(d.cut, name) })
}

func (d *door) callMany(from string, count int) (in int) {
	for i := range count {
		if t := d.call(from, fmt.Sprintf("%s %d", from, i)); t != nil {
			t.Prove()
			in++
		}
	}
	return in
}

func TestNoAddressBeyondLoopbackHoldsMoreThanItsShare(t *testing.T) {
	d := newDoor(admission.ConfigOf(64))
	for _, c := range []struct {
		from string
		want int
	}{
		{"10.0.0.1:7", 16}, {"10.0.0.1:8", 0}, {"[fd00::1]:7", 16}, {"[fd00::2]:8", 0}, {"127.0.0.1:7", 32},
	} {
		if got := d.callMany(c.from, 64); got != c.want {
			t.Errorf("%s gets %d more connections, want %d", c.from, got, c.want)
		}
	}
}

func TestLoopbackHasAReserve(t *testing.T) {
	d := newDoor(admission.ConfigOf(64))
	for i := range 64 {
		d.callMany(fmt.Sprintf("10.0.0.%d:1", i), 64)
	}
	if got := d.callMany("127.0.0.1:1", 64); got != 4 {
		t.Errorf("loopback holds %d while the world calls, want its 4", got)
	}
}

func TestWhoHasShownNothingMakesWay(t *testing.T) {
	d := newDoor(admission.Config{Max: 8, Share: 4, Reserve: 0})
	proven := d.call("10.0.0.1:1", "proven")
	proven.Prove()
	for i := range 3 {
		d.call("10.0.0.1:2", fmt.Sprintf("silent %d", i))
	}
	if d.call("10.0.0.1:3", "new") == nil {
		t.Fatal("a new caller waits for silent ones of its address")
	}
	if got, want := fmt.Sprint(d.cut), "[silent 0]"; got != want {
		t.Errorf("cut %s, want %s", got, want)
	}
	for i := range 5 { // the sixth is one too many in all, and the busiest address has four
		d.call(fmt.Sprintf("10.0.1.%d:1", i), fmt.Sprintf("other %d", i))
	}
	if got, want := fmt.Sprint(d.cut), "[silent 0 silent 1]"; got != want {
		t.Errorf("cut %s, want %s", got, want)
	}
}

func TestAFloodFromLoopbackLeavesRoomForNewCallers(t *testing.T) {
	d := newDoor(admission.ConfigOf(64))
	for i := range 1000 {
		d.call("127.0.0.1:1", fmt.Sprint(i))
	}
	if d.call("127.0.0.2:1", "operator") == nil {
		t.Error("an operator on loopback is locked out by silent connections")
	}
}

// TestTheBookAddsUp: whatever happens, no limit is passed, nobody who has shown itself is
// cut, and every place comes back.
func TestTheBookAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := admission.Config{
			Max: rapid.IntRange(1, 12).Draw(t, "max"), Share: rapid.IntRange(1, 6).Draw(t, "share"), Reserve: 0,
		}
		cfg.Reserve = rapid.IntRange(0, cfg.Max-1).Draw(t, "reserve")
		book := admission.New(cfg)
		type place struct {
			from        string
			ticket      *admission.Ticket
			proven, out bool
		}
		var places []*place
		hosts := []string{"127.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"}
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				p := &place{from: rapid.SampledFrom(hosts).Draw(t, "from")}
				p.ticket = book.Admit(addr(p.from+":1"), func() {
					if p.proven {
						t.Fatal("one that has shown itself is cut")
					}
					p.out = true
				})
				if p.ticket != nil {
					places = append(places, p)
				}
			},
			"prove": func(t *rapid.T) {
				if len(places) > 0 {
					p := rapid.SampledFrom(places).Draw(t, "who")
					p.ticket.Prove()
					p.proven = !p.out
				}
			},
			"leave": func(t *rapid.T) {
				if len(places) > 0 {
					p := rapid.SampledFrom(places).Draw(t, "who")
					p.ticket.Leave()
					p.out = true
				}
			},
			"": func(t *rapid.T) {
				total, by := 0, map[string]int{}
				for _, p := range places {
					if !p.out {
						total++
						by[p.from]++
					}
				}
				remote := total - by["127.0.0.1"]
				if total > cfg.Max || remote > cfg.Max-cfg.Reserve {
					t.Fatalf("%d connections, %d of them from elsewhere, with %+v", total, remote, cfg)
				}
				for from, held := range by {
					if from != "127.0.0.1" && held > cfg.Share {
						t.Fatalf("%s holds %d with %+v", from, held, cfg)
					}
				}
			},
		})
	})
}
