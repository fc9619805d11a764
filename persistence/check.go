package persistence

import "fmt"

// CheckEntry reports whether every node can apply an entry: checksum and framing hold, and
// each of its Txns is whole, keeps the rules and limits of its form, and asks for no
// feature level that this program does not know. What fails here is never to be in a log.
func CheckEntry(data []byte) error {
	b, err := openBatch(data)
	if err != nil {
		return err
	}
	var d decoder
	var t Txn
	text := string(data)
	for n := 0; b.next(); n++ {
		if err := d.txn(&t, b.txn, text[b.at:b.at+len(b.txn)]); err != nil {
			return fmt.Errorf("transaction %d: %w", n, err)
		}
		if t.Level > LevelMax {
			return fmt.Errorf("transaction %d: %w: feature level %d, this program knows up to %d", n, ErrUnsupported, t.Level, LevelMax)
		}
	}
	return b.err
}
