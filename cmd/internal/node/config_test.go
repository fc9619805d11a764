package node_test

import (
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
)

func TestOnesOwnAddressInJoinIsIgnoredHoweverItIsSpelled(t *testing.T) {
	for _, c := range []struct{ listen, join string }{
		{"127.0.0.1", "localhost:9001"}, {"127.0.0.1", "LOCALHOST:9001"}, {"::1", "localhost:9001"},
		{"127.0.0.1", "[::ffff:127.0.0.1]:9001"}, {"fd00::1", "[fd00:0:0:0:0:0:0:1]:9001"}, {"fd00::1", "[FD00::0001]:9001"},
	} {
		cfg := node.DefaultConfig()
		cfg.Listen, cfg.Insecure, cfg.Join = c.listen, true, []string{c.join}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s, which listens at %s, is taken for another: %v", c.join, c.listen, err)
		}
		cfg.Join = []string{"127.0.0.1:9011"}
		if err := cfg.Validate(); err == nil {
			t.Error("another port is taken for one's own")
		}
	}
}
