package codec

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"testing"
)

// checkFloat compares both scanners with strconv.
func checkFloat(t *testing.T, s string) {
	t.Helper()
	want32, err := strconv.ParseFloat(s, 32)
	if err != nil && err.(*strconv.NumError).Err == strconv.ErrSyntax {
		t.Fatalf("the test's %q is no number", s)
	}
	want64, _ := strconv.ParseFloat(s, 64)
	// What follows a number must not be read as part of it.
	for _, tail := range []string{"", ",1", " ", "x", "\r"} {
		got32, n := scanFloat32([]byte(s + tail))
		if n != len(s) || math.Float32bits(got32) != math.Float32bits(float32(want32)) {
			t.Fatalf("scanFloat32(%q) = %v (%#x), %d; want %v", s+tail, got32, math.Float32bits(got32), n, float32(want32))
		}
		got64, n := scanFloat64([]byte(s + tail))
		if n != len(s) || math.Float64bits(got64) != math.Float64bits(want64) {
			t.Fatalf("scanFloat64(%q) = %v, %d; want %v", s+tail, got64, n, want64)
		}
	}
}

func TestFloatsAgainstStrconv(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "+0", "0.0", "-0.0e5", "1", "+1.", ".5", "-.5", "00012", "1e0", "1E5", "1e+5", "1e-5", "1e-45", "7e-46",
		"1e-46", "1.4e-45", "1.17549435e-38", "1.17549429e-38", "3.4028235e38", "3.4028236e38", "3.40282357e38", "1e39", "1e400",
		"1e-400", "-1e400", "1e99999999999999999999", "1e-99999999999999999999", "0e99999999999999999999", "16777216", "16777217",
		"16777219", "16777217.000000000001", "16777216.999999999999", "33554434", "9007199254740993", "18446744073709551615",
		"18446744073709551616", "99999999999999999999999999", "0.000000000000000000000000000000000000011754943508222875",
		"123456789012345678901234567890e-30", "0.1", "0.3", "2.2250738585072012e-308", "4.9406564584124654e-324",
		"1.00000005960464477539062500", "1.000000059604644775390625000000000000000000000001",
		"1.000000059604644775390624999999999999999999999999", "1." + strings.Repeat("0", 400) + "1",
		strings.Repeat("9", 400), "0." + strings.Repeat("0", 400) + "1", strings.Repeat("1", 300) + "e-300",
	} {
		checkFloat(t, s)
	}
}

func TestRandomFloatsAgainstStrconv(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 30_000 {
		f := math.Float32frombits(random.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		// A float32, its neighbour's midpoint, just beside it, and a float64.
		next := math.Float32frombits(math.Float32bits(f) + 1)
		middle := (float64(f) + float64(next)) / 2
		checkFloat(t, strconv.FormatFloat(float64(f), 'g', -1, 32))
		if !math.IsInf(middle, 0) && middle == middle {
			exact := strconv.FormatFloat(middle, 'e', 60, 64)
			checkFloat(t, exact)
			checkFloat(t, strconv.FormatFloat(middle, 'e', 8+random.Intn(12), 64))
			checkFloat(t, strings.Replace(exact, "e", "1e", 1))
			checkFloat(t, strconv.FormatFloat(math.Nextafter(middle, 0), 'g', -1, 64))
			checkFloat(t, strconv.FormatFloat(math.Nextafter(middle, math.Inf(1)), 'g', 19, 64))
		}
		checkFloat(t, fmt.Sprintf("%de%d", random.Uint64()>>random.Intn(64), random.Intn(100)-60))
		checkFloat(t, strconv.FormatFloat(random.NormFloat64(), 'f', 5+random.Intn(20), 64))
	}
}

func TestNoNumber(t *testing.T) {
	for _, s := range []string{"", "-", "+", ".", "-.", "e5", "x", ",", "nan", "--1", "+-1", " 1", "\"1\""} {
		if v, n := scanFloat32([]byte(s)); n != 0 {
			t.Errorf("%q is read as %v", s, v)
		}
	}
	for s, length := range map[string]int{"1e": 1, "1e+": 1, "1.5.2": 3, "0x10": 1, "1_000": 1, "1d5": 1} {
		if _, n := scanFloat32([]byte(s)); n != length {
			t.Errorf("%q: %d bytes are read, not %d", s, n, length)
		}
	}
}

func TestAppendFloatReadsBack(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	for range 30_000 {
		f := math.Float32frombits(random.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		s := appendFloat(nil, float64(f), 32, csvSpelling)
		if got, n := scanFloat32(s); n != len(s) || math.Float32bits(got) != math.Float32bits(f) {
			t.Fatalf("%v is written as %s, which reads as %v", f, s, got)
		}
	}
	for v, want := range map[float64]string{0: "0.0", 1: "1.0", -2.5: "-2.5", 1e16: "1e+16", 1e-7: "1e-07",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", 123456: "123456.0"} {
		if got := string(appendFloat(nil, v, 32, jsonSpelling)); got != want {
			t.Errorf("%v is written as %s, want %s", v, got, want)
		}
	}
}

func BenchmarkScanFloat32(b *testing.B) {
	s := []byte("-0.28431231234567891,")
	for b.Loop() {
		scanFloat32(s)
	}
}

func BenchmarkAppendFloat(b *testing.B) {
	buffer := make([]byte, 0, 32)
	for b.Loop() {
		appendFloat(buffer, 12.345678, 32, csvSpelling)
	}
}
