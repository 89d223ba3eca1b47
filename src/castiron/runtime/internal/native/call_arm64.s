#include "textflag.h"

// FPCR while a step runs: rounding to nearest, no traps, and denormal numbers read and written as zero (FZ).
#define MODE (1<<24)

// func call(fn uintptr, p *unsafe.Pointer, d *int64, begin, end int64)
//
// From Go's stack-based convention (ABI0) to AAPCS64, which preserves R19 and R20; R18 and R28, the
// system's and Go's, are not used by steps. The declared frame, which is what a step may use (STACK_BYTES
// in the compiler) and 1 KB, makes the prologue grow the goroutine's stack; C is given its upper end.
TEXT ·call(SB), 0, $16384-40
	MOVD fn+0(FP), R8
	MOVD p+8(FP), R0
	MOVD d+16(FP), R1
	MOVD begin+24(FP), R2
	MOVD end+32(FP), R3
	MOVD RSP, R19
	MOVD FPCR, R20
	MOVD $MODE, R9
	MOVD R9, FPCR
	MOVD $16384, R10
	ADD  R10, R19, R10
	AND  $~63, R10
	MOVD R10, RSP
	CALL (R8)
	MOVD R20, FPCR
	MOVD R19, RSP
	RET
