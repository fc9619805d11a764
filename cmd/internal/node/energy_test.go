package node_test

import (
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

// meter is an oracle of a test: its key and what it said last.
type meter struct {
	signer  signing.Signer
	id      messages.ProviderID
	address string
	nonce   uint64
	kwh     uint64
	at      uint64
}

var meters atomic.Uint64

// raw is bytes as a wire takes them.
func raw(c caller, b []byte) any {
	if _, json := c.(*web); json {
		return hex.EncodeToString(b)
	}
	return b
}

// bytesOf is raw the other way.
func bytesOf(t *testing.T, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		t.Fatalf("%v are no bytes", v)
	}
	if len(text) == 32 { // the raw ones of MessagePack
		return hex.EncodeToString([]byte(text))
	}
	return text
}

func registration(m *meter, c caller) object {
	public := m.signer.Public()
	return object{"owner": "tb1owner", "capacity_kwh": 1_000_000, "price_per_kwh": 5, "jurisdiction": "DE",
		"meter_address": m.address, "stake": 1_000, "public_key": raw(c, public[:])}
}

// newMeter registers a provider.
func newMeter(t *testing.T, c caller, edits ...object) *meter {
	t.Helper()
	n := meters.Add(1)
	m := &meter{signer: signing.NewSigner([32]byte{byte(n), byte(n >> 8), 1}), address: fresh("meter"), at: uint64(time.Now().Unix()) - 250}
	params := registration(m, c)
	for _, edit := range edits {
		params = with(params, edit)
	}
	text := must(t, c, "energy.register_provider", params)["provider_id"].(string)
	var ok bool
	if m.id, ok = messages.ParseProviderID(text); !ok {
		t.Fatalf("provider_id %q", text)
	}
	return m
}

// reading makes the next reading, which used so many kWh more.
func (m *meter) reading(c caller, used uint64, edits ...func(*messages.Reading)) object {
	m.nonce, m.kwh, m.at = m.nonce+1, m.kwh+used, m.at+1
	r := messages.Reading{Provider: m.id, Meter: m.address, KWh: m.kwh, Timestamp: m.at, Nonce: m.nonce}
	for _, edit := range edits {
		edit(&r)
	}
	m.signer.SignReading(&r)
	return object{"provider_id": r.Provider.String(), "meter_address": r.Meter, "kwh_reading": r.KWh,
		"timestamp": r.Timestamp, "nonce": r.Nonce, "signature": raw(c, r.Signature[:])}
}

// settle sells some of a reading to a buyer.
func settlement(m *meter, c caller, hash string, kwh int) object {
	b, _ := hex.DecodeString(hash)
	return object{"provider_id": m.id.String(), "buyer": "tb1buyer", "kwh": kwh, "meter_hash": raw(c, b)}
}

