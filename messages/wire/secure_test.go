package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate for 127.0.0.1 whose holder has the roles.
func (a *authority) issue(roles ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "someone"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, role := range roles {
		form.URIs = append(form.URIs, wire.CertRoleURI(role))
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// serveTLS runs a server with TLS on both wires, and trusts loopback in vain.
func serveTLS(t *testing.T, ca *authority) (rpc, web string) {
	t.Helper()
	cfg := wire.DefaultConfig()
	cfg.TrustLoopback = true
	s, err := wire.New(cfg, echo{}, wire.NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{
		Certificates: []tls.Certificate{ca.issue(wire.CertNode)}, ClientCAs: ca.pool,
		ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS13,
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", secure)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	pages := httptest.NewUnstartedServer(s.HTTP())
	pages.TLS = secure.Clone()
	pages.StartTLS()
	t.Cleanup(func() {
		pages.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String(), pages.URL
}

// caller is somebody who calls over both wires.
type caller struct {
	rpc *wire.Client
	web *http.Client
	url string
}

func newCaller(t *testing.T, ca *authority, rpc, web string, certs ...tls.Certificate) caller {
	t.Helper()
	cfg := &tls.Config{RootCAs: ca.pool, Certificates: certs, MinVersion: tls.VersionTLS13}
	client, err := wire.DialTLS(t.Context(), rpc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: cfg.Clone()}
	t.Cleanup(func() { _ = client.Close(); transport.CloseIdleConnections() })
	return caller{rpc: client, web: &http.Client{Transport: transport}, url: web}
}

// overRPC and overHTTP make a call and return the code of its refusal, 0 for none.
func (c caller) overRPC(t *testing.T, method, params string) messages.Code {
	t.Helper()
	_, err := c.rpc.CallJSON(call(t), method, []byte(params))
	if code := codeOf(err); code != 0 || err == nil {
		return code
	}
	t.Fatalf("%s over MessagePack: %v", method, err)
	return 0
}

func (c caller) overHTTP(t *testing.T, method, params string) messages.Code {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`
	resp, err := c.web.Post(c.url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Error struct{ Code messages.Code } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s over HTTP: %v", method, err)
	}
	return answer.Error.Code
}

// What the table of callers speaks of.
const (
	payment  = `{"destination":"tb1x","amount":1,"scheduled_epoch":1}`
	proposal = `{"title":"a","summary":"b","quorum":{"operators_ppm":1,"builders_ppm":1}}`
	proposed = `{"payload":{"proposal":` + proposal + `,"disbursement":` + payment + `}}`
	direct   = `{"payload":{"disbursement":` + payment + `}}`
	plan     = `{"items":[{"ref":"a","payload":{"proposal":` + proposal + `,"disbursement":` + payment + `}}]}`
	mixed    = `{"items":[{"ref":"a","payload":{"proposal":` + proposal + `,"disbursement":` + payment + `}},` +
		`{"ref":"b","payload":{"disbursement":` + payment + `}}]}`
	path = `{"path":"/treasury/executor","reason":"r"}`
)

// callable says which roles in a certificate may make a call; "" is no certificate.
var callable = []struct {
	method, params string
	by             []string
}{
	{"gov.treasury.balance", `{}`, readers},
	{"gov.treasury.disbursements", `{}`, readers},
	{"gov.treasury.check_plan", plan, readers},
	{"cluster.status", `{}`, readers},
	{"supervision.breakers", `{}`, readers},
	{"epoch.get", `{}`, readers},
	{"rpc.discover", `{}`, readers},
	{"gov.treasury.submit_disbursement", proposed, submitters},
	{"gov.treasury.submit_disbursement", direct, operators},
	{"gov.treasury.submit_plan", plan, submitters},
	{"gov.treasury.submit_plan", mixed, operators},
	{"gov.treasury.vote", `{"id":1,"house":"operators","voter":"v","weight_ppm":1,"approve":true}`, voters},
	{"gov.treasury.accrue", `{"amount":1}`, operators},
	{"gov.treasury.queue_disbursement", `{"id":1}`, operators},
	{"gov.treasury.execute_disbursement", `{"id":1}`, operators},
	{"gov.treasury.rollback_disbursement", `{"id":1,"reason":"r"}`, operators},
	{"gov.treasury.skip_intent", `{"id":1,"reason":"r"}`, operators},
	{"gov.treasury.resume", `{"reason":"r"}`, operators},
	{"admin.backup", `{}`, operators},
	{"gov.treasury.resend", `{"from_nonce":1}`, operators},
	{"energy.register_provider", `{"owner":"o","capacity_kwh":1,"price_per_kwh":1,"jurisdiction":"DE","meter_address":"m","stake":1,"public_key":"0000000000000000000000000000000000000000000000000000000000000000"}`, submitters},
	{"energy.update_provider", `{"provider_id":"energy-0x00000000"}`, submitters},
	{"energy.rotate_key", `{"provider_id":"energy-0x00000000","public_key":"0000000000000000000000000000000000000000000000000000000000000000"}`, submitters},
	{"energy.reinstate", `{"provider_id":"energy-0x00000000"}`, operators},
	{"energy.settings", `{}`, readers},
	{"energy.settings", `{"rehearsal":true}`, operators},
	{"energy.submit_reading", `{"provider_id":"energy-0x00000000","meter_address":"m","kwh_reading":1,"timestamp":1,"nonce":1,"signature":"00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"}`, submitters},
	{"energy.submit_readings", `{"readings":[]}`, submitters},
	{"energy.settle", `{"provider_id":"energy-0x00000000","buyer":"somebody else","kwh":1,"meter_hash":"0000000000000000000000000000000000000000000000000000000000000000"}`, operators},
	{"energy.settle", `{"provider_id":"energy-0x00000000","buyer":"someone","kwh":1,"meter_hash":"0000000000000000000000000000000000000000000000000000000000000000"}`, certified},
	{"energy.flag_dispute", `{"meter_hash":"0000000000000000000000000000000000000000000000000000000000000000","reason":"r","reporter":"x","type":"other"}`, submitters},
	{"energy.resolve_dispute", `{"dispute_id":1,"resolver":"x","outcome":"resolved"}`, operators},
	{"gov.treasury.rebind", `{"submitter":"ledger","reason":"r"}`, operators},
	{"gov.treasury.resend", `{"from_nonce":1}`, operators},
	{"auth.call", `{"envelope":"{\"cluster\":\"c\",\"method\":\"gov.treasury.accrue\",\"request_id\":\"r\",\"expires_at\":1,\"params\":{\"amount\":1}}",` +
		`"operator":"ann","signature":"` + strings.Repeat("00", 64) + `"}`, submitters},
	{"operators.add", `{"name":"ann","key":"` + strings.Repeat("00", 32) + `","roles":["admin"],"not_after":1}`, operators},
	{"operators.rotate", `{"name":"ann","key":"` + strings.Repeat("00", 32) + `"}`, operators},
	{"operators.revoke", `{"name":"ann","reason":"r"}`, operators},
	{"approvals.approve", `{"id":1,"request_hash":"` + strings.Repeat("00", 32) + `"}`, operators},
	{"approvals.withdraw", `{"id":1}`, operators},
	{"approvals.set_policy", `{"action":"accrue","k":2}`, operators},
	{"settings.set", `{"signatures":"off"}`, operators},
	{"admin.pause", `{"scope":"executor","reason":"r"}`, operators},
	{"admin.unpause", `{"scope":"executor","reason":"r"}`, operators},
	{"epoch.advance", `{}`, operators},
	{"cluster.drain", `{"node":"n1"}`, operators},
	{"cluster.transfer_leader", `{}`, operators},
	{"supervision.force_open", path, operators},
	{"supervision.force_close", path, operators},
	{"supervision.reset", path, operators},
	{"supervision.inject", `{"path":"/treasury/executor","mode":"panic"}`, operators},
}

var (
	readers    = []string{"", "client", "monitor", "voter", "operator"}
	submitters = []string{"", "client", "voter", "operator"}
	certified  = []string{"client", "voter", "operator"} // by a name in a certificate
	voters     = []string{"voter"}
	operators  = []string{"operator"}
)

func TestWhoMayCall(t *testing.T) {
	ca := newAuthority(t)
	rpc, web := serveTLS(t, ca)
	callers := map[string]caller{
		"": newCaller(t, ca, rpc, web), "node": newCaller(t, ca, rpc, web, ca.issue("node")),
		"client": newCaller(t, ca, rpc, web, ca.issue("client")), "monitor": newCaller(t, ca, rpc, web, ca.issue("monitor")),
		"voter": newCaller(t, ca, rpc, web, ca.issue("voter")), "operator": newCaller(t, ca, rpc, web, ca.issue("operator")),
	}
	for _, row := range callable {
		for role, c := range callers {
			may := slices.Contains(row.by, role)
			for over, code := range map[string]messages.Code{
				"MessagePack": c.overRPC(t, row.method, row.params), "HTTP": c.overHTTP(t, row.method, row.params),
			} {
				if code == messages.CodeInvalidParams || code == messages.CodeMethodNotFound {
					t.Fatalf("%s %s: the test's call is answered %s", row.method, row.params, code)
				}
				if got := code != messages.CodeUnauthorized; got != may {
					t.Errorf("%s %.60s by %q over %s: allowed %t, want %t", row.method, row.params, role, over, got, may)
				}
			}
		}
	}
}

func TestEveryMethodThatChangesSomethingIsInTheTableOfCallers(t *testing.T) {
	for _, m := range messages.Methods() {
		listed := slices.ContainsFunc(callable, func(row struct {
			method, params string
			by             []string
		}) bool {
			return row.method == m.Name
		})
		if m.Mutates && !listed {
			t.Errorf("%s is not", m.Name)
		}
	}
}

func TestSeveralRolesAddUp(t *testing.T) {
	ca := newAuthority(t)
	rpc, web := serveTLS(t, ca)
	both := newCaller(t, ca, rpc, web, ca.issue("voter", "operator", "of a newer version"))
	for _, row := range callable {
		if both.overRPC(t, row.method, row.params) == messages.CodeUnauthorized {
			t.Errorf("%s is refused", row.method)
		}
	}
	nameless := newCaller(t, ca, rpc, web, ca.issue())
	if code := nameless.overRPC(t, "gov.treasury.accrue", `{"amount":1}`); code != messages.CodeUnauthorized {
		t.Errorf("without a role in its certificate a caller is answered %s", code)
	}
	if code := nameless.overHTTP(t, "epoch.get", `{}`); code != 0 {
		t.Errorf("without a role in its certificate a caller cannot read: %s", code)
	}
}

func TestCertificateOfAnotherAuthorityIsRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	rpc, _ := serveTLS(t, ca)
	client, err := wire.DialTLS(t.Context(), rpc, &tls.Config{
		RootCAs: ca.pool, MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert := other.issue("operator")
			return &cert, nil
		},
	})
	if err == nil { // the refusal comes after the handshake, as far as the caller can see
		defer client.Close()
		_, err = client.CallJSON(call(t), "epoch.get", []byte(`{}`))
	}
	if err == nil {
		t.Error("it is served")
	}
	if _, err := wire.DialTLS(t.Context(), rpc, &tls.Config{RootCAs: other.pool, MinVersion: tls.VersionTLS13}); err == nil {
		t.Error("a node with a certificate of another authority is believed")
	} else if unknown := new(tls.CertificateVerificationError); !errors.As(err, &unknown) {
		t.Errorf("it fails with %v", err)
	}
}

func TestCallerWithoutTLSEndsOnlyItself(t *testing.T) {
	ca := newAuthority(t)
	rpc, web := serveTLS(t, ca)
	plain := dial(t, rpc)
	if err := epoch(t, plain); err == nil || !strings.Contains(err.Error(), "speaks TLS only") {
		t.Errorf("it is answered %v", err)
	}
	if code := newCaller(t, ca, rpc, web).overRPC(t, "epoch.get", `{}`); code != 0 {
		t.Errorf("the others are answered %s", code)
	}
}
