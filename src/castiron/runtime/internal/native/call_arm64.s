#include "textflag.h"

// The frame is the stack that a step may use (STACK_BYTES in the compiler) and 1 KB around it.
#define FRAME 16384

// The bit of FPCR that reads and writes denormal numbers as zero: FZ.
#define FLUSH (1<<24)

// func call(fn uintptr, p *unsafe.Pointer, d *int64, begin, end int64)
//
// From Go's stack-based convention (ABI0) to AAPCS64, which preserves R19 and R20; R18 and R28, the
// system's and Go's, are not used by steps. The declared frame makes the prologue grow the goroutine's
// stack, and C is given its upper end.
TEXT ·call(SB), 0, $16384-40
	MOVD fn+0(FP), R8
	MOVD p+8(FP), R0
	MOVD d+16(FP), R1
	MOVD begin+24(FP), R2
	MOVD end+32(FP), R3
	MOVD RSP, R19
	MOVD FPCR, R20
	ORR  $FLUSH, R20, R9
	MOVD R9, FPCR
	MOVD $FRAME, R10
	ADD  R10, R19, R10
	AND  $~63, R10
	MOVD R10, RSP
	CALL (R8)
	MOVD R20, FPCR
	MOVD R19, RSP
	RET
