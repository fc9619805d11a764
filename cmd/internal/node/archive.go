package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/backup"
)

// TableArchive holds what the log knows of backups: single rows, under their names.
const TableArchive persistence.Table = 'k'

// The rows of TableArchive.
var (
	// archiverKey names who ships the log; the row's version is its fence.
	archiverKey = persistence.NameKey(TableArchive, "archiver")
	// wantedKey counts, by its version, the bases that were asked for.
	wantedKey = persistence.NameKey(TableArchive, "wanted")
	// archiveKey says what the archiver has done: archived as JSON.
	archiveKey = persistence.NameKey(TableArchive, "state")
	// verifiedKey says what the newest verification has proven: verified as JSON.
	verifiedKey = persistence.NameKey(TableArchive, "verified")
)

// ArchiverKeys are the rows that a restored cluster begins without.
func ArchiverKeys() []persistence.Key {
	return []persistence.Key{archiverKey, wantedKey, archiveKey, verifiedKey}
}

const (
	// archivePoll is how often the archiver looks around.
	archivePoll = time.Second
	// archiveEntriesMax is how many entries wait for the interval at most: the log keeps
	// archiveTrailing of them behind a Raft snapshot.
	archiveEntriesMax = 512
	archiveTrailing   = 4096
	// archiveWorkMax bounds one round of work, a base among it.
	archiveWorkMax = 30 * time.Minute
	// verifyEvery is how often all of a backup is read back.
	verifyEvery = 24 * time.Hour
	// verifyRetry is when it is tried again where it did not hold.
	verifyRetry = time.Hour
	// archiveRetry is how long a target that failed is left alone.
	archiveRetry = 5 * time.Second
	// basesTold is how many of the newest bases admin.backups tells of.
	basesTold = 50
)

// archived is what the archiver tells all nodes.
type archived struct {
	Target string      `json:"target"`
	Node   string      `json:"node"`
	Done   uint64      `json:"done"` // the newest version of wantedKey that was carried out
	Bases  []basesLine `json:"bases"`
}

// verified is the newest index that a reading back of everything has proven, and when.
type verified struct {
	Index uint64    `json:"index"`
	At    time.Time `json:"at"`
}

type basesLine struct {
	Index  uint64    `json:"index"`
	At     time.Time `json:"at"`
	Stored int64     `json:"stored"`
	Held   int64     `json:"held"`
	Digest string    `json:"digest"`
}

// archiver ships the log to the target of the backups while the log says that it is this
// node's to do.
type archiver struct {
	n    *Node
	log  *slog.Logger
	keys backup.Keys

	// Run's own.
	target  backup.Target
	writer  *backup.Writer
	fence   uint64
	vacant  time.Time // since when nobody archives
	shipped time.Time // when the last round began
	retry   time.Time
	told    string // the last error that was logged

	mu      sync.Mutex
	figures archiveFigures
	proving bool
	// reverify is when a verification may begin again.
	reverify time.Time
}

// archiveFigures are what a scrape is told.
type archiveFigures struct {
	Jobs     []backupJob `max:"3"`
	Failures uint64      `metric:"bursar_backup_failures_total" help:"Rounds of the archiver that failed; each is tried again."`
	Shipped  uint64      `metric:"bursar_backup_shipped_index" help:"Newest log entry that this archiver has read back from the target; 0 where it is not the archiver."`
}

// backupJob is one thing the archiver does: pieces, bases or verify.
type backupJob struct {
	Job     string        `label:"job"`
	Success *time.Time    `metric:"backup_last_success_timestamp_seconds" help:"When what was last written was read back and its hashes held, by job: pieces, bases, verify."`
	Bytes   int64         `metric:"backup_size_bytes" help:"Bytes stored by the job's last success; of verify, of the whole backup."`
	Took    time.Duration `metric:"backup_duration_seconds" help:"Time of the job's last success."`
}

func (n *Node) openArchiver(context.Context) error {
	n.archiver = &archiver{n: n, log: n.log.With("component", "archiver")}
	if n.cfg.BackupTo == "" {
		return nil
	}
	if n.cfg.BackupRecipient != "" {
		if err := n.archiver.keys.ParseRecipient(n.cfg.BackupRecipient); err != nil {
			return err
		}
	}
	var err error
	n.archiver.target, err = backup.OpenTarget(n.cfg.BackupTo)
	return err
}

// Figures gives what a scrape is told.
func (a *archiver) Figures() *archiveFigures {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.figures
	f.Jobs = slices.Clone(f.Jobs)
	return &f
}

