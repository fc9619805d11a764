package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
)

// What a certificate may say that its holder is. It says so in URIs "bursar:role/ROLE"
// among its alternative names, as many as it has roles.
const (
	CertNode     = "node"     // a node of the cluster; may call other nodes, and nothing here
	CertOperator = "operator" // moves money and state
	CertVoter    = "voter"    // votes
	CertClient   = "client"   // reads and submits proposals
	CertMonitor  = "monitor"  // reads
)

// certRoles are the roles at the ingress that a certificate gives. What anybody may do
// without a certificate an operator and a voter may, too.
var certRoles = map[string]messages.Role{
	CertNode:     0,
	CertOperator: stranger | messages.Operator,
	CertVoter:    stranger | messages.Voter,
	CertClient:   stranger,
	CertMonitor:  messages.Reader,
}

// stranger is what a caller may do who proves nothing.
const stranger = messages.Reader | messages.Submitter

const (
	roleScheme = "bursar"
	rolePath   = "role/"
)

// CertRoleURI is how a certificate says that its holder has a role.
func CertRoleURI(role string) *url.URL {
	return &url.URL{Scheme: roleScheme, Opaque: rolePath + role}
}

// CertRoles lists what a certificate says that its holder is.
func CertRoles(cert *x509.Certificate) []string {
	var roles []string
	for _, uri := range cert.URIs {
		if role, ok := strings.CutPrefix(uri.Opaque, rolePath); ok && uri.Scheme == roleScheme {
			roles = append(roles, role)
		}
	}
	return roles
}

// callerProven is a caller with TLS: its roles and its name. A certificate that names no
// role is worth as much as none.
func callerProven(state *tls.ConnectionState) messages.Caller {
	if len(state.VerifiedChains) == 0 {
		return messages.Caller{Roles: stranger}
	}
	leaf := state.VerifiedChains[0][0]
	named := CertRoles(leaf)
	if len(named) == 0 {
		return messages.Caller{Roles: stranger}
	}
	c := messages.Caller{Name: leaf.Subject.CommonName}
	for _, role := range named {
		c.Roles |= certRoles[role]
	}
	return c
}

// ProvesRole reports whether a connection's certificate names a role that there is.
func ProvesRole(state *tls.ConnectionState) bool {
	return state != nil && len(state.VerifiedChains) > 0 &&
		slices.ContainsFunc(CertRoles(state.VerifiedChains[0][0]), func(role string) bool { _, known := certRoles[role]; return known })
}

// secured is a connection with TLS.
type secured interface {
	HandshakeContext(ctx context.Context) error
	ConnectionState() tls.ConnectionState
}

// handshakeTimeout bounds a caller's handshake.
const handshakeTimeout = 10 * time.Second

// secure shakes hands where there is TLS, and judges its caller anew. It reports false
// where that fails; who came without TLS is told.
func (c *conn) secure() bool {
	nc, ok := c.nc.(secured)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := nc.HandshakeContext(ctx); err != nil {
		if plain := new(tls.RecordHeaderError); errors.As(err, plain) && plain.Conn != nil {
			refuse(plain.Conn, c.limits.Bytes, messages.Errorf(messages.CodeUnauthorized, "this node speaks TLS only; call it with --tls-dir"))
		}
		return false
	}
	state := nc.ConnectionState()
	c.peer = c.server.peerOf(c.peer.Addr, &state)
	return true
}

// refuse tells a new caller why nothing is heard of what it said. What it said is read, or
// else closing would lose the answer on its way.
func refuse(nc net.Conn, most int, why *messages.Error) {
	_ = nc.SetDeadline(time.Now().Add(partingBrief))
	reply, _ := appendResponse(nil, 0, nil, why, most)
	_, _ = nc.Write(reply)
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, nc, partingMax)
	}
}

// DialTLS connects to a node's MessagePack port, host:port, with TLS. Without a
// ServerName in cfg the node's certificate must be for the host of addr.
func DialTLS(ctx context.Context, addr string, cfg *tls.Config) (*Client, error) {
	d := tls.Dialer{NetDialer: new(net.Dialer), Config: cfg}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return NewClient(nc), nil
}

// greets reports whether a call is for the greeter: each one of a node that was not let
// in yet, and each hello.
func (c *conn) greets(call *Call) bool {
	return c.greeting || c.server.greeter != nil && call.Method.Name == messages.MethodNodeHello
}

// greet has the greeter judge a call and reports whether the connection may go on.
func (c *conn) greet(req request, call *Call) bool {
	c.dispatch() // what came before keeps its caller
	hello, ok := call.Params.(*messages.HelloParams)
	if !ok {
		return c.turnDown(req, call, messages.Errorf(messages.CodeInvalidRequest,
			"this port is for the nodes of a cluster: the first call is %s", messages.MethodNodeHello))
	}
	node, answer, err := c.server.greeter.Greet(c.nc, &hello.Hello)
	if err != nil {
		return c.turnDown(req, call, err)
	}
	if !c.greeting && node != c.peer.Node {
		return c.turnDown(req, call, messages.Errorf(messages.CodeInvalidRequest,
			"%s said hello here, and now %s: a connection has one node", c.peer.Node, node))
	}
	c.peer.Node, c.greeting, c.limits = node, false, c.server.limits
	c.prove()
	c.answerNow(req, call.Method, answer, nil)
	return true
}

// turnDown says why not, and ends the connection.
func (c *conn) turnDown(req request, call *Call, err *messages.Error) bool {
	c.rejected = true
	c.answerNow(req, call.Method, nil, err)
	return false
}
