package native

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv reads the lower half of XCR0: the registers that the operating system saves.
func xgetbv() (eax uint32)

// What a level needs beside the one below it, as bits of the processor's features and of XCR0.
// Source: x86-64 psABI, "Micro-Architecture Levels".
type features struct {
	ecx1   uint32 // leaf 1
	ebx7   uint32 // leaf 7
	ecxExt uint32 // leaf 0x80000001
	xcr0   uint32
}

const (
	sse3, fma, ssse3, cmpxchg16b    = 1 << 0, 1 << 12, 1 << 9, 1 << 13
	sse41, sse42, movbe, popcnt     = 1 << 19, 1 << 20, 1 << 22, 1 << 23
	osxsave, avx, f16c              = 1 << 27, 1 << 28, 1 << 29
	bmi1, avx2, bmi2                = 1 << 3, 1 << 5, 1 << 8
	avx512f, avx512dq, avx512cd     = 1 << 16, 1 << 17, 1 << 28
	avx512bw, avx512vl              = 1 << 30, 1 << 31
	lahf, lzcnt                     = 1 << 0, 1 << 5
	xmm, ymm, opmask, zmmLow, zmmHi = 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
)

// The levels, lowest first. macOS turns AVX-512 on only when it is first used, so v4 is not chosen there.
var ladder = []struct {
	name  string
	needs features
}{
	{"v2", features{ecx1: sse3 | ssse3 | cmpxchg16b | sse41 | sse42 | popcnt, ecxExt: lahf}},
	{"v3", features{ecx1: fma | movbe | osxsave | avx | f16c, ebx7: bmi1 | avx2 | bmi2, ecxExt: lzcnt, xcr0: xmm | ymm}},
	{"v4", features{ebx7: avx512f | avx512dq | avx512cd | avx512bw | avx512vl, xcr0: opmask | zmmLow | zmmHi}},
}

var processor = detect()

func detect() (has features) {
	leaves, _, _, _ := cpuid(0, 0)
	_, _, has.ecx1, _ = cpuid(1, 0)
	if leaves >= 7 {
		_, has.ebx7, _, _ = cpuid(7, 0)
	}
	if leaves, _, _, _ := cpuid(0x80000000, 0); leaves >= 0x80000001 {
		_, _, has.ecxExt, _ = cpuid(0x80000001, 0)
	}
	if has.ecx1&osxsave != 0 {
		has.xcr0 = xgetbv()
	}
	return has
}

// runs tells whether this processor, under this operating system, runs a level.
func runs(name string) bool {
	for _, l := range ladder {
		n := l.needs
		if processor.ecx1&n.ecx1 != n.ecx1 || processor.ebx7&n.ebx7 != n.ebx7 ||
			processor.ecxExt&n.ecxExt != n.ecxExt || processor.xcr0&n.xcr0 != n.xcr0 {
			return false
		}
		if l.name == name {
			return true
		}
	}
	return false
}
