package disbursement

import (
	"encoding/binary"

	"github.com/the-block/bursar/messages"
)

// A stored record, version 1. Numbers at fixed offsets are big-endian; a varint
// is encoding/binary's; text is a varint of its length and its bytes.
//
//	 0  version, 1
//	 1  state
//	 2  flags
//	 3  amount
//	11  scheduled epoch
//	19  created at, Unix seconds
//	27  log index of the last transition        <- IndexOffset
//	35  number of dependencies, one byte
//	36  dependencies, 8 bytes each              <- DepsOffset
//	 …  destination text
//	 …  memo text, created epoch varint
//	 …  receipts: number, then account text and amount varint each
//	 …  proposal, if flagged: title, summary texts; number of attachments, then
//	    name and uri texts each; quorum of operators, of builders; vote window,
//	    timelock, rollback window varints
//	 …  vote deadline, activation, ready epoch varints, if flagged
//	 …  votes, if flagged: number, then house and approval in a byte (house,
//	    +0x80 if approving), voter text and weight varint each
//	 …  transaction, if flagged: nonce varint, 32 bytes of hash, executed epoch varint
//	 …  ending, if flagged: reason text, root varint, reversing transaction text
//	 …  transitions: number, then state byte, seconds since created at and epochs
//	    since the created epoch as signed varints, log index varint (none for the
//	    last: it is at 27) and node text each
//
// Log index and dependencies are the places that may have to be filled in at the
// commit, when their numbers become known; hence their fixed widths and offsets.
const (
	recordVersion = 1

	stateOffset     = 1
	flagsOffset     = 2
	amountOffset    = 3
	scheduledOffset = 11
	createdOffset   = 19
	depCountOffset  = 35

	// IndexOffset is where the log index of the last transition stands in an
	// encoded record, as 8 bytes, big-endian.
	IndexOffset = 27
	// DepsOffset is where the first dependency stands, as 8 bytes, big-endian;
	// the others follow without a gap.
	DepsOffset = 36
)

// Flags of an encoded record.
const (
	flagProposal = 1 << iota
	flagStaged
	flagEpochs
	flagVotes
	flagTx
	flagEnding
	flagOutside
	flagsAll = 1<<iota - 1
)

const approvedBit = 0x80

// AppendRecord appends the encoding of r to dst. The same record always gives
// the same bytes.
func AppendRecord(dst []byte, r *Record) []byte {
	d := &r.Payload.Disbursement
	flags := recordFlags(r)
	dst = append(dst, recordVersion, byte(r.State), flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.Amount))
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.ScheduledEpoch))
	dst = binary.BigEndian.AppendUint64(dst, r.CreatedAt)
	dst = binary.BigEndian.AppendUint64(dst, lastIndex(r))
	dst = append(dst, byte(len(r.Deps)))
	for _, id := range r.Deps {
		dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	}
	dst = appendText(dst, d.Destination)
	dst = appendText(dst, d.Memo)
	dst = binary.AppendUvarint(dst, uint64(r.CreatedEpoch))
	dst = binary.AppendUvarint(dst, uint64(len(d.ExpectedReceipts)))
	for _, receipt := range d.ExpectedReceipts {
		dst = appendText(dst, receipt.Account)
		dst = binary.AppendUvarint(dst, uint64(receipt.Amount))
	}
	if flags&flagProposal != 0 {
		dst = appendProposal(dst, r.Payload.Proposal)
	}
	if flags&flagEpochs != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.VoteDeadlineEpoch))
		dst = binary.AppendUvarint(dst, uint64(r.ActivationEpoch))
		dst = binary.AppendUvarint(dst, uint64(r.ReadyEpoch))
	}
	if flags&flagVotes != 0 {
		dst = appendVotes(dst, r.Votes)
	}
	if flags&flagTx != 0 {
		dst = binary.AppendUvarint(dst, r.Nonce)
		dst = append(dst, r.TxHash[:]...)
		dst = binary.AppendUvarint(dst, uint64(r.ExecutedEpoch))
	}
	if flags&flagEnding != 0 {
		dst = appendText(dst, r.Reason)
		dst = binary.AppendUvarint(dst, uint64(r.Root))
		dst = appendText(dst, r.ReversingTx)
	}
	return appendTransitions(dst, r)
}

func recordFlags(r *Record) byte {
	var flags byte
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(flagProposal, r.Payload.Proposal != nil)
	set(flagStaged, r.Staged)
	set(flagEpochs, r.VoteDeadlineEpoch != 0 || r.ActivationEpoch != 0 || r.ReadyEpoch != 0)
	set(flagVotes, len(r.Votes) > 0)
	set(flagTx, r.Nonce != 0 || r.TxHash != Hash{} || r.ExecutedEpoch != 0)
	set(flagOutside, r.Outside)
	set(flagEnding, r.Reason != "" || r.Root != 0 || r.ReversingTx != "")
	return flags
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

func appendProposal(dst []byte, p *messages.Proposal) []byte {
	dst = appendText(dst, p.Title)
	dst = appendText(dst, p.Summary)
	dst = binary.AppendUvarint(dst, uint64(len(p.Attachments)))
	for _, a := range p.Attachments {
		dst = appendText(dst, a.Name)
		dst = appendText(dst, a.URI)
	}
	dst = binary.AppendUvarint(dst, uint64(p.Quorum.OperatorsPPM))
	dst = binary.AppendUvarint(dst, uint64(p.Quorum.BuildersPPM))
	dst = binary.AppendUvarint(dst, uint64(p.VoteWindowEpochs))
	dst = binary.AppendUvarint(dst, uint64(p.TimelockEpochs))
	return binary.AppendUvarint(dst, uint64(p.RollbackWindowEpochs))
}

func appendVotes(dst []byte, votes []Vote) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(votes)))
	for i := range votes {
		dst = appendVote(dst, &votes[i])
	}
	return dst
}

func appendVote(dst []byte, v *Vote) []byte {
	house := byte(v.House)
	if v.Approve {
		house |= approvedBit
	}
	dst = append(dst, house)
	dst = appendText(dst, v.Voter)
	return binary.AppendUvarint(dst, uint64(v.WeightPPM))
}

func appendTransitions(dst []byte, r *Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.Transitions)))
	for i, t := range r.Transitions {
		dst = append(dst, byte(t.State))
		dst = binary.AppendVarint(dst, int64(t.At-r.CreatedAt))
		dst = binary.AppendVarint(dst, int64(t.Epoch-r.CreatedEpoch))
		if i < len(r.Transitions)-1 {
			dst = binary.AppendUvarint(dst, t.Index)
		}
		dst = appendText(dst, string(t.Node))
	}
	return dst
}

func lastIndex(r *Record) uint64 {
	if n := len(r.Transitions); n > 0 {
		return r.Transitions[n-1].Index
	}
	return 0
}
