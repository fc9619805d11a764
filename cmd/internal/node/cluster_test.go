package node_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

// startThree runs a primary, a replica and an observer that form a cluster, and
// returns once all are ready.
func startThree(t *testing.T) []*member {
	t.Helper()
	return startThreeWith(t, nil)
}

// startThreeWith is startThree with kinds of actors of the test's own.
func startThreeWith(t testing.TB, own []kinds.Kind) []*member {
	t.Helper()
	dir := t.TempDir()
	roles := []node.Role{node.RolePrimary, node.RoleReplica, node.RoleObserver}
	configs := make([]node.Config, len(roles))
	var join []string
	for i, role := range roles {
		cfg := config(fmt.Sprintf("%s/%d", dir, i))
		cfg.Name, cfg.Role = messages.NodeID(fmt.Sprintf("n%d", i+1)), role
		cfg.BootstrapExpect = len(roles)
		join = append(join, cfg.Address(node.PortGossip))
		configs[i] = cfg
	}
	members := make([]*member, len(roles))
	for i := range configs {
		configs[i].Join = join
		m, err := beginWith(own, configs[i])
		if err != nil {
			t.Fatal(err)
		}
		members[i] = m
	}
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, m := range members {
			all.Go(func() {
				if err := m.stop(); err != nil {
					t.Errorf("stop %s: %v", m.cfg.Name, err)
				}
			})
		}
		all.Wait()
	})
	for _, m := range members {
		m.awaitReady(t)
	}
	return members
}

func (m *member) awaitReady(t testing.TB) {
	t.Helper()
	awaited(t, func() error { return m.node.Ready() })
}

// awaited asks until there is no error.
func awaited(t testing.TB, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func payload(to string, amount int) object {
	return object{"disbursement": object{"destination": to, "amount": amount, "memo": "", "scheduled_epoch": 1}}
}

// shardsOf counts what each node owns.
func shardsOf(t *testing.T, c caller) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, row := range must(t, c, "cluster.placement", object{})["shards"].([]any) {
		counts[row.(object)["owner"].(string)]++
	}
	return counts
}

func TestAnyNodeOfThreeTakesAnyCall(t *testing.T) {
	members := startThree(t)
	lines := make([]*line, len(members))
	for i, m := range members {
		lines[i] = dial(t, m)
	}
	must(t, lines[2], "gov.treasury.accrue", object{"amount": 1000, "request_id": "income"})
	again := must(t, lines[0], "gov.treasury.accrue", object{"amount": 1000, "request_id": "income"})
	if again["duplicate"] != true {
		t.Errorf("a repeat at another node: %v, want a duplicate", again)
	}
	for _, owner := range []string{"n1", "n2"} {
		callAll(t, lines)
		if got := must(t, lines[1], "gov.treasury.executor", object{})["node"]; got != owner {
			t.Errorf("the executor is at %v, want %s", got, owner)
		}
		if owned := shardsOf(t, lines[0]); owned["n3"] != 0 {
			t.Errorf("owned = %v, want none by the observer", owned)
		}
		must(t, lines[2], "cluster.drain", object{"node": "n1"})
	}
	var names []string
	for _, row := range must(t, lines[2], "cluster.members", object{})["members"].([]any) {
		m := row.(object)
		if want := map[any]string{"n1": "draining"}[m["name"]]; m["voter"] != true || m["state"] != "alive" && m["state"] != want {
			t.Errorf("member %v", m)
		}
		names = append(names, m["name"].(string))
	}
	if fmt.Sprint(names) != "[n1 n2 n3]" {
		t.Errorf("members %v", names)
	}
}

// surely makes a call that changes something. As a client does, it asks again with the same
// request_id where the outcome is unknown: leadership moves on a machine that is busy.
func surely(t *testing.T, c caller, method string, params object) object {
	t.Helper()
	params = with(params, object{"request_id": fresh("surely")})
	for {
		result, err := c.call(t, method, params)
		switch {
		case err == nil:
			return result
		case err.code != outcomeUnknown:
			t.Fatalf("%s %.200s: %v", method, fmt.Sprint(params), err)
		}
	}
}

