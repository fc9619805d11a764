package chaos_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// cables connect nodes that have a network namespace each: one cable from each to a
// switch, at which the test sits, too. Needs root and the ip command (Debian: iproute2).
//
// A cable is cut between two nodes and in one direction at a time: the sender is told a
// wrong hardware address of the receiver, so that its packets leave and arrive at nobody,
// as with a cable that is pulled. No packet filter is needed, and nobody gets an error.
// The test's own calls always get through.
type cables struct {
	fleet    *fleet
	prefix   string // of all names of ours
	subnet   int
	switched string // the name of the switch
}

// nowhere is a hardware address that nobody has.
const nowhere = "02:00:00:de:ad:00"

// wired skips a scenario where namespaces cannot be had, and says why.
func wired(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces need the ip command (Debian: iproute2)")
	}
	name := fmt.Sprintf("bz%d-try", os.Getpid())
	if err := ip("netns", "add", name); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	_ = ip("netns", "del", name)
}

// newWiredFleet prepares three nodes that have a namespace each and speak TLS.
func newWiredFleet(t *testing.T) *fleet {
	t.Helper()
	wired(t)
	f := bareFleet(t)
	c := &cables{fleet: f, prefix: fmt.Sprintf("bz%d", os.Getpid()), subnet: os.Getpid() % 250}
	c.switched = c.prefix + "s"
	f.cables = c
	f.must(ip("link", "add", c.switched, "type", "bridge"))
	f.must(ip("link", "set", c.switched, "up"))
	f.must(ip("addr", "add", c.address(254)+"/24", "dev", c.switched))
	for range roles {
		c.plug(f.add(c.address(len(f.nodes)+1), 9000))
	}
	f.secureWith("authority")
	return f
}

func (c *cables) address(host int) string { return fmt.Sprintf("10.213.%d.%d", c.subnet, host) }

// hardware is the hardware address of a node's end of its cable.
func (c *cables) hardware(n *node) string {
	return fmt.Sprintf("02:00:00:00:%02x:0%s", c.subnet, n.name[1:])
}

// plugOf names the switch's end of a node's cable.
func (c *cables) plugOf(n *node) string { return c.prefix + n.name[1:] }

// plug gives a node a namespace and a cable to the switch.
func (c *cables) plug(n *node) {
	f := c.fleet
	f.Helper()
	n.inside = c.prefix + n.name
	outer := c.plugOf(n)
	for _, words := range []string{
		"netns add " + n.inside,
		"link add " + outer + " type veth peer name eth0 netns " + n.inside,
		"link set " + outer + " master " + c.switched + " up",
		"-n " + n.inside + " link set eth0 address " + c.hardware(n),
		"-n " + n.inside + " addr add " + n.listen + "/24 dev eth0",
		"-n " + n.inside + " link set eth0 up",
		"-n " + n.inside + " link set lo up",
	} {
		f.must(ip(strings.Fields(words)...))
	}
}

// remove ends all namespaces and the switch, once nothing runs there.
func (c *cables) remove() {
	for _, n := range c.fleet.nodes {
		if n.inside != "" {
			_ = ip("link", "del", c.plugOf(n)) // with the namespace it would go at some time later
			_ = ip("netns", "del", n.inside)
		}
	}
	_ = ip("link", "del", c.switched)
}

// cut loses all that from sends to the given nodes.
func (c *cables) cut(from *node, to ...*node) {
	c.fleet.Helper()
	for _, n := range to {
		c.fleet.must(ip("-n", from.inside, "neigh", "replace", n.listen, "lladdr", nowhere, "dev", "eth0", "nud", "permanent"))
	}
}

// isolate cuts a node off from all others, both ways.
func (c *cables) isolate(n *node) {
	for _, other := range c.fleet.others(n) {
		c.cut(n, other)
		c.cut(other, n)
	}
}

// mend puts all cables right.
func (c *cables) mend() {
	c.fleet.Helper()
	for _, from := range c.fleet.nodes {
		for _, to := range c.fleet.others(from) {
			c.fleet.must(ip("-n", from.inside, "neigh", "replace", to.listen, "lladdr", c.hardware(to), "dev", "eth0", "nud", "permanent"))
		}
	}
}

// ip runs the command of that name.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
