package disbursement

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/the-block/bursar/messages"
)

// ErrCorrupt is returned when stored bytes are not a record: cut short, with
// bytes left over, or holding what no record holds.
var ErrCorrupt = errors.New("disbursement: corrupt record")

// Header is what a list filters by.
type Header struct {
	State          messages.State
	Staged         bool
	Amount         messages.Amount
	ScheduledEpoch messages.Epoch
	CreatedAt      uint64
	Destination    []byte // shares the encoded bytes
}

// DecodeHeader reads the header of an encoded record, without allocating and
// without looking at the rest. It wraps ErrCorrupt.
func DecodeHeader(data []byte) (Header, error) {
	r := reader{data: data}
	h, _ := r.header()
	destination := r.bytes()
	if r.err != nil {
		return Header{}, r.err
	}
	h.Destination = destination
	return h, nil
}

// DecodeRecord reads an encoded record. It accepts what AppendRecord wrote and
// nothing beyond its end, and shares no bytes with data. It wraps ErrCorrupt.
func DecodeRecord(data []byte) (Record, error) {
	r := reader{data: data}
	record := r.record()
	if r.err == nil && r.pos != len(data) {
		r.fail("bytes left over")
	}
	if r.err != nil {
		return Record{}, r.err
	}
	return record, nil
}

// reader takes values off encoded bytes. After the first fault, which it keeps
// in err, everything it gives is zero.
type reader struct {
	data []byte
	pos  int
	err  error
}

func (r *reader) record() Record {
	h, flags := r.header()
	rec := Record{State: h.State, Staged: h.Staged, Outside: flags&flagOutside != 0, CreatedAt: h.CreatedAt, Deps: r.deps()}
	d := &rec.Payload.Disbursement
	d.Amount, d.ScheduledEpoch = h.Amount, h.ScheduledEpoch
	d.Destination = r.text()
	d.Memo = r.text()
	rec.CreatedEpoch = messages.Epoch(r.uvarint())
	d.ExpectedReceipts = r.receipts()
	if flags&flagProposal != 0 {
		rec.Payload.Proposal = r.proposal()
	}
	if flags&flagEpochs != 0 {
		rec.VoteDeadlineEpoch = messages.Epoch(r.uvarint())
		rec.ActivationEpoch = messages.Epoch(r.uvarint())
		rec.ReadyEpoch = messages.Epoch(r.uvarint())
	}
	if flags&flagVotes != 0 {
		rec.Votes = r.votes()
	}
	if flags&flagTx != 0 {
		rec.Nonce = r.uvarint()
		copy(rec.TxHash[:], r.take(len(rec.TxHash)))
		rec.ExecutedEpoch = messages.Epoch(r.uvarint())
	}
	if flags&flagEnding != 0 {
		rec.Reason = r.text()
		rec.Root = messages.DisbursementID(r.uvarint())
		rec.ReversingTx = r.text()
	}
	rec.Transitions = r.transitions(&rec)
	return rec
}

// header reads what stands at fixed offsets, and leaves off behind the
// dependencies. Destination is not filled in.
func (r *reader) header() (h Header, flags byte) {
	if len(r.data) < DepsOffset || len(r.data) < DepsOffset+8*int(r.data[depCountOffset]) {
		r.fail("cut short")
		return Header{}, 0
	}
	if v := r.data[0]; v != recordVersion {
		r.fail(fmt.Sprintf("version %d", v))
		return Header{}, 0
	}
	state, flags := r.state(r.data[stateOffset]), r.data[flagsOffset]
	if r.err != nil {
		return Header{}, 0
	}
	if flags > flagsAll {
		r.fail("unknown flags")
		return Header{}, 0
	}
	r.pos = DepsOffset + 8*int(r.data[depCountOffset])
	return Header{
		State:          state,
		Staged:         flags&flagStaged != 0,
		Amount:         messages.Amount(binary.BigEndian.Uint64(r.data[amountOffset:])),
		ScheduledEpoch: messages.Epoch(binary.BigEndian.Uint64(r.data[scheduledOffset:])),
		CreatedAt:      binary.BigEndian.Uint64(r.data[createdOffset:]),
	}, flags
}

