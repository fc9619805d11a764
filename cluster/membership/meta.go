package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"

	"github.com/the-block/bursar/messages"
)

// Role says what a node is for.
type Role byte

// The roles of a node.
const (
	Primary  Role = iota + 1 // owns shards; preferred for leader and executor
	Replica                  // owns shards
	Observer                 // votes; owns no shards unless it must
)

var roleNames = map[Role]string{Primary: "primary", Replica: "replica", Observer: "observer"}

// String names the role as --role does.
func (r Role) String() string {
	if name, ok := roleNames[r]; ok {
		return name
	}
	return "role " + strconv.Itoa(int(r))
}

// ParseRole reads what String writes.
func ParseRole(name string) (Role, error) {
	for r, n := range roleNames {
		if n == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role: %q is none of primary, replica, observer", name)
}

// Meta is what a node tells about itself.
type Meta struct {
	// Name is the node's name, unique in its cluster.
	Name messages.NodeID
	Role Role
	// Host is where the others reach the node: an IP address or a name they all resolve.
	Host string
	// BasePort is the first of the node's five consecutive ports.
	BasePort uint16
	// Boot numbers this start of the node: another start has another number.
	Boot uint64
	// Version is the program's.
	Version string
	// ProtocolMin and ProtocolMax are the peer protocols the node speaks.
	ProtocolMin, ProtocolMax uint16
	// Cluster is the id of the cluster the node belongs to, "" as long as it has none.
	Cluster string
	// Level is the newest feature level of the log that the node's program knows.
	Level uint16
	// BootstrapExpect is how many voters the node wants to form a cluster with.
	BootstrapExpect uint16
	// Fresh says that the node has no log.
	Fresh bool
	// Draining says that the node hands over its shards, and goes.
	Draining bool
	// WantsVote says that the node was told to vote beside those that do.
	WantsVote bool
}

// Offsets of a node's ports from its base port.
const (
	offsetRPC = iota
	offsetGossip
	offsetRaft
	offsetHTTP
	offsetActors
)

// RPCAddr is where clients call the node, host:port.
func (m Meta) RPCAddr() string { return m.addr(offsetRPC) }

// GossipAddr is where the node gossips, over UDP and TCP.
func (m Meta) GossipAddr() string { return m.addr(offsetGossip) }

// RaftAddr is where the node speaks Raft.
func (m Meta) RaftAddr() string { return m.addr(offsetRaft) }

// HTTPAddr is where the node serves its pages.
func (m Meta) HTTPAddr() string { return m.addr(offsetHTTP) }

// ActorsAddr is where other nodes call the node.
func (m Meta) ActorsAddr() string { return m.addr(offsetActors) }

func (m Meta) addr(offset int) string {
	return net.JoinHostPort(m.Host, strconv.Itoa(int(m.BasePort)+offset))
}

// The longest texts of a Meta. With them the encoding stays under 330 bytes of the 512
// that gossip carries, which leaves room for newer fields.
const (
	nameMax    = 64
	hostMax    = 128
	versionMax = 48
	clusterMax = 64
)

var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// validate reports every rule that the node's own Meta breaks.
func (m Meta) validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	rule(nameRule.MatchString(string(m.Name)), "name: %q is not 1 to %d letters, digits, dots, underscores or dashes", m.Name, nameMax)
	rule(roleNames[m.Role] != "", "role: %d is none of primary, replica, observer", m.Role)
	rule(m.Host != "" && len(m.Host) <= hostMax, "host: %q has not 1 to %d bytes", m.Host, hostMax)
	rule(m.BasePort > 0 && int(m.BasePort)+offsetActors <= 65535, "base_port: %d is outside 1..%d", m.BasePort, 65535-offsetActors)
	rule(m.Boot > 0, "boot: 0 is no boot id")
	rule(len(m.Version) <= versionMax, "version: %q is longer than %d bytes", m.Version, versionMax)
	rule(len(m.Cluster) <= clusterMax, "cluster: %q is longer than %d bytes", m.Cluster, clusterMax)
	rule(m.ProtocolMin <= m.ProtocolMax, "protocol: %d..%d is no range", m.ProtocolMin, m.ProtocolMax)
	return errors.Join(errs...)
}

// The encoding of a Meta: the format's number, then fields of a tag, a length and so
// many bytes, numbers in big endian. The name is not part of it: gossip carries it
// already. A reader skips tags it does not know, and bytes behind those it knows, so that
// newer nodes may say more; what older ones could not understand takes another format.
const metaFormat = 1

