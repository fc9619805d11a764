package wire_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages/internal/pack"
	"github.com/the-block/bursar/messages/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testTimeout bounds what a test waits for; it is never waited out where all is well.
const testTimeout = 20 * time.Second

// A conversation is a file of lines:
//
//	# a remark
//	> bytes sent
//	< bytes that must come back, one message a line
//	. the server ends the connection here; the next line is a new one
//
// Bytes are hex pairs and "quoted text".
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { converse(t, file) })
	}
}

func converse(t *testing.T, file string) {
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	var (
		conn net.Conn
		in   *bufio.Reader
		out  strings.Builder
	)
	defer func() { closeIf(conn) }()
	for i, line := range strings.Split(strings.TrimSuffix(string(script), "\n"), "\n") {
		if conn == nil {
			if conn, err = net.Dial("tcp", addr); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(testTimeout))
			in = bufio.NewReader(conn)
		}
		switch {
		case strings.HasPrefix(line, "> "):
			if _, err := conn.Write(parse(t, line[2:])); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
		case strings.HasPrefix(line, "<"):
			msg, err := readMessage(in)
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			got := "< " + render(msg)
			if got != line && !*update {
				t.Errorf("line %d:\n got %s\nwant %s", i+1, got, line)
			}
			line = got
		case line == ".":
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("line %d: %q, %v, want the end", i+1, rest, err)
			}
			closeIf(conn)
			conn = nil
		case line != "" && !strings.HasPrefix(line, "#"):
			t.Fatalf("line %d: %q", i+1, line)
		}
		out.WriteString(line + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func closeIf(c net.Conn) {
	if c != nil {
		_ = c.Close()
	}
}

// readMessage reads one MessagePack value.
func readMessage(in *bufio.Reader) ([]byte, error) {
	var (
		s   pack.Scanner
		msg []byte
	)
	for {
		c, err := in.ReadByte()
		if err != nil {
			return msg, err
		}
		msg = append(msg, c)
		switch _, v := s.Scan(msg, pack.Limits{Bytes: 1 << 20, Depth: 32, Elements: 1 << 18}); v {
		case pack.Complete:
			return msg, nil
		case pack.Incomplete:
		default:
			return msg, errors.New(v.String())
		}
	}
}

func parse(t testing.TB, line string) []byte {
	t.Helper()
	var out []byte
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			text, rest, ok := strings.Cut(line[1:], `"`)
			if !ok {
				t.Fatalf("unfinished text: %s", line)
			}
			out, line = append(out, text...), rest
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(word)
		if err != nil {
			t.Fatal(err)
		}
		out, line = append(out, b...), rest
	}
	return out
}

// render writes runs of three or more plain characters as text.
func render(b []byte) string {
	plain := func(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' }
	var words []string
	for i := 0; i < len(b); {
		end := i
		for end < len(b) && plain(b[end]) {
			end++
		}
		if end-i >= 3 {
			words = append(words, `"`+string(b[i:end])+`"`)
			i = end
			continue
		}
		words = append(words, fmt.Sprintf("%02x", b[i]))
		i++
	}
	return strings.Join(words, " ")
}

func TestParseReadsWhatRenderWrites(t *testing.T) {
	b := []byte("\x94\x00\x01\xa9epoch.get\x91\x80\"ab\"")
	if got := parse(t, render(b)); !bytes.Equal(got, b) {
		t.Errorf("got %q, want %q", got, b)
	}
}

// FuzzFrame takes any bytes apart as both ends of the wire would.
func FuzzFrame(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(script)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "< ") {
				f.Add(parse(f, line[2:]))
			}
		}
	}
	f.Fuzz(func(_ *testing.T, b []byte) { wire.TakeApart(b) })
}