func TestAReadingBecomesACreditAndIsSettled(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			m := newMeter(t, c)
			first := must(t, c, "energy.submit_reading", m.reading(c, 1000))
			if first["credit_kwh"] != int64(1000) {
				t.Errorf("credit %v, want 1000: the first reading counts from 0", first)
			}
			hash := bytesOf(t, first["meter_hash"])
			if second := must(t, c, "energy.submit_reading", m.reading(c, 250)); second["credit_kwh"] != int64(250) {
				t.Errorf("credit %v, want 250", second)
			}
			before := integer(must(t, c, "gov.treasury.balance", object{})["balance"])
			state := must(t, c, "energy.market_state", object{"provider_id": m.id.String()})
			fee := integer(state["fee_bps"])
			params := with(settlement(m, c, hash, 400), object{"request_id": fresh("settle")})
			receipt := must(t, c, "energy.settle", params)["receipt"].(object)
			want := 2000 * fee / 10_000
			if integer(receipt["price"]) != 2000 || integer(receipt["treasury_fee"]) != want || integer(receipt["slash"]) != 0 ||
				receipt["provider_id"] != m.id.String() || receipt["buyer"] != "tb1buyer" || bytesOf(t, receipt["meter_hash"]) != hash {
				t.Errorf("receipt %v, want price 2000, fee %d", receipt, want)
			}
			again := must(t, c, "energy.settle", params)
			if again["duplicate"] != true || fmt.Sprint(again["receipt"]) != fmt.Sprint(receipt) {
				t.Errorf("a repeat answers %v, first %v", again, receipt)
			}
			if got := integer(must(t, c, "gov.treasury.balance", object{})["balance"]); got != before+want {
				t.Errorf("the treasury has %d, want %d and the fee of %d", got, before, want)
			}
			row := must(t, c, "gov.treasury.balance_history", object{"limit": 1})["snapshots"].([]any)[0].(object)
			if row["event"] != "accrual" || integer(row["delta"]) != want || row["disbursement_id"] != nil {
				t.Errorf("the fee's row of the balance history is %v", row)
			}
			refused(t, c, -33006, "provider_inactive", "energy.settle", settlement(m, c, hash, 601), "of which 600 are left")
			must(t, c, "energy.settle", settlement(m, c, hash, 600))

			p := must(t, c, "energy.market_state", object{"provider_id": m.id.String()})["providers"].([]any)[0].(object)
			for key, want := range map[string]int64{"available_kwh": 999_000, "minted_kwh": 1250, "settled_kwh": 1000, "last_nonce": 2,
				"last_kwh": 1250, "readings": 2, "stake": 1000, "capacity_ppm": 750_000} {
				if integer(p[key]) != want {
					t.Errorf("%s = %v, want %d", key, p[key], want)
				}
			}
			mine := object{"provider_id": m.id.String()}
			receipts := must(t, c, "energy.receipts", mine)["receipts"].([]any)
			if len(receipts) != 2 || integer(receipts[0].(object)["kwh"]) != 600 || integer(receipts[1].(object)["kwh"]) != 400 {
				t.Errorf("receipts %v", receipts)
			}
			for status, want := range map[string]int{"": 2, "settled": 1, "outstanding": 1, "disputed": 0} {
				if got := must(t, c, "energy.credits", with(mine, object{"status": status}))["credits"].([]any); len(got) != want {
					t.Errorf("%d credits are %q, want %d", len(got), status, want)
				}
			}
			if got := must(t, c, "energy.slashes", mine)["slashes"].([]any); len(got) != 0 {
				t.Errorf("slashes %v", got)
			}
		})
	}
}

// Each fault has its code, in the order of the contract, over both wires.
func TestReadingsAreRefusedWithTheirCodes(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			const method = "energy.submit_reading"
			m := newMeter(t, c)
			accepted := m.reading(c, 100)
			must(t, c, method, accepted)
			replayed := refused(t, c, -33007, "nonce_replay", method, accepted, "nonce 1 was used")
			if replayed.data["duplicate"] != true || integer(replayed.data["credit_kwh"]) != 100 || integer(replayed.data["last_nonce"]) != 1 {
				t.Errorf("a replay tells %v", replayed.data)
			}
			stranger := *m
			stranger.id = 1 << 31
			refused(t, c, -33006, "provider_inactive", method, stranger.reading(c, 1), "energy-0x80000000 is not known")
			refused(t, c, -33008, "timestamp_skew", method, m.reading(c, 1, func(r *messages.Reading) { r.Timestamp -= 1000 }), "at most 300")
			forged := m.reading(c, 1)
			forged["kwh_reading"] = 1 << 40
			refused(t, c, -33001, "signature_invalid", method, forged)
			refused(t, c, -33003, "meter_mismatch", method, m.reading(c, 1, func(r *messages.Reading) { r.Meter = "another" }), "another")
			refused(t, c, -33003, "meter_mismatch", method, m.reading(c, 1, func(r *messages.Reading) { r.KWh = 99 }), "below")
			refused(t, c, -33003, "meter_mismatch", method, m.reading(c, 1, func(r *messages.Reading) { r.Timestamp = accepted["timestamp"].(uint64) }), "not after")
			if got := must(t, c, method, m.reading(c, 0)); integer(got["credit_kwh"]) != 5 {
				t.Errorf("after all that the credit is %v, want what the register moved", got)
			}
			short := m.reading(c, 1)
			short["signature"] = raw(c, make([]byte, 63))
			refused(t, c, validationFailed, "validation_failed", method, short, "params.signature", "63 bytes, want 64")
			refused(t, c, invalidParams, "invalid_params", method, with(m.reading(c, 1), object{"kwh": 3}), "kwh", "kwh_reading")
			missing := m.reading(c, 1)
			delete(missing, "nonce")
			refused(t, c, invalidParams, "invalid_params", method, missing, "params.nonce: missing")
			refused(t, c, validationFailed, "validation_failed", method, with(m.reading(c, 1), object{"provider_id": "7"}), "energy-0x")
		})
	}
}

