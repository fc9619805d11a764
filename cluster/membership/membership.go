package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Membership is this node's view of the members, and its voice among them.
type Membership struct {
	cfg       Config
	table     *table
	transport *transport
	keyring   *memberlist.Keyring
	list      *memberlist.Memberlist
	callbacks *callbacks
	fatal     func(error)
	log       *slog.Logger
	own       ownAddrs
	known     acquaintances
	keysAt    fileStamp // of the file of keys as it was read last
	// dirty holds one when the node's Meta has changed and was not told yet.
	dirty chan struct{}

	calls  turn // held while the node speaks about itself; guards what follows
	left   bool
	closed bool
}

// turn is a lock that is waited for no longer than the waiter likes: who holds it may
// talk to others for a second.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

// resolveTimeout bounds the look-up of a host's name.
const resolveTimeout = 2 * time.Second

// Open begins to gossip, at the second of the node's ports, on network. It knows nobody
// until Run asks the seeds. fatal is called once, from Run, with a *NameTakenError when
// the node must stop because its name is another's.
func Open(cfg Config, self Meta, network Network, fatal func(error), log *slog.Logger) (*Membership, error) {
	if err := errors.Join(cfg.validate(), self.validate()); err != nil {
		return nil, err
	}
	m := &Membership{cfg: cfg, fatal: fatal, log: log, dirty: make(chan struct{}, 1), calls: make(turn, 1)}
	if cfg.KeyFile != "" {
		m.keysAt = stampOf(cfg.KeyFile)
		keys, err := loadKeys(cfg.KeyFile)
		if err == nil {
			m.keyring, err = newKeyring(keys)
		}
		if err != nil {
			return nil, err
		}
	}
	advertise, err := resolveHost(self.Host)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	m.own = findOwnAddrs(cfg.Listen, advertise, self.BasePort+offsetGossip)
	m.table = newTable(self, cfg.MembersMax, cfg.ForgetAfter, time.Now())
	m.known = m.loadKnown()
	m.callbacks = newCallbacks(m.table, self.GossipAddr(), log)
	bind := net.JoinHostPort(cfg.Listen, strconv.Itoa(int(self.BasePort)+offsetGossip))
	if m.transport, err = openTransport(network, bind, cfg.StreamsMax); err != nil {
		return nil, err
	}
	if m.list, err = memberlist.Create(m.settings(advertise)); err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), m.transport.Shutdown())
	}
	return m, nil
}

// settings are memberlist's.
func (m *Membership) settings(advertise netip.Addr) *memberlist.Config {
	self := m.table.me()
	conf := memberlist.DefaultLANConfig()
	conf.Name = string(self.Name)
	conf.Transport = m.transport
	conf.BindAddr, conf.BindPort = m.cfg.Listen, int(self.BasePort)+offsetGossip
	conf.AdvertiseAddr, conf.AdvertisePort = advertise.String(), conf.BindPort
	conf.ProbeInterval, conf.ProbeTimeout = m.cfg.ProbeInterval, m.cfg.ProbeTimeout
	conf.SuspicionMult, conf.SuspicionMaxTimeoutMult = m.cfg.SuspicionMult, m.cfg.SuspicionMaxMult
	conf.AwarenessMaxMultiplier = m.cfg.SlowdownMax
	conf.GossipInterval, conf.PushPullInterval = m.cfg.GossipInterval, m.cfg.PushPullInterval
	conf.TCPTimeout = m.cfg.StreamTimeout
	conf.DeadNodeReclaimTime = m.cfg.ReclaimAfter
	conf.EnableCompression = false // news are small; what is not unpacked cannot swell
	conf.Keyring = m.keyring
	conf.Logger = newGossipLogger(m.log, m.callbacks)
	conf.MsgpackUseNewTimeFormat = true
	conf.Delegate, conf.Events, conf.Conflict = m.callbacks, m.callbacks, m.callbacks
	conf.Merge, conf.Alive = m.callbacks, m.callbacks
	return conf
}

