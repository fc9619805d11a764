package membership

import "time"

// What the tests of the codecs need.
var (
	AppendMeta  = appendMeta
	DecodeMeta  = decodeMeta
	DecodePeers = decodePeers
	DecodeKeys  = decodeKeys
)

// ReadHail decodes and encodes again.
func ReadHail(b []byte) ([]byte, error) {
	h, err := decodeHail(b)
	if err != nil {
		return nil, err
	}
	return appendHail(nil, h), nil
}

// Hail encodes one.
func Hail(boot uint64, uptime time.Duration) []byte {
	return appendHail(nil, hail{name: "n1", boot: boot, uptime: uptime, addr: "10.0.0.1:9001"})
}

// Yields is yields for two nodes of the same name.
func Yields(boot uint64, uptime time.Duration, otherBoot uint64, otherUptime time.Duration) bool {
	return yields(hail{boot: boot, uptime: uptime}, hail{boot: otherBoot, uptime: otherUptime})
}

// Validate is Meta.validate.
func (m Meta) Validate() error { return m.validate() }
