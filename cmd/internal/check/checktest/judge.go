package checktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Layout says which shards there are.
type Layout struct {
	Graph           int // shards of disbursements, from 0
	Executor, Clock messages.ShardID
}

// Judge reads the log beside the nodes and derives each decision anew, from the log alone:
// who may make it, when, under which nonce, with whose money. It trusts no condition that a
// Txn bears, and wants those who decided to have borne the fence that makes them the ones
// to decide. It knows the rules only as they are written down, so that code which forgets
// one does not judge itself.
type Judge struct {
	layout   Layout
	index    uint64
	counters map[string]int64
	owners   map[messages.ShardID]messages.Fence
	requests map[string]uint64
	lives    map[messages.DisbursementID]*life
	// holds says which disbursement an outside nonce was given to last; taken, what the
	// chain took.
	holds  map[uint64]messages.DisbursementID
	taken  map[uint64]bool
	skips  map[uint64]bool // nonces on which a null transaction stands against a payment
	claims map[persistence.Key]bool
}

// life is one disbursement as the log has it.
type life struct {
	disbursement.Record
	entered map[messages.State]messages.Epoch // the epoch at the commit
}

// NewJudge begins with an empty log.
func NewJudge(layout Layout) *Judge {
	return &Judge{
		layout: layout, counters: make(map[string]int64), owners: make(map[messages.ShardID]messages.Fence),
		requests: make(map[string]uint64), lives: make(map[messages.DisbursementID]*life),
		holds: make(map[uint64]messages.DisbursementID), taken: make(map[uint64]bool), skips: make(map[uint64]bool), claims: make(map[persistence.Key]bool),
	}
}

// Epoch is the treasury's clock after the last entry.
func (j *Judge) Epoch() messages.Epoch { return messages.Epoch(j.counters[rows.CounterEpoch]) }

// Entry judges what was carried out of an entry, and says what should not have been. Entries
// come in their order; one that was judged before is passed over.
func (j *Judge) Entry(index uint64, txns []*persistence.Txn, results []persistence.Result) error {
	if index <= j.index {
		return nil
	}
	j.index = index
	var wrong []error
	for i, txn := range txns {
		if i < len(results) && results[i].Status == persistence.Committed {
			if err := j.judge(txn, &results[i]); err != nil {
				wrong = append(wrong, fmt.Errorf("entry %d: %w", index, err))
			}
		}
	}
	return errors.Join(wrong...)
}

func (j *Judge) judge(txn *persistence.Txn, result *persistence.Result) error {
	d := &deed{Judge: j, Txn: txn, first: result.First, fences: make(map[messages.ShardID]bool), money: make(map[string]int64)}
	d.authority()
	d.request()
	d.appends()
	d.writes()
	d.nonces()
	d.books()
	for _, a := range txn.Assigns {
		j.owners[a.Shard] = a.From + 1
	}
	return errors.Join(d.wrong...)
}

// deed is one Txn under judgement.
type deed struct {
	*Judge
	*persistence.Txn
	first  uint64
	fences map[messages.ShardID]bool // it bears, and they are the newest
	money  map[string]int64          // what its moves do to balances
	staged []messages.DisbursementID
	wrong  []error
}

func (d *deed) fault(format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Errorf(format, args...))
}

// wants demands the fence of a shard.
func (d *deed) wants(shard messages.ShardID, what string) {
	if !d.fences[shard] {
		d.fault("I4: %s without the fence of shard %d", what, shard)
	}
}

// wantsAny demands the fence of any shard of disbursements.
func (d *deed) wantsAny(what string) {
	if !slices.ContainsFunc(d.Fences, func(f persistence.ShardFence) bool { return int(f.Shard) < d.layout.Graph }) {
		d.fault("I4: %s without the fence of a shard of disbursements", what)
	}
}

func (d *deed) shardOf(id messages.DisbursementID) messages.ShardID {
	return messages.ShardID(uint64(id) % uint64(d.layout.Graph))
}