func TestABatchAnswersForEachReading(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			list := []*meter{newMeter(t, c), newMeter(t, c), newMeter(t, c)}
			var readings []any
			for i := range 240 {
				readings = append(readings, list[i%3].reading(c, 10))
			}
			bad := map[int]int64{7: -33001, 100: -33006, 200: -33007}
			readings[7].(object)["signature"] = raw(c, make([]byte, 64))
			readings[100].(object)["provider_id"] = "energy-0xffffffff"
			readings[200] = readings[197] // of the same provider
			outcomes := must(t, c, "energy.submit_readings", object{"readings": readings})["outcomes"].([]any)
			if len(outcomes) != 240 {
				t.Fatalf("%d outcomes", len(outcomes))
			}
			total := int64(0)
			for i, o := range outcomes {
				o := o.(object)
				total += integer(o["credit_kwh"])
				e, refused := o["error"].(object)
				if want, isBad := bad[i]; refused != isBad || refused && integer(e["code"]) != want {
					t.Errorf("reading %d: %v, want %d", i, o, want)
				}
			}
			if total != 2400 {
				t.Errorf("minted %d, want what the registers say", total)
			}
			many := make([]any, 257)
			for i := range many {
				many[i] = readings[0]
			}
			refused(t, c, validationFailed, "validation_failed", "energy.submit_readings", object{"readings": many}, "257 are more than 256")
			if got := must(t, c, "energy.submit_readings", object{"readings": []any{}})["outcomes"].([]any); len(got) != 0 {
				t.Errorf("outcomes of nothing: %v", got)
			}
		})
	}
}

func TestRegistrationsAndKeys(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			m := newMeter(t, c, object{"request_id": fresh("register")})
			params := registration(m, c)
			refused(t, c, validationFailed, "validation_failed", "energy.register_provider", params, "registered already, by this key")
			params["meter_address"], params["request_id"] = fresh("meter"), fresh("twice")
			first := must(t, c, "energy.register_provider", params)
			if again := must(t, c, "energy.register_provider", params); again["duplicate"] != true || again["provider_id"] != first["provider_id"] {
				t.Errorf("a repeat answers %v, first %v", again, first)
			}
			other := with(params, object{"meter_address": fresh("meter"), "request_id": fresh("other")})
			refused(t, c, -33006, "provider_inactive", "energy.register_provider", with(other, object{"stake": 999}), "999", "1000")
			refused(t, c, validationFailed, "validation_failed", "energy.register_provider", with(other, object{"public_key": raw(c, append([]byte{2}, make([]byte, 31)...))}), "not a point")
			refused(t, c, validationFailed, "validation_failed", "energy.register_provider", with(other, object{"public_key": raw(c, []byte{1})}), "1 bytes, want 32")

			next := signing.NewSigner([32]byte{99, byte(m.id), byte(m.id >> 8)})
			public := next.Public()
			rotate := func(by signing.Signer) object {
				s := by.Sign(signing.RotationDigest(m.id, public))
				return object{"provider_id": m.id.String(), "public_key": raw(c, public[:]), "signature": raw(c, s[:])}
			}
			must(t, c, "energy.submit_reading", m.reading(c, 5))
			refused(t, c, -33001, "signature_invalid", "energy.rotate_key", rotate(next))
			must(t, c, "energy.rotate_key", rotate(m.signer))
			refused(t, c, -33001, "signature_invalid", "energy.submit_reading", m.reading(c, 5))
			m.signer = next
			must(t, c, "energy.submit_reading", m.reading(c, 5))

			must(t, c, "energy.update_provider", object{"provider_id": m.id.String(), "price_per_kwh": 7, "capacity_kwh": 2_000_000, "stake_add": 5})
			p := must(t, c, "energy.market_state", object{"provider_id": m.id.String()})["providers"].([]any)[0].(object)
			if integer(p["price_per_kwh"]) != 7 || integer(p["available_kwh"]) != 2_000_000 || integer(p["stake"]) != 1005 {
				t.Errorf("after the update: %v", p)
			}
			refused(t, c, -33006, "provider_inactive", "energy.market_state", object{"provider_id": "energy-0xffffffff"}, "not known")
			refused(t, c, -33006, "provider_inactive", "energy.reinstate", object{"provider_id": m.id.String()}, "not suspended")
		})
	}
}

