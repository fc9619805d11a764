package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Dir is a Target in a directory, which the first Put creates.
type Dir string

// unfinished begins the name of a file that is being written.
const unfinished = ".unfinished-"

// List implements Target.
func (d Dir) List(_ context.Context, prefix string) ([]Object, error) {
	entries, err := os.ReadDir(string(d)) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Object
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || strings.HasPrefix(e.Name(), unfinished) || e.IsDir() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Object{Name: e.Name(), Bytes: info.Size(), Modified: info.ModTime()})
	}
	return list, nil
}

// Open implements Target.
func (d Dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	file, err := os.Open(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, name)
	}
	return file, err
}

// Put implements Target.
func (d Dir) Put(ctx context.Context, name string, r io.Reader) (err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(d.path(name)); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, name)
	}
	temp := d.path(unfinished + rand.Text())
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp)) }()
	_, err = io.Copy(file, withContext{ctx, r})
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces what is there.
	err = os.Link(temp, d.path(name))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, name)
	}
	if err != nil {
		return err
	}
	return d.sync()
}

// Remove implements Target.
func (d Dir) Remove(_ context.Context, name string) error {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync()
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

func (d Dir) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// withContext ends reading when the context ends.
type withContext struct {
	ctx context.Context //nolint:containedctx // it lives as long as the call it was given to
	r   io.Reader
}

func (w withContext) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