// authority holds that whoever speaks for a shard owns it, and that what is the treasury's
// was changed by somebody who does.
func (d *deed) authority() {
	for _, f := range d.Fences {
		if newest := d.owners[f.Shard]; f.Fence != newest {
			d.fault("I4: it was committed under fence %d of shard %d, the newest is %d", f.Fence, f.Shard, newest)
		}
		d.fences[f.Shard] = true
	}
	for _, a := range d.Assigns {
		if newest := d.owners[a.Shard]; a.From != newest {
			d.fault("I4: shard %d is given away under fence %d, the newest is %d", a.Shard, a.From, newest)
		}
	}
	for _, a := range d.Adds {
		switch a.Counter {
		case rows.CounterEpoch:
			d.wants(d.layout.Clock, "an epoch begins")
			if a.Delta != 1 {
				d.fault("the epoch moves by %d", a.Delta)
			}
		case rows.CounterNonce, rows.CounterChainNonce, rows.CounterConfirmed, rows.CounterLine:
			d.wants(d.layout.Executor, a.Counter+" moves")
		case rows.CounterTreasury, rows.CounterAccruals, rows.CounterAccounts:
			if len(d.Fences) == 0 {
				d.fault("I4: %s changes, and nobody's fence is on it", a.Counter)
			}
		}
	}
	var keys []persistence.Key
	for _, w := range d.Writes {
		keys = append(keys, w.Key)
	}
	for _, key := range slices.Concat(keys, d.Deletes) {
		switch key.Table() {
		case rows.TableIntents, rows.TableSent:
			d.wants(d.layout.Executor, "an intent changes")
		case rows.TableSettings, rows.TableReversals:
			if len(d.Fences) == 0 {
				d.fault("I4: %s is written, and nobody's fence is on it", key.Name())
			}
		}
	}
}

// request holds that no request is carried out twice (I1).
func (d *deed) request() {
	if d.RequestID == "" {
		return
	}
	if before, again := d.requests[d.RequestID]; again {
		d.fault("I1: request %q was carried out by entry %d already", d.RequestID, before)
	}
	d.requests[d.RequestID] = d.index
}

// appends takes new disbursements.
func (d *deed) appends() {
	for i, a := range d.Appends {
		if a.Table != rows.TableDisbursements {
			continue
		}
		d.wantsAny("a disbursement begins")
		id := messages.DisbursementID(d.first + uint64(i))
		value := slices.Clone(a.Value)
		for _, s := range a.Slots {
			if s.Number != persistence.SlotIndex {
				binary.BigEndian.PutUint64(value[s.Offset:], d.first+uint64(s.Number))
			}
		}
		r, err := disbursement.DecodeRecord(value)
		switch {
		case err != nil:
			d.fault("disbursement %d: %w", id, err)
			continue
		case d.lives[id] != nil:
			d.fault("I1: disbursement %d is there already", id)
		case r.State != messages.Draft || r.Staged || len(r.Votes) > 0:
			d.fault("disbursement %d begins as %s", id, r.State)
		}
		for _, dep := range r.Deps {
			if within := uint64(dep) >= d.first && uint64(dep) < d.first+uint64(len(d.Appends)); within {
				continue
			}
			if before := d.lives[dep]; before == nil || before.State == messages.RolledBack {
				d.fault("I8: disbursement %d begins with dependency %d, which does not exist or was rolled back", id, dep)
			}
		}
		d.lives[id] = &life{r, map[messages.State]messages.Epoch{messages.Draft: d.Epoch()}}
	}
}

// writes judges what becomes of disbursements. The moves of one Txn are judged by what was
// before all of them.
func (d *deed) writes() {
	after := make(map[messages.DisbursementID]*life)
	for _, w := range d.Writes {
		if w.Key.Table() != rows.TableDisbursements {
			continue
		}
		number, _ := w.Key.Number()
		id := messages.DisbursementID(number)
		before := d.lives[id]
		r, err := disbursement.DecodeRecord(w.Value)
		if err != nil || before == nil {
			d.fault("disbursement %d is written, and was there before: %t: %w", id, before != nil, err)
			continue
		}
		if w.Tag != r.Tag() {
			d.fault("disbursement %d is tagged %d, and it is %s", id, w.Tag, r.State)
		}
		now := &life{r, maps.Clone(before.entered)}
		if r.State != before.State {
			now.entered[r.State] = d.Epoch()
		}
		d.same(id, before, now)
		d.move(id, before, now)
		after[id] = now
	}
	maps.Copy(d.lives, after)
}

