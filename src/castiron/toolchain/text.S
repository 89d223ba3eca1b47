// Flat text as the code of a library: the very bytes that go into a binary.
#ifdef __APPLE__
#define TEXT _castiron_text
.section __TEXT,__text,regular,pure_instructions
#else
#define TEXT castiron_text
#ifdef __ELF__
.section .note.GNU-stack, "", %progbits
#endif
.text
#endif
.p2align 6
.globl TEXT
TEXT:
.incbin "text.bin"
