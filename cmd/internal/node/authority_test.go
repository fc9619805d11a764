package node_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/actors/authority"
)

// person is an operator with a key.
type person struct {
	name string
	key  ed25519.PrivateKey
}

func newPerson(name string) *person {
	seed := sha256.Sum256([]byte(name))
	return &person{name, ed25519.NewKeyFromSeed(seed[:])}
}

// public is the key as a wire takes it.
func (p *person) public(c caller) any {
	b := []byte(p.key.Public().(ed25519.PublicKey))
	if _, isWeb := c.(*web); isWeb {
		return hex.EncodeToString(b)
	}
	return b
}

// sameBytes are binary that came, as it is sent.
func sameBytes(c caller, v any) any {
	if _, isWeb := c.(*web); isWeb {
		return v
	}
	return []byte(v.(string))
}

// envelope is what a person signs.
func envelope(t *testing.T, c caller, cluster, method, requestID string, expires uint64, params object) []byte {
	t.Helper()
	e := object{"cluster": cluster, "method": method, "request_id": requestID, "expires_at": expires, "params": params}
	marshal := msgpack.Marshal
	if _, isWeb := c.(*web); isWeb {
		marshal = json.Marshal
	}
	b, err := marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealed are the parameters of auth.call.
func (p *person) sealed(c caller, envelope []byte) object {
	signature := authority.Sign(p.key, envelope)
	if _, isWeb := c.(*web); isWeb {
		return object{"envelope": string(envelope), "operator": p.name, "signature": hex.EncodeToString(signature[:])}
	}
	return object{"envelope": envelope, "operator": p.name, "signature": signature[:]}
}

var requests int

// asks are the parameters of auth.call for a call within the next minute.
func (p *person) asks(t *testing.T, c caller, method string, params object) object {
	t.Helper()
	requests++
	cluster := must(t, c, "cluster.status", object{})["cluster"].(string)
	return p.sealed(c, envelope(t, c, cluster, method, fmt.Sprint(p.name, "-", requests), uint64(time.Now().Unix()+60), params))
}

// does makes a signed call, which must be granted.
func (p *person) does(t *testing.T, c caller, method string, params object) object {
	t.Helper()
	return must(t, c, "auth.call", p.asks(t, c, method, params))
}

func inAYear() int64 { return time.Now().Unix() + 365*86400 }

// TestOperatorsDecideTogether walks through the life of a treasury whose operators sign.
func TestOperatorsDecideTogether(t *testing.T) {
	t.Run("msgpack", func(t *testing.T) { operatorsDecide(t, dial(t, start(t))) })
	t.Run("json", func(t *testing.T) { operatorsDecide(t, &web{start(t)}) })
}

func operatorsDecide(t *testing.T, c caller) {
	eventually(t, "the feature level is up", func() bool {
		return integer(must(t, c, "cluster.status", object{})["feature_level"]) >= 3
	})
	ann, bob, carol := newPerson("ann"), newPerson("bob"), newPerson("carol")
	add := func(p *person, roles []string, votes []object) object {
		return object{"name": p.name, "key": p.public(c), "roles": roles, "votes": votes, "not_after": inAYear()}
	}
	// The first is an admin, and needs no signature; then the door is shut.
	refused(t, c, validationFailed, "validation_failed", "operators.add", add(bob, []string{"voter"}, nil))
	must(t, c, "operators.add", add(ann, []string{"operator", "admin"}, nil))
	refused(t, c, unauthorized, "unauthorized", "operators.add", add(bob, []string{"admin"}, nil))
	bobs := add(bob, []string{"operator", "voter", "admin"}, []object{{"house": "operators", "weight_ppm": 600_000}, {"house": "builders", "weight_ppm": 1_000_000}})
	refused(t, c, unauthorized, "unauthorized", "auth.call", bob.asks(t, c, "operators.add", bobs))
	if got := ann.does(t, c, "operators.add", bobs); got["state"] != "active" {
		t.Errorf("bob: %v", got)
	}
	ann.does(t, c, "operators.add", add(carol, []string{"operator"}, nil))

	// Votes come from there and from nowhere else.
	id := submit(t, c, proposed())
	must(t, c, "gov.treasury.queue_disbursement", object{"id": id})
	vote := object{"id": id, "house": "operators", "voter": "bob", "weight_ppm": 600_000, "approve": true}
	refused(t, c, unauthorized, "unauthorized", "gov.treasury.vote", vote)
	refused(t, c, unauthorized, "unauthorized", "auth.call", ann.asks(t, c, "gov.treasury.vote", vote))
	heavier := object{"id": id, "house": "operators", "voter": "bob", "weight_ppm": 600_001, "approve": true}
	refused(t, c, unauthorized, "unauthorized", "auth.call", bob.asks(t, c, "gov.treasury.vote", heavier))
	signed := bob.asks(t, c, "gov.treasury.vote", vote)
	if got := must(t, c, "auth.call", signed); integer(got["operators_ppm"]) != 600_000 || got["duplicate"] != false {
		t.Errorf("vote: %v", got)
	}
	if got := must(t, c, "auth.call", signed); got["duplicate"] != true {
		t.Errorf("a replay is %v, want a repeat", got)
	}

	// Two of three accrue.
	ann.does(t, c, "approvals.set_policy", object{"action": "accrue", "min_amount": 100, "k": 2})
	if got := ann.does(t, c, "gov.treasury.accrue", object{"amount": 99}); integer(got["balance"]) != 99 {
		t.Errorf("accrue below the policy: %v", got)
	}
	refused(t, c, unauthorized, "unauthorized", "gov.treasury.accrue", object{"amount": 1000}, "2 approvals")
	held := ann.does(t, c, "gov.treasury.accrue", object{"amount": 1000})
	if integer(held["have"]) != 1 || integer(held["need"]) != 2 {
		t.Fatalf("held: %v", held)
	}
	number := held["pending"]
	pending := must(t, c, "approvals.get", object{"id": number})["pending"].(object)
	approve := object{"id": number, "request_hash": sameBytes(c, pending["request_hash"])}
	refused(t, c, invalidTransition, "invalid_transition", "auth.call", ann.asks(t, c, "approvals.approve", approve))
	if got := must(t, c, "gov.treasury.balance", object{}); integer(got["balance"]) != 99 {
		t.Errorf("balance before the second approval: %v", got)
	}
	approval := carol.asks(t, c, "approvals.approve", approve)
	done := must(t, c, "auth.call", approval)
	if result, _ := done["result"].(object); done["state"] != "done" || integer(result["balance"]) != 1099 {
		t.Errorf("approved: %v", done)
	}
	if got := must(t, c, "auth.call", approval); got["duplicate"] != true {
		t.Errorf("the approval again: %v", got)
	}
	refused(t, c, invalidTransition, "invalid_transition", "auth.call", bob.asks(t, c, "approvals.approve", approve))
	if got := must(t, c, "gov.treasury.balance", object{}); integer(got["balance"]) != 1099 {
		t.Errorf("balance: %v, want it accrued once", got)
	}

	// One stops payments.
	carol.does(t, c, "admin.pause", object{"scope": "executor", "reason": "a test"})
	payment := submit(t, c, direct(10))
	advance(t, c)
	refused(t, c, unavailable, "unavailable", "gov.treasury.execute_disbursement", object{"id": payment, "deadline_ms": 500})
	if got := status(t, c, payment)["state"]; got != "draft" {
		t.Errorf("paused, and the payment is %v", got)
	}
	must(t, c, "admin.unpause", object{"scope": "executor", "reason": "over"})
	awaitState(t, c, payment, "executed")

	// A signature is required from now on.
	ann.does(t, c, "settings.set", object{"signatures": "required"})
	refused(t, c, unauthorized, "unauthorized", "gov.treasury.accrue", object{"amount": 1})
	refused(t, c, unauthorized, "unauthorized", "gov.treasury.submit_disbursement", direct(1))
	submit(t, c, proposed())

	// Whoever is revoked does nothing more.
	before := bob.asks(t, c, "epoch.advance", object{})
	refused(t, c, invalidTransition, "invalid_transition", "auth.call", ann.asks(t, c, "approvals.set_policy", object{"action": "accrue", "k": 4}))
	got := ann.does(t, c, "operators.revoke", object{"name": "bob", "reason": "a test"})
	if got["state"] != "revoked" {
		t.Errorf("revoked: %v", got)
	}
	refused(t, c, unauthorized, "unauthorized", "auth.call", before)
	refused(t, c, invalidTransition, "invalid_transition", "auth.call", ann.asks(t, c, "operators.revoke", object{"name": "carol", "reason": "a test"}))
	refused(t, c, invalidTransition, "invalid_transition", "auth.call", ann.asks(t, c, "operators.revoke", object{"name": "ann", "reason": "a test"}))
}

// TestEnvelopesThatAreNotGood are refused, each with what is wrong with it.
func TestEnvelopesThatAreNotGood(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	eventually(t, "the feature level is up", func() bool {
		return integer(must(t, c, "cluster.status", object{})["feature_level"]) >= 3
	})
	ann := newPerson("ann")
	must(t, c, "operators.add", object{"name": "ann", "key": ann.public(c), "roles": []string{"operator", "admin"}, "not_after": inAYear()})
	cluster := must(t, c, "cluster.status", object{})["cluster"].(string)
	now := uint64(time.Now().Unix())
	good := envelope(t, c, cluster, "gov.treasury.accrue", "r1", now+60, object{"amount": 5})
	bad := []struct {
		says string
		p    object
	}{
		{"is for the cluster", ann.sealed(c, envelope(t, c, "other", "gov.treasury.accrue", "r1", now+60, object{"amount": 5}))},
		{"has expired", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.accrue", "r1", now-1, object{"amount": 5}))},
		{"at most 3600", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.accrue", "r1", now+4000, object{"amount": 5}))},
		{"no operator", object{"operator": "eve", "envelope": good, "signature": make([]byte, 64)}},
		{"is not one of", object{"operator": "ann", "envelope": good, "signature": make([]byte, 64)}},
		{"behind its end", ann.sealed(c, append(append([]byte{}, good...), 0))},
		{"envelope", ann.sealed(c, good[:len(good)-1])},
		{"needs no signature", ann.sealed(c, envelope(t, c, cluster, "auth.call", "r1", now+60, object{}))},
		{"needs no signature", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.balance", "r1", now+60, object{}))},
		{"no such method", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.accure", "r1", now+60, object{}))},
		{"request_id", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.accrue", "", now+60, object{"amount": 5}))},
		{"no such field", ann.sealed(c, envelope(t, c, cluster, "gov.treasury.accrue", "r1", now+60, object{"amonut": 5}))},
		{"there twice", ann.sealed(c, []byte(fmt.Sprintf(
			`{"cluster":%q,"method":"gov.treasury.accrue","method":"epoch.advance","request_id":"r1","expires_at":%d,"params":{}}`, cluster, now+60)))},
	}
	for _, b := range bad {
		if _, err := c.call(t, "auth.call", b.p); err == nil || !strings.Contains(err.Error(), b.says) {
			t.Errorf("got %v, want a refusal that says %q", err, b.says)
		}
	}
	if got := must(t, c, "gov.treasury.balance", object{}); integer(got["balance"]) != 0 {
		t.Errorf("something was accrued: %v", got)
	}
	must(t, c, "auth.call", ann.sealed(c, good))
}
