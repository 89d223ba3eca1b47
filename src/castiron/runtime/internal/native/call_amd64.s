#include "textflag.h"

// The frame is the stack that a step may use (STACK_BYTES in the compiler) and 1 KB above it.
#define FRAME 16384

// The bits of MXCSR that read and write denormal numbers as zero: DAZ and FTZ.
#define FLUSH 0x8040

// func call(fn uintptr, p *unsafe.Pointer, d *int64, begin, end int64)
//
// From Go's stack-based convention (ABI0) to the System V one. The latter preserves BX and BP; Go's
// wrapper around ABI0 functions restores what else Go expects. The declared frame makes the prologue
// grow the goroutine's stack, and C is given its upper end.
TEXT ·call(SB), 0, $16384-40
	MOVQ fn+0(FP), AX
	MOVQ p+8(FP), DI
	MOVQ d+16(FP), SI
	MOVQ begin+24(FP), DX
	MOVQ end+32(FP), CX
	MOVQ SP, BX
	LEAQ (FRAME-64)(SP), R8
	ANDQ $~63, R8
	STMXCSR (R8)
	MOVL (R8), R9
	ORL  $FLUSH, R9
	MOVL R9, 4(R8)
	LDMXCSR 4(R8)
	MOVQ R8, SP
	CALL AX
	LDMXCSR (SP)
	MOVQ BX, SP
	RET
