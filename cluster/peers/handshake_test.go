package peers_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
)

func TestWhoCanWorkTogether(t *testing.T) {
	mine := messages.Hello{Cluster: "c", Node: "n1", Boot: 1, Protocol: 3, ProtocolMin: 2, Version: "2.0.0"}
	for _, c := range []struct {
		name   string
		theirs messages.Hello
		want   string // in the refusal; empty for none
	}{
		{"the same release", messages.Hello{Cluster: "c", Node: "n2", Protocol: 3, ProtocolMin: 2}, ""},
		{"the release before", messages.Hello{Cluster: "c", Node: "n2", Protocol: 2, ProtocolMin: 1}, ""},
		{"the release after", messages.Hello{Cluster: "c", Node: "n2", Protocol: 4, ProtocolMin: 3}, ""},
		{"two releases before", messages.Hello{Cluster: "c", Node: "n2", Protocol: 1, ProtocolMin: 1, Version: "1.0.0"},
			"n2 (version 1.0.0) speaks protocol 1 at most and n1 (version 2.0.0) needs 2 at least: upgrade n2"},
		{"two releases after", messages.Hello{Cluster: "c", Node: "n2", Protocol: 5, ProtocolMin: 4, Version: "4.0.0"},
			"n1 (version 2.0.0) speaks protocol 3 at most and n2 (version 4.0.0) needs 4 at least: upgrade n1"},
		{"a fresh node", messages.Hello{Node: "n2", Protocol: 3, ProtocolMin: 2}, ""},
		{"another cluster", messages.Hello{Cluster: "d", Node: "n2", Protocol: 3, ProtocolMin: 2}, "n2 belongs to cluster d and n1 to cluster c"},
		{"the same name", messages.Hello{Cluster: "c", Node: "n1", Boot: 2, Protocol: 3, ProtocolMin: 2}, "with another --name"},
		{"itself", messages.Hello{Cluster: "c", Node: "n1", Boot: 1, Protocol: 3, ProtocolMin: 2}, "n1 has called itself"},
		{"no name", messages.Hello{Cluster: "c", Protocol: 3, ProtocolMin: 2}, "--name"},
	} {
		err := peers.Judge(mine, c.theirs)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Message, c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		mirrored := peers.Judge(c.theirs, mine)
		if c.theirs.Node != "" && (mirrored == nil) != (err == nil) {
			t.Errorf("%s: the other side says %v", c.name, mirrored)
		}
	}
}

func TestTheClockOffsetIsThatOfTheMidpoint(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	theirs := uint64(now.UnixMilli()) + 60_000 - 100 // a minute ahead, 100 ms ago
	if got := peers.Offset(theirs, now, 200*time.Millisecond); (got - time.Minute).Abs() > time.Millisecond {
		t.Errorf("got %v", got)
	}
	if got := peers.Offset(theirs-120_000, now, 200*time.Millisecond); (got + time.Minute).Abs() > time.Millisecond {
		t.Errorf("behind: got %v", got)
	}
	var c peers.Clock
	c.Add(1, 10, 3)
	c.Add(2, 5, 3)
	c.Add(3, 20, 3)
	if got := c.Add(4, 30, 3); got != 2 {
		t.Errorf("the quickest of the last three: got %d", got)
	}
	if got := c.Add(5, 6, 3); got != 5 {
		t.Errorf("after the quickest is too old: got %d", got)
	}
}

// among runs a test in virtual time with n1 and n2 linked, and checks afterwards that
// what happened beside them did them no harm.
func among(t *testing.T, test func(t *testing.T, network *clustertest.Network, n1, n2 *member)) {
	t.Helper()
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		before := n1.status("n2").Since
		test(t, network, n1, n2)
		if s := n1.status("n2"); !s.Up || s.Since != before {
			t.Errorf("the others were harmed: %+v", s)
		}
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Errorf("the others were harmed: %v", err)
		}
	})
}

// refuses waits and checks that n1 has no link with the node and says why, to whoever
// asks and in its log, where it says so once a minute.
func refuses(t *testing.T, n1 *member, node messages.NodeID, why string) {
	t.Helper()
	time.Sleep(30 * time.Second)
	s := n1.status(node)
	if s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), why) {
		t.Errorf("up %v, %v, want %q", s.Up, s.Err, why)
	}
	lines := n1.log.count("member=" + string(node) + " ")
	if lines < 1 || lines > 2 { // of the link to it, and of its own calls
		t.Errorf("%d lines in half a minute:\n%s", lines, n1.log.text.String())
	}
	time.Sleep(2 * time.Minute)
	if more := n1.log.count("member=" + string(node) + " "); more < lines+1 || more > 3*lines {
		t.Errorf("%d lines after 2.5 minutes, %d after half of one", more, lines)
	}
}

