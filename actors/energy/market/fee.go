package market

import "math/big"

// Load is what the fee depends on beside its base.
type Load struct {
	Consumed  Sum // kWh sold, of all providers
	Capacity  Sum // kWh, of all providers
	Providers uint64
	Hour      uint64 // 0 to 23, in UTC
}

// HourOf gives the hour of the day, in UTC, of a moment in Unix seconds.
func HourOf(seconds uint64) uint64 { return seconds / 3600 % 24 }

// Fee gives the treasury's share of a price, in 1/10,000, as it holds for an epoch.
func (s Settings) Fee(l Load) uint64 {
	if s.FeeFixed {
		return s.FeeBPS
	}
	return DynamicFee(s.FeeBPS, l)
}

// DynamicFee computes
//
//	base * clamp(1 + tanh(u - 0.7)/0.1, 0.5, 2) * (1 - min(sqrt(n/100), 0.3)) * (1 + 0.3 cos(pi * dh / 12))
//
// with u = consumed / capacity, n providers and dh = |hour - 19|, rounded half up and
// clamped to FeeBPSMin and FeeBPSMax. It is exact up to the last step, but for roots and
// cosines of 18 digits and a series for tanh whose error is below 1e-13: no machine can
// round it otherwise.
func DynamicFee(base uint64, l Load) uint64 {
	fee := new(big.Rat).SetInt(new(big.Int).SetUint64(base))
	fee.Mul(fee, loadFactor(l.Consumed, l.Capacity))
	fee.Mul(fee, sizeFactor(l.Providers))
	fee.Mul(fee, hourFactor(l.Hour))
	twice := fee.Add(fee, big.NewRat(1, 2)) // half up
	rounded := new(big.Int).Quo(twice.Num(), twice.Denom())
	return min(max(rounded.Uint64(), FeeBPSMin), FeeBPSMax)
}

// loadFactor is clamp(1 + tanh(u - 0.7)/0.1, 0.5, 2).
func loadFactor(consumed, capacity Sum) *big.Rat {
	u := new(big.Rat)
	if capacity != (Sum{}) {
		u.SetFrac(consumed.big(), capacity.big())
	}
	x := u.Sub(u, big.NewRat(7, 10))
	// Outside these bounds the clamp holds for certain, inside them the series converges.
	switch {
	case x.Cmp(big.NewRat(-51, 1000)) <= 0:
		return big.NewRat(1, 2)
	case x.Cmp(big.NewRat(101, 1000)) >= 0:
		return big.NewRat(2, 1)
	}
	factor := tanh(x)
	factor.Mul(factor, big.NewRat(10, 1))
	factor.Add(factor, big.NewRat(1, 1))
	if low := big.NewRat(1, 2); factor.Cmp(low) < 0 {
		return low
	}
	if high := big.NewRat(2, 1); factor.Cmp(high) > 0 {
		return high
	}
	return factor
}

// tanhSeries are the coefficients of x, x^3, x^5 ... of the hyperbolic tangent.
var tanhSeries = [...][2]int64{{1, 1}, {-1, 3}, {2, 15}, {-17, 315}, {62, 2835}, {-1382, 155925}}

// tanh gives the hyperbolic tangent of |x| < 0.11 with an error below 1e-13.
func tanh(x *big.Rat) *big.Rat {
	square := new(big.Rat).Mul(x, x)
	power := new(big.Rat).Set(x)
	sum := new(big.Rat)
	for _, c := range tanhSeries {
		sum.Add(sum, new(big.Rat).Mul(power, big.NewRat(c[0], c[1])))
		power.Mul(power, square)
	}
	return sum
}

// digits is the scale of the tables.
const digits = 1_000_000_000_000_000_000

// sqrts are the square roots of 0 to 8, with 18 digits.
var sqrts = [...]int64{0, 1_000_000_000_000_000_000, 1_414_213_562_373_095_049, 1_732_050_807_568_877_294,
	2_000_000_000_000_000_000, 2_236_067_977_499_789_696, 2_449_489_742_783_178_098, 2_645_751_311_064_590_591,
	2_828_427_124_746_190_098}

// sizeFactor is 1 - min(sqrt(n/100), 0.3): from 9 providers on it is 0.7.
func sizeFactor(n uint64) *big.Rat {
	discount := big.NewRat(3, 10)
	if n < uint64(len(sqrts)) {
		discount.SetFrac64(sqrts[n], digits)
		discount.Mul(discount, big.NewRat(1, 10))
	}
	return discount.Sub(big.NewRat(1, 1), discount)
}

// cosines are cos(pi * k / 12) for k from 0 to 6, with 18 digits.
var cosines = [...]int64{1_000_000_000_000_000_000, 965_925_826_289_068_287, 866_025_403_784_438_647,
	707_106_781_186_547_524, 500_000_000_000_000_000, 258_819_045_102_520_762, 0}

// hourFactor is 1 + 0.3 cos(pi * |hour - 19| / 12).
func hourFactor(hour uint64) *big.Rat {
	k := int64(hour%24) - 19
	if k < 0 {
		k = -k
	}
	if k > 12 { // the cosine is even about 12
		k = 24 - k
	}
	sign := int64(1)
	if k > 6 { // and odd about 6
		k, sign = 12-k, -1
	}
	factor := big.NewRat(sign*cosines[k], digits)
	factor.Mul(factor, big.NewRat(3, 10))
	return factor.Add(factor, big.NewRat(1, 1))
}
