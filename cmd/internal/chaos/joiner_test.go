package chaos_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/messages"
)

// TestBadJoiners has nodes knock that must not come in. Each is told why, in its own log
// or in that of those it knocks at, and the three go on as if it were not there.
func TestBadJoiners(t *testing.T) {
	needs(t, "full")
	tests := []struct {
		name string
		// prepare makes a fourth node bad, and says is what that node must say then.
		prepare func(f *fleet, stranger *node)
		says    []string
		// ends says that the stranger ends by itself.
		ends bool
	}{
		{"another gossip key", func(f *fleet, n *node) {
			f.authority("foreign")
			f.mustCopy(filepath.Join(n.tlsDir, "gossip.key"), filepath.Join(f.dir, "foreign", "gossip.key"))
		}, []string{"is the gossip key the same"}, false},
		{"a certificate of another authority", func(f *fleet, n *node) {
			f.authority("foreign")
			n.tlsDir = f.issue("foreign", n)
			f.mustCopy(filepath.Join(n.tlsDir, "gossip.key"), filepath.Join(f.dir, "authority", "gossip.key"))
		}, []string{"authority"}, false},
		{"the data of another cluster", func(f *fleet, n *node) { f.haveOwnCluster(n) }, []string{"belongs to cluster", "--join"}, false},
		{"a name that is taken", func(f *fleet, n *node) {
			n.name = "n3"
			n.tlsDir = f.issue("again", n)
		}, []string{"the name n3 is taken", "--name"}, true},
		{"a protocol that is too old", func(*fleet, *node) {}, []string{"speaks protocol 1 at most", "upgrade n4"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(t)
			f.secureWith("authority")
			if test.name == "a protocol that is too old" {
				f.upgrade("Protocol    = 3\n\tProtocolMin = 2")
			}
			f.launch()
			l := f.startLoad()
			f.awaitWhole()
			n := f.stranger()
			test.prepare(f, n)
			n.mayEnd = test.ends
			l.forget()
			p := n.start()
			n.mustSay(test.says...)
			if test.ends {
				select {
				case <-p.Ended:
				case <-time.After(startWithin):
					t.Errorf("the stranger does not end")
				}
			}
			time.Sleep(3 * time.Second) // it goes on knocking
			l.mustTake(1, "a stranger with "+test.name)
			f.mustBeThree()
			n.kill()
			f.check(l)
		})
	}
}

// upgrade has the nodes run a program that speaks other protocols.
func (f *fleet) upgrade(protocols string) {
	f.Helper()
	newer := f.rebuilt("upgraded", map[string]string{"cluster/peers/config.go": "Protocol    = 1\n\tProtocolMin = 1=>" + protocols})
	for _, n := range f.nodes {
		n.program = newer
	}
}

// stranger is a node that is none of the three and knows where they are.
func (f *fleet) stranger() *node {
	f.Helper()
	first := f.nodes[0]
	n := &node{
		fleet: f, name: "n4", role: "replica", listen: "127.0.0.1", base: first.base + 30, join: first.join,
		program: program, timing: "default", data: filepath.Join(f.dir, "stranger"), logPath: filepath.Join(f.dir, "stranger.log"),
	}
	n.tlsDir = f.issue("authority", n)
	f.Cleanup(n.kill)
	return n
}

// mustBeThree holds the cluster to its three members and voters.
func (f *fleet) mustBeThree() {
	f.Helper()
	c := newCaller(f, f.nodes...)
	defer c.close()
	var result messages.ClusterMembersResult
	c.ask(messages.MethodClusterMembers, nil, &result)
	for _, m := range result.Members {
		if m.Name == "n4" && (m.Voter || m.Shards > 0) {
			f.Errorf("the stranger is in: %+v", m)
		}
	}
	for _, n := range f.nodes {
		if err := f.wellBy(n); err != nil {
			f.Error(err)
		}
	}
}

