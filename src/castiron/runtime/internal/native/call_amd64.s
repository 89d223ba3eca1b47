#include "textflag.h"

// MXCSR while a step runs: rounding to nearest, exceptions masked, and denormal numbers read and written as
// zero (DAZ and FTZ). A constant, not bits added to the caller's, so that nothing can change the results.
DATA ·mode+0(SB)/4, $0x9fc0
GLOBL ·mode(SB), RODATA|NOPTR, $4

// func call(fn uintptr, p *unsafe.Pointer, d *int64, begin, end int64)
//
// From Go's stack-based convention (ABI0) to the System V one. The latter preserves BX and BP; Go's
// wrapper around ABI0 functions restores what else Go expects. The declared frame, which is what a step
// may use (STACK_BYTES in the compiler) and 1 KB, makes the prologue grow the goroutine's stack; C is
// given its upper end.
TEXT ·call(SB), 0, $16384-40
	MOVQ fn+0(FP), AX
	MOVQ p+8(FP), DI
	MOVQ d+16(FP), SI
	MOVQ begin+24(FP), DX
	MOVQ end+32(FP), CX
	MOVQ SP, BX
	LEAQ (16384-64)(SP), R8
	ANDQ $~63, R8
	STMXCSR (R8)
	LDMXCSR ·mode(SB)
	MOVQ R8, SP
	CALL AX
	LDMXCSR (SP)
	MOVQ BX, SP
	RET
