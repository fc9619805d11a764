package signing_test

import (
	"bytes"
	stdlib "crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/google/go-cmp/cmp"
	"github.com/hdevalence/ed25519consensus"
	"github.com/zeebo/blake3"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func random() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{1}) }

func signer(seed byte) signing.Signer { return signing.NewSigner([32]byte{seed}) }

func key(t testing.TB, public messages.PublicKey) *signing.Key {
	t.Helper()
	k, err := signing.NewKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func reading(s signing.Signer, nonce uint64) messages.Reading {
	r := messages.Reading{Provider: 7, Meter: "meter-7", KWh: 1000 + nonce, Timestamp: 1_700_000_000 + nonce, Nonce: nonce}
	s.SignReading(&r)
	return r
}

// The hashes are what the published layout says, written here a second time.
func TestHashesFollowTheLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := messages.Reading{
			Provider:  messages.ProviderID(rapid.Uint64().Draw(t, "provider")),
			Meter:     rapid.StringN(0, 400, 400).Draw(t, "meter"),
			KWh:       rapid.Uint64().Draw(t, "kwh"),
			Timestamp: rapid.Uint64().Draw(t, "timestamp"),
			Nonce:     rapid.Uint64().Draw(t, "nonce"),
		}
		copy(r.Signature[:], rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "signature"))
		var b bytes.Buffer
		fmt.Fprintf(&b, "energy-0x%08x%s", uint64(r.Provider), r.Meter)
		for _, n := range []uint64{r.KWh, r.Timestamp, r.Nonce} {
			for range 8 {
				b.WriteByte(byte(n))
				n >>= 8
			}
		}
		if got, want := signing.ReadingDigest(&r), blake3.Sum256(b.Bytes()); got != signing.Digest(want) {
			t.Errorf("ReadingDigest = %x, want %x", got, want)
		}
		b.Write([]byte{64, 0, 0, 0})
		b.Write(r.Signature[:])
		if got, want := signing.ReadingHash(&r), blake3.Sum256(b.Bytes()); got != messages.MeterHash(want) {
			t.Errorf("ReadingHash = %x, want %x", got, want)
		}
	})
}

func TestEveryFieldIsSigned(t *testing.T) {
	s := signer(1)
	k := key(t, s.Public())
	edits := map[string]func(*messages.Reading){
		"nothing":   func(*messages.Reading) {},
		"provider":  func(r *messages.Reading) { r.Provider++ },
		"meter":     func(r *messages.Reading) { r.Meter += "x" },
		"kwh":       func(r *messages.Reading) { r.KWh++ },
		"timestamp": func(r *messages.Reading) { r.Timestamp++ },
		"nonce":     func(r *messages.Reading) { r.Nonce++ },
		"signature": func(r *messages.Reading) { r.Signature[40] ^= 1 },
	}
	for name, edit := range edits {
		r := reading(s, 1)
		edit(&r)
		if got, want := k.Verify(signing.ReadingDigest(&r), &r.Signature), name == "nothing"; got != want {
			t.Errorf("with %s changed: Verify = %v, want %v", name, got, want)
		}
	}
}

func TestASignerIsNeverPrinted(t *testing.T) {
	seed := [32]byte{0xab, 0xcd, 0xef}
	s := signing.NewSigner(seed)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		text := strings.ToLower(fmt.Sprintf(verb, s))
		if strings.Contains(text, "abcdef") || strings.Contains(text, "171 205") {
			t.Errorf("%s prints the secret: %s", verb, text)
		}
	}
}

// A bad signature is named, wherever it stands, and the others of its batch are good.
func TestABatchNamesTheCulprits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 150).Draw(t, "claims")
		bad := rapid.SliceOfN(rapid.IntRange(0, max(0, n-1)), 0, 3).Draw(t, "bad")
		want := make([]bool, n)
		claims := make([]signing.Claim, n)
		for i := range claims {
			s := signer(byte(i % 5))
			r := reading(s, uint64(i))
			k, err := signing.NewKey(s.Public())
			if err != nil {
				t.Fatal(err)
			}
			want[i] = true
			for _, b := range bad {
				if b == i {
					r.Signature[i%64] ^= 0x10
					want[i] = false
					break
				}
			}
			claims[i] = signing.Claim{Key: k, Digest: signing.ReadingDigest(&r), Signature: &r.Signature}
		}
		var batch signing.Batch
		for range 2 { // a batch may be used again
			if diff := cmp.Diff(want, batch.Verify(claims, random())); diff != "" {
				t.Fatalf("-want +got\n%s", diff)
			}
		}
	})
}

