package backup

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// Target is where a backup lies.
type Target interface {
	// List lists the objects whose names begin with prefix, by name.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Open reads an object. Error: ErrMissing.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Put makes an object of all that r gives, durably and whole, or not at all. Error:
	// ErrExists; nothing is ever written over.
	Put(ctx context.Context, name string, r io.Reader) error
	// Remove removes an object; one that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// Object is an object as a listing has it.
type Object struct {
	Name     string
	Bytes    int64
	Modified time.Time
}

// OpenTarget opens the target at a URL: file:DIR. It creates nothing.
func OpenTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", address, err)
	}
	if u.Scheme == "file" {
		dir := strings.TrimPrefix(strings.TrimPrefix(address, "file:"), "//")
		if dir == "" {
			return nil, fmt.Errorf("%q names no directory: give file:DIR", address)
		}
		return Dir(dir), nil
	}
	return nil, fmt.Errorf("%q is no target of a backup: give file:DIR", address)
}
