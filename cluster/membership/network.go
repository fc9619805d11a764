package membership

import (
	"context"
	"net"
)

// Network carries gossip: packets, and streams for full exchanges. Addresses are
// host:port with an IP address as host.
type Network interface {
	ListenPacket(addr string) (net.PacketConn, error)
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Sockets is the machine's network: UDP and TCP.
type Sockets struct{}

// packetBuffer is what the system may hold of packets that are not read yet.
const packetBuffer = 1 << 20

// ListenPacket binds a UDP socket.
func (Sockets) ListenPacket(addr string) (net.PacketConn, error) {
	var l net.ListenConfig
	conn, err := l.ListenPacket(context.Background(), "udp", addr)
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(packetBuffer) // with less a burst loses packets, which gossip survives
	}
	return conn, err
}

// Listen binds a TCP socket.
func (Sockets) Listen(addr string) (net.Listener, error) {
	var l net.ListenConfig
	return l.Listen(context.Background(), "tcp", addr)
}

// Dial connects over TCP.
func (Sockets) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
