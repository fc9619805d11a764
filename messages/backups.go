package messages

// The methods about backups.
const (
	MethodBackup  = "admin.backup"
	MethodBackups = "admin.backups"
)

var backupMethods = []*Method{
	changes[BackupParams, BackupResult](Operator, MethodBackup,
		"Has the archiver make a base now, and answers when it was read back. Give it a long deadline_ms.", CodeInvalidTransition),
	reads[NoParams, BackupsResult](MethodBackups, "The newest bases of the backup, and when all of it was last verified."),
}

// BackupParams are the parameters of admin.backup.
type BackupParams struct{ Options }

func (p *BackupParams) fields(*fields) {}

// BaseInfo is one base of a backup.
type BaseInfo struct {
	Index  uint64
	At     uint64
	Stored uint64
	Held   uint64
	Digest string
}

func (i *BaseInfo) fields(f *fields) {
	f.uint("index", &i.Index, "The log entry whose state it holds.")
	f.uint("at", &i.At, "When that entry was appended, Unix seconds.")
	f.uint("stored_bytes", &i.Stored, "Bytes at the target.")
	f.uint("held_bytes", &i.Held, "Bytes of state, before compression.")
	f.text("digest", &i.Digest, "SHA-256 over all rows of that state.")
}

// BackupResult answers admin.backup.
type BackupResult struct {
	Target    string
	Base      BaseInfo
	Duplicate bool
}

func (r *BackupResult) fields(f *fields) {
	f.text("target", &r.Target, "The URL it was written to.")
	object(f, "base", &r.Base, "The base.")
	f.duplicate(&r.Duplicate)
}

// BackupsResult answers admin.backups.
type BackupsResult struct {
	Archiver      string
	Target        string
	Bases         []BaseInfo
	VerifiedIndex uint64
	VerifiedAt    uint64
}

func (r *BackupsResult) fields(f *fields) {
	f.may("").text("archiver", &r.Archiver, "The node that ships the log.")
	f.may("").text("target", &r.Target, "The URL it ships to.")
	objects(f, "bases", &r.Bases, 0, "The newest bases, oldest first; at most 50.")
	f.may("0").uint("verified_index", &r.VerifiedIndex, "The newest log entry when all of the backup was last read back and held.")
	f.may("0").uint("verified_at", &r.VerifiedAt, "When that was, Unix seconds.")
}
