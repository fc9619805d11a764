package backup

import "errors"

var (
	// ErrDamaged is returned for an object that is not what was written; it names it.
	ErrDamaged = errors.New("the backup is damaged")
	// ErrGap is returned for an index that no base and pieces lead to.
	ErrGap = errors.New("the backup has a gap")
	// ErrForeign is returned for a target with objects of another cluster.
	ErrForeign = errors.New("the target belongs to another cluster")
	// ErrFenced is returned to a writer whose place another has taken.
	ErrFenced = errors.New("another archiver writes to the target")
	// ErrExists is returned by Target.Put for a name that is taken.
	ErrExists = errors.New("the object is there already")
	// ErrMissing is returned by Target.Open for an object that is not there.
	ErrMissing = errors.New("there is no such object")
	// ErrKey is returned where an object cannot be decrypted with the keys given.
	ErrKey = errors.New("the backup is encrypted")
	// ErrEmpty is returned for a target that holds no base.
	ErrEmpty = errors.New("there is no backup")
)
