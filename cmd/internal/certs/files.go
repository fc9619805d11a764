package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// fileMax is the most bytes of a file that are read; a certificate takes about 1 KiB.
const fileMax = 64 << 10

// readFile reads a small file. One that is missing is told with what to do.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; copy the whole directory that `bursar cert issue` has made", path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, fileMax))
}

// readPEM reads the first block of a file.
func readPEM(path, kind string) ([]byte, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM; copy it again from where `bursar cert` made it", path, kind)
	}
	return block.Bytes, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	raw, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}

// files is a directory as it was read.
type files struct {
	ca     *x509.CertPool
	node   *tls.Certificate // nil where there is none
	client *tls.Certificate // nil where there is none
}

// readFiles reads a directory as `bursar cert issue` makes it and judges each file.
func readFiles(dir string, now time.Time) (*files, error) {
	ca, err := readCertificate(filepath.Join(dir, fileCA))
	if err != nil {
		return nil, err
	}
	f := &files{ca: x509.NewCertPool()}
	f.ca.AddCert(ca)
	if f.node, err = f.readPair(dir, fileNode, fileNodeKey, now); err != nil {
		return nil, err
	}
	if f.client, err = f.readPair(dir, fileClient, fileClientKey, now); err != nil {
		return nil, err
	}
	return f, nil
}

// readPair reads a certificate and its key, nil where there is neither.
func (f *files) readPair(dir, certName, keyName string, now time.Time) (*tls.Certificate, error) {
	certPath, keyPath := filepath.Join(dir, certName), filepath.Join(dir, keyName)
	if !exists(certPath) && !exists(keyPath) {
		return nil, nil
	}
	certText, err := readFile(certPath)
	if err != nil {
		return nil, err
	}
	keyText, err := readSecret(keyPath)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, fmt.Errorf("%s and %s do not belong together (%w); copy both from the same directory", certPath, keyPath, err)
	}
	return &pair, f.judge(certPath, pair.Leaf, now)
}

// readSecret reads a file that nobody else may read.
func readSecret(path string) ([]byte, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 %s", path, mode, path)
	}
	return text, nil
}

// judge says what is wrong with a certificate and what to do.
func (f *files) judge(path string, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%s ended on %s; issue another one for %s", path, leaf.NotAfter.Format(time.DateTime), leaf.Subject.CommonName)
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%s begins on %s and here it is %s; is this machine's clock right?",
			path, leaf.NotBefore.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime))
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: f.ca, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("%s was not issued by the authority of %s (%w); copy both from the same directory",
			path, filepath.Join(filepath.Dir(path), fileCA), err)
	}
	return nil
}