// same holds what never changes.
func (d *deed) same(id messages.DisbursementID, before, now *life) {
	if !reflect.DeepEqual(before.Payload, now.Payload) || !slices.Equal(before.Deps, now.Deps) ||
		before.CreatedAt != now.CreatedAt || before.CreatedEpoch != now.CreatedEpoch {
		d.fault("disbursement %d is no longer what was submitted", id)
	}
	steps := len(before.Transitions)
	if now.State != before.State {
		steps++
	}
	if len(now.Transitions) != steps || now.Transitions[steps-1].State != now.State {
		d.fault("disbursement %d is %s after %s, and has %d transitions after %d", id, now.State, before.State,
			len(now.Transitions), len(before.Transitions))
	}
	if before.State != messages.Voting && !slices.Equal(before.Votes, now.Votes) {
		d.fault("disbursement %d: votes change while it is %s", id, before.State)
	}
}

// move judges one step.
func (d *deed) move(id messages.DisbursementID, before, now *life) {
	shard, epoch := d.shardOf(id), d.Epoch()
	early := func(due messages.Epoch, what string) {
		if epoch < due {
			d.fault("disbursement %d %s at epoch %d, which it may from %d on", id, what, epoch, due)
		}
	}
	p := now.Payload.Proposal
	amount, payee := int64(now.Payload.Disbursement.Amount), now.Payload.Disbursement.Destination
	pay := func(from, to string) {
		d.money[from] -= amount
		d.money[to] += amount
	}
	switch from, to := before.State, now.State; {
	case before.Staged && from == to && now.Staged:
		d.wants(d.layout.Executor, "a staged payment changes")
	case before.Staged && to == messages.Executed:
		d.wants(d.layout.Executor, "a payment is recorded")
		pay(disbursement.AccountInFlight, payee)
		if before.Nonce != now.Nonce || before.TxHash != now.TxHash || !now.Outside || now.ExecutedEpoch != epoch {
			d.fault("disbursement %d is not executed as it was staged: nonce %d, then %d", id, before.Nonce, now.Nonce)
		}
		if !d.takes(now.Nonce) {
			d.fault("disbursement %d is executed, and nonce %d is not noted as taken", id, now.Nonce)
		}
	case before.Staged && to == messages.RolledBack:
		d.wants(d.layout.Executor, "a payment is given up")
		pay(disbursement.AccountInFlight, rows.CounterTreasury)
		if d.holds[before.Nonce] == id {
			delete(d.holds, before.Nonce)
		}
		if d.skips[before.Nonce] && !d.takes(before.Nonce) {
			d.fault("I3: disbursement %d was skipped, and nonce %d is not noted as taken", id, before.Nonce)
		}
	case now.Staged && from == to && !before.Staged:
		d.payable(id, before, early)
		pay(rows.CounterTreasury, disbursement.AccountInFlight)
		d.staged = append(d.staged, id)
	case to == messages.Executed:
		d.payable(id, before, early)
		pay(rows.CounterTreasury, payee)
		if last := uint64(d.counters[rows.CounterNonce]); now.Nonce != last+1 || now.Outside || now.ExecutedEpoch != epoch {
			d.fault("disbursement %d is executed under nonce %d, after %d", id, now.Nonce, last)
		}
	case from == messages.Voting && to == from:
		d.wants(shard, "a vote is counted")
		if epoch >= before.VoteDeadlineEpoch {
			d.fault("disbursement %d takes a vote at epoch %d, and the vote ended at %d", id, epoch, before.VoteDeadlineEpoch)
		}
		d.vote(id, before, now)
	case from == messages.Draft && to == messages.Voting:
		d.wants(shard, "a vote is opened")
		if now.VoteDeadlineEpoch != later(epoch, p.VoteWindowEpochs) {
			d.fault("disbursement %d opens its vote at epoch %d until %d, with a window of %d", id, epoch, now.VoteDeadlineEpoch, p.VoteWindowEpochs)
		}
	case from == messages.Voting && to == messages.Queued:
		d.wants(shard, "a vote is closed")
		early(later(before.entered[messages.Voting], p.VoteWindowEpochs), "is queued")
		if now.ActivationEpoch != later(epoch, p.TimelockEpochs) {
			d.fault("disbursement %d is queued at epoch %d until %d, with a timelock of %d", id, epoch, now.ActivationEpoch, p.TimelockEpochs)
		}
		if !carried(before) {
			d.fault("disbursement %d is queued without its quorum", id)
		}
	case from == messages.Queued && to == messages.Timelocked:
		d.wants(shard, "a timelock ends")
		early(later(before.entered[messages.Queued], p.TimelockEpochs), "is timelocked")
	case from == messages.Executed && to == messages.Finalized:
		d.wants(shard, "a payment becomes final")
		early(later(before.entered[messages.Executed], before.RollbackWindow()), "is finalized")
		if confirmed := uint64(d.counters[rows.CounterConfirmed]); before.Outside && before.Nonce > confirmed {
			d.fault("disbursement %d is finalized under nonce %d, and the chain has confirmed %d", id, before.Nonce, confirmed)
		}
	case from == messages.Executed && to == messages.RolledBack:
		d.wants(shard, "a payment is taken back")
		pay(payee, rows.CounterTreasury)
		d.takenBack(id, before, now)
	case to == messages.RolledBack && !before.Staged && from != messages.Finalized && from != messages.RolledBack:
		d.cancelled(id, before, now, early)
	default:
		d.fault("disbursement %d becomes %s (staged: %t) after %s (staged: %t)", id, to, now.Staged, from, before.Staged)
	}
}

