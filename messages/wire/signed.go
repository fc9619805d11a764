package wire

import (
	"bytes"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// Open takes an envelope apart: the call that an operator has signed.
func Open(envelope []byte) (*messages.Method, messages.Params, *messages.Envelope, *messages.Error) {
	packed, form := envelope, messages.Msgpack
	if text := bytes.TrimLeft(envelope, " \t\r\n"); len(text) > 0 && text[0] == '{' { // no MessagePack map begins so
		form = messages.JSON
		fault := checkJSON(envelope)
		if fault == nil {
			packed, fault = packJSON(envelope)
		}
		if fault != nil {
			return nil, nil, nil, fault
		}
	} else if fault := scanned(envelope); fault != nil {
		return nil, nil, nil, fault
	}
	e, err := messages.DecodeEnvelope(packed, form)
	if err != nil {
		return nil, nil, nil, err
	}
	m := messages.PublicTable().ByName(e.Method)
	switch {
	case m == nil:
		return nil, nil, nil, unknown(messages.PublicTable(), []byte(e.Method))
	case m.Name == messages.MethodAuthCall || !m.Mutates:
		return nil, nil, nil, messages.Errorf(messages.CodeInvalidParams, "envelope.method: %s needs no signature; call it as it is", m.Name)
	}
	params, err := m.Decode(e.Params, form)
	if err != nil {
		return m, nil, nil, err
	}
	if own := params.Shared().RequestID; own != "" && own != e.RequestID {
		return m, nil, nil, messages.Errorf(messages.CodeInvalidParams, "envelope: its request_id is %s and that of its params %s; give one", clip([]byte(e.RequestID)), clip([]byte(own)))
	}
	return m, params, e, nil
}

// scanned refuses bytes that are not one MessagePack value within the wire's limits.
func scanned(b []byte) *messages.Error {
	var s pack.Scanner
	switch n, verdict := s.Scan(b, limits); {
	case verdict != pack.Complete:
		return messages.Errorf(messages.CodeInvalidParams, "envelope: %s", verdict)
	case n != len(b):
		return messages.Errorf(messages.CodeInvalidParams, "envelope: %d bytes behind its end", len(b)-n)
	}
	return nil
}

// open makes c the call that its auth.call carries. What its caller may do is judged where
// the operators are known.
func (c *Call) open(p *messages.AuthCallParams) *messages.Error {
	m, params, e, err := Open(p.Envelope)
	if m != nil {
		c.Method = m
	}
	if err != nil {
		return err
	}
	params.Shared().RequestID = e.RequestID
	c.Params, c.RequestID = params, e.RequestID
	c.Peer.Signed = &messages.Signed{
		Operator: p.Operator, Envelope: p.Envelope, Signature: p.Signature[:], Cluster: e.Cluster, ExpiresAt: e.ExpiresAt,
	}
	return nil
}
