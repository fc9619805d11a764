package terminal

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Keyboard gives the keys that are pressed on a terminal, one by one.
type Keyboard struct {
	Pressed chan byte
	fd      int
	before  *term.State
}

// keysMax is how many keys wait to be acted on; more are lost.
const keysMax = 16

// OpenKeyboard takes the terminal's keys without waiting for Enter. It returns nil where
// there is no terminal to read from, or another program has its keys.
func OpenKeyboard(in io.Reader) (*Keyboard, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || !inFront(int(file.Fd())) {
		return nil, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	k := &Keyboard{Pressed: make(chan byte, keysMax), fd: int(file.Fd()), before: before}
	go k.read(file) // it ends with the process: nothing calls off a read of a terminal
	return k, nil
}

// inFront reports whether the keys of a terminal are this program's. Where they are not, as
// in the background or under timeout(1) in a script, taking them would stop it.
func inFront(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// read passes on single keys. What begins with an escape is an arrow or the like.
func (k *Keyboard) read(file *os.File) {
	defer close(k.Pressed)
	buffer := make([]byte, 64)
	for {
		n, err := file.Read(buffer)
		if err != nil {
			return
		}
		if n == 0 || buffer[0] == keyEscape {
			continue
		}
		for _, key := range buffer[:n] {
			select {
			case k.Pressed <- key:
			default:
			}
		}
	}
}

// Close gives the terminal back as it was.
func (k *Keyboard) Close() error { return term.Restore(k.fd, k.before) }

// Keys that have no picture.
const (
	KeyInterrupt = 3 // Ctrl-C
	keyEscape    = 27
)
