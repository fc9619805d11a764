package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// keyboard gives the keys that are pressed on a terminal, one by one.
type keyboard struct {
	pressed chan byte
	fd      int
	before  *term.State
}

// keysMax is how many keys wait to be acted on; more are lost.
const keysMax = 16

// openKeyboard takes the terminal's keys without waiting for Enter. It returns nil where
// there is no terminal to read from.
func openKeyboard(in io.Reader) (*keyboard, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	k := &keyboard{pressed: make(chan byte, keysMax), fd: int(file.Fd()), before: before}
	go k.read(file) // it ends with the process: nothing calls off a read of a terminal
	return k, nil
}

// read passes on single keys. What begins with an escape is an arrow or the like.
func (k *keyboard) read(file *os.File) {
	defer close(k.pressed)
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
			case k.pressed <- key:
			default:
			}
		}
	}
}

// Close gives the terminal back as it was.
func (k *keyboard) Close() error { return term.Restore(k.fd, k.before) }

// Keys that have no picture.
const (
	keyInterrupt = 3 // Ctrl-C
	keyEscape    = 27
)
