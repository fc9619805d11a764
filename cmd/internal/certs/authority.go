package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/messages/wire"
)

// The files of the directories.
const (
	fileCA        = "ca.crt"
	fileCAKey     = "ca.key"
	fileGossip    = "gossip.key"
	fileNode      = "node.crt"
	fileNodeKey   = "node.key"
	fileClient    = "client.crt"
	fileClientKey = "client.key"
)

const (
	caYears      = 10
	gossipKeyLen = 32
	// backdate is how far behind a machine's clock may be that meets a new certificate.
	backdate = time.Hour
)

// Roles lists the roles that can be issued.
func Roles() []string {
	return []string{wire.CertNode, wire.CertOperator, wire.CertVoter, wire.CertClient, wire.CertMonitor}
}

// Init makes the authority of a cluster in dir: its certificate, for ten years, its key,
// and the key of the gossip. It overwrites nothing.
func Init(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{fileCA, fileCAKey, fileGossip} {
		if path := filepath.Join(dir, name); exists(path) {
			return fmt.Errorf("%s is there already; an authority is made once: go on with `bursar cert issue --dir %s`, or name another directory", path, dir)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	form := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"bursar"}, CommonName: "bursar authority of " + now.UTC().Format(time.DateOnly)},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return err
	}
	secret := make([]byte, gossipKeyLen)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	gossip := base64.StdEncoding.EncodeToString(secret) + "\n"
	if err := writePair(dir, fileCA, fileCAKey, raw, key); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, fileGossip), []byte(gossip), 0o600)
}

// Request says whom a certificate is for.
type Request struct {
	// Name is a node's name, or a person's or program's.
	Name string
	// Roles are some of those that Roles lists.
	Roles []string
	// Hosts are the IP addresses and host names at which a node is reached.
	Hosts []string
	// Valid is how long the certificate is good for, at most as long as the authority.
	Valid time.Duration
}

// validMax keeps to what browsers and phones accept of a private authority.
const validMax = 825 * 24 * time.Hour

var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate reports every rule the request breaks.
func (r Request) Validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	rule(nameRule.MatchString(r.Name), "name: %q is not 1 to 64 letters, digits, dots, underscores or dashes, the first a letter or digit", r.Name)
	rule(len(r.Roles) > 0, "role: name one of %s", strings.Join(Roles(), ", "))
	for _, role := range r.Roles {
		rule(slices.Contains(Roles(), role), "role: %q is none of %s", role, strings.Join(Roles(), ", "))
	}
	rule(!r.isNode() || len(r.Roles) == 1, "role: a node's certificate has no other role; issue another one for whoever calls")
	rule(r.isNode() || len(r.Hosts) == 0, "host: only a node is reached at hosts")
	rule(!r.isNode() || len(r.Hosts) > 0, "host: a node's certificate needs the addresses at which the others and callers reach it")
	for _, host := range r.Hosts {
		rule(net.ParseIP(host) != nil || hostRule.MatchString(host), "host: %q is neither an IP address nor a host's name", host)
	}
	rule(r.Valid >= 24*time.Hour && r.Valid <= validMax, "days: %d is outside 1..%d", int(r.Valid/(24*time.Hour)), int(validMax/(24*time.Hour)))
	return errors.Join(errs...)
}

var hostRule = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

func (r Request) isNode() bool { return slices.Contains(r.Roles, wire.CertNode) }

// certificate is what the request asks to be signed. This machine's names for itself are
// always among a node's hosts, so that it can be called where it runs.
func (r Request) certificate(now time.Time, notAfter time.Time) *x509.Certificate {
	form := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"bursar"}, CommonName: r.Name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(r.Valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if form.NotAfter.After(notAfter) {
		form.NotAfter = notAfter
	}
	for _, role := range r.Roles {
		form.URIs = append(form.URIs, wire.CertRoleURI(role))
	}
	if !r.isNode() {
		return form
	}
	form.ExtKeyUsage = append(form.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	for _, host := range append([]string{"localhost", "127.0.0.1", "::1"}, r.Hosts...) {
		if ip := net.ParseIP(host); ip != nil {
			form.IPAddresses = append(form.IPAddresses, ip)
		} else {
			form.DNSNames = append(form.DNSNames, host)
		}
	}
	return form
}

// Issue makes the directory dir/NAME with a new certificate of the authority in dir, its
// key, and what else belongs there. It overwrites nothing, and leaves nothing half done.
func Issue(dir string, r Request, now time.Time) (issued string, err error) {
	if err := r.Validate(); err != nil {
		return "", err
	}
	issued = filepath.Join(dir, r.Name)
	if exists(issued) {
		return "", fmt.Errorf("%s is there already; move it away to renew it, or take another --name", issued)
	}
	ca, caKey, err := readAuthority(dir, now)
	if err != nil {
		return "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	raw, err := x509.CreateCertificate(rand.Reader, r.certificate(now, ca.NotAfter), ca, key.Public(), caKey)
	if err != nil {
		return "", err
	}
	half, err := os.MkdirTemp(dir, "."+r.Name+"-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(half))
		}
	}()
	if r.isNode() {
		err = errors.Join(writePair(half, fileNode, fileNodeKey, raw, key), copyFile(half, dir, fileGossip, 0o600))
	} else {
		err = writePair(half, fileClient, fileClientKey, raw, key)
	}
	if err = errors.Join(err, copyFile(half, dir, fileCA, 0o644)); err != nil {
		return "", err
	}
	return issued, os.Rename(half, issued)
}

// readAuthority reads what signs.
func readAuthority(dir string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, fileCA)
	if !exists(path) {
		return nil, nil, fmt.Errorf("%s is missing; make an authority first: bursar cert init %s", path, dir)
	}
	ca, err := readCertificate(path)
	if err != nil {
		return nil, nil, err
	}
	if now.After(ca.NotAfter) {
		return nil, nil, fmt.Errorf("%s ended on %s; make another authority and issue all certificates anew", path, ca.NotAfter.Format(time.DateOnly))
	}
	path = filepath.Join(dir, fileCAKey)
	block, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(ca.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s in the same directory", path, fileCA)
	}
	return ca, key, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// writePair writes a certificate and its key.
func writePair(dir, cert, keyFile string, raw []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeNew(filepath.Join(dir, cert), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o644),
		writeNew(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

// writeNew writes a file that was not there.
func writeNew(path string, text []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func copyFile(to, from, name string, mode fs.FileMode) error {
	text, err := readFile(filepath.Join(from, name))
	if err != nil {
		return err
	}
	return writeNew(filepath.Join(to, name), text, mode)
}