// succeeded notes a success: what was written was read back.
func (a *archiver) succeeded(job string, bytes int64, at time.Time, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := backupJob{Job: job, Success: &at, Bytes: bytes, Took: took}
	for i := range a.figures.Jobs {
		if a.figures.Jobs[i].Job == job {
			a.figures.Jobs[i] = now
			return
		}
	}
	a.figures.Jobs = append(a.figures.Jobs, now)
}

// Run archives until ctx ends.
func (a *archiver) Run(ctx context.Context) error {
	tick := time.NewTicker(archivePoll)
	defer tick.Stop()
	var verifying sync.WaitGroup
	defer verifying.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := a.round(ctx, now, &verifying); err != nil && ctx.Err() == nil {
				a.fail(ctx, err, now)
			}
		}
	}
}

// fail tells of a round that failed, once as long as it fails in the same way.
func (a *archiver) fail(ctx context.Context, err error, now time.Time) {
	a.mu.Lock()
	a.figures.Failures++
	a.mu.Unlock()
	a.retry, a.writer = now.Add(archiveRetry), nil
	if text := err.Error(); text != a.told {
		a.told = text
		a.log.WarnContext(ctx, "the backup does not go on; it is tried again", "err", err)
	}
}

// seat is what a node knows about who archives.
type seat struct {
	configured bool // this node has a target
	role       Role
	holder     messages.NodeID // "" for nobody
	holderRole Role            // "" if it does not live
	mine       bool
	vacant     time.Duration // for how long nobody has archived
}

// seatMove is what a node does about the archiver's seat.
type seatMove int

const (
	stayAway seatMove = iota
	claimSeat
	leaveSeat
	keepSeat
)

// archiverAfter is for how long a seat is vacant before a node of a role takes it: those
// that own nothing first.
var archiverAfter = map[Role]time.Duration{RoleObserver: 0, RoleReplica: 3 * time.Second, RolePrimary: 6 * time.Second}

// decide says what to do about the archiver's seat.
func (s seat) decide() seatMove {
	switch {
	case s.mine && s.configured:
		return keepSeat
	case s.mine:
		return leaveSeat // it was started anew, without a target
	case !s.configured:
		return stayAway
	case s.holderRole != "" && archiverAfter[s.role] >= archiverAfter[s.holderRole]:
		return stayAway
	case s.holderRole != "":
		return claimSeat // it owns nothing, and the one who archives has other work
	case s.vacant >= archiverAfter[s.role]:
		return claimSeat
	}
	return stayAway
}

// look finds out who archives, and under which fence.
func (a *archiver) look(now time.Time) (s seat, version uint64, err error) {
	n := a.n
	s = seat{configured: a.target != nil, role: n.cfg.Role}
	row, ok, err := n.store.Get(archiverKey)
	if err != nil {
		return s, 0, err
	}
	if ok {
		s.holder, version = messages.NodeID(row.Data), row.Version
	}
	s.mine = s.holder != "" && s.holder == n.cfg.Name
	for _, m := range n.membership.Members() {
		if status, known := n.peers.Status(m.Name); m.Name == s.holder && known && status.Up {
			s.holderRole = Role(m.Role.String())
		}
	}
	if s.mine || s.holderRole != "" {
		a.vacant = time.Time{}
	} else if a.vacant.IsZero() {
		a.vacant = now
	}
	if !a.vacant.IsZero() {
		s.vacant = now.Sub(a.vacant)
	}
	return s, version, nil
}

// round does what is due.
func (a *archiver) round(ctx context.Context, now time.Time, verifying *sync.WaitGroup) error {
	if !a.n.consensus.State().Ready {
		return nil
	}
	s, version, err := a.look(now)
	if err != nil {
		return err
	}
	move := s.decide()
	if move != keepSeat {
		a.writer = nil
		a.mu.Lock()
		a.figures.Shipped = 0
		a.mu.Unlock()
	}
	switch move {
	case claimSeat:
		return a.sit(ctx, string(a.n.cfg.Name), version)
	case leaveSeat:
		return a.sit(ctx, "", version)
	case stayAway:
		return nil
	case keepSeat:
	}
	if now.Before(a.retry) {
		return nil
	}
	working, cancel := context.WithTimeout(ctx, archiveWorkMax)
	defer cancel()
	if err := a.work(working, now, version); err != nil {
		return err
	}
	a.told = ""
	return a.verifyIfDue(ctx, now, verifying)
}

