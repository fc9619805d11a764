package market

import (
	"math/big"
	"math/bits"
)

// logBits is how many bits of a logarithm are behind the point.
const logBits = 32

// log2 gives the binary logarithm of x, which is not 0, in fixed point: the whole bits
// from x's length, then one bit for each squaring of the rest.
func log2(x uint64) int64 {
	shift := bits.LeadingZeros64(x)
	m := x << shift // 1 <= m / 2^63 < 2
	log := int64(63-shift) << logBits
	for bit := int64(1) << (logBits - 1); bit > 0; bit >>= 1 {
		hi, lo := bits.Mul64(m, m) // m^2, with 126 bits behind the point
		if hi>>63 == 0 {
			m = hi<<1 | lo>>63
			continue
		}
		m = hi
		log |= bit
	}
	return log
}

// exp2Scaled gives scale * 2^x, rounded to the nearest, for an x of at most 0 in log2's
// fixed point.
func exp2Scaled(x int64, scale uint64) uint64 {
	whole := -(x >> logBits) // rounds down, so the fraction is not negative
	fraction := uint64(x) & (1<<logBits - 1)
	power := uint64(1) << 62 // of 2^fraction, with 62 bits behind the point
	for i, root := range rootsOfTwo {
		if fraction>>(logBits-1-i)&1 == 1 {
			hi, lo := bits.Mul64(power, root)
			power = hi<<1 | lo>>63
		}
	}
	hi, lo := bits.Mul64(power, scale)
	shift := uint64(62) + uint64(whole)
	if shift >= 127 {
		return 0
	}
	lo, carry := bits.Add64(lo, half(shift, 0), 0)
	hi, _ = bits.Add64(hi, half(shift, 64), carry)
	if shift >= 64 {
		return hi >> (shift - 64)
	}
	return hi<<(64-shift) | lo>>shift
}

// half gives the word, from bit from on, of 2^(shift-1): what rounds a shift.
func half(shift, from uint64) uint64 {
	if bit := shift - 1; bit >= from && bit < from+64 {
		return 1 << (bit - from)
	}
	return 0
}

// rootsOfTwo holds 2^(1/2), 2^(1/4), 2^(1/8) ... with 63 bits behind the point.
var rootsOfTwo = func() (roots [logBits]uint64) {
	root := new(big.Int).Lsh(big.NewInt(2), 126) // 2, with 126 bits behind the point
	for i := range roots {
		root.Sqrt(root)
		roots[i] = root.Uint64()
		root.Lsh(root, 63)
	}
	return roots
}()

// mulDiv gives a * b / c, rounded down; the quotient must fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	quotient, _ := bits.Div64(hi, lo, c)
	return quotient
}

// mulDivCapped is mulDiv, and the greatest number where the quotient does not fit.
func mulDivCapped(a, b, c uint64) uint64 {
	if hi, _ := bits.Mul64(a, b); hi >= c {
		return 1<<64 - 1
	}
	return mulDiv(a, b, c)
}