func TestDisputesHoldACredit(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			m := newMeter(t, c)
			hash := bytesOf(t, must(t, c, "energy.submit_reading", m.reading(c, 100))["meter_hash"])
			b, _ := hex.DecodeString(hash)
			flag := object{"meter_hash": raw(c, b), "reason": "too high", "reporter": "tb1neighbour", "type": "other", "request_id": fresh("flag")}
			dispute := must(t, c, "energy.flag_dispute", flag)
			if again := must(t, c, "energy.flag_dispute", flag); again["duplicate"] != true || again["dispute_id"] != dispute["dispute_id"] {
				t.Errorf("a repeat answers %v, first %v", again, dispute)
			}
			delete(flag, "request_id")
			refused(t, c, -33005, "settlement_conflict", "energy.flag_dispute", flag, "is open")
			refused(t, c, -33005, "settlement_conflict", "energy.flag_dispute", with(flag, object{"meter_hash": raw(c, make([]byte, 32))}), "no reading has the meter_hash")
			refused(t, c, validationFailed, "validation_failed", "energy.flag_dispute", with(flag, object{"type": "envy"}), "low_reading")
			refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, hash, 1), "disputed")
			resolve := object{"dispute_id": dispute["dispute_id"], "resolver": "op", "note": "as metered", "outcome": "resolved"}
			must(t, c, "energy.resolve_dispute", resolve)
			refused(t, c, -33005, "settlement_conflict", "energy.resolve_dispute", resolve, "resolved already")
			refused(t, c, -34002, "not_found", "energy.resolve_dispute", with(resolve, object{"dispute_id": 1 << 40}), "no dispute")
			must(t, c, "energy.settle", settlement(m, c, hash, 1))
			second := must(t, c, "energy.flag_dispute", with(flag, object{"type": "low_reading"}))
			must(t, c, "energy.resolve_dispute", with(resolve, object{"dispute_id": second["dispute_id"], "outcome": "slashed"}))
			refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, hash, 1), "void")
			list := must(t, c, "energy.disputes", object{"provider_id": m.id.String()})["disputes"].([]any)
			if len(list) != 2 || list[0].(object)["status"] != "slashed" || list[1].(object)["status"] != "resolved" || list[1].(object)["reason"] != "too high" {
				t.Errorf("disputes %v", list)
			}
		})
	}
}

func TestAnOutlierRaisesADisputeByItself(t *testing.T) {
	c := dial(t, world)
	m := newMeter(t, c)
	for i := range uint64(14) {
		must(t, c, "energy.submit_reading", m.reading(c, 100+i%3))
	}
	wild := must(t, c, "energy.submit_reading", m.reading(c, 5000))
	list := must(t, c, "energy.disputes", object{"provider_id": m.id.String(), "status": "open"})["disputes"].([]any)
	if len(list) != 1 || list[0].(object)["type"] != "outlier_detected" || list[0].(object)["reporter"] != "~market" ||
		bytesOf(t, list[0].(object)["meter_hash"]) != bytesOf(t, wild["meter_hash"]) {
		t.Fatalf("disputes %v", list)
	}
	refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, bytesOf(t, wild["meter_hash"]), 1), "disputed")
	if state := must(t, c, "energy.market_state", object{}); integer(state["disputes_pending"]) < 1 || integer(state["oracles_active"]) < 1 {
		t.Errorf("market_state %v", state)
	}
}