// sit has the log say who archives, provided that it is as it was.
func (a *archiver) sit(ctx context.Context, node string, version uint64) error {
	txn := &persistence.Txn{
		Conditions: []persistence.Condition{persistence.Absent(archiverKey)},
		Writes:     []persistence.Write{{Key: archiverKey, Value: []byte(node)}},
	}
	if version > 0 {
		txn.Conditions[0] = persistence.VersionIs(archiverKey, version)
	}
	result, err := a.commit(ctx, txn)
	if err == nil && result.Status == persistence.Committed && node != "" {
		a.log.InfoContext(ctx, "this node ships the log to the backup", "to", a.n.cfg.BackupTo)
	}
	return err
}

func (a *archiver) commit(ctx context.Context, txn *persistence.Txn) (persistence.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, archiveRetry)
	defer cancel()
	return persistence.Commit(ctx, a.n.journal, persistence.Proposal{Txn: txn})
}

// work ships what is due under a fence.
func (a *archiver) work(ctx context.Context, now time.Time, fence uint64) error {
	if a.writer == nil || a.fence != fence {
		if err := a.openWriter(ctx, fence); err != nil {
			return err
		}
	}
	state, asked, err := a.n.archived()
	if err != nil {
		return err
	}
	if a.writer.BaseDue(now) || asked > state.Done || state.Target != a.n.cfg.BackupTo {
		return a.base(ctx, state, asked)
	}
	applied := a.n.store.Applied()
	if applied == a.writer.Shipped() || now.Sub(a.shipped) < a.n.cfg.BackupInterval && applied-a.writer.Shipped() < archiveEntriesMax {
		return nil
	}
	a.shipped = now
	return a.ship(ctx, state, asked, applied)
}

func (a *archiver) openWriter(ctx context.Context, fence uint64) error {
	cfg := backup.DefaultWriterConfig()
	cfg.Cluster, cfg.Node, cfg.Fence = a.n.consensus.ClusterID(), string(a.n.cfg.Name), fence
	cfg.Level, cfg.Keys = a.n.store.Level, a.keys
	cfg.Prove = func(ctx context.Context, state io.Reader) (facts backup.Facts, err error) {
		err = check.InScratch(a.n.cfg.DataDir, func(fsm *persistence.FSM) error {
			if err := fsm.Restore(state); err != nil {
				return err
			}
			facts, err = check.Facts(ctx, fsm.Store())
			return err
		})
		return facts, err
	}
	writer := backup.NewWriter(cfg, a.target, shippedLog{a.n})
	if err := writer.Open(ctx); err != nil {
		return err
	}
	a.writer, a.fence = writer, fence
	a.shippedTo()
	return nil
}

func (a *archiver) shippedTo() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.figures.Shipped = a.writer.Shipped()
}

// ship writes what was applied since the last time. Where the log no longer holds it, a base
// goes on.
func (a *archiver) ship(ctx context.Context, state archived, asked, applied uint64) error {
	began := time.Now()
	made, err := a.writer.Ship(ctx, applied)
	if errors.Is(err, backup.ErrGap) {
		a.log.WarnContext(ctx, "the log was cut before it was shipped: a base goes on, and no moment in between can be restored",
			"from", a.writer.Shipped()+1, "err", err)
		return a.base(ctx, state, asked)
	}
	if err != nil {
		return err
	}
	var bytes int64
	for _, m := range made {
		bytes += m.Stored.Bytes
	}
	a.succeeded("pieces", bytes, time.Now(), time.Since(began))
	a.shippedTo()
	return nil
}

// base makes a base, removes what is superfluous, and tells of it.
func (a *archiver) base(ctx context.Context, state archived, asked uint64) error {
	began := time.Now()
	m, err := a.writer.Base(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	a.succeeded("bases", m.Stored.Bytes, time.Now(), took)
	a.succeeded("pieces", 0, time.Now(), 0) // the base holds all that pieces would
	a.shippedTo()
	a.log.InfoContext(ctx, "base written and read back", "index", m.Last, "took", took)
	set, err := backup.Load(ctx, a.target)
	if err != nil {
		return err
	}
	if !a.n.cfg.BackupNoPrune {
		if _, err := backup.Prune(ctx, a.target, backup.DefaultRetention().Superfluous(set, time.Now())); err != nil {
			a.log.WarnContext(ctx, "what is superfluous was not removed; the next base tries again", "err", err)
		}
	}
	state.Target, state.Node, state.Done = a.n.cfg.BackupTo, string(a.n.cfg.Name), asked
	state.Bases = nil
	for _, b := range set.Bases[max(0, len(set.Bases)-basesTold):] {
		if b.Facts != nil {
			state.Bases = append(state.Bases, basesLine{Index: b.Last, At: b.LastAt, Stored: b.Stored.Bytes, Held: b.Held.Bytes, Digest: b.Facts.Digest})
		}
	}
	return a.tell(ctx, archiveKey, a.fence, state)
}

// tell has the log say what was done, as long as this node is the one to.
func (a *archiver) tell(ctx context.Context, key persistence.Key, fence uint64, what any) error {
	value, err := json.Marshal(what)
	if err != nil {
		return err
	}
	_, err = a.commit(ctx, &persistence.Txn{
		Conditions: []persistence.Condition{persistence.VersionIs(archiverKey, fence)},
		Writes:     []persistence.Write{{Key: key, Value: value}},
	})
	return err
}

// verifyIfDue reads everything back once a day, beside the shipping.
func (a *archiver) verifyIfDue(ctx context.Context, now time.Time, verifying *sync.WaitGroup) error {
	state, _, err := a.n.archived()
	if err != nil || len(state.Bases) == 0 || len(a.keys.Recipients) > 0 {
		return err // without the key only what is stored can be read back, as it is each time
	}
	last, err := a.n.verified()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.proving || now.Sub(last.At) < verifyEvery || now.Before(a.reverify) {
		return nil
	}
	a.proving, a.reverify = true, now.Add(verifyRetry)
	fence := a.fence
	verifying.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, archiveWorkMax)
		defer cancel()
		a.verify(ctx, fence)
		a.mu.Lock()
		a.proving = false
		a.mu.Unlock()
	})
	return nil
}