// callAll makes calls of every kind at every node: what one has acknowledged the next
// one knows.
func callAll(t *testing.T, lines []*line) {
	t.Helper()
	for i, l := range lines {
		next := lines[(i+1)%len(lines)]
		id := surely(t, l, "gov.treasury.submit_disbursement", object{"payload": payload("tb1x", 10)})["id"]
		must(t, next, "gov.treasury.get_disbursement", object{"id": id})
		ballot := surely(t, next, "gov.treasury.submit_disbursement", proposed())["id"]
		surely(t, l, "gov.treasury.queue_disbursement", object{"id": ballot})
		surely(t, next, "gov.treasury.vote",
			object{"id": ballot, "house": "builders", "voter": "v", "weight_ppm": 1000, "approve": true})
		surely(t, l, "gov.treasury.rollback_disbursement", object{"id": ballot, "reason": "changed our mind"})
		before := integer(must(t, l, "epoch.get", object{})["epoch"])
		surely(t, l, "epoch.advance", object{})
		if got := integer(must(t, next, "epoch.get", object{})["epoch"]); got != before+1 {
			t.Errorf("epoch %d after an advance from %d", got, before)
		}
	}
}

// loaded submits through a node until stop and counts; an error fails the test.
func loaded(t *testing.T, m *member, submitted *atomic.Int64) (stop func()) {
	l := dial(t, m)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			_, err := l.call(t, "gov.treasury.submit_disbursement", object{
				"request_id": fmt.Sprintf("%s-%d", m.cfg.Name, n), "payload": payload("tb1load", 1),
			})
			switch {
			case err == nil:
				submitted.Add(1)
			case err.code == outcomeUnknown:
				n-- // it is asked again
			default:
				t.Errorf("at %s: %v", m.cfg.Name, err)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func TestADrainFailsNoCall(t *testing.T) {
	members := startThree(t)
	var submitted atomic.Int64
	for _, m := range members {
		stop := loaded(t, m, &submitted)
		defer stop()
	}
	l := dial(t, members[2])
	for _, name := range []string{"n1", "n2"} {
		result := must(t, l, "cluster.drain", object{"node": name})
		if result["shards"] != int64(0) {
			t.Errorf("drain of %s leaves %v", name, result)
		}
		if got := shardsOf(t, l)[name]; got != 0 {
			t.Errorf("drained, %s owns %d", name, got)
		}
		must(t, l, "cluster.drain", object{"node": name, "off": true})
	}
	refused(t, l, -34002, "not_found", "cluster.drain", object{"node": "n9"}, "n9", "cluster.members")
	if submitted.Load() == 0 {
		t.Error("nothing was submitted meanwhile")
	}
}

func TestARepeatedDrainDrainsNothing(t *testing.T) {
	l := dial(t, startThree(t)[2])
	must(t, l, "cluster.drain", object{"node": "n1", "request_id": "first"})
	must(t, l, "cluster.drain", object{"node": "n1", "request_id": "second"}) // it is drained already
	must(t, l, "cluster.drain", object{"node": "n1", "off": true})
	for _, id := range []string{"first", "second"} {
		if again := must(t, l, "cluster.drain", object{"node": "n1", "request_id": id}); again["duplicate"] != true {
			t.Errorf("the repeat of %s: %v, want a duplicate", id, again)
		}
	}
	refused(t, l, -34013, "request_id_conflict", "cluster.drain", object{"node": "n2", "request_id": "second"})
	for _, row := range must(t, l, "cluster.members", object{})["members"].([]any) {
		if m := row.(object); m["state"] != "alive" {
			t.Errorf("after the repeats: %v", m)
		}
	}
}

func TestANodeThatLeavesFailsNoCallOfTheOthers(t *testing.T) {
	members := startThree(t)
	var submitted atomic.Int64
	for _, m := range members[1:] {
		stop := loaded(t, m, &submitted)
		defer stop()
	}
	before := submitted.Load()
	if err := members[0].stop(); err != nil {
		t.Fatal(err)
	}
	after := submitted.Load()
	awaited(t, func() error {
		if submitted.Load() < after+100 {
			return fmt.Errorf("%d submissions after the leave, %d while it went", submitted.Load()-after, after-before)
		}
		return nil
	})
	l := dial(t, members[1])
	if got := shardsOf(t, l)["n1"]; got != 0 {
		t.Errorf("gone, n1 owns %d", got)
	}
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	members := startThree(t)
	l := dial(t, members[2])
	leader := must(t, l, "cluster.status", object{})["leader"]
	result := must(t, l, "cluster.transfer_leader", object{})
	if result["leader"] == leader {
		t.Errorf("leadership stays with %v", leader)
	}
	must(t, l, "gov.treasury.accrue", object{"amount": 1})
}

func TestLeadershipGoesToTheNodeThatIsNamed(t *testing.T) {
	l := dial(t, startThree(t)[2])
	refused(t, l, -34007, "invalid_transition", "cluster.transfer_leader", object{"node": "n9"}, "n9")
	for _, name := range []string{"n2", "n1", "n1"} { // it may lead already
		if got := must(t, l, "cluster.transfer_leader", object{"node": name})["leader"]; got != name {
			t.Errorf("leadership goes to %v, want %s", got, name)
		}
	}
}

// TestMoreNodesThanFormAClusterFormOne: they start one after the other, the first by name
// last, so that each sees itself as the first for a moment.
func TestMoreNodesThanFormAClusterFormOne(t *testing.T) {
	dir := t.TempDir()
	configs := make([]node.Config, 5)
	var join []string
	for i := range configs {
		configs[i] = config(fmt.Sprintf("%s/%d", dir, i))
		configs[i].Name, configs[i].BootstrapExpect = messages.NodeID(fmt.Sprintf("n%d", i+1)), 3
		join = append(join, configs[i].Address(node.PortGossip))
	}
	members := make([]*member, len(configs))
	for i := len(configs) - 1; i >= 0; i-- {
		configs[i].Join = join
		m, err := begin(configs[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.stop() })
		members[i] = m
	}
	for _, m := range members {
		m.awaitReady(t)
	}
}

// voterOf reports whether the cluster counts on a node, as another one sees it.
func voterOf(t *testing.T, c caller, name string) bool {
	t.Helper()
	for _, row := range must(t, c, "cluster.members", object{})["members"].([]any) {
		if m := row.(object); m["name"] == name {
			return m["voter"] == true
		}
	}
	return false
}

func TestAFourthNodeIsLetInAndVotes(t *testing.T) {
	members := startThree(t)
	l := dial(t, members[0])
	must(t, l, "gov.treasury.accrue", object{"amount": 1000})
	cfg := config(t.TempDir())
	cfg.Name, cfg.Role, cfg.BootstrapExpect, cfg.Vote = "n4", node.RoleReplica, 0, true
	cfg.Join = []string{members[1].cfg.Address(node.PortGossip)}
	fourth := restart(t, cfg)
	if got := must(t, dial(t, fourth), "gov.treasury.balance", object{})["balance"]; got != int64(1000) {
		t.Errorf("the fourth node reads a balance of %v", got)
	}
	eventually(t, "a vote for the fourth node", func() bool { return voterOf(t, l, "n4") })
}

func TestANodeThatLostItsDiskIsLetInAnew(t *testing.T) {
	members := startThree(t)
	l := dial(t, members[2])
	must(t, l, "gov.treasury.accrue", object{"amount": 1000})
	lost := members[1]
	if err := lost.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(lost.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	members[1] = restart(t, lost.cfg)
	eventually(t, "a vote taken from the empty disk", func() bool { return !voterOf(t, l, "n2") || members[1].node.Votes() })
	eventually(t, "a vote for the disk that has caught up", func() bool { return voterOf(t, l, "n2") && members[1].node.Votes() })
	if got := must(t, dial(t, members[1]), "gov.treasury.balance", object{})["balance"]; got != int64(1000) {
		t.Errorf("it reads a balance of %v", got)
	}
}