// payable holds that a disbursement may be paid now.
func (d *deed) payable(id messages.DisbursementID, before *life, early func(messages.Epoch, string)) {
	d.wants(d.layout.Executor, "a payment is made")
	if !before.AwaitsExecution() {
		d.fault("disbursement %d is paid, and was %s (staged: %t)", id, before.State, before.Staged)
	}
	early(before.Payload.Disbursement.ScheduledEpoch, "is paid")
	for _, dep := range before.Deps {
		if other := d.lives[dep]; other == nil || other.State != messages.Finalized {
			d.fault("I5: disbursement %d is paid before its dependency %d is final", id, dep)
		}
	}
}

// vote holds that one voter has spoken, and no house more than as a whole.
func (d *deed) vote(id messages.DisbursementID, before, now *life) {
	type seat struct {
		house messages.House
		voter string
	}
	said := make(map[seat]disbursement.Vote)
	for _, v := range before.Votes {
		said[seat{v.House, v.Voter}] = v
	}
	weights, changed := make(map[messages.House]messages.PPM), 0
	for _, v := range now.Votes {
		at := seat{v.House, v.Voter}
		if old, known := said[at]; !known || old != v {
			changed++
		}
		delete(said, at)
		weights[v.House] += v.WeightPPM
		if weights[v.House] > messages.PPMMax {
			d.fault("disbursement %d: the %s have %d ppm of a vote", id, v.House, weights[v.House])
		}
	}
	if len(said) > 0 || changed > 1 {
		d.fault("disbursement %d: %d votes change at once, %d are gone", id, changed, len(said))
	}
}

// carried counts the votes.
func carried(l *life) bool {
	approved := make(map[messages.House]messages.PPM)
	for _, v := range l.Votes {
		if v.Approve {
			approved[v.House] += v.WeightPPM
		}
	}
	q := l.Payload.Proposal.Quorum
	return approved[messages.Operators] >= q.OperatorsPPM && approved[messages.Builders] >= q.BuildersPPM
}

// takenBack holds that a payment could be taken back, and once only.
func (d *deed) takenBack(id messages.DisbursementID, before, now *life) {
	end := later(before.entered[messages.Executed], before.RollbackWindow())
	open := before.Outside && before.Nonce > uint64(d.counters[rows.CounterConfirmed])
	if d.Epoch() >= end && !open {
		d.fault("disbursement %d is taken back at epoch %d, and its window ended at %d", id, d.Epoch(), end)
	}
	if !before.Outside {
		return
	}
	key := rows.TransferKey(now.ReversingTx)
	claimed := slices.ContainsFunc(d.Writes, func(w persistence.Write) bool { return w.Key == key })
	if now.ReversingTx == "" || !claimed || d.claims[key] {
		d.fault("I3: disbursement %d was paid outside and is taken back by %q, which is claimed with it: %t, and was before: %t",
			id, now.ReversingTx, claimed, d.claims[key])
	}
}