// An oracle is held by its breaker as any actor is, loaded or not.
func TestAnOracleCanBeHeld(t *testing.T) {
	c := dial(t, world)
	m := newMeter(t, c)
	path := fmt.Sprintf("/energy/shard-%02d/oracle-%s", uint64(m.id)%16, m.id)
	must(t, c, "supervision.force_open", object{"path": path, "reason": "a test"})
	refused(t, c, -34009, "circuit_open", "energy.submit_reading", m.reading(c, 10))
	must(t, c, "supervision.reset", object{"path": path, "reason": "a test"})
	must(t, c, "energy.submit_reading", m.reading(c, 10))
	refused(t, c, -34002, "not_found", "supervision.force_open", object{"path": path + "0", "reason": "a test"})
}

// Settings hold for the whole market, so this test has a node of its own.
func TestSettingsRuleSettlements(t *testing.T) {
	c := dial(t, start(t))
	set := func(settings object) object { t.Helper(); return must(t, c, "energy.settings", settings) }
	if got := must(t, c, "energy.settings", object{}); integer(got["fee_bps"]) != 250 || got["mode"] != "real_time" || integer(got["min_stake"]) != 1000 {
		t.Errorf("the settings of a new market are %v", got)
	}
	m := newMeter(t, c)
	read := func() string {
		t.Helper()
		return bytesOf(t, must(t, c, "energy.submit_reading", m.reading(c, 1000))["meter_hash"])
	}
	hash := read()
	first := set(object{"rehearsal": true, "request_id": "rehearse"})
	if first["rehearsal"] != true || integer(first["fee_bps"]) != 250 {
		t.Errorf("settings %v", first)
	}
	refused(t, c, -33020, "rehearsal", "energy.settle", settlement(m, c, hash, 1))
	set(object{"rehearsal": false, "quorum_threshold_ppm": 500, "slashing_rate_bps": 1000, "oracle_timeout_epochs": 2})
	if again := set(object{"rehearsal": true, "request_id": "rehearse"}); again["duplicate"] != true || again["rehearsal"] != true {
		t.Errorf("a repeat answers %v", again)
	}
	refused(t, c, -33004, "quorum_failed", "energy.settle", settlement(m, c, hash, 499), "500 ppm")
	refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, fmt.Sprintf("%064x", 1), 500), "no reading")
	receipt := must(t, c, "energy.settle", settlement(m, c, hash, 500))["receipt"].(object)
	if integer(receipt["price"]) != 2500 || integer(receipt["slash"]) != 250 {
		t.Errorf("receipt %v, want a slash of 250", receipt)
	}
	balance := must(t, c, "gov.treasury.balance", object{})
	if integer(balance["balance"]) != 250+integer(receipt["treasury_fee"]) {
		t.Errorf("balance %v, receipt %v", balance, receipt)
	}
	for range 3 {
		must(t, c, "epoch.advance", object{})
	}
	refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, hash, 500), "has expired")
	var reasons []string
	for _, s := range must(t, c, "energy.slashes", object{})["slashes"].([]any) {
		reasons = append(reasons, fmt.Sprint(s.(object)["reason"], s.(object)["amount"]))
	}
	if fmt.Sprint(reasons) != "[expiry0 settlement250 conflict0 quorum0]" {
		t.Errorf("slashes %v", reasons)
	}
	if got := must(t, c, "energy.credits", object{"status": "expired"})["credits"].([]any); len(got) != 1 || integer(got[0].(object)["left_kwh"]) != 500 {
		t.Errorf("expired credits %v", got)
	}
	hash = read()
	set(object{"mode": "batch", "quorum_threshold_ppm": 0})
	refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(m, c, hash, 500), "can be settled from epoch")
	for range 2 {
		must(t, c, "epoch.advance", object{})
	}
	must(t, c, "energy.settle", settlement(m, c, hash, 500))
	refused(t, c, validationFailed, "validation_failed", "energy.settings", object{"fee_bps": 1001}, "fee_bps must be 100 to 1000")
	refused(t, c, validationFailed, "validation_failed", "energy.settings", object{"mode": "sometimes"}, "batch")
	refused(t, c, invalidParams, "invalid_params", "energy.settings", object{"slashing_rate": 1}, "slashing_rate_bps")

	set(object{"backfill_window": 10_000, "mode": "real_time", "challenge_epochs": 1})
	old := newMeter(t, c)
	old.at -= 5000
	refused(t, c, -33008, "timestamp_skew", "energy.submit_reading", old.reading(c, 10))
	backfill := must(t, c, "energy.submit_readings", object{"backfill": true, "readings": []any{old.reading(c, 10), old.reading(c, 10)}})
	one := backfill["outcomes"].([]any)[0].(object)
	if integer(one["credit_kwh"]) != 20 {
		t.Errorf("backfill %v", backfill)
	}
	refused(t, c, -33005, "settlement_conflict", "energy.settle", settlement(old, c, bytesOf(t, one["meter_hash"]), 1), "can be settled from epoch")
	must(t, c, "epoch.advance", object{})
	must(t, c, "energy.settle", settlement(old, c, bytesOf(t, one["meter_hash"]), 1))
}

