package receipt

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/the-block/bursar/persistence"
)

// ExportFormat names the first version of an export: a line with Head, then one with a Row
// for each leaf, oldest first.
const ExportFormat = "bursar-audit-1"

// Head is the first line of an export.
type Head struct {
	Format string `json:"format"`
	Note   string `json:"note"`
	Key    string `json:"key"`
}

// Exported is what an export proves.
type Exported struct {
	Checkpoint Checkpoint
	Key        string // that the file names
	Since      *Checkpoint
	Whole      uint64 // rows that are there with their bytes
}

// lineMax bounds a line of an export: a signed call has the largest leaf.
const lineMax = 4 << 20

// CheckExport reads an export and adds its rows up to the root that its checkpoint says. since,
// if not "", is the note of an older checkpoint, whose rows they must begin with. Without
// keys the export's own is believed, and whoever has signed the older checkpoint.
func CheckExport(r io.Reader, keys []string, since string) (*Exported, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	if !lines.Scan() {
		return nil, errors.Join(lines.Err(), falsef("it is empty"))
	}
	var head Head
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil || head.Format != ExportFormat {
		return nil, falsef("its first line is not that of an export: format %q, not %s", head.Format, ExportFormat)
	}
	openOlder := func(note string) (Checkpoint, error) { return OpenCheckpoint(note, keys) }
	if len(keys) == 0 {
		keys, openOlder = []string{head.Key}, ReadCheckpoint
	}
	e := &Exported{Key: head.Key}
	var err error
	if e.Checkpoint, err = OpenCheckpoint(head.Note, keys); err != nil {
		return nil, err
	}
	if since != "" {
		older, err := openOlder(since)
		if err != nil {
			return nil, fmt.Errorf("the older checkpoint: %w", err)
		}
		if older.Origin != e.Checkpoint.Origin || older.Size > e.Checkpoint.Size {
			return nil, falsef("its %d rows of %s do not extend the %d of %s", e.Checkpoint.Size, e.Checkpoint.Origin, older.Size, older.Origin)
		}
		e.Since = &older
	}
	return e, e.add(lines)
}

// add adds the rows up.
func (e *Exported) add(lines *bufio.Scanner) error {
	var sum roots
	if err := e.extends(&sum); err != nil {
		return err
	}
	for lines.Scan() {
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return falsef("row %d cannot be read: %w", sum.size+1, err)
		}
		hash, err := hashOf(row.LeafHash)
		if err != nil {
			return fmt.Errorf("row %d: %w", row.Number, err)
		}
		if row.Number != sum.size+1 {
			return falsef("row %d stands where row %d should", row.Number, sum.size+1)
		}
		if row.Leaf != nil {
			leaf, err := persistence.ParseLeaf(row.Leaf)
			if err != nil || persistence.LeafHash(row.Leaf) != hash || leaf.Number != row.Number {
				return falsef("row %d is not what was hashed", row.Number)
			}
			e.Whole++
		}
		sum.add(hash)
		if err := e.extends(&sum); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if sum.size != e.Checkpoint.Size || sum.root() != e.Checkpoint.Root {
		return falsef("its %d rows do not add up to its checkpoint of %d", sum.size, e.Checkpoint.Size)
	}
	return nil
}

// extends checks the rows so far against the older checkpoint, if they are as many.
func (e *Exported) extends(sum *roots) error {
	if e.Since != nil && sum.size == e.Since.Size && sum.root() != e.Since.Root {
		return falsef("its first %d rows are not those of the older checkpoint", sum.size)
	}
	return nil
}

// roots are the roots of the full trees that so many leaves fall into, the largest first.
type roots struct {
	size uint64
	list []persistence.TreeHash
}

func (r *roots) add(leaf persistence.TreeHash) {
	r.list = append(r.list, leaf)
	for n := r.size; n&1 == 1; n >>= 1 {
		last := len(r.list) - 1
		r.list[last-1] = tlog.NodeHash(r.list[last-1], r.list[last])
		r.list = r.list[:last]
	}
	r.size++
}

func (r *roots) root() persistence.TreeHash {
	if r.size == 0 {
		root, _ := tlog.TreeHash(0, nil)
		return root
	}
	root := r.list[len(r.list)-1]
	for i := len(r.list) - 2; i >= 0; i-- {
		root = tlog.NodeHash(r.list[i], root)
	}
	return root
}