// verify reads all of the backup back and rebuilds the Store from it.
func (a *archiver) verify(ctx context.Context, fence uint64) {
	began := time.Now()
	var proven *backup.Restored
	set, err := backup.Load(ctx, a.target)
	if err == nil {
		err = check.InScratch(a.n.cfg.DataDir, func(fsm *persistence.FSM) (err error) {
			proven, err = (&backup.Reader{Target: a.target, Inspect: check.Facts}).Verify(ctx, set, fsm)
			return err
		})
	}
	if err != nil {
		if ctx.Err() == nil {
			a.mu.Lock()
			a.figures.Failures++
			a.mu.Unlock()
			a.log.ErrorContext(ctx, "the backup does not hold", "err", err)
		}
		return
	}
	a.succeeded("verify", set.Bytes(), time.Now(), time.Since(began))
	a.log.InfoContext(ctx, "the backup was read back and holds", "index", proven.Index, "took", time.Since(began))
	if err := a.tell(ctx, verifiedKey, fence, verified{proven.Index, time.Now().UTC()}); err != nil {
		a.log.WarnContext(ctx, "the log does not say that the backup was verified", "err", err)
	}
}

// archived is what the log says about backups, and how many bases were asked for.
func (n *Node) archived() (state archived, asked uint64, err error) {
	row, ok, err := n.store.Get(archiveKey)
	if err == nil && ok {
		err = json.Unmarshal(row.Data, &state)
	}
	if err != nil {
		return state, 0, fmt.Errorf("read what the archiver told: %w", err)
	}
	row, _, err = n.store.Get(wantedKey)
	return state, row.Version, err
}

// verified is what the log says of the newest verification.
func (n *Node) verified() (v verified, err error) {
	row, ok, err := n.store.Get(verifiedKey)
	if err == nil && ok {
		err = json.Unmarshal(row.Data, &v)
	}
	return v, err
}

// shippedLog is this node's log as a backup sees it.
type shippedLog struct{ n *Node }

// Entries implements backup.Source.
func (l shippedLog) Entries(first, last uint64, fn func(backup.Entry) error) error {
	err := l.n.consensus.Entries(first, last, func(e cluster.Entry) error {
		return fn(backup.Entry{Index: e.Index, Term: e.Term, Batch: e.Kind == cluster.KindBatch, At: e.AppendedAt, Data: e.Data})
	})
	if errors.Is(err, cluster.ErrCompacted) {
		return fmt.Errorf("%w: %w", backup.ErrGap, err)
	}
	return err
}

// Snapshot implements backup.Source.
func (l shippedLog) Snapshot(ctx context.Context, fn func(backup.Entry, io.Reader) error) error {
	if err := l.n.consensus.Snapshot(ctx); err != nil {
		return err
	}
	info, err := cluster.ReadSnapshot(l.n.cfg.DataDir, func(info cluster.SnapshotInfo, state io.Reader) error {
		at := backup.Entry{Index: info.Index, Term: info.Term, At: time.Now()}
		_ = l.n.consensus.Entries(info.Index, info.Index, func(e cluster.Entry) error {
			at.At = e.AppendedAt
			return nil
		})
		return fn(at, state)
	})
	if err == nil && info.Index == 0 {
		err = errors.New("there is no raft snapshot yet")
	}
	return err
}