// deps reads the dependencies of a record whose header is sound.
func (r *reader) deps() []messages.DisbursementID {
	if r.err != nil || r.data[depCountOffset] == 0 {
		return nil
	}
	deps := make([]messages.DisbursementID, r.data[depCountOffset])
	for i := range deps {
		deps[i] = messages.DisbursementID(binary.BigEndian.Uint64(r.data[DepsOffset+8*i:]))
	}
	return deps
}

func (r *reader) receipts() []messages.Receipt {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	receipts := make([]messages.Receipt, n)
	for i := range receipts {
		receipts[i] = messages.Receipt{Account: r.text(), Amount: messages.Amount(r.uvarint())}
	}
	return receipts
}

func (r *reader) proposal() *messages.Proposal {
	p := &messages.Proposal{Title: r.text(), Summary: r.text()}
	if n := r.count(2); n > 0 {
		p.Attachments = make([]messages.Attachment, n)
		for i := range p.Attachments {
			p.Attachments[i] = messages.Attachment{Name: r.text(), URI: r.text()}
		}
	}
	p.Quorum.OperatorsPPM = messages.PPM(r.uvarint())
	p.Quorum.BuildersPPM = messages.PPM(r.uvarint())
	p.VoteWindowEpochs = messages.Epoch(r.uvarint())
	p.TimelockEpochs = messages.Epoch(r.uvarint())
	p.RollbackWindowEpochs = messages.Epoch(r.uvarint())
	return p
}

func (r *reader) votes() []Vote {
	n := r.count(3)
	if n == 0 {
		return nil
	}
	votes := make([]Vote, n)
	for i := range votes {
		votes[i] = r.vote()
	}
	return votes
}

func (r *reader) vote() Vote {
	b := r.byte()
	house := messages.House(b &^ approvedBit)
	if r.err == nil && house != messages.Operators && house != messages.Builders {
		r.fail(house.String())
	}
	return Vote{
		House:     house,
		Approve:   b&approvedBit != 0,
		Voter:     r.text(),
		WeightPPM: messages.PPM(r.uvarint()),
	}
}

// transitions reads the history of rec, which must end in its state.
func (r *reader) transitions(rec *Record) []Transition {
	n := r.count(4)
	if n == 0 {
		r.fail("no transitions")
		return nil
	}
	list := make([]Transition, n)
	for i := range list {
		t := &list[i]
		t.State = r.state(r.byte())
		t.At = rec.CreatedAt + uint64(r.varint())
		t.Epoch = rec.CreatedEpoch + messages.Epoch(r.varint())
		if i < n-1 {
			t.Index = r.uvarint()
		} else {
			t.Index = binary.BigEndian.Uint64(r.data[IndexOffset:])
		}
		t.Node = messages.NodeID(r.text())
	}
	if list[n-1].State != rec.State {
		r.fail("history ends in another state")
	}
	return list
}

// state wants b to be a state.
func (r *reader) state(b byte) messages.State {
	state := messages.State(b)
	if state < messages.Draft || state > messages.RolledBack {
		r.fail(state.String())
	}
	return state
}

// count reads a number of elements that take at least size bytes each, so that
// no more memory is asked for than the bytes left can fill.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.data)-r.pos)/uint64(size) {
		r.fail("cut short")
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) text() string { return string(r.bytes()) }

// bytes reads a length and that many bytes, which it shares.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.fail("cut short")
		return nil
	}
	return r.take(int(n))
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.data)-r.pos {
		r.fail("cut short")
		return nil
	}
	b := r.data[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.data[r.pos:])
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.pos += n
	return v
}

func (r *reader) varint() int64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Varint(r.data[r.pos:])
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.pos += n
	return v
}

// fail keeps the first fault and where it was.
func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrCorrupt, what, r.pos)
	}
}
