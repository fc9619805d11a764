package membership_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/messages"
)

// metas are the Metas that a node may have.
func metas() *rapid.Generator[membership.Meta] {
	text := func(most int) *rapid.Generator[string] {
		return rapid.StringMatching(`[ -~]*`).Filter(func(s string) bool { return len(s) <= most })
	}
	return rapid.Custom(func(t *rapid.T) membership.Meta {
		return membership.Meta{
			Name:        messages.NodeID(rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "name")),
			Role:        rapid.SampledFrom([]membership.Role{membership.Primary, membership.Replica, membership.Observer}).Draw(t, "role"),
			Host:        rapid.StringMatching(`[a-z0-9.:-]{1,128}`).Draw(t, "host"),
			BasePort:    rapid.Uint16Range(1, 65531).Draw(t, "port"),
			Boot:        rapid.Uint64Min(1).Draw(t, "boot"),
			Version:     text(48).Draw(t, "version"),
			ProtocolMin: rapid.Uint16Max(100).Draw(t, "min"),
			ProtocolMax: rapid.Uint16Min(100).Draw(t, "max"),
			Cluster:     text(64).Draw(t, "cluster"), BootstrapExpect: rapid.Uint16().Draw(t, "expect"),
			Fresh: rapid.Bool().Draw(t, "fresh"), Draining: rapid.Bool().Draw(t, "draining"),
		}
	})
}

func TestMetaSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := metas().Draw(t, "meta")
		if err := want.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := membership.DecodeMeta(want.Name, membership.AppendMeta(nil, want))
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
	})
}

func TestLongestMetaLeavesRoomInGossip(t *testing.T) {
	m := membership.Meta{
		Name: messages.NodeID(strings.Repeat("n", 64)), Role: membership.Observer, Host: strings.Repeat("h", 128), BasePort: 65531,
		Boot: 1<<64 - 1, Version: strings.Repeat("v", 48), ProtocolMax: 65535, Cluster: strings.Repeat("c", 64), BootstrapExpect: 65535,
		Fresh: true, Draining: true,
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if size := len(membership.AppendMeta(nil, m)); size > 330 {
		t.Errorf("it takes %d bytes of 512", size)
	}
}

func TestNewerMetaIsUnderstood(t *testing.T) {
	want := membership.Meta{Name: "n1", Role: membership.Primary, Host: "10.0.0.1", BasePort: 9000, Boot: 7, ProtocolMin: 1, ProtocolMax: 3}
	b := membership.AppendMeta(nil, want)
	b = append(b, 200, 3, 'n', 'e', 'w') // a field of a newer node's
	b = append(b, 4, 9, 0, 0, 0, 0, 0, 0, 0, 7, 99)
	got, err := membership.DecodeMeta("n1", b)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v (-got +want):\n%s", err, diff)
	}
}

// golden is what a node of this format tells, and goldenFirst what one told before levels
// were; both must stay readable.
const goldenFirst = "\x01\x01\x01\x02\x02\x0810.0.0.2\x03\x02\x23\x28\x04\x08\x00\x00\x00\x00\x00\x00\x00\x2a\x05\x031.2\x06\x04\x00\x01\x00\x02" +
	"\x07\x03abc\x08\x02\x00\x03\x09\x01\x02"
const golden = goldenFirst + "\x0a\x02\x00\x07"

func TestGoldenMetaStaysReadable(t *testing.T) {
	want := membership.Meta{
		Name: "n2", Role: membership.Replica, Host: "10.0.0.2", BasePort: 9000, Boot: 42, Version: "1.2",
		ProtocolMin: 1, ProtocolMax: 2, Cluster: "abc", BootstrapExpect: 3, Draining: true, Level: 7,
	}
	got, err := membership.DecodeMeta("n2", []byte(golden))
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%v (-got +want):\n%s", err, diff)
	}
	if again := membership.AppendMeta(nil, want); string(again) != golden {
		t.Errorf("it is written as %q", again)
	}
	want.Level = 0
	got, err = membership.DecodeMeta("n2", []byte(goldenFirst))
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("the first form: %v (-got +want):\n%s", err, diff)
	}
}

func FuzzMeta(f *testing.F) {
	f.Add("n2", []byte(golden))
	f.Add("n2", []byte{})
	f.Add("n2", []byte{2})
	f.Add("no name", []byte(golden))
	f.Add("n2", []byte("\x01\x01"))
	f.Add("n2", []byte("\x01\x04\x02ab"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		m, err := membership.DecodeMeta(messages.NodeID(name), b)
		if err != nil {
			if !errors.Is(err, membership.ErrMeta) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		again, err := membership.DecodeMeta(m.Name, membership.AppendMeta(nil, m))
		if err != nil || again != m {
			t.Errorf("%+v became %+v: %v", m, again, err)
		}
	})
}

func FuzzHail(f *testing.F) {
	f.Add(membership.Hail(7, time.Hour))
	f.Add([]byte{1})
	f.Add(bytes.Repeat([]byte{255}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := membership.ReadHail(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func FuzzPeers(f *testing.F) {
	f.Add([]byte(`{"peers":[{"name":"n1","gossip":"10.0.0.1:9001"},{"name":"","gossip":"x"}]}`))
	f.Add([]byte(`{"peers":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		peers, err := membership.DecodePeers(text, 2)
		if len(peers) > 2 || err != nil && peers != nil {
			t.Errorf("%v %v", peers, err)
		}
	})
}

func TestKeysThatCannotBeUsedAreRefusedByTheirLine(t *testing.T) {
	const good = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	for text, want := range map[string]string{
		"":                               "there is no key",
		"# nothing\n\n":                  "there is no key",
		good + "\nQUFB\n":                "line 2 is not 32 bytes",
		good + "\n\n" + good:             "line 3 repeats a key",
		"\x00" + good:                    "line 1 is not 32 bytes",
		strings.Repeat("A", 64<<10) + "": "token too long",
	} {
		keys, err := membership.DecodeKeys([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q gives %v and %v, want %q", text, keys, err, want)
		}
	}
	keys, err := membership.DecodeKeys([]byte("  " + good + " # of May\r\n"))
	if err != nil || len(keys) != 1 || string(keys[0]) != strings.Repeat("A", 32) {
		t.Errorf("a good key gives %q, %v", keys, err)
	}
}

func TestYoungerOfTwoYieldsItsName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ages := rapid.Int64Range(0, int64(time.Hour))
		a, b := time.Duration(ages.Draw(t, "a")), time.Duration(ages.Draw(t, "b"))
		delay := time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "delay"))
		diff := (a - b).Abs()
		if near := (diff - time.Second).Abs(); near <= delay {
			t.Skip("just at the edge the two may disagree")
		}
		// Each hears of the other's uptime as it was delay ago.
		aYields := membership.Yields(1, a+delay, 2, b)
		bYields := membership.Yields(2, b+delay, 1, a)
		if aYields == bYields {
			t.Errorf("both yield: %t", aYields)
		}
		if diff > 2*time.Second && aYields != (a < b) {
			t.Error("the elder yields")
		}
	})
}
