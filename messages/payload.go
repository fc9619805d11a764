package messages

import "github.com/the-block/bursar/messages/internal/pack"

// AppendPayload appends p's one canonical encoding: every field, always in the
// same order, so that equal payloads are equal bytes.
func AppendPayload(b []byte, p *Payload) []byte {
	if p.Proposal == nil {
		b = pack.AppendMap(b, 1)
	} else {
		b = pack.AppendMap(b, 2)
		b = pack.AppendString(b, "proposal")
		b = appendProposal(b, p.Proposal)
	}
	b = pack.AppendString(b, "disbursement")
	return appendDisbursement(b, &p.Disbursement)
}

// DecodePayload reads what AppendPayload wrote, under the wire's rules.
func DecodePayload(b []byte) (Payload, error) {
	var (
		d pack.Decoder
		p Payload
	)
	d.Reset(b, "payload", false)
	decodePayload(&d, &p)
	if f := d.Fault(); f != nil {
		return Payload{}, faultError(f)
	}
	return p, nil
}

func appendProposal(b []byte, p *Proposal) []byte {
	b = pack.AppendMap(b, 8)
	b = pack.AppendString(b, "title")
	b = pack.AppendString(b, p.Title)
	b = pack.AppendString(b, "summary")
	b = pack.AppendString(b, p.Summary)
	b = pack.AppendString(b, "deps")
	b = appendIDs(b, p.Deps)
	b = pack.AppendString(b, "attachments")
	b = pack.AppendArray(b, len(p.Attachments))
	for _, a := range p.Attachments {
		b = pack.AppendMap(b, 2)
		b = pack.AppendString(b, "name")
		b = pack.AppendString(b, a.Name)
		b = pack.AppendString(b, "uri")
		b = pack.AppendString(b, a.URI)
	}
	b = pack.AppendString(b, "quorum")
	b = pack.AppendMap(b, 2)
	b = pack.AppendString(b, "operators_ppm")
	b = pack.AppendUint(b, uint64(p.Quorum.OperatorsPPM))
	b = pack.AppendString(b, "builders_ppm")
	b = pack.AppendUint(b, uint64(p.Quorum.BuildersPPM))
	b = pack.AppendString(b, "vote_window_epochs")
	b = pack.AppendUint(b, uint64(p.VoteWindowEpochs))
	b = pack.AppendString(b, "timelock_epochs")
	b = pack.AppendUint(b, uint64(p.TimelockEpochs))
	b = pack.AppendString(b, "rollback_window_epochs")
	return pack.AppendUint(b, uint64(p.RollbackWindowEpochs))
}

func appendDisbursement(b []byte, p *Disbursement) []byte {
	b = pack.AppendMap(b, 5)
	b = pack.AppendString(b, "destination")
	b = pack.AppendString(b, p.Destination)
	b = pack.AppendString(b, "amount")
	b = pack.AppendUint(b, uint64(p.Amount))
	b = pack.AppendString(b, "memo")
	b = pack.AppendString(b, p.Memo)
	b = pack.AppendString(b, "scheduled_epoch")
	b = pack.AppendUint(b, uint64(p.ScheduledEpoch))
	b = pack.AppendString(b, "expected_receipts")
	return appendReceipts(b, p.ExpectedReceipts)
}

func appendReceipts(b []byte, receipts []Receipt) []byte {
	b = pack.AppendArray(b, len(receipts))
	for _, r := range receipts {
		b = pack.AppendMap(b, 2)
		b = pack.AppendString(b, "account")
		b = pack.AppendString(b, r.Account)
		b = pack.AppendString(b, "amount")
		b = pack.AppendUint(b, uint64(r.Amount))
	}
	return b
}

// decodePayload replaces *p: of duplicate keys the last one wins, whole. Missing
// values stay zero and are judged by the rules of the treasury, not here.
func decodePayload(d *pack.Decoder, p *Payload) {
	*p = Payload{}
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "proposal":
			p.Proposal = decodeProposal(d)
		case "disbursement":
			decodeDisbursement(d, &p.Disbursement)
		default:
			d.Skip()
		}
	}
}

// decodeProposal returns nil for an empty map.
func decodeProposal(d *pack.Decoder) *Proposal {
	if d.Map() == 0 {
		d.Next()
		return nil
	}
	p := &Proposal{
		VoteWindowEpochs:     DefaultVoteWindowEpochs,
		TimelockEpochs:       DefaultTimelockEpochs,
		RollbackWindowEpochs: DefaultRollbackWindowEpochs,
	}
	for d.Next() {
		switch string(d.Key()) {
		case "title":
			p.Title = d.Text()
		case "summary":
			p.Summary = d.Text()
		case "deps":
			p.Deps = decodeIDs(d)
		case "attachments":
			p.Attachments = decodeAttachments(d)
		case "quorum":
			p.Quorum = decodeQuorum(d)
		case "vote_window_epochs":
			p.VoteWindowEpochs = Epoch(d.Uint())
		case "timelock_epochs":
			p.TimelockEpochs = Epoch(d.Uint())
		case "rollback_window_epochs":
			p.RollbackWindowEpochs = Epoch(d.Uint())
		default:
			d.Skip()
		}
	}
	return p
}

func decodeAttachments(d *pack.Decoder) []Attachment {
	n := d.List()
	if n > AttachmentsMax {
		d.Refuse("%d attachments are more than %d", n, AttachmentsMax)
	}
	var list []Attachment
	for d.Next() {
		var a Attachment
		d.Map()
		for d.Next() {
			switch string(d.Key()) {
			case "name":
				a.Name = d.Text()
			case "uri":
				a.URI = d.Text()
			default:
				d.Skip()
			}
		}
		list = append(list, a)
	}
	return list
}

func decodeQuorum(d *pack.Decoder) (q Quorum) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "operators_ppm":
			q.OperatorsPPM = PPM(d.Uint())
		case "builders_ppm":
			q.BuildersPPM = PPM(d.Uint())
		default:
			d.Skip()
		}
	}
	return q
}

func decodeDisbursement(d *pack.Decoder, p *Disbursement) {
	*p = Disbursement{}
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "destination":
			p.Destination = d.Text()
		case "amount":
			p.Amount = Amount(d.Uint())
		case "memo":
			p.Memo = d.Text()
		case "scheduled_epoch":
			p.ScheduledEpoch = Epoch(d.Uint())
		case "expected_receipts":
			p.ExpectedReceipts = decodeReceipts(d)
		default:
			d.Skip()
		}
	}
}

func decodeReceipts(d *pack.Decoder) []Receipt {
	n := d.List()
	if n > ReceiptsMax {
		d.Refuse("%d receipts are more than %d", n, ReceiptsMax)
	}
	var list []Receipt
	for d.Next() {
		var r Receipt
		d.Map()
		for d.Next() {
			switch string(d.Key()) {
			case "account":
				r.Account = d.Text()
			case "amount":
				r.Amount = Amount(d.Uint())
			default:
				d.Skip()
			}
		}
		list = append(list, r)
	}
	return list
}
