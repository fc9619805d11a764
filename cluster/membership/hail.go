package membership

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
)

// hail is what two nodes tell each other in a full exchange, and what one tells its
// members when it leaves.
type hail struct {
	name   messages.NodeID
	boot   uint64
	uptime time.Duration
	addr   string // where the node gossips
}

// The encoding of a hail: the format, boot and uptime in milliseconds in big endian, the
// name with its length before it, and the address up to the end.
const (
	hailFormat = 1
	hailFixed  = 1 + 8 + 8 + 1
)

func appendHail(b []byte, h hail) []byte {
	b = append(b, hailFormat)
	b = binary.BigEndian.AppendUint64(b, h.boot)
	b = binary.BigEndian.AppendUint64(b, uint64(h.uptime.Milliseconds()))
	b = append(b, byte(len(h.name)))
	b = append(b, h.name...)
	return append(b, h.addr...)
}

// decodeHail reads what appendHail wrote; any bytes give a hail or an error.
func decodeHail(b []byte) (hail, error) {
	if len(b) < hailFixed || b[0] != hailFormat || len(b) < hailFixed+int(b[hailFixed-1]) {
		return hail{}, fmt.Errorf("%w: an exchange in another format", ErrMeta)
	}
	name, addr := b[hailFixed:hailFixed+int(b[hailFixed-1])], b[hailFixed+int(b[hailFixed-1]):]
	uptime := binary.BigEndian.Uint64(b[9:])
	if !nameRule.Match(name) || len(addr) > hostMax+8 || uptime > uint64(uptimeMax.Milliseconds()) {
		return hail{}, fmt.Errorf("%w: an exchange that makes no sense", ErrMeta)
	}
	return hail{
		name: messages.NodeID(name), boot: binary.BigEndian.Uint64(b[1:]),
		uptime: time.Duration(uptime) * time.Millisecond, addr: string(addr),
	}, nil
}

// uptimeMax is more than any node is up for.
const uptimeMax = 100 * 365 * 24 * time.Hour

// tie is how close two uptimes are when the boot decides: the exchange takes its time,
// so that each side may hold itself for the elder.
const tie = time.Second

// yields reports whether the node me must give up its name to other: the one that has
// been up for longer keeps it.
func yields(me, other hail) bool {
	if age := other.uptime - me.uptime; age > tie || age < -tie {
		return age > 0
	}
	return other.boot < me.boot
}
