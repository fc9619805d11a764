package cluster

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/the-block/bursar/persistence"
)

// Skip names one entry of the log that no node can apply and that all are to pass over.
// The zero one names none.
type Skip struct {
	Index uint64
	Sum   uint32 // CRC-32C of its data
}

// ParseSkip reads what String writes, INDEX:CHECKSUM; "" is none.
func ParseSkip(text string) (Skip, error) {
	if text == "" {
		return Skip{}, nil
	}
	index, sum, ok := strings.Cut(text, ":")
	i, indexErr := strconv.ParseUint(index, 10, 64)
	s, sumErr := strconv.ParseUint(sum, 16, 32)
	if !ok || indexErr != nil || sumErr != nil || i == 0 || len(sum) != 8 {
		return Skip{}, fmt.Errorf("%q is not INDEX:CHECKSUM, the checksum as 8 hexadecimal digits", text)
	}
	return Skip{Index: i, Sum: uint32(s)}, nil
}

// String is the entry's index and checksum.
func (s Skip) String() string { return fmt.Sprintf("%d:%08x", s.Index, s.Sum) }

// skipOf names an entry.
func skipOf(index uint64, data []byte) Skip {
	return Skip{Index: index, Sum: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))}
}

// passes reports whether an entry is the one to be passed over. It is only if no program
// of this version can apply it: what a newer one can must be left to that.
func (s Skip) passes(index uint64, data []byte) bool {
	if s.Index != index || s != skipOf(index, data) {
		return false
	}
	err := persistence.CheckEntry(data)
	return err != nil && !errors.Is(err, persistence.ErrUnsupported)
}

// Skipped is the entry that this node has passed over since its start, and false for
// none.
func (c *Consensus) Skipped() (Skip, bool) { return c.cfg.Skip, c.machine.skipped.Load() }

// ErrEntry is why a node halts at an entry that it cannot apply. No disk is damaged:
// whoever proposed the entry is at fault, and all nodes of this version halt at it.
var ErrEntry = errors.New("an entry of the log cannot be applied")

// entryError says which entry it is, and the way past it.
func entryError(index uint64, data []byte, err error) error {
	err = fmt.Errorf("%w: entry %d: %w", ErrEntry, index, err)
	if errors.Is(err, persistence.ErrUnsupported) {
		return err
	}
	return fmt.Errorf("%w; all nodes halt at it, and nothing before it is lost. If bursar journal dump --from %d shows that nothing in it is wanted, "+
		"start every node with --skip-entry %s", err, index, skipOf(index, data))
}
