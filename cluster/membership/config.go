package membership

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config says where a node gossips, whom it asks first and how fast it notices.
type Config struct {
	// Listen is the IP address that gossip binds to, over UDP and TCP. The port is the
	// second of the node's own.
	Listen string
	// Seeds are gossip addresses of nodes to begin with, host:port. One's own is ignored.
	// They are asked for ever, as long as they are not members.
	Seeds []string
	// PeersFile keeps the members that were met, so that a node finds them without its
	// seeds; "" keeps none.
	PeersFile string
	// KeyFile holds the keys that encrypt gossip: one a line, 32 bytes in base64, the
	// first encrypts and all decrypt. "" gossips in the clear.
	KeyFile string

	// ProbeInterval is the time between two probes; each asks one member. Lowered: a crash
	// is noticed sooner, at more packets. A crash is noticed after one to
	// three ProbeIntervals and the suspicion, which is SuspicionMult more of them.
	ProbeInterval time.Duration
	// ProbeTimeout is how long a direct probe waits before others are asked to probe, too.
	ProbeTimeout time.Duration
	// SuspicionMult is how many ProbeIntervals a silent member has to object. Raised: fewer
	// false deaths on Wi-Fi.
	SuspicionMult int
	// SuspicionMaxMult bounds the suspicion at so many times its length.
	SuspicionMaxMult int
	// SlowdownMax is how many times slower a node may probe that others find slow itself.
	// Raised: fewer false deaths told by a busy node, which also notices true ones later.
	SlowdownMax int
	// GossipInterval is the time between two rounds of news.
	GossipInterval time.Duration
	// PushPullInterval is the time between two full exchanges with one member.
	PushPullInterval time.Duration
	// StreamTimeout bounds one full exchange, the wait for its connection included.
	StreamTimeout time.Duration
	// JoinInterval is the pause between two rounds of asking those who are not members.
	// A cut heals within JoinInterval and two StreamTimeouts of its end.
	JoinInterval time.Duration
	// ReclaimAfter is how long a dead member's name is kept for its address.
	ReclaimAfter time.Duration
	// ForgetAfter is how long a member that is gone stays in the list and is asked to come
	// back.
	ForgetAfter time.Duration
	// MembersMax is the most members, the gone among them. More are refused, as are more
	// seeds.
	MembersMax int
	// StreamsMax is the most exchanges that others may have open at a time, a quarter of them
	// from one address beyond loopback; the longest waiting make way for newer ones.
	StreamsMax int
}

// DefaultConfig notices a crash in 0.7 to 1.1 s. It is for one local network.
func DefaultConfig() Config {
	return Config{
		Listen:           "127.0.0.1",
		ProbeInterval:    200 * time.Millisecond,
		ProbeTimeout:     100 * time.Millisecond,
		SuspicionMult:    2,
		SuspicionMaxMult: 2,
		SlowdownMax:      2,
		GossipInterval:   50 * time.Millisecond,
		PushPullInterval: 5 * time.Second,
		StreamTimeout:    2 * time.Second,
		JoinInterval:     2 * time.Second,
		ReclaimAfter:     3 * time.Second,
		ForgetAfter:      7 * 24 * time.Hour,
		MembersMax:       64,
		StreamsMax:       64,
	}
}

// validate reports every rule the configuration breaks.
func (c Config) validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	rule(net.ParseIP(c.Listen) != nil, "listen: %q is not an IP address", c.Listen)
	for _, seed := range c.Seeds {
		_, port, err := net.SplitHostPort(seed)
		rule(err == nil && port != "", "join: %q is not host:port", seed)
	}
	rule(len(c.Seeds) <= c.MembersMax, "join: %d seeds are more than %d", len(c.Seeds), c.MembersMax)
	rule(c.ProbeInterval > 0, "probe_interval: %s is not positive", c.ProbeInterval)
	rule(c.ProbeTimeout > 0 && c.ProbeTimeout < c.ProbeInterval, "probe_timeout: %s is not between 0 and probe_interval", c.ProbeTimeout)
	rule(c.SuspicionMult >= 1 && c.SuspicionMaxMult >= 1, "suspicion: multipliers under 1")
	rule(c.SlowdownMax >= 1, "slowdown_max: %d is under 1", c.SlowdownMax)
	rule(c.GossipInterval > 0, "gossip_interval: %s is not positive", c.GossipInterval)
	rule(c.PushPullInterval > 0, "push_pull_interval: %s is not positive", c.PushPullInterval)
	rule(c.StreamTimeout > 0, "stream_timeout: %s is not positive", c.StreamTimeout)
	rule(c.JoinInterval > 0, "join_interval: %s is not positive", c.JoinInterval)
	rule(c.ReclaimAfter > 0, "reclaim_after: %s is not positive", c.ReclaimAfter)
	rule(c.ForgetAfter > 0, "forget_after: %s is not positive", c.ForgetAfter)
	rule(c.MembersMax >= 1, "members_max: %d is under 1", c.MembersMax)
	rule(c.StreamsMax >= 1, "streams_max: %d is under 1", c.StreamsMax)
	return errors.Join(errs...)
}
