package messages

import "github.com/the-block/bursar/messages/internal/pack"

// Payload is what a caller submits: who is paid how much and when, and, unless
// the treasury itself initiates it, the proposal to be voted on. Missing values stay
// zero and are judged by the rules of the treasury, not here.
type Payload struct {
	// Proposal is nil for a treasury-initiated disbursement (absent, null or {}
	// on the wire).
	Proposal     *Proposal
	Disbursement Disbursement
}

func (p *Payload) fields(f *fields) {
	optional(f.may("none"), "proposal", &p.Proposal, newProposal, "What is voted on; absent, null or {} for a treasury-initiated payment.")
	object(f.defaults(""), "disbursement", &p.Disbursement, "The payment.")
}

// Proposal is what the two houses vote on. The windows are in epochs; a decoder
// fills in the defaults for fields that are absent, never for an explicit 0.
type Proposal struct {
	Title                string
	Summary              string
	Deps                 []DisbursementID
	Attachments          []Attachment
	Quorum               Quorum
	VoteWindowEpochs     Epoch
	TimelockEpochs       Epoch
	RollbackWindowEpochs Epoch
}

// Defaults of a proposal's windows, in epochs.
const (
	DefaultVoteWindowEpochs     Epoch = 4
	DefaultTimelockEpochs       Epoch = 2
	DefaultRollbackWindowEpochs Epoch = 1
)

func newProposal() *Proposal {
	return &Proposal{
		VoteWindowEpochs:     DefaultVoteWindowEpochs,
		TimelockEpochs:       DefaultTimelockEpochs,
		RollbackWindowEpochs: DefaultRollbackWindowEpochs,
	}
}

func (p *Proposal) fields(f *fields) {
	f.defaults("").text("title", &p.Title, "Not blank.")
	f.defaults("").text("summary", &p.Summary, "Not blank.")
	f.defaults("[]").ids("deps", &p.Deps, 0, "Ids it depends on, at most 100; if empty, the memo's count.")
	objects(f.defaults("[]"), "attachments", &p.Attachments, AttachmentsMax, "Documents beside it.")
	object(f.defaults(""), "quorum", &p.Quorum, "Approval each house must reach; not both 0.")
	f.defaults("4").uint("vote_window_epochs", (*uint64)(&p.VoteWindowEpochs), "Not 0.")
	f.defaults("2").uint("timelock_epochs", (*uint64)(&p.TimelockEpochs), "Not 0.")
	f.defaults("1").uint("rollback_window_epochs", (*uint64)(&p.RollbackWindowEpochs), "Not 0.")
}

// Attachment points at a document beside a proposal.
type Attachment struct {
	Name string
	URI  string
}

func (a *Attachment) fields(f *fields) {
	f.defaults("").text("name", &a.Name, "What it is.")
	f.defaults("").text("uri", &a.URI, "Where it is.")
}

// Quorum is the approval each house must reach, in parts per million.
type Quorum struct {
	OperatorsPPM PPM
	BuildersPPM  PPM
}

func (q *Quorum) fields(f *fields) {
	f.defaults("0").uint("operators_ppm", (*uint64)(&q.OperatorsPPM), "").bound(uint64(PPMMax))
	f.defaults("0").uint("builders_ppm", (*uint64)(&q.BuildersPPM), "").bound(uint64(PPMMax))
}

// Disbursement is the payment itself.
type Disbursement struct {
	Destination      string
	Amount           Amount
	Memo             string
	ScheduledEpoch   Epoch
	ExpectedReceipts []Receipt
}

func (p *Disbursement) fields(f *fields) {
	f.defaults("").text("destination", &p.Destination, "The payee: `tb1` and 1 to 117 lower-case ASCII letters and digits.").bound(DestinationMax)
	f.defaults("0").uint("amount", (*uint64)(&p.Amount), "In the smallest unit of BLOCK; not 0.").bound(uint64(AmountMax))
	f.defaults("").text("memo", &p.Memo, "May name dependencies.").bound(MemoMax)
	f.defaults("0").uint("scheduled_epoch", (*uint64)(&p.ScheduledEpoch), "Not before this epoch; not 0.")
	objects(f.defaults("[]"), "expected_receipts", &p.ExpectedReceipts, ReceiptsMax, "Shares that add up to the amount.")
}

// Receipt is one share of a disbursement that its payee is expected to confirm.
type Receipt struct {
	Account string
	Amount  Amount
}

func (r *Receipt) fields(f *fields) {
	f.defaults("").text("account", &r.Account, "Who confirms.").bound(ReceiptAccountMax).identity(r.Account)
	f.defaults("0").uint("amount", (*uint64)(&r.Amount), "The share, in the smallest unit of BLOCK.").bound(uint64(AmountMax))
}

// payload is a payload as a field. It is written by hand: every submission is, several
// times.
func (f *fields) payload(name string, v *Payload) {
	if f.mode == appending {
		f.writes(name, false)
		f.b = AppendPayload(f.b, v)
		return
	}
	if f.mode == decoding {
		if f.here(name) {
			f.readPayload(v)
		}
		return
	}
	object(f, name, v, "Who is paid how much and when, and what is voted on.")
}

func (f *fields) readPayload(v *Payload) {
	plain, end, ok := plainPayload(&f.in.Decoder)
	if *v = plain; ok {
		f.in.Back(end)
		return
	}
	*v = Payload{}
	f.in.Map()
	f.entries(v, nil)
}

// plainPayload reads a payment without proposal and receipts, each part once, as most
// submissions are. Whatever is otherwise, or wrong, is for the fields to read: the
// decoder stands where it stood.
func plainPayload(d *pack.Decoder) (p Payload, end pack.Mark, ok bool) {
	start := d.Mark()
	defer d.Back(start)
	if d.Map() != 1 || !d.Next() || string(d.Key()) != "disbursement" {
		return p, end, false
	}
	seen := byte(0)
	d.Map()
	for d.Next() {
		bit := byte(0)
		switch string(d.Key()) {
		case "destination":
			bit, p.Disbursement.Destination = 1, d.Text()
		case "amount":
			bit, p.Disbursement.Amount = 2, Amount(d.Uint())
		case "memo":
			bit, p.Disbursement.Memo = 4, d.Text()
		case "scheduled_epoch":
			bit, p.Disbursement.ScheduledEpoch = 8, Epoch(d.Uint())
		case "expected_receipts":
			if bit = 16; d.List() != 0 || d.Next() {
				return p, end, false
			}
		}
		if bit == 0 || seen&bit != 0 {
			return p, end, false
		}
		seen |= bit
	}
	if d.Next() || d.Fault() != nil {
		return p, end, false
	}
	return p, d.Mark(), true
}

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

func appendProposal(b []byte, p *Proposal) []byte {
	b = pack.AppendMap(b, 8)
	b = pack.AppendString(b, "title")
	b = pack.AppendString(b, p.Title)
	b = pack.AppendString(b, "summary")
	b = pack.AppendString(b, p.Summary)
	b = pack.AppendString(b, "deps")
	b = pack.AppendArray(b, len(p.Deps))
	for _, id := range p.Deps {
		b = pack.AppendUint(b, uint64(id))
	}
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
