package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// powers holds the powers of ten that a float64 represents exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// A decimal is a number as written: mantissa * 10^exponent. It is exact unless the digits did not
// fit the mantissa.
type decimal struct {
	mantissa uint64
	exponent int
	negative bool
	exact    bool
}

// maxDigits is how many decimal digits always fit 64 bits.
const maxDigits = 19

// scanDecimal reads the longest decimal number at the start of s, as [+-]digits[.digits][e[+-]digits]
// with a digit before or after the point, and returns its length: 0 if there is none.
func scanDecimal(s []byte) (d decimal, n int) {
	i := 0
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		i = 1
	}
	first := i
	mantissa := uint64(0)
	for i < len(s) && s[i]-'0' < 10 {
		mantissa = 10*mantissa + uint64(s[i]-'0')
		i++
	}
	digits := i - first
	if i < len(s) && s[i] == '.' {
		i++
		point := i
		for len(s)-i >= 8 {
			eight := binary.LittleEndian.Uint64(s[i:])
			n := leadingDigits(eight)
			// Shifted so, what follows the digits falls out, and zeros go before them.
			mantissa = tens[n]*mantissa + value(eight<<(64-8*n))
			i += n
			if n < 8 {
				goto end
			}
		}
		for i < len(s) && s[i]-'0' < 10 {
			mantissa = 10*mantissa + uint64(s[i]-'0')
			i++
		}
	end:
		d.exponent = point - i
		digits += i - point
	}
	if digits == 0 {
		return decimal{}, 0
	}
	d.mantissa = mantissa
	d.exact = digits <= maxDigits || digitsOf(s[first:i]) <= maxDigits
	if i < len(s) && s[i]|0x20 == 'e' {
		if e, length := scanExponent(s[i+1:]); length > 0 {
			d.exponent += e
			i += 1 + length
		}
	}
	return d, i
}

// scanExponent reads [+-]digits. It stops counting where the number is zero or infinite anyway.
func scanExponent(s []byte) (exponent, n int) {
	i := 0
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		i = 1
	}
	first := i
	for i < len(s) && s[i]-'0' < 10 {
		if exponent < 1<<30/10-1 {
			exponent = 10*exponent + int(s[i]-'0')
		}
		i++
	}
	if i == first {
		return 0, 0
	}
	if s[0] == '-' {
		exponent = -exponent
	}
	return exponent, i
}

// digitsOf counts digits without leading zeros.
func digitsOf(s []byte) (n int) {
	for _, c := range s {
		if c != '.' && (n > 0 || c != '0') {
			n++
		}
	}
	return n
}

// tens holds the powers of ten up to 10^8.
var tens = [...]uint64{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000}

// leadingDigits counts how many of eight bytes, from the lowest on, are in '0'..'9' without a gap.
// Against '0', such a byte is at most 9, and adding 0x76 does not reach its highest bit.
func leadingDigits(eight uint64) int {
	eight ^= 0x3030303030303030
	return bits.TrailingZeros64((eight+0x7676767676767676|eight)&0x8080808080808080) / 8
}

// value returns the number that eight digits spell, the first in the lowest byte; a zero byte counts
// as a zero. Pairs, then fours, then all are combined by one multiplication each.
func value(eight uint64) uint64 {
	eight = eight & 0x0F0F0F0F0F0F0F0F * (10<<8 + 1) >> 8
	eight = eight & 0x00FF00FF00FF00FF * (100<<16 + 1) >> 16
	return eight & 0x0000FFFF0000FFFF * (10000<<32 + 1) >> 32
}

