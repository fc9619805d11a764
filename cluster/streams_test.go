package cluster_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// greetingOf is a greeting's bytes.
func greetingOf(t testing.TB, g cluster.Greeting) []byte {
	t.Helper()
	b, err := cluster.AppendGreeting(&g)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzGreeting(f *testing.F) {
	f.Add(greetingOf(f, cluster.Greeting{Cluster: "fc7jccwb4dmn4htdneimhp6szf", Flags: 2, Node: "n1", Life: "l", Boot: 1 << 63, Index: 7, Term: 2}))
	f.Add(greetingOf(f, cluster.Greeting{}))
	f.Add([]byte("burraft\x01\x00\x00"))
	f.Add([]byte("burraft\x02\xff\xffshort"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := cluster.ReadGreeting(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := cluster.AppendGreeting(g)
		if err != nil {
			return // escaped it is longer
		}
		if same, err := cluster.ReadGreeting(bytes.NewReader(again)); err != nil || *same != *g {
			t.Errorf("%x is read as %+v, and that as %+v, %v", b, g, same, err)
		}
	})
}

// TestAnotherClusterIsTurnedAway: an address of this cluster is given to a node of
// another one, which is alone and has a log of its own.
func TestAnotherClusterIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		gone := tr.other(leader)
		gone.stop()
		cfg := testConfig(t.TempDir()).OnDisk(raftlogtest.New())
		cfg.Node, cfg.RaftAddr, cfg.BootstrapExpect = "stranger", gone.RaftAddr(), 1
		stranger := start(t, cfg, fabricPort{tr.fabric, cfg.RaftAddr, nil})
		stranger.ready(t)
		stranger.apply(t, "mine")
		leader.apply(t, numbered(1, 20)...)
		time.Sleep(time.Minute)
		stranger.apply(t, "and mine")
		if got := stranger.machine.all(); len(got) != 2 || !stranger.State().Leading {
			t.Errorf("a node of another cluster holds %q, %s", got, stranger.State())
		}
	})
}

// TestGarbageOnRaftsPortHarmsNobody: whatever speaks there is not answered as Raft.
func TestGarbageOnRaftsPortHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		for _, garbage := range [][]byte{{}, []byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0xff}, 100), greetingOf(t, cluster.Greeting{Cluster: "other", Flags: cluster.GreetingVotes})} {
			conn, err := fabricPort{tr.fabric, "elsewhere", nil}.Dial(context.Background(), leader.RaftAddr())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = conn.Write(garbage) }()
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Errorf("%q: the stream stays open: %v", garbage, err)
			}
			if g, err := cluster.ReadGreeting(bytes.NewReader(answer)); len(answer) > 0 && (err != nil || g.Flags&cluster.GreetingRefused == 0) {
				t.Errorf("%q is answered with %q", garbage, answer)
			}
			_ = conn.Close()
		}
		leader.apply(t, "on")
		tr.agree(t, []string{"on"})
	})
}

func TestWhoConfirmsALeadership(t *testing.T) {
	group := append(voters("n1", "n2", "n3"), cluster.Member{Node: "n4"})
	for _, c := range []struct {
		name   string
		answer func(c *cluster.Confirmations, asked uint64)
		want   bool
	}{
		{"nobody", func(*cluster.Confirmations, uint64) {}, false},
		{"a voter", func(c *cluster.Confirmations, asked uint64) { c.Answer("n2", asked, 7) }, true},
		{"a voter, before it was asked", func(c *cluster.Confirmations, asked uint64) { c.Answer("n2", asked-1, 7) }, false},
		{"a voter, in another term", func(c *cluster.Confirmations, asked uint64) { c.Answer("n2", asked, 6) }, false},
		{"a node without a vote", func(c *cluster.Confirmations, asked uint64) { c.Answer("n4", asked, 7) }, false},
		{"a voter, to a later question", func(c *cluster.Confirmations, asked uint64) { c.Answer("n3", asked+1, 7) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var confirmations cluster.Confirmations
			asked := confirmations.Question()
			c.answer(&confirmations, asked)
			if got := confirmations.Confirmed(group, "n1", asked, 7); got != c.want {
				t.Errorf("confirmed = %v, want %v", got, c.want)
			}
		})
	}
	var alone cluster.Confirmations
	if !alone.Confirmed(voters("n1"), "n1", alone.Question(), 1) {
		t.Error("a lone voter does not confirm itself")
	}
}