// A fee is published for each epoch, and holds wherever it is charged.
func TestTheFeeOfAnEpochIsPublished(t *testing.T) {
	c := dial(t, start(t))
	for range 3 {
		epoch := integer(must(t, c, "epoch.advance", object{})["epoch"])
		awaited(t, func() error {
			if state := must(t, c, "energy.market_state", object{}); integer(state["epoch"]) != epoch || integer(state["fee_bps"]) < 100 {
				return fmt.Errorf("market_state %v in epoch %d", state, epoch)
			}
			return nil
		})
	}
}

// Readings go in through any node, alone and in batches, while nodes come and go; none is
// lost, and none is credited twice.
func TestReadingsThroughAnyOfThreeNodes(t *testing.T) {
	three := startThree(t)
	var lines []*line
	for _, m := range three {
		lines = append(lines, dial(t, m))
	}
	list := make([]*meter, 24)
	for i := range list {
		list[i] = newMeter(t, lines[i%3])
	}
	var minted atomic.Int64
	var all sync.WaitGroup
	for k, c := range lines {
		all.Go(func() {
			for range 5 {
				var readings []any
				for i := k; i < len(list); i += 3 { // each line has meters of its own, of all shards
					readings = append(readings, list[i].reading(c, 10), list[i].reading(c, 7))
				}
				for i, o := range must(t, c, "energy.submit_readings", object{"readings": readings})["outcomes"].([]any) {
					if e, bad := o.(object)["error"]; bad {
						t.Errorf("reading %d: %v", i, e)
					}
					minted.Add(integer(o.(object)["credit_kwh"]))
				}
			}
		})
	}
	all.Wait()
	if got := minted.Load(); got != 24*5*17 {
		t.Errorf("minted %d, want %d", got, 24*5*17)
	}
	for k, c := range lines {
		state := must(t, c, "energy.market_state", object{"limit": 10})
		if rows := state["providers"].([]any); len(rows) != 10 || integer(state["next_cursor"]) != 11 || integer(state["providers_count"]) != 24 {
			t.Errorf("node %d: %d rows, next %v, count %v", k, len(rows), state["next_cursor"], state["providers_count"])
		}
		next := must(t, c, "energy.market_state", object{"cursor": 11, "limit": 1000})
		if rows := next["providers"].([]any); len(rows) != 14 || next["next_cursor"] != nil || rows[0].(object)["provider_id"] != "energy-0x0000000a" {
			t.Errorf("node %d: the next page has %d rows, then %v", k, len(rows), next["next_cursor"])
		}
	}
}
