package signing

import (
	"encoding/binary"

	"github.com/zeebo/blake3"

	"github.com/the-block/bursar/messages"
)

// Digest is what is signed: a BLAKE3 hash.
type Digest [32]byte

// scratch holds the fields of an ordinary reading; longer ones move to the heap.
const scratch = 256

// ReadingDigest is what the oracle signs of a reading:
//
//	BLAKE3(provider_id | meter_address | kwh_reading LE64 | timestamp LE64 | nonce LE64)
//
// Nothing separates provider and meter, and nothing has to: a provider's id begins
// with "energy-0x" and its key signs for no other, so no two readings of one key
// share their bytes.
func ReadingDigest(r *messages.Reading) Digest {
	var buf [scratch]byte
	return blake3.Sum256(appendFields(buf[:0], r))
}

// ReadingHash is the meter_hash, under which a reading's credit is kept: BLAKE3 of the
// same fields, the signature's length LE32 and the signature.
func ReadingHash(r *messages.Reading) messages.MeterHash {
	var buf [scratch]byte
	b := appendFields(buf[:0], r)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Signature)))
	b = append(b, r.Signature[:]...)
	return blake3.Sum256(b)
}

// RotationDigest is what the present key signs to be replaced by another:
// BLAKE3("rotate" | provider_id | new key).
func RotationDigest(id messages.ProviderID, key messages.PublicKey) Digest {
	var buf [scratch]byte
	b := append(buf[:0], "rotate"...)
	b = id.Append(b)
	return blake3.Sum256(append(b, key[:]...))
}

func appendFields(b []byte, r *messages.Reading) []byte {
	b = r.Provider.Append(b)
	b = append(b, r.Meter...)
	b = binary.LittleEndian.AppendUint64(b, r.KWh)
	b = binary.LittleEndian.AppendUint64(b, r.Timestamp)
	return binary.LittleEndian.AppendUint64(b, r.Nonce)
}
