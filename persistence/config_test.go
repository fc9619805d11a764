package persistence_test

import (
	"testing"

	"github.com/the-block/bursar/persistence"
)

func TestJournalConfig(t *testing.T) {
	if _, err := persistence.NewJournal(persistence.DefaultJournalConfig(), nil); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	for name, change := range map[string]func(*persistence.JournalConfig){
		"a queue without a low share":    func(c *persistence.JournalConfig) { c.QueueTxns = 7 },
		"a queue too small for a Txn":    func(c *persistence.JournalConfig) { c.QueueBytes = persistence.TxnBytesMax },
		"more Txns than an entry holds":  func(c *persistence.JournalConfig) { c.BatchTxns = persistence.BatchTxnsMax + 1 },
		"more bytes than an entry holds": func(c *persistence.JournalConfig) { c.BatchBytes = persistence.BatchBytesMax + 1 },
		"nothing in flight":              func(c *persistence.JournalConfig) { c.InFlight = 0 },
	} {
		cfg := persistence.DefaultJournalConfig()
		change(&cfg)
		if _, err := persistence.NewJournal(cfg, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStoreConfig(t *testing.T) {
	extract := func(byte, []byte, []uint64) {}
	for name, change := range map[string]func(*persistence.StoreConfig){
		"no recent changes":          func(c *persistence.StoreConfig) { c.RecentChanges = 0 },
		"no bytes of recent changes": func(c *persistence.StoreConfig) { c.RecentBytes = 0 },
		"compaction at any size":     func(c *persistence.StoreConfig) { c.CompactBytes = 0 },
		"columns of a reserved table": func(c *persistence.StoreConfig) {
			c.Columns = map[persistence.Table]persistence.Columns{0xf0: {Count: 1, Extract: extract}}
		},
		"too many columns": func(c *persistence.StoreConfig) {
			c.Columns = map[persistence.Table]persistence.Columns{1: {Count: persistence.ColumnsMax + 1, Extract: extract}}
		},
		"columns from nowhere": func(c *persistence.StoreConfig) {
			c.Columns = map[persistence.Table]persistence.Columns{1: {Count: 1}}
		},
	} {
		cfg := persistence.DefaultStoreConfig()
		change(&cfg)
		if store, err := persistence.Open(t.TempDir(), cfg); err == nil {
			_ = store.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
