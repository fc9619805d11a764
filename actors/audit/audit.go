package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Config is what a node's audit needs to know.
type Config struct {
	Node messages.NodeID
	// Key signs checkpoints.
	Key ed25519.PrivateKey
	// Cluster gives the cluster's id; empty before there is one.
	Cluster func() string
	// Concerns reports whether a signed call names a disbursement.
	Concerns func(call *messages.AuditRow, id messages.DisbursementID) bool
	// Before lists the rows of a log that is not audited yet: not every node knows how.
	Before func(messages.Page) (*messages.AuditResult, *messages.Error)
}

// Audit is one node's audit.
type Audit struct {
	cfg   Config
	store *persistence.Store
}

// New returns a node's audit of its Store.
func New(cfg Config, store *persistence.Store) *Audit { return &Audit{cfg, store} }

// API binds the methods of the audit.
func (a *Audit) API() []durable.Binding {
	return []durable.Binding{
		durable.Walks(messages.MethodAudit, a.Rows),
		durable.Reads(messages.MethodCheckpoint, a.Checkpoint),
	}
}

const (
	// pageRows are examined for a page at most: each takes two looks into the Store, and its
	// share of a block. pageApartRows are where the rows lie apart, or each is proven: then it is ten.
	pageRows      = 450
	pageApartRows = 80
	// rowOverhead is about what a row takes in a reply beside its texts.
	rowOverhead = 160
	// nearMax is how far behind its disbursement's leaf a signed call is looked for.
	nearMax = 64
)