// cancelled holds that a vote that failed had failed, and that what fails with another
// does: a shard takes along, in one Txn, what depends on its own in other shards.
func (d *deed) cancelled(id messages.DisbursementID, before, now *life, early func(messages.Epoch, string)) {
	cascades := now.Root != 0 || strings.HasPrefix(now.Reason, "dependency_failed")
	if !cascades {
		d.wants(d.shardOf(id), "a disbursement is cancelled")
	}
	switch {
	case now.Reason == "quorum_not_reached":
		early(before.VoteDeadlineEpoch, "fails for want of votes")
		if before.State != messages.Voting || carried(before) {
			d.fault("disbursement %d fails for want of votes, and was carried", id)
		}
	case cascades:
		d.wantsAny("a disbursement fails with another")
		if !slices.ContainsFunc(now.Deps, d.fails) {
			d.fault("disbursement %d fails with a dependency, and none has failed", id)
		}
	}
}

// fails reports whether a disbursement was rolled back, or is by this Txn.
func (d *deed) fails(id messages.DisbursementID) bool {
	return d.lives[id] != nil && d.lives[id].State == messages.RolledBack ||
		slices.ContainsFunc(d.Writes, func(w persistence.Write) bool {
			return w.Key == rows.RecordKey(id) && w.Tag == byte(messages.RolledBack)
		})
}

// takes reports whether the Txn notes that the chain took a nonce.
func (d *deed) takes(nonce uint64) bool {
	return slices.ContainsFunc(d.Writes, func(w persistence.Write) bool { return w.Key == rows.SentKey(nonce) })
}

// nonces holds that each of the outside chain's is given to one payment, and never again
// once the chain has taken it.
func (d *deed) nonces() {
	for _, id := range d.staged {
		nonce := d.lives[id].Nonce
		if other, held := d.holds[nonce]; held {
			d.fault("I3: disbursement %d is staged under nonce %d, which %d has", id, nonce, other)
		}
		if d.taken[nonce] || d.takes(nonce) {
			d.fault("I3: disbursement %d is staged under nonce %d, which the chain has taken", id, nonce)
		}
		d.holds[nonce] = id
	}
	for _, w := range d.Writes {
		number, numbered := w.Key.Number()
		switch w.Key.Table() {
		case rows.TableSent:
			if d.taken[number] {
				d.fault("I3: nonce %d is taken twice", number)
			}
			d.taken[number] = numbered
		case rows.TableIntents:
			if d.taken[number] {
				d.fault("I3: an intent wants nonce %d, which the chain has taken", number)
			}
			d.skips[number] = payout.Kind(w.Tag) == payout.Skip
		}
	}
}

// books holds that money moves as the moves say, that none appears or is lost, and that no
// transfer into the treasury counts twice (I2).
func (d *deed) books() {
	changed := make(map[string]int64)
	for _, a := range d.Adds {
		changed[a.Counter] += a.Delta
		d.counters[a.Counter] += a.Delta
	}
	d.money[rows.CounterTreasury] += changed[rows.CounterAccruals]
	accounts := int64(0)
	for name, want := range d.money {
		counter := name
		if name != rows.CounterTreasury {
			counter = rows.CounterAccount(name)
			accounts += want
		}
		if changed[counter] != want {
			d.fault("I2: %s changes by %d, the moves are worth %d", counter, changed[counter], want)
		}
		if d.counters[counter] < 0 {
			d.fault("I2: %s is %d", counter, d.counters[counter])
		}
		delete(changed, counter)
	}
	if changed[rows.CounterAccounts] != accounts || changed[rows.CounterAccruals] < 0 {
		d.fault("I2: accounts change by %d, the moves are worth %d", changed[rows.CounterAccounts], accounts)
	}
	for counter, delta := range changed {
		if strings.HasPrefix(counter, rows.CounterAccount("")) && delta != 0 {
			d.fault("I2: %s changes by %d, and nothing moves", counter, delta)
		}
	}
	for _, w := range d.Writes {
		if w.Key.Table() != rows.TableReversals {
			continue
		}
		if d.claims[w.Key] {
			d.fault("I2: the transfer %s counts twice", w.Key.Name())
		}
		d.claims[w.Key] = true
	}
}

// later is an epoch a window after another; what is out of reach never comes.
func later(epoch, window messages.Epoch) messages.Epoch {
	if epoch > math.MaxUint64-window {
		return math.MaxUint64
	}
	return epoch + window
}