func (f *fleet) authority(name string) {
	f.Helper()
	f.must(certs.Init(filepath.Join(f.dir, name), time.Now()))
}

// issue issues a node's certificate by an authority, made now if there is none of that
// name: then it is the cluster's own once more, in another directory.
func (f *fleet) issue(authority string, n *node) string {
	f.Helper()
	dir := filepath.Join(f.dir, authority)
	if _, err := os.Stat(dir); err != nil {
		f.must(os.Mkdir(dir, 0o700))
		for _, file := range []string{"ca.crt", "ca.key", "gossip.key"} {
			f.mustCopy(filepath.Join(dir, file), filepath.Join(f.dir, "authority", file))
		}
	}
	issued, err := certs.Issue(dir, certs.Request{Name: n.name, Roles: []string{"node"}, Hosts: []string{n.listen}, Valid: 24 * time.Hour}, time.Now())
	f.must(err)
	return issued
}

func (f *fleet) mustCopy(to, from string) {
	f.Helper()
	text, err := os.ReadFile(from)
	f.must(err)
	f.must(os.WriteFile(to, text, 0o600))
}

// haveOwnCluster makes a node's data that of a cluster of its own.
func (f *fleet) haveOwnCluster(n *node) {
	f.Helper()
	join := n.join
	n.join, n.expect = nil, 1
	n.start()
	n.awaitReady()
	n.stop()
	n.join, n.expect = join, 0
}

// TestGarbageSeed has a node join by a seed that answers garbage, and by others: it comes
// in by the others.
func TestGarbageSeed(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.CopyN(conn, rand.Reader, 1<<20)
			}()
		}
	}()
	for _, n := range f.nodes {
		n.join = append([]string{listener.Addr().String()}, n.join...)
	}
	f.launch()
	l := f.startLoad()
	f.nodes[0].mustSay(listener.Addr().String(), "level=WARN")
	f.awaitHealed()
	f.check(l)
}

// makeLead hands leadership to a node.
func (f *fleet) makeLead(n *node) {
	f.Helper()
	c := newCaller(f, f.nodes...)
	defer c.close()
	f.await(startWithin, n.name+" leads", func() error {
		if leader := f.leader(); leader != n.name {
			return errors.Join(fmt.Errorf("%q leads", leader), c.try(0, callTimeout, messages.MethodTransferLeader,
				&messages.TransferParams{Node: n.name}, new(messages.TransferResult)))
		}
		return nil
	})
}

// TestWrongClock gives one node a clock that is an hour ahead: it takes part, but owns
// nothing that needs the right time, says so, and nothing falls due early.
func TestWrongClock(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	// A time namespace does not move the clock that tells the date, so the program is
	// built with one that is wrong.
	ahead := f.rebuilt("ahead", map[string]string{
		filepath.Join(runtime.GOROOT(), "src/time/time.go"): //nolint:staticcheck // the toolchain that builds it
		`(?s)(func Now\(\) Time \{.*?sec, nsec, mono := [a-zA-Z]+\(\))=>$1` + "\n\tsec += 3600",
	})
	off := f.nodes[1]
	off.program = ahead
	f.launch()
	l := f.startLoad()
	f.awaitWhole()
	if executor := f.executor(); executor == off.name {
		t.Errorf("%s has the executor, and its clock is an hour ahead", executor)
	}
	off.mustSay("clock is off")
	time.Sleep(time.Second)      // by now all have asked one another for the time
	f.drain(f.nodes[0], func() { // now it is between the replica with the wrong clock and the observer
		if executor := f.executor(); executor != f.nodes[2].name {
			t.Errorf("the primary is drained, and the executor is at %s", executor)
		}
	})
	f.makeLead(off)
	time.Sleep(time.Second) // it has placed the shards by its own lights
	if executor := f.executor(); executor == off.name {
		t.Errorf("%s leads and has taken the executor, and its clock is an hour ahead of the two others", executor)
	}
	f.awaitHealed()
	f.check(l)
}