func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
		n3 := start(t, network, "n3", func(o *options) { o.cluster = "other" })
		defer n3.end()
		n3.knows("n1")
		n1.knows("n2", "n3")
		refuses(t, n1, "n3", "n1 belongs to cluster c and n3 to cluster other")
		if s := n3.status("n1"); s.Up {
			t.Error("the other side has a link")
		}
	})
}

func TestATooOldProtocolIsRefused(t *testing.T) {
	among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
		n3 := start(t, network, "n3", func(o *options) { o.cfg.Protocol, o.cfg.ProtocolMin = 9, 8 })
		defer n3.end()
		n1.knows("n2", "n3")
		refuses(t, n1, "n3", "upgrade n1")
	})
}

func TestNeighbouringProtocolsWorkTogether(t *testing.T) {
	speaks := func(low, high uint64) func(*options) {
		return func(o *options) { o.cfg.ProtocolMin, o.cfg.Protocol = low, high }
	}
	synctest.Test(t, func(t *testing.T) {
		network := clustertest.NewNetwork(1, clustertest.Weather{})
		old, young := start(t, network, "n1", speaks(1, 2)), start(t, network, "n2", speaks(2, 3))
		defer old.end()
		defer young.end()
		old.knows("n2")
		young.knows("n1")
		old.awaits("n2", true)
		young.awaits("n1", true)
		if a, b := old.status("n2").Protocol, young.status("n1").Protocol; a != 2 || b != 2 {
			t.Errorf("they speak %d and %d", a, b)
		}
		if err := old.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestAUsedNameIsRefused(t *testing.T) {
	among(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		twin := start(t, network, "n2", func(o *options) {
			o.boot, o.network = 2, at{network.Host("twin"), "twin"}
		})
		defer twin.end()
		n2.Set([]peers.Peer{{Node: "n1", Addr: "n1"}, {Node: "n4", Addr: "twin"}})
		refuses(t, n2, "n4", "two nodes are called n2")
	})
}

func TestAnotherNodeAtAnAddressIsRefused(t *testing.T) {
	among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
		n3 := start(t, network, "n3")
		defer n3.end()
		n1.Set([]peers.Peer{{Node: "n2", Addr: "n2"}, {Node: "n4", Addr: "n3"}})
		refuses(t, n1, "n4", "at n3 answers n3, not n4")
	})
}

func TestAnAddressThatAnswersGarbageIsRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"text": "HTTP/1.1 400 Bad Request\r\n\r\n", "a huge message": "\xdd\x07\xff\xff\xff", "nothing": "",
		"an answer without its node": "\x94\x01\x01\xc0\x80", "an answer of another kind": "\x94\x01\x01\xc0\x07",
	} {
		t.Run(name, func(t *testing.T) {
			among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
				ln, err := network.Host("n3").Listen("n3")
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for {
						nc, err := ln.Accept()
						if err != nil {
							return
						}
						_, _ = nc.Write([]byte(answer))
						_ = nc.Close()
					}
				}()
				n1.knows("n2", "n3")
				refuses(t, n1, "n3", "")
				_ = ln.Close()
				<-ended
			})
		})
	}
}

// Two nodes that are both fresh may link, and must part when they turn out to belong to
// different clusters.
func TestFreshNodesPartWhenTheyJoinDifferentClusters(t *testing.T) {
	fresh := func(o *options) { o.cluster = "" }
	synctest.Test(t, func(t *testing.T) {
		network := clustertest.NewNetwork(1, clustertest.Weather{})
		n1, n2 := start(t, network, "n1", fresh), start(t, network, "n2", fresh)
		defer n1.end()
		defer n2.end()
		n1.knows("n2")
		n2.knows("n1")
		n1.awaits("n2", true)
		n2.awaits("n1", true)
		n1.join("c")
		time.Sleep(time.Second)
		if !n1.status("n2").Up || !n2.status("n1").Up {
			t.Error("parted from a node without a cluster")
		}
		n2.join("d")
		n2.awaits("n1", false)
		n1.knows()
		n1.knows("n2")
		time.Sleep(time.Second)
		if n1.status("n2").Up {
			t.Error("linked again")
		}
	})
}

