package membership

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// ownAddrs tells this node's own gossip addresses from those of others.
type ownAddrs struct {
	port  uint16
	hosts []netip.Addr
}

// findOwnAddrs gathers where a node that listens and advertises so can be reached.
func findOwnAddrs(listen string, advertise netip.Addr, port uint16) ownAddrs {
	own := ownAddrs{port: port, hosts: []netip.Addr{advertise}}
	addr, err := netip.ParseAddr(listen)
	if err != nil || !addr.IsUnspecified() {
		own.hosts = append(own.hosts, addr.Unmap())
		return own
	}
	faces, _ := net.InterfaceAddrs() // without them one's own address is asked in vain
	for _, face := range faces {
		if prefix, err := netip.ParsePrefix(face.String()); err == nil {
			own.hosts = append(own.hosts, prefix.Addr().Unmap())
		}
	}
	return own
}

func (o ownAddrs) has(addr netip.AddrPort) bool {
	return addr.Port() == o.port && slices.Contains(o.hosts, addr.Addr().Unmap())
}

// acquaintances are the members that were met in this run or before it.
type acquaintances struct {
	met   []peer // in the order of their names, as the file has them
	saved bool
}

func (m *Membership) loadKnown() acquaintances {
	if m.cfg.PeersFile == "" {
		return acquaintances{saved: true}
	}
	met, err := loadPeers(m.cfg.PeersFile, m.cfg.MembersMax)
	if err != nil {
		m.log.Warn("the file of peers cannot be read; the seeds must do", "err", err)
	}
	return acquaintances{met: met, saved: err == nil}
}

// remember adds the members to those that were met before, of which it forgets some
// where there are more than most, and says whether that changes anything.
func (a *acquaintances) remember(members []peer, most int) {
	next := slices.Clone(members)
	for _, p := range a.met {
		again := slices.ContainsFunc(members, func(q peer) bool { return q.Name == p.Name })
		if !again && len(next) < most {
			next = append(next, p)
		}
	}
	slices.SortFunc(next, func(a, b peer) int { return cmp.Compare(a.Name, b.Name) })
	if !slices.Equal(next, a.met) {
		a.met, a.saved = next, false
	}
}

// keepJoining asks who is not a member, round after round, until ctx ends.
func (m *Membership) keepJoining(ctx context.Context) {
	tick := time.NewTicker(m.cfg.JoinInterval)
	defer tick.Stop()
	for {
		m.heedKeys(ctx)
		m.joinRound(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// target is an address to ask, and why.
type target struct {
	seed  string // as configured; "" for no seed
	rival bool   // it goes by this node's name
}

// asksMax is how many are asked at a time.
const asksMax = 8

// joinRound asks all who are not members, and returns when all have answered or not.
func (m *Membership) joinRound(ctx context.Context) {
	now := time.Now()
	m.table.sweep(now)
	alive, gone := m.table.peers()
	m.keepKnown(ctx, slices.Concat(alive, gone))
	var asking sync.WaitGroup
	turn := make(chan struct{}, asksMax)
	for addr, why := range m.targets(ctx, alive) {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		asking.Go(func() {
			m.ask(ctx, addr, why)
			<-turn
		})
	}
	asking.Wait()
}

// keepKnown writes the file of peers when they have changed.
func (m *Membership) keepKnown(ctx context.Context, members []peer) {
	a := &m.known
	a.remember(members, m.cfg.MembersMax)
	if a.saved || m.cfg.PeersFile == "" {
		return
	}
	err := savePeers(m.cfg.PeersFile, a.met)
	a.saved = err == nil
	if err != nil && m.callbacks.limiter.allow("save", time.Now()) {
		m.log.WarnContext(ctx, "the members that were met cannot be kept; the next round tries again", "err", err)
	}
}

// targets are the addresses of seeds, members that were met and who claims a name, without this
// node's own and those of members.
func (m *Membership) targets(ctx context.Context, alive []peer) map[netip.AddrPort]target {
	targets := make(map[netip.AddrPort]target)
	for _, p := range m.known.met {
		if addr, err := netip.ParseAddrPort(p.Gossip); err == nil {
			targets[addr] = target{}
		}
	}
	for _, seed := range m.cfg.Seeds {
		addrs, err := resolve(ctx, seed)
		if err != nil {
			m.warnOfSeed(ctx, seed, "a seed's name cannot be resolved; it is asked again and again", err)
		}
		for _, addr := range addrs {
			targets[addr] = target{seed: seed}
		}
	}
	for _, p := range alive {
		if addr, err := netip.ParseAddrPort(p.Gossip); err == nil {
			delete(targets, addr)
		}
	}
	for claim, why := range m.callbacks.takeClaims() {
		if addr, err := netip.ParseAddrPort(claim); err == nil {
			targets[addr] = why
		}
	}
	for addr := range targets {
		if m.own.has(addr) {
			delete(targets, addr)
		}
	}
	return targets
}

// resolve finds the addresses of host:port.
func resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	if addr, err := netip.ParseAddrPort(hostport); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	host, service, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port %q is not a number", service)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var addrs []netip.AddrPort
	for _, addr := range found {
		addrs = append(addrs, netip.AddrPortFrom(addr.Unmap(), uint16(port)))
	}
	return addrs, err
}

// ask exchanges all news with the node at addr, which makes each a member of the other's.
func (m *Membership) ask(ctx context.Context, addr netip.AddrPort, why target) {
	text := addr.String()
	m.transport.watchDial(text)
	_, err := m.list.Join([]string{text})
	unreachable := m.transport.forgetDial(text)
	stranger := m.callbacks.strangeness(text)
	switch {
	case err == nil || ctx.Err() != nil:
	case why.rival:
		if m.callbacks.limiter.allow("rival"+text, time.Now()) {
			m.log.InfoContext(ctx, "this node's name is still kept for an address that does not answer; it is free soon",
				"addr", text, "took", m.cfg.ReclaimAfter)
		}
	case why.seed == "":
		m.log.DebugContext(ctx, "a member that was met before does not come back yet", "addr", text, "err", err)
	case stranger != nil:
		m.warnOfSeed(ctx, why.seed, "a seed turns this node away, and it the seed", stranger)
	case unreachable != nil:
		m.warnOfSeed(ctx, why.seed, "a seed does not answer; it is asked again and again", unreachable)
	default:
		m.warnOfSeed(ctx, why.seed, "a seed does not understand this node: is the gossip key the same, "+
			"and is it the gossip port (base port + 1) of a node?", err)
	}
}

// warnOfSeed warns of a seed once a minute.
func (m *Membership) warnOfSeed(ctx context.Context, seed, message string, err error) {
	if m.callbacks.limiter.allow("seed"+seed, time.Now()) {
		m.log.WarnContext(ctx, message, "addr", seed, "err", err)
	}
}