// The tags. They are never reused.
const (
	tagRole     = iota + 1 // 1 byte
	tagHost                // text
	tagBasePort            // 2 bytes
	tagBoot                // 8 bytes
	tagVersion             // text
	tagProtocol            // 2 bytes min, 2 bytes max
	tagCluster             // text
	tagExpect              // 2 bytes
	tagFlags               // 1 byte
	tagLevel               // 2 bytes
)

// The flags.
const (
	flagFresh = 1 << iota
	flagDraining
	flagWantsVote
)

// appendMeta encodes a valid Meta.
func appendMeta(b []byte, m Meta) []byte {
	field := func(tag byte, value []byte) {
		b = append(b, tag, byte(len(value)))
		b = append(b, value...)
	}
	var flags byte
	if m.Fresh {
		flags |= flagFresh
	}
	if m.Draining {
		flags |= flagDraining
	}
	if m.WantsVote {
		flags |= flagWantsVote
	}
	be := binary.BigEndian
	b = append(b, metaFormat)
	field(tagRole, []byte{byte(m.Role)})
	field(tagHost, []byte(m.Host))
	field(tagBasePort, be.AppendUint16(nil, m.BasePort))
	field(tagBoot, be.AppendUint64(nil, m.Boot))
	field(tagVersion, []byte(m.Version))
	field(tagProtocol, be.AppendUint16(be.AppendUint16(nil, m.ProtocolMin), m.ProtocolMax))
	field(tagCluster, []byte(m.Cluster))
	field(tagExpect, be.AppendUint16(nil, m.BootstrapExpect))
	field(tagFlags, []byte{flags})
	field(tagLevel, be.AppendUint16(nil, m.Level))
	return b
}

// decodeMeta reads what appendMeta wrote, or a newer node's. Any bytes give a Meta or
// an ErrMeta.
func decodeMeta(name messages.NodeID, b []byte) (Meta, error) {
	m := Meta{Name: name}
	if !nameRule.MatchString(string(name)) {
		return Meta{}, fmt.Errorf("%w: %q is no name of a node", ErrMeta, clip(string(name)))
	}
	if len(b) == 0 || b[0] != metaFormat {
		return Meta{}, fmt.Errorf("%w: node %s gossips in another format than %d; run versions that are neighbours",
			ErrMeta, name, metaFormat)
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return Meta{}, fmt.Errorf("%w: node %s: a field is cut short", ErrMeta, name)
		}
		tag, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		if !m.read(tag, value) {
			return Meta{}, fmt.Errorf("%w: node %s: field %d has %d bytes", ErrMeta, name, tag, len(value))
		}
	}
	if m.Host == "" || m.BasePort == 0 || int(m.BasePort)+offsetActors > 65535 || m.Boot == 0 {
		return Meta{}, fmt.Errorf("%w: node %s does not say where it is or which boot", ErrMeta, name)
	}
	return m, nil
}

// read takes one field, and reports false where it is too short for its tag.
func (m *Meta) read(tag byte, value []byte) bool {
	be := binary.BigEndian
	if len(value) < fieldSizes[tag] {
		return false
	}
	switch tag {
	case tagRole:
		m.Role = Role(value[0])
	case tagHost:
		m.Host = string(value)
	case tagBasePort:
		m.BasePort = be.Uint16(value)
	case tagBoot:
		m.Boot = be.Uint64(value)
	case tagVersion:
		m.Version = string(value)
	case tagProtocol:
		m.ProtocolMin, m.ProtocolMax = be.Uint16(value), be.Uint16(value[2:])
	case tagCluster:
		m.Cluster = string(value)
	case tagExpect:
		m.BootstrapExpect = be.Uint16(value)
	case tagLevel:
		m.Level = be.Uint16(value)
	case tagFlags:
		m.Fresh, m.Draining = value[0]&flagFresh != 0, value[0]&flagDraining != 0
		m.WantsVote = value[0]&flagWantsVote != 0
	}
	return true
}

// fieldSizes are the least sizes of the fields that are no texts.
var fieldSizes = map[byte]int{tagRole: 1, tagBasePort: 2, tagBoot: 8, tagProtocol: 4, tagExpect: 2, tagFlags: 1, tagLevel: 2}

// clip shortens what a stranger sent for an error.
func clip(s string) string { return s[:min(len(s), nameMax)] }