// Rows answers admin.audit.
func (a *Audit) Rows(p *messages.AuditParams) (*messages.AuditResult, *messages.Error) {
	if a.store.Level() < persistence.LevelAudit {
		if p.Leaves || p.Since != 0 || p.ID != 0 || p.Path != "" {
			return nil, untouched(a.store.Level())
		}
		return a.cfg.Before(p.Page)
	}
	var result *messages.AuditResult
	var refusal *messages.Error
	err := a.store.View(func(v *persistence.View) (err error) {
		l := look{a: a, v: v, tree: v.Tree(), p: p, size: p.ProofFor, result: &messages.AuditResult{AppliedIndex: v.Applied()}}
		if l.size == 0 {
			l.size = l.tree.Size()
		}
		if refusal = l.check(); refusal != nil {
			return nil
		}
		if err = l.prove(); err != nil {
			return err
		}
		result = l.result
		return l.page()
	})
	switch {
	case refusal != nil:
		return nil, refusal
	case err != nil:
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

func untouched(level uint16) *messages.Error {
	return messages.Errorf(messages.CodeUnavailable,
		"not done: not every node keeps the audit's tree yet (feature level %d of %d); upgrade them all", level, persistence.LevelAudit)
}

// look is one call of admin.audit.
type look struct {
	a      *Audit
	v      *persistence.View
	tree   *persistence.Tree
	p      *messages.AuditParams
	size   uint64 // of the tree that the proofs are for
	bytes  int
	result *messages.AuditResult
}

func (l *look) check() *messages.Error {
	switch have := l.tree.Size(); {
	case l.size > have:
		return messages.Errorf(messages.CodeValidationFailed, "params.proof_for: the audit has %d rows here, not %d yet", have, l.size)
	case l.p.Since > l.size:
		return messages.Errorf(messages.CodeValidationFailed, "params.since: %d rows are more than the %d that the proof is for", l.p.Since, l.size)
	}
	return nil
}

// prove adds what is asked for of the whole tree.
func (l *look) prove() (err error) {
	if !l.p.Leaves && l.p.Since == 0 {
		return nil
	}
	l.result.Size = l.size
	if l.result.Note, l.result.Key, _, err = l.a.sign(l.tree, l.size); err != nil || l.p.Since == 0 {
		return err
	}
	proof, err := l.tree.ProveExtends(l.p.Since, l.size)
	l.result.Since = listOf(proof)
	return err
}

// page adds rows until it is full.
func (l *look) page() error {
	next := l.all()
	if l.p.ID != 0 {
		next = l.about()
	}
	examined, examinedMax := 0, pageRows
	if l.p.Leaves || l.p.ID != 0 {
		examinedMax = pageApartRows
	}
	for last := uint64(0); ; examined++ {
		number, ok := next()
		switch {
		case !ok:
			return nil
		case uint64(len(l.result.Rows)) == l.p.Limit || examined == examinedMax || l.bytes > messages.ReplyMax:
			l.result.NextCursor = messages.Cursor(last)
			return nil
		}
		if last = number; l.p.Leaves && number > l.size { // newer than the tree
			continue
		}
		row, err := l.row(number)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(row.Path, l.p.Path) {
			continue
		}
		l.bytes += size(&row)
		l.result.Rows = append(l.result.Rows, row)
	}
}

// all gives the numbers of all leaves, in order, behind the cursor.
func (l *look) all() func() (uint64, bool) {
	last := l.tree.Size()
	if l.p.Leaves {
		last = l.size
	}
	cursor := uint64(l.p.Cursor)
	if l.p.Order == messages.OldestFirst {
		return func() (uint64, bool) {
			cursor++
			return cursor, cursor <= last
		}
	}
	if cursor == 0 || cursor > last {
		cursor = last + 1
	}
	return func() (uint64, bool) {
		cursor--
		return cursor, cursor > 0
	}
}

// about gives the numbers of the leaves of one disbursement, newest first, each behind those
// of the vote and the signed call that made it, if they did.
func (l *look) about() func() (uint64, bool) {
	key := rows.RecordKey(l.p.ID)
	number := l.v.LeafOf(key)
	if cursor := uint64(l.p.Cursor); cursor != 0 {
		number = l.behind(key, cursor)
	}
	var queue []uint64
	return func() (next uint64, ok bool) {
		for len(queue) == 0 {
			kept, ok := l.tree.Kept(number)
			if !ok {
				return 0, false
			}
			queue, number = l.made(&kept), kept.Previous
			if cursor := uint64(l.p.Cursor); cursor != 0 {
				queue = slices.DeleteFunc(queue, func(n uint64) bool { return n >= cursor })
			}
		}
		next, queue = queue[0], queue[1:]
		return next, true
	}
}

// behind is the leaf of a row that comes behind the cursor, newest first.
func (l *look) behind(key persistence.Key, cursor uint64) uint64 {
	for n := cursor; n > 0 && cursor-n <= nearMax; n-- {
		switch kept, ok := l.tree.Kept(n); {
		case !ok:
			return 0
		case kept.Key == key && n == cursor:
			return kept.Previous
		case kept.Key == key:
			return n
		}
	}
	return 0
}

// made are a leaf of the disbursement and what the same commit wrote with it: the vote and
// the signed call, newest first.
func (l *look) made(record *persistence.KeptLeaf) []uint64 {
	numbers := []uint64{record.Number}
	for n := record.Number + 1; n <= record.Number+nearMax; n++ {
		kept, ok := l.tree.Kept(n)
		if !ok || kept.Index != record.Index || kept.Key == record.Key {
			break
		}
		if id, ok := rows.CastOf(kept.Key); ok && id == l.p.ID || l.calls(&kept) {
			numbers = append(numbers, n)
		}
	}
	slices.Reverse(numbers)
	return numbers
}

// calls reports whether a leaf is a signed call about the disbursement.
func (l *look) calls(kept *persistence.KeptLeaf) bool {
	if kept.Key.Table() != authority.TableCalls {
		return false
	}
	var call messages.AuditRow
	value, ok := l.v.Get(kept.Key)
	return ok && authority.DescribeCall(value.Data, &call) == nil && l.concerns(&call)
}

// concerns reports whether a signed call is about the disbursement: it names it, or has
// submitted it.
func (l *look) concerns(call *messages.AuditRow) bool {
	if l.a.cfg.Concerns(call, l.p.ID) {
		return true
	}
	made, ok := l.v.Request(call.RequestID)
	id := uint64(l.p.ID)
	return ok && made.Table == rows.TableDisbursements && made.First <= id && id < made.First+uint64(made.Count)
}

// row tells a leaf, with its proof if that is asked for.
func (l *look) row(number uint64) (row messages.AuditRow, err error) {
	kept, _ := l.tree.Leaf(number)
	row = messages.AuditRow{ID: number, Index: kept.Index}
	leaf := persistence.Leaf{Number: number, Index: kept.Index, Key: kept.Key}
	if kept.Bytes != nil {
		if leaf, err = persistence.ParseLeaf(kept.Bytes); err != nil {
			return row, err
		}
	} else if now, ok := l.v.Get(kept.Key); ok { // written anew since
		leaf.Tag, leaf.Data = now.Tag, now.Data
	}
	if leaf.Data == nil {
		row.What, row.Path = dropped, fmt.Sprintf("%x", string(kept.Key))
	} else if err = describeLeaf(&leaf, &row); err != nil {
		return row, err
	}
	if !l.p.Leaves {
		return row, nil
	}
	row.Leaf, row.LeafHash = kept.Bytes, kept.Hash[:]
	proof, err := l.tree.Prove(number, l.size)
	row.Proof = listOf(proof)
	return row, err
}

// dropped is what is told of a row that is kept no longer: its leaf stays.
const dropped = "dropped"

func size(row *messages.AuditRow) int {
	return rowOverhead + len(row.Who) + len(row.Path) + len(row.Node) + len(row.Detail) + len(row.Envelope) + len(row.Leaf) +
		len(row.Proof)*(persistence.TreeHashBytes+2)
}

func listOf(hashes []persistence.TreeHash) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}

// Checkpoint answers admin.checkpoint.
func (a *Audit) Checkpoint(p *messages.CheckpointParams) (*messages.CheckpointResult, *messages.Error) {
	if level := a.store.Level(); level < persistence.LevelAudit {
		return nil, untouched(level)
	}
	result := &messages.CheckpointResult{Node: string(a.cfg.Node), Size: p.Size}
	have := uint64(0)
	err := a.store.View(func(v *persistence.View) error {
		tree := v.Tree()
		result.AppliedIndex, have = v.Applied(), tree.Size()
		if result.Size == 0 {
			result.Size = have
		}
		if result.Size > have {
			return nil
		}
		var root persistence.TreeHash
		var err error
		result.Note, result.Key, root, err = a.sign(tree, result.Size)
		result.Root = root[:]
		return err
	})
	switch {
	case err != nil:
		return nil, durable.ErrorOf(err)
	case result.Size > have:
		return nil, messages.Errorf(messages.CodeNotFound, "the audit has %d rows here, not %d yet", have, result.Size)
	}
	return result, nil
}

var errNoCluster = errors.New("the cluster has no id yet")

// sign signs a checkpoint of the first size rows.
func (a *Audit) sign(tree *persistence.Tree, size uint64) (signed, verifier string, root persistence.TreeHash, err error) {
	cluster := a.cfg.Cluster()
	if cluster == "" {
		return "", "", root, errNoCluster
	}
	if root, err = tree.Root(size); err != nil {
		return "", "", root, err
	}
	s := &signer{name: Origin(cluster), key: a.cfg.Key}
	text := fmt.Sprintf("%s\n%d\n%s\n", s.name, size, base64.StdEncoding.EncodeToString(root[:]))
	b, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return "", "", root, fmt.Errorf("sign a checkpoint: %w", err)
	}
	verifier, err = s.verifier()
	return string(b), verifier, root, err
}
