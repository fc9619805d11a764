package messages

import "strings"

// Role is what a caller may do. A caller holds a set of them.
type Role byte

// The roles. Without TLS a loopback peer holds all; any other holds Reader and
// Submitter.
const (
	Reader    Role = 1 << iota // reads
	Submitter                  // submits proposals
	Voter                      // votes
	Operator                   // moves money or state beyond a proposal
	Admin                      // says who may do what; only an operator who signs holds it
)

// RolesAll holds every role.
const RolesAll = Reader | Submitter | Voter | Operator | Admin

// Has reports whether the set holds all of want.
func (r Role) Has(want Role) bool { return r&want == want }

// String names a single role.
func (r Role) String() string {
	switch r {
	case Reader:
		return "reader"
	case Submitter:
		return "submitter"
	case Voter:
		return "voter"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	default:
		return "roles"
	}
}

// Caller is who makes a call, as far as it is known.
type Caller struct {
	Roles Role
	// Name is the one in its certificate; empty without one.
	Name string
	// Signed is the operator's signature under the call; nil where there is none.
	Signed *Signed
}

// By names the caller as the log keeps it: the operator and its key, else the name in the
// certificate, else where it called from.
func (c *Caller) By(addr string) string {
	switch {
	case c.Signed != nil:
		return c.Signed.Operator + " (key " + c.Signed.KeyID + ")"
	case c.Name != "":
		return c.Name
	case strings.HasPrefix(addr, "127.") || strings.HasPrefix(addr, "[::1]"):
		return "loopback"
	}
	return addr
}

// Allowed judges whether a caller may make this call. It is asked once, at the ingress.
// It returns nil or an unauthorized error that names the role that is missing.
func Allowed(m *Method, p Params, c Caller) *Error {
	need := Needed(m, p, c)
	if c.Roles.Has(need) {
		return nil
	}
	if c.Signed != nil {
		return Errorf(CodeUnauthorized, "%s needs the role %s, which %s does not have", m.Name, need, c.Signed.Operator)
	}
	return Errorf(CodeUnauthorized, "%s needs the role %s", m.Name, need)
}

// Needed is the role that a caller needs for this call.
func Needed(m *Method, p Params, c Caller) Role {
	need := m.Who
	if own, ok := p.(interface{ needs(Caller) Role }); ok {
		need = own.needs(c)
	}
	if BypassesVote(p) && m.Who == Submitter {
		need = Operator
	}
	if need == Admin && c.Signed == nil {
		need = Operator // the first admin is added so; the authority knows whether there is one
	}
	return need
}

// BypassesVote reports whether p submits a payment that no house votes on.
func BypassesVote(p Params) bool {
	switch p := p.(type) {
	case *SubmitDisbursementParams:
		return p.Payload.Proposal == nil
	case *PlanParams:
		for i := range p.Items {
			if p.Items[i].Payload.Proposal == nil {
				return true
			}
		}
	}
	return false
}
