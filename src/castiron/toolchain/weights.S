// The weights, page-aligned, as data that is mapped from the file that holds it.
#ifdef __APPLE__
#define WEIGHTS _castiron_weights
.section __TEXT,__const
#else
#define WEIGHTS castiron_weights
.section .note.GNU-stack, "", %progbits
.section .rodata, "a", %progbits
#endif
.p2align 12
.globl WEIGHTS
WEIGHTS:
.incbin "weights.bin"
