package raftlog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// Disk holds the files of a log. What was written to a file is durable once Sync has
// returned, which makes the name of a new file durable too; Rename and Delete are
// durable when they return.
type Disk interface {
	types.VFS
	// MakeDir makes a directory, if need be, durably.
	MakeDir(dir string) error
	// Rename gives a file another name, in place of any file that has it.
	Rename(dir, from, to string) error
	// Size is a file's length in bytes.
	Size(dir, name string) (int64, error)
}

// osDisk is the disk of the machine.
type osDisk struct{ *fs.FS }

// OSDisk is the disk of the machine.
func OSDisk() Disk { return osDisk{fs.New()} }

func (osDisk) MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func (osDisk) Rename(dir, from, to string) error {
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		return err
	}
	return syncDir(dir)
}

func (osDisk) Size(dir, name string) (int64, error) {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// tempSuffix ends the names of files that a crash may leave half written.
const tempSuffix = ".tmp"

// replaceFile puts data under a name so that after a power loss either the old
// content or the new one is there.
func replaceFile(disk Disk, dir, name string, data []byte) error {
	temp := name + tempSuffix
	if err := disk.Delete(dir, temp); err != nil && !missing(err) {
		return err
	}
	file, err := disk.Create(dir, temp, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, 0)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return disk.Rename(dir, temp, name)
}

// readFile reads a whole file.
func readFile(disk Disk, dir, name string) ([]byte, error) {
	file, err := disk.OpenReader(dir, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<62))
	return b, errors.Join(err, file.Close())
}

// files lists the names in dir, without those that a crash left half written.
func files(disk Disk, dir string) ([]string, error) {
	all, err := disk.ListDir(dir)
	var names []string
	for _, name := range all {
		if name != "" && !strings.HasSuffix(name, tempSuffix) {
			names = append(names, name)
		}
	}
	return names, err
}

// removeUnfinished removes what a crash left half written.
func removeUnfinished(disk Disk, dir string) error {
	all, err := disk.ListDir(dir)
	if err != nil {
		return err
	}
	for _, name := range all {
		if strings.HasSuffix(name, tempSuffix) {
			if err := disk.Delete(dir, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// Holds reports whether a directory holds files of this package.
func Holds(disk Disk, dir string) (bool, error) {
	names, err := files(disk, dir)
	if missing(err) {
		return false, nil
	}
	return slices.ContainsFunc(names, func(name string) bool {
		return name == metaFile || name == markFile || name == witnessFile ||
			strings.HasSuffix(name, ".wal") || strings.HasSuffix(name, snapshotSuffix)
	}), err
}