// resolveHost finds the address of a host's name, IPv4 before IPv6.
func resolveHost(host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, addr := range addrs {
		if addr.Unmap().Is4() {
			return addr.Unmap(), nil
		}
	}
	if len(addrs) == 0 {
		return netip.Addr{}, fmt.Errorf("%s has no address", host)
	}
	return addrs[0], nil
}

// Run finds members, tells of changes and logs them until ctx ends.
func (m *Membership) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { m.heed(ctx) })
	loops.Go(func() { m.announce(ctx) })
	loops.Go(func() { m.keepJoining(ctx) })
	loops.Wait()
	return nil
}

// heed acts on what the callbacks noted.
func (m *Membership) heed(ctx context.Context) {
	var once sync.Once
	for {
		select {
		case <-ctx.Done():
			return
		case act := <-m.callbacks.notes:
			act(ctx)
		case err := <-m.callbacks.fatal:
			once.Do(func() { m.fatal(err) })
		}
	}
}

// announce tells the members when the node's Meta has changed.
func (m *Membership) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.dirty:
			m.tellMeta(ctx)
		}
	}
}

// announceTimeout is how long a change waits to be taken up by the members before the
// next one may be told. Gossip goes on with it in any case.
const announceTimeout = time.Second

func (m *Membership) tellMeta(ctx context.Context) {
	m.calls.take()
	defer m.calls.give()
	if m.left || m.closed {
		return
	}
	if err := m.list.UpdateNode(announceTimeout); err != nil {
		m.log.DebugContext(ctx, "what this node tells of itself is on its way", "err", err)
	}
}

// Members returns the members in the order of their names, this node among them, and
// those that have gone in the last ForgetAfter. The slice is shared: do not change it.
func (m *Membership) Members() []Member {
	members, _ := m.table.watch()
	return members
}

// Watch returns the Members and a channel that is closed when they have changed.
func (m *Membership) Watch() ([]Member, <-chan struct{}) { return m.table.watch() }

// Update changes what the node tells about itself, all but its name and boot, and
// returns before the others know. What breaks a rule changes nothing.
func (m *Membership) Update(edit func(*Meta)) error {
	changed, err := m.table.update(edit)
	if changed {
		select {
		case m.dirty <- struct{}{}:
		default: // the change before it was not told yet: they go together
		}
	}
	return err
}

// Reload reads the file of keys again, as Run does by itself when the file has changed. A
// key is changed in three steps, each on all nodes before the next: add the new key as the
// second line, make it the first, remove the old.
func (m *Membership) Reload() error {
	if m.cfg.KeyFile == "" {
		return nil
	}
	keys, err := loadKeys(m.cfg.KeyFile)
	if err != nil {
		return err
	}
	m.calls.take()
	defer m.calls.give()
	return rotate(m.keyring, keys)
}

// leaveTimeout is the longest that a good-bye takes.
const leaveTimeout = time.Second

// Leave says good-bye, so that the others see the node as Left at once. It returns when
// they were told, or when ctx or a second is over. Afterwards only Close makes sense.
func (m *Membership) Leave(ctx context.Context) error {
	select {
	case m.calls <- struct{}{}:
		defer m.calls.give()
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.left || m.closed {
		return ErrLeft
	}
	m.left = true
	goodbye := appendHail(nil, m.callbacks.hail())
	for _, member := range m.list.Members() {
		if member.Name != string(m.table.me().Name) {
			_ = m.list.SendBestEffort(member, goodbye) // where it is lost the node is seen as Dead
		}
	}
	timeout := leaveTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Until(deadline), time.Millisecond))
	}
	if err := m.list.Leave(timeout); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// Close ends the gossip. Without Leave before it the others see the node as Dead. It must
// follow the end of Run.
func (m *Membership) Close() error {
	m.calls.take()
	defer m.calls.give()
	m.closed = true
	return m.list.Shutdown()
}
