package persistence_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/the-block/bursar/persistence"
)

// auditing is a Store whose submissions are leaves of the audit tree, from the level on.
func auditing() persistence.StoreConfig {
	cfg := persistence.DefaultStoreConfig()
	cfg.Audited = []persistence.Key{persistence.NameKey(audited, "")}
	return cfg
}

// BenchmarkApplyAudited is BenchmarkApplySubmission and BenchmarkApplyPayment with the tree
// and without it, in pairs.
func BenchmarkApplyAudited(b *testing.B) {
	for _, c := range []struct {
		what string
		make func(int) *persistence.Txn
		held int
	}{{"submission", nil, 10_000}, {"payment", payment, 200_000}} {
		for _, size := range []int{1, 32, 1024} {
			for what, cfg := range map[string]persistence.StoreConfig{"plain": persistence.DefaultStoreConfig(), "tree": auditing()} {
				b.Run(fmt.Sprintf("%s/batch=%d/%s", c.what, size, what), func(b *testing.B) {
					benchmarkApply(b, cfg, size, c.make, c.held)
				})
			}
		}
	}
}

// BenchmarkProof proves random leaves of a large tree.
func BenchmarkProof(b *testing.B) {
	const leaves = 10_000_000
	fsm := persistence.NewFSM(openStoreOf(b, auditing()))
	write := &persistence.Txn{Level: persistence.LevelAudit, Writes: []persistence.Write{{Key: persistence.RecordKey(audited, 1), Value: []byte("row")}}}
	var txns []*persistence.Txn
	for range 1000 {
		txns = append(txns, write)
	}
	entry := entryOf(b, txns...)
	for index := range uint64(leaves / 1000) {
		mustApply(b, fsm, index+1, entry)
	}
	for what, prove := range map[string]func(*persistence.Tree, uint64) ([]persistence.TreeHash, error){
		"leaf":    func(t *persistence.Tree, n uint64) ([]persistence.TreeHash, error) { return t.Prove(n, leaves) },
		"extends": func(t *persistence.Tree, n uint64) ([]persistence.TreeHash, error) { return t.ProveExtends(n, leaves) },
		"root": func(t *persistence.Tree, n uint64) ([]persistence.TreeHash, error) {
			_, err := t.Root(n)
			return nil, err
		},
	} {
		b.Run(what, func(b *testing.B) {
			longest := 0
			for b.Loop() {
				inTree(b, fsm.Store(), func(t *persistence.Tree) error {
					proof, err := prove(t, 1+rand.Uint64N(leaves))
					longest = max(longest, 32*len(proof))
					return err
				})
			}
			b.ReportMetric(float64(longest), "bytes")
		})
	}
}

func openStoreOf(b *testing.B, cfg persistence.StoreConfig) *persistence.Store {
	store, err := persistence.Open(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}
