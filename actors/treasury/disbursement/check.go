package disbursement

import (
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// Check judges a submission by itself, without looking at any state, and gives
// its canonical dependencies: those of the proposal if it names any, else those
// of the memo, ascending, without duplicates; nil if there are none. The first
// fault answers: fields, the memo's length, the number of dependencies, then
// what the memo's list holds. Whether the dependencies exist is for the log to
// say. An id of 0 passes: it is written as an id should be, and none has it.
func Check(p messages.Payload) (deps []messages.DisbursementID, err *messages.Error) {
	if err := checkFields(p); err != nil {
		return nil, err
	}
	if n := len(p.Disbursement.Memo); n > MemoBytesMax {
		return nil, messages.Errorf(messages.CodeMemoTooLong,
			"disbursement.memo has %d bytes, at most %d are allowed", n, MemoBytesMax)
	}
	return checkDependencies(p)
}

func checkFields(p messages.Payload) *messages.Error {
	if p.Proposal != nil {
		if err := checkProposalText(p.Proposal); err != nil {
			return err
		}
	}
	if err := checkPayment(p.Disbursement); err != nil {
		return err
	}
	if p.Proposal != nil {
		if err := checkProposalNumbers(p.Proposal); err != nil {
			return err
		}
	}
	return checkReceipts(p.Disbursement)
}

func checkProposalText(p *messages.Proposal) *messages.Error {
	if err := checkText("proposal.title", p.Title, TitleBytesMax); err != nil {
		return err
	}
	if err := checkText("proposal.summary", p.Summary, SummaryBytesMax); err != nil {
		return err
	}
	if n := len(p.Attachments); n > AttachmentsMax {
		return invalid("proposal.attachments has %d entries, at most %d are allowed", n, AttachmentsMax)
	}
	for i, a := range p.Attachments {
		if n := len(a.Name); n > AttachmentNameBytesMax {
			return invalid("proposal.attachments[%d].name has %d bytes, at most %d are allowed",
				i, n, AttachmentNameBytesMax)
		}
		if n := len(a.URI); n > AttachmentURIBytesMax {
			return invalid("proposal.attachments[%d].uri has %d bytes, at most %d are allowed",
				i, n, AttachmentURIBytesMax)
		}
	}
	return nil
}

func checkPayment(d messages.Disbursement) *messages.Error {
	switch fault := messages.DestinationFault(d.Destination); {
	case fault != "":
		return invalid("disbursement.destination %s", fault)
	case d.Amount == 0:
		return invalid("disbursement.amount must be above 0")
	case d.Amount > messages.AmountMax:
		return invalid("disbursement.amount must be at most %d", messages.AmountMax)
	case d.ScheduledEpoch == 0:
		return invalid("disbursement.scheduled_epoch must be above 0")
	}
	return nil
}

func checkProposalNumbers(p *messages.Proposal) *messages.Error {
	switch q := p.Quorum; {
	case q.OperatorsPPM > messages.PPMMax:
		return invalid("proposal.quorum.operators_ppm must be at most %d", messages.PPMMax)
	case q.BuildersPPM > messages.PPMMax:
		return invalid("proposal.quorum.builders_ppm must be at most %d", messages.PPMMax)
	case q.OperatorsPPM == 0 && q.BuildersPPM == 0:
		return invalid("proposal.quorum must be above 0 in at least one house")
	case p.VoteWindowEpochs == 0:
		return invalid("proposal.vote_window_epochs must be above 0")
	case p.TimelockEpochs == 0:
		return invalid("proposal.timelock_epochs must be above 0")
	case p.RollbackWindowEpochs == 0:
		return invalid("proposal.rollback_window_epochs must be above 0")
	}
	return nil
}

// checkReceipts wants no receipts, or such that add up to the amount.
func checkReceipts(d messages.Disbursement) *messages.Error {
	receipts := d.ExpectedReceipts
	if len(receipts) == 0 {
		return nil
	}
	if n := len(receipts); n > ReceiptsMax {
		return invalid("disbursement.expected_receipts has %d entries, at most %d are allowed", n, ReceiptsMax)
	}
	left := d.Amount
	for i, r := range receipts {
		switch n := len(r.Account); {
		case strings.TrimSpace(r.Account) == "":
			return invalid("disbursement.expected_receipts[%d].account must not be blank", i)
		case n > ReceiptAccountBytesMax:
			return invalid("disbursement.expected_receipts[%d].account has %d bytes, at most %d are allowed",
				i, n, ReceiptAccountBytesMax)
		case r.Amount > left:
			return invalid("disbursement.expected_receipts add up to more than the amount of %d", d.Amount)
		}
		left -= r.Amount
	}
	if left > 0 {
		return invalid("disbursement.expected_receipts add up to %d less than the amount of %d", left, d.Amount)
	}
	return nil
}

// checkDependencies judges the explicit list and the memo's against each other.
func checkDependencies(p messages.Payload) ([]messages.DisbursementID, *messages.Error) {
	var explicit []messages.DisbursementID
	if p.Proposal != nil {
		var ok bool
		if explicit, ok = distinct(p.Proposal.Deps); !ok {
			return nil, messages.Errorf(messages.CodeTooManyDependencies,
				"proposal.deps names more than %d disbursements", DependenciesMax)
		}
	}
	var list memoList
	list.scan(p.Disbursement.Memo)
	if list.items > DependenciesMax {
		return nil, messages.Errorf(messages.CodeTooManyDependencies,
			"disbursement.memo lists more than %d dependencies", DependenciesMax)
	}
	if err := list.check(); err != nil {
		return nil, err
	}
	named := ids(list.set())
	if len(explicit) == 0 {
		return named, nil
	}
	for _, id := range named {
		if _, found := slices.BinarySearch(explicit, id); !found {
			return nil, invalid("disbursement.memo depends on %d, which proposal.deps lacks", id)
		}
	}
	return explicit, nil
}

// check says what is wrong with the memo's list.
func (l *memoList) check() *messages.Error {
	switch l.fault {
	case memoMalformed:
		return invalid("disbursement.memo starts with { and holds %s, but is not valid JSON", dependsOn)
	case memoKeyTwice:
		return invalid("disbursement.memo has the key %s more than once", dependsOn)
	case memoNoArray:
		return invalid("disbursement.memo has no array under %s", dependsOn)
	case memoSound:
	}
	if l.badAt > 0 {
		return invalid("disbursement.memo: item %d of %s is not a disbursement id", l.badAt, dependsOn)
	}
	return nil
}

// distinct gives the ids ascending without duplicates, or false if there are
// more than DependenciesMax. A list of any length costs no more memory than that.
func distinct(list []messages.DisbursementID) ([]messages.DisbursementID, bool) {
	var set []messages.DisbursementID
	for _, id := range list {
		at, found := slices.BinarySearch(set, id)
		if found {
			continue
		}
		if len(set) == DependenciesMax {
			return nil, false
		}
		set = slices.Insert(set, at, id)
	}
	return set, true
}

func ids(numbers []uint64) []messages.DisbursementID {
	if len(numbers) == 0 {
		return nil
	}
	list := make([]messages.DisbursementID, len(numbers))
	for i, n := range numbers {
		list[i] = messages.DisbursementID(n)
	}
	return list
}

// checkText wants text that is not blank, in at most limit bytes.
func checkText(field, text string, limit int) *messages.Error {
	if n := len(text); n > limit {
		return invalid("%s has %d bytes, at most %d are allowed", field, n, limit)
	}
	if strings.TrimSpace(text) == "" {
		return invalid("%s must not be blank", field)
	}
	return nil
}

func invalid(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeValidationFailed, format, args...)
}

