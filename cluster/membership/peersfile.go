package membership

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/the-block/bursar/messages"
)

// peer is a member that was met, and where it gossips.
type peer struct {
	Name   messages.NodeID `json:"name"`
	Gossip string          `json:"gossip"` // host:port with an IP address
}

// peersFile is what the file of peers holds.
type peersFile struct {
	Peers []peer `json:"peers"`
}

// peersFileMax is the most bytes of the file that are read: 64 peers take about 8 KiB.
const peersFileMax = 64 << 10

// loadPeers reads the members that were met before. Without a file there are none. The
// file is a hint: who cannot read it warns and goes on.
func loadPeers(path string, most int) ([]peer, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, peersFileMax))
	if err != nil {
		return nil, err
	}
	return decodePeers(text, most)
}

// decodePeers takes the peers that make sense, the first most of them.
func decodePeers(text []byte, most int) ([]peer, error) {
	var held peersFile
	if err := json.Unmarshal(text, &held); err != nil {
		return nil, err
	}
	var peers []peer
	for _, p := range held.Peers {
		_, err := netip.ParseAddrPort(p.Gossip)
		if err == nil && nameRule.MatchString(string(p.Name)) && len(peers) < most {
			peers = append(peers, p)
		}
	}
	return peers, nil
}

// savePeers replaces the file: after a crash there is the old one or the new one.
func savePeers(path string, peers []peer) error {
	text, err := json.MarshalIndent(peersFile{Peers: peers}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(append(text, '\n'))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep the peers in %s: %w", path, err), os.Remove(temp.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