// proven is a network whose connections prove who is at the far end.
type proven struct {
	*clustertest.Host
	name string
}

func (p proven) Listen(addr string) (net.Listener, error) {
	ln, err := p.Host.Listen(addr)
	return provenListener{ln, p.name}, err
}

type provenListener struct {
	net.Listener
	name string
}

func (l provenListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return provenConn{nc, l.name}, nil
}

type provenConn struct {
	net.Conn
	name string
}

func (c provenConn) PeerName() string { return c.name }

func TestAProvenNameCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := clustertest.NewNetwork(1, clustertest.Weather{})
		n1 := start(t, network, "n1", func(o *options) { o.network = proven{network.Host("n1"), "n2"} })
		n2, n3 := start(t, network, "n2"), start(t, network, "n3")
		defer n1.end()
		defer n2.end()
		defer n3.end()
		n2.knows("n1")
		n3.knows("n1")
		n2.awaits("n1", true)
		time.Sleep(5 * time.Second)
		if s := n3.status("n1"); s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), `n3 has the certificate of "n2"`) {
			t.Errorf("got %+v", s)
		}
	})
}

// Whoever has not said hello is told so, may send little, and has little time.
func TestAStrangerIsTurnedAway(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"another call":   {"\x94\x00\x01\xa9node.ping\x91\x80", "the first call is node.hello"},
		"no such method": {"\x94\x00\x01\xa9epoch.get\x91\x80", "no such method"},
		"a long message": {"\x94\x00\x01\xdb\x00\x00\x20\x00", "too large"},
		"nonsense":       {"GET / HTTP/1.1\r\n", "want a list"},
		"nothing":        {"", ""},
		"half a hello":   {"\x94\x00\x01\xaanode", ""},
	} {
		t.Run(name, func(t *testing.T) {
			among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
				nc, err := network.Host("stranger").Dial(t.Context(), "n1")
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				began := time.Now()
				_, _ = nc.Write([]byte(c.sent))
				var got strings.Builder
				for buf := make([]byte, 1024); err == nil; {
					var n int
					n, err = nc.Read(buf)
					got.Write(buf[:n])
				}
				if !strings.Contains(got.String(), c.want) {
					t.Errorf("got %q, want %q", got.String(), c.want)
				}
				if took := time.Since(began); took > peers.DefaultConfig().Wire.GreetingTimeout {
					t.Errorf("had %v", took)
				}
			})
		})
	}
}

// hello is the first call of a node of that name.
func hello(name string) []byte {
	return []byte("\x94\x00\x01\xaanode.hello\x91\x86\xa7cluster\xa1c\xa4node\xa2" + name + "\xa4boot\x01\xa8protocol\x01" +
		"\xacprotocol_min\x01\xa7version\xa11")
}

func TestAConnectionHasOneNode(t *testing.T) {
	among(t, func(t *testing.T, network *clustertest.Network, n1, _ *member) {
		nc, err := network.Host("n8").Dial(t.Context(), "n1")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		var got []byte
		buf := make([]byte, 1024)
		for _, name := range []string{"n8", "n8", "n9"} {
			if _, err := nc.Write(hello(name)); err != nil {
				t.Fatal(err)
			}
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
		if n := bytes.Count(got, []byte("\xa4node\xa2n1")); n != 2 {
			t.Errorf("%d answers: %q", n, got)
		}
		if !bytes.Contains(got, []byte("n8 said hello here, and now n9")) {
			t.Errorf("got %q", got)
		}
		if _, err := nc.Read(buf); !errors.Is(err, io.EOF) {
			t.Errorf("the connection goes on: %v", err)
		}
	})
}

func TestWhatNodesAskIsCounted(t *testing.T) {
	among(t, func(t *testing.T, _ *clustertest.Network, n1, n2 *member) {
		time.Sleep(time.Second)
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Error(err)
		}
		got := make(map[string]uint64)
		methods := n2.Metrics().Methods
		for i := range methods {
			got[methods[i].Method] = methods[i].OK.Load()
		}
		if got[messages.MethodNodeHello] != 1 || got[messages.MethodNodeReadIndex] != 1 || got[messages.MethodNodePing] < 5 {
			t.Errorf("got %v", got)
		}
	})
}