// Where plain Ed25519 leaves the answer open, ours is one, alone and in a
// batch, and it is that of an independent implementation of ZIP-215.
func TestTorsionIsJudgedAloneAsInBatches(t *testing.T) {
	honest := signer(9)
	good := reading(honest, 1)
	agree := func(name string, public messages.PublicKey, digest signing.Digest, sig messages.Signature, want bool) {
		t.Helper()
		k := key(t, public)
		if got := k.Verify(digest, &sig); got != want {
			t.Errorf("%s: alone = %v, want %v", name, got, want)
		}
		if got := ed25519consensus.Verify(public[:], digest[:], sig[:]); got != want {
			t.Errorf("%s: ed25519consensus = %v, want %v", name, got, want)
		}
		var batch signing.Batch
		got := batch.Verify([]signing.Claim{
			{Key: key(t, honest.Public()), Digest: signing.ReadingDigest(&good), Signature: &good.Signature},
			{Key: k, Digest: digest, Signature: &sig},
			{Key: k, Digest: digest, Signature: &sig},
		}, random())
		if diff := cmp.Diff([]bool{true, want, want}, got); diff != "" {
			t.Errorf("%s, in a batch: -want +got\n%s", name, diff)
		}
	}
	digest := signing.Digest{1, 2, 3}
	for i, torsion := range torsionPoints(t) {
		// Its key has a part of small order: A' = A + T.
		public, sig := signWithTorsion(t, digest, torsion, nil)
		agree(fmt.Sprintf("key with torsion %d", i), public, digest, sig, true)
		// Its commitment has one: R' = R + T.
		public, sig = signWithTorsion(t, digest, nil, torsion)
		agree(fmt.Sprintf("commitment with torsion %d", i), public, digest, sig, true)
		// Key and commitment are nothing else.
		var small messages.PublicKey
		copy(small[:], torsion.Bytes())
		var nothing messages.Signature
		copy(nothing[:32], torsion.Bytes())
		agree(fmt.Sprintf("key of small order %d", i), small, digest, nothing, true)
		sig[33] ^= 1
		agree(fmt.Sprintf("torsion %d and a bad scalar", i), public, digest, sig, false)
	}
	// A scalar that is not reduced is refused: a second signature for the same reading
	// would be a second meter_hash.
	public, sig := signWithTorsion(t, digest, nil, nil)
	agree("nothing odd", public, digest, sig, true)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).SetBytes(reversed(sig[32:]))
	copy(sig[32:], reversed(s.Add(s, order).FillBytes(make([]byte, 32))))
	agree("scalar not reduced", public, digest, sig, false)
}

func TestNewKeyRefusesWhatIsNoPoint(t *testing.T) {
	public := messages.PublicKey{2}
	if _, err := signing.NewKey(public); err == nil || !strings.Contains(err.Error(), "02000000 is not a point") {
		t.Errorf("NewKey = %v, want a refusal that names the key", err)
	}
}

