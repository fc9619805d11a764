package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/messages"
)

// settleWithin is how long the nodes may take, once all cables and processes are well,
// to finish what was begun and to agree who does what.
const settleWithin = 30 * time.Second

// check ends the load and holds everything against what the clients were told. The
// nodes are stopped by it.
func (f *fleet) check(l *load) {
	f.Helper()
	l.stop()
	for _, n := range f.nodes {
		n.awaitReady()
	}
	f.awaitFinal()
	f.checkOwners()
	f.checkBreakers()
	f.checkRecords(l)
	if err := linearizable(l.history); err != nil {
		f.Error(err)
	}
	f.stopAll()
	f.checkDisks(l)
	f.checkLogs()
	f.say("checked")
}

// awaitFinal waits until no payment is open any more, by the word of every node.
func (f *fleet) awaitFinal() {
	f.Helper()
	for _, n := range f.nodes {
		c := newCaller(f, n)
		defer c.close()
		f.await(settleWithin, "all payments are final at "+n.name, func() error {
			for _, state := range []messages.StatusFilter{"draft", "executed"} {
				var page messages.DisbursementsResult
				params := &messages.DisbursementsParams{Status: state, Page: messages.Page{Limit: 1}}
				if err := c.try(0, callTimeout, messages.MethodDisbursements, params, &page); err != nil {
					return err
				}
				if len(page.Disbursements) > 0 {
					return fmt.Errorf("%d is %s", page.Disbursements[0].Disbursement.ID, state)
				}
			}
			return nil
		})
	}
}

// checkOwners waits until the nodes name the same owner and fence for every shard, and
// exactly the owner does its work; never may two do it under the same fence.
func (f *fleet) checkOwners() {
	f.Helper()
	f.await(settleWithin, "each shard has one owner", func() error {
		owners := make(map[messages.ShardID]messages.ShardInfo)
		active := make(map[messages.ShardID]string)
		for _, n := range f.nodes {
			c := newCaller(f, n)
			var placement messages.PlacementResult
			err := c.try(0, callTimeout, messages.MethodClusterPlacement, &messages.NoParams{Options: local()}, &placement)
			c.close()
			if err != nil {
				return err
			}
			for _, s := range placement.Shards {
				other, seen := owners[s.Shard]
				if seen && (other.Owner != s.Owner || other.Fence != s.Fence) {
					return fmt.Errorf("shard %d: %s under fence %d, by %s %s under fence %d",
						s.Shard, other.Owner, other.Fence, n.name, s.Owner, s.Fence)
				}
				owners[s.Shard] = s
				if s.Active && s.Owner != n.name {
					return fmt.Errorf("shard %d is worked on by %s and belongs to %s", s.Shard, n.name, s.Owner)
				}
				if s.Active {
					active[s.Shard] = n.name
				}
			}
		}
		if len(owners) == 0 || len(active) != len(owners) {
			return fmt.Errorf("of %d shards %d are worked on", len(owners), len(active))
		}
		return nil
	})
}

// checkBreakers waits until no node has an open breaker.
func (f *fleet) checkBreakers() {
	f.Helper()
	for _, n := range f.nodes {
		c := newCaller(f, n)
		defer c.close()
		f.await(settleWithin, "the breakers of "+n.name+" are closed", func() error {
			var result messages.BreakersResult
			err := c.try(0, callTimeout, messages.MethodSupervisionBreakers, &messages.BreakersParams{NotClosed: true}, &result)
			if err == nil && len(result.Breakers) > 0 {
				err = fmt.Errorf("%+v", result.Breakers[0])
			}
			return err
		})
	}
}

// checkRecords reads what each node serves and holds it against what was asked for and
// against the other nodes'. What was acknowledged is held against their disks.
func (f *fleet) checkRecords(l *load) {
	f.Helper()
	all := make([]map[messages.DisbursementID]*messages.DisbursementRow, len(f.nodes))
	var reading sync.WaitGroup
	for i, n := range f.nodes {
		reading.Go(func() { all[i] = f.records(n) })
	}
	reading.Wait()
	for i, n := range f.nodes {
		f.checkServed(n, l, all[i])
	}
	for i, n := range f.nodes[1:] {
		for _, id := range slices.Sorted(maps.Keys(all[0])) {
			if diff := cmp.Diff(all[0][id], all[i+1][id]); diff != "" {
				f.Errorf("%d differs between %s - and %s +:\n%s", id, f.nodes[0].name, n.name, diff)
				break
			}
		}
		if len(all[0]) != len(all[i+1]) {
			f.Errorf("%s has %d records, %s has %d", f.nodes[0].name, len(all[0]), n.name, len(all[i+1]))
		}
	}
}

// records reads what a node has, from its own Store.
func (f *fleet) records(n *node) map[messages.DisbursementID]*messages.DisbursementRow {
	c := newCaller(f, n)
	defer c.close()
	rows := make(map[messages.DisbursementID]*messages.DisbursementRow)
	params := &messages.DisbursementsParams{Options: local(), Page: messages.Page{Limit: 1000}}
	for {
		var page messages.DisbursementsResult
		if _, err := c.call(messages.MethodDisbursements, params, &page); err != nil {
			f.Errorf("list the records of %s: %v", n.name, err)
			return rows
		}
		for _, row := range page.Disbursements {
			rows[row.Disbursement.ID] = row
		}
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			return rows
		}
	}
}

// checkServed finds payments that a node has twice, or that nobody asked for.
func (f *fleet) checkServed(n *node, l *load, rows map[messages.DisbursementID]*messages.DisbursementRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byRequest, byTransaction := make(map[string]messages.DisbursementID), make(map[string]messages.DisbursementID)
	for id, row := range rows {
		d := &row.Disbursement
		if hash := d.Status.TxHash; hash != "" {
			if other, taken := byTransaction[hash]; taken {
				f.Errorf("at %s %d and %d have the same transaction %s", n.name, id, other, hash)
			}
			byTransaction[hash] = id
		}
		if d.Proposal != nil {
			continue
		}
		if other, twice := byRequest[d.Memo]; twice {
			f.Errorf("at %s %s is both %d and %d", n.name, d.Memo, id, other)
		}
		byRequest[d.Memo] = id
		if !l.asked[d.Memo] {
			f.Errorf("at %s %d pays for %q, which nobody asked for", n.name, id, d.Memo)
		}
		if d.Status.State != messages.Finalized {
			f.Errorf("at %s %d is %s", n.name, id, d.Status.State)
		}
	}
}

// checkDisks rebuilds each node's books from its disk, at the same index, and holds
// them against their own rules, what was acknowledged, and one another.
func (f *fleet) checkDisks(l *load) {
	f.Helper()
	var dirs []check.Dir
	for _, n := range f.nodes {
		dirs = append(dirs, check.Dir{Name: n.name, Data: n.data})
	}
	done, err := check.Dirs(f.Context(), dirs, 0, f.dir, &l.ledger)
	f.must(err)
	for _, v := range done.Verdicts() {
		f.say("%s", v.Text)
		if !v.Kept {
			f.Errorf("on the disks: %s", v.Text)
		}
	}
}