// The limits of one submission.
const (
	// MemoBytesMax is the longest memo that is stored, and the longest that is
	// looked at for dependencies. A longer one is refused as memo_too_long.
	MemoBytesMax = messages.MemoMax
	// TxMemoBytesMax is how much of the memo the paying transaction carries.
	TxMemoBytesMax = 1024
	// DependenciesMax is how many distinct dependencies a disbursement has at
	// most, and how many items of a memo's list are looked at. More are refused
	// as too_many_dependencies.
	DependenciesMax = messages.DependenciesMax

	// The rest is refused as validation_failed, naming the field.
	DestinationBytesMax    = messages.DestinationMax
	TitleBytesMax          = messages.TitleMax
	SummaryBytesMax        = messages.SummaryMax
	AttachmentsMax         = messages.AttachmentsMax
	AttachmentNameBytesMax = messages.AttachmentNameMax
	AttachmentURIBytesMax  = messages.AttachmentURIMax
	ReceiptsMax            = messages.ReceiptsMax
	ReceiptAccountBytesMax = messages.ReceiptAccountMax
)

// The limits of what comes later in a life; each is validation_failed when hit.
const (
	// VotesMax is how many votes, one for each house and voter, a record keeps.
	VotesMax = messages.VotesMax
	// VoterBytesMax bounds a voter's name.
	VoterBytesMax = messages.VoterMax
	// ReasonBytesMax bounds the reason given for a rollback. A submitter's own
	// reason is cut to it instead: it is an answer from outside, not a request.
	ReasonBytesMax = messages.ReasonMax
	// ReversingTxBytesMax bounds the hash of a reversing transfer as text.
	ReversingTxBytesMax = messages.ReversingTxMax
)