// float32 returns the nearest float32, ties to even; ok is false where that takes more than a
// float64 to decide.
//
// The float64 computed here has at most three roundings, of the mantissa and of two operations with
// exact powers of ten, so it is within 3·2^-53 of the number, relatively: less than 4 units in its
// last place. Unless it lies that close to the midpoint of two neighbouring float32s, rounding it
// gives what rounding the number itself would.
func (d decimal) float32() (v float32, ok bool) {
	f := float64(d.mantissa)
	switch {
	case !d.exact:
		return 0, false
	case d.mantissa == 0:
	case d.exponent < -2*22 || d.exponent > 18:
		return 0, false
	case d.exponent < -22:
		f = f / 1e22 / powers[-22-d.exponent]
	case d.exponent < 0:
		f /= powers[-d.exponent]
	default:
		f *= powers[d.exponent]
	}
	const (
		dropped  = 1<<29 - 1 // the bits of a float64's fraction that a float32 lacks
		midpoint = 1 << 28
		margin   = 8
	)
	if math.Float64bits(f)&dropped-(midpoint-margin) <= 2*margin || f < 0x1p-126 && f != 0 {
		return 0, false
	}
	if d.negative {
		f = -f
	}
	return float32(f), true
}

// float64 returns the nearest float64; ok is false where that takes more care.
func (d decimal) float64() (v float64, ok bool) {
	if !d.exact || d.mantissa > 1<<53 || d.exponent < -22 || d.exponent > 22 {
		return 0, false
	}
	f := float64(d.mantissa)
	if d.exponent < 0 {
		f /= powers[-d.exponent]
	} else {
		f *= powers[d.exponent]
	}
	if d.negative {
		f = -f
	}
	return f, true
}

// scanFloat32 reads the decimal number at the start of s, rounded to the nearest float32 (infinity
// beyond its range), and returns its length: 0 if there is none.
func scanFloat32(s []byte) (v float32, n int) {
	d, n := scanDecimal(s)
	if n == 0 {
		return 0, 0
	}
	v, ok := d.float32()
	if !ok {
		wide, _ := strconv.ParseFloat(text(s[:n]), 32)
		v = float32(wide)
	}
	return v, n
}

// scanFloat64 is scanFloat32 for float64.
func scanFloat64(s []byte) (v float64, n int) {
	d, n := scanDecimal(s)
	if n == 0 {
		return 0, 0
	}
	v, ok := d.float64()
	if !ok {
		v, _ = strconv.ParseFloat(text(s[:n]), 64)
	}
	return v, n
}

// text returns s as a string without copying; s must not change while the string is in use.
func text(s []byte) string { return unsafe.String(unsafe.SliceData(s), len(s)) }

// parseSpecial reads the spellings of numbers that have no digits: nan, inf and infinity in any
// case, with a sign or not.
func parseSpecial(s []byte) (v float64, ok bool) {
	sign := 1
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if len(s) > len("infinity") {
		return 0, false
	}
	var lower [8]byte
	for i, c := range s {
		lower[i] = c | 0x20
	}
	switch string(lower[:len(s)]) {
	case "nan":
		return math.NaN(), true
	case "inf", "infinity":
		return math.Inf(sign), true
	}
	return 0, false
}

// A spelling is how numbers that are not finite, and strings, are written.
type spelling struct {
	nan, inf string
	text     func(b []byte, s string) []byte
}

var (
	csvSpelling  = spelling{"nan", "inf", appendCell}
	jsonSpelling = spelling{"NaN", "Infinity", AppendString}
)

// appendFloat appends the shortest decimal that reads back as v, a float of the given bits. It has
// a point or an exponent, so that it reads as a float.
func appendFloat(b []byte, v float64, bits int, spell spelling) []byte {
	switch {
	case v != v:
		return append(b, spell.nan...)
	case math.IsInf(v, 0):
		if v < 0 {
			b = append(b, '-')
		}
		return append(b, spell.inf...)
	}
	size := math.Abs(v)
	if size != 0 && (size < 1e-6 || size >= 1e16) {
		return strconv.AppendFloat(b, v, 'e', -1, bits)
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'f', -1, bits)
	for _, c := range b[start:] {
		if c == '.' {
			return b
		}
	}
	return append(b, '.', '0')
}