// signWithTorsion signs by hand and adds points of small order to key and commitment.
func signWithTorsion(t *testing.T, digest signing.Digest, inKey, inCommitment *edwards25519.Point) (messages.PublicKey, messages.Signature) {
	t.Helper()
	scalar := func(seed byte) *edwards25519.Scalar {
		h := sha512.Sum512([]byte{seed})
		s, err := edwards25519.NewScalar().SetUniformBytes(h[:])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, r := scalar(1), scalar(2)
	A, R := new(edwards25519.Point).ScalarBaseMult(a), new(edwards25519.Point).ScalarBaseMult(r)
	if inKey != nil {
		A.Add(A, inKey)
	}
	if inCommitment != nil {
		R.Add(R, inCommitment)
	}
	h := sha512.New()
	h.Write(R.Bytes())
	h.Write(A.Bytes())
	h.Write(digest[:])
	k, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	var public messages.PublicKey
	var sig messages.Signature
	copy(public[:], A.Bytes())
	copy(sig[:32], R.Bytes())
	copy(sig[32:], edwards25519.NewScalar().MultiplyAdd(k, a, r).Bytes())
	return public, sig
}

// torsionPoints are the eight points of small order.
func torsionPoints(t *testing.T) []*edwards25519.Point {
	t.Helper()
	generator, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	if err != nil {
		t.Fatal(err)
	}
	step, err := new(edwards25519.Point).SetBytes(generator)
	if err != nil {
		t.Fatal(err)
	}
	points := []*edwards25519.Point{edwards25519.NewIdentityPoint()}
	for i := 1; i < 8; i++ {
		points = append(points, new(edwards25519.Point).Add(points[i-1], step))
	}
	return points
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

// vector is one case for other implementations to be held against.
type vector struct {
	Seed          string `json:"seed"`
	PublicKey     string `json:"public_key"`
	ProviderID    string `json:"provider_id"`
	MeterAddress  string `json:"meter_address"`
	KWhReading    uint64 `json:"kwh_reading"`
	Timestamp     uint64 `json:"timestamp"`
	Nonce         uint64 `json:"nonce"`
	SignedMessage string `json:"signed_message"`
	Signature     string `json:"signature"`
	MeterHash     string `json:"meter_hash"`
	NewKey        string `json:"new_key"`
	Rotation      string `json:"rotation_signature"`
}

func vectorOf(seed byte, r messages.Reading) vector {
	s := signer(seed)
	s.SignReading(&r)
	digest, hash, public := signing.ReadingDigest(&r), signing.ReadingHash(&r), s.Public()
	next := signer(seed + 100).Public()
	rotation := s.Sign(signing.RotationDigest(r.Provider, next))
	raw := [32]byte{seed}
	return vector{
		Seed: hex.EncodeToString(raw[:]), PublicKey: hex.EncodeToString(public[:]),
		ProviderID: r.Provider.String(), MeterAddress: r.Meter,
		KWhReading: r.KWh, Timestamp: r.Timestamp, Nonce: r.Nonce,
		SignedMessage: hex.EncodeToString(digest[:]), Signature: hex.EncodeToString(r.Signature[:]),
		MeterHash: hex.EncodeToString(hash[:]), NewKey: hex.EncodeToString(next[:]), Rotation: hex.EncodeToString(rotation[:]),
	}
}

func TestVectorsAreWhatOthersWereGiven(t *testing.T) {
	vectors := []vector{
		vectorOf(1, messages.Reading{Provider: 0, Meter: "meter-a", KWh: 0, Timestamp: 1_700_000_000, Nonce: 1}),
		vectorOf(2, messages.Reading{Provider: 1, Meter: "DE0001234567890", KWh: 48_211, Timestamp: 1_767_225_600, Nonce: 2}),
		vectorOf(3, messages.Reading{Provider: 0xdeadbeef, Meter: "Zähler/7", KWh: 1<<64 - 1, Timestamp: 1<<40 + 7, Nonce: 1<<63 + 9}),
		vectorOf(4, messages.Reading{Provider: 1 << 40, Meter: strings.Repeat("m", 128), KWh: 12, Timestamp: 1, Nonce: 1<<64 - 1}),
	}
	got, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", "readings.json")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-recorded +now\n%s", diff)
	}
	for _, v := range vectors { // the standard library takes them as well
		public, _ := hex.DecodeString(v.PublicKey)
		message, _ := hex.DecodeString(v.SignedMessage)
		signature, _ := hex.DecodeString(v.Signature)
		if !stdlib.Verify(public, message, signature) {
			t.Errorf("%s: the standard library refuses it", v.ProviderID)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	const n = 64
	claims := make([]signing.Claim, n)
	readings := make([]messages.Reading, n)
	for i := range claims {
		s := signer(byte(i))
		readings[i] = reading(s, uint64(i))
		claims[i] = signing.Claim{Key: key(b, s.Public()), Digest: signing.ReadingDigest(&readings[i]), Signature: &readings[i].Signature}
	}
	perSignature := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/signature")
	}
	b.Run("batch", func(b *testing.B) {
		var batch signing.Batch
		source := random()
		for b.Loop() {
			for i, ok := range batch.Verify(claims, source) {
				if !ok {
					b.Fatalf("%d is refused", i)
				}
			}
		}
		perSignature(b)
	})
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			for i := range claims {
				if !claims[i].Key.Verify(claims[i].Digest, claims[i].Signature) {
					b.Fatalf("%d is refused", i)
				}
			}
		}
		perSignature(b)
	})
	b.Run("stdlib", func(b *testing.B) {
		for b.Loop() {
			for i := range claims {
				public := claims[i].Key.Public()
				if !stdlib.Verify(public[:], claims[i].Digest[:], claims[i].Signature[:]) {
					b.Fatalf("%d is refused", i)
				}
			}
		}
		perSignature(b)
	})
}

func BenchmarkReadingHash(b *testing.B) {
	r := reading(signer(1), 1)
	b.ReportAllocs()
	for b.Loop() {
		_ = signing.ReadingHash(&r)
	}
}
