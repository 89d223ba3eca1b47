typedef float f16 __attribute__((vector_size(64)));
typedef long long i64;

// x = 1.7 x + w, over the tiles.
void affine(void *const *p, const i64 *d, i64 begin, i64 end) {
    const float *w = p[0];
    float *x = p[2];
    for (i64 i = begin; i < end; i++) x[i] = x[i] * 1.7f + w[i];
}

// A chain of calls that needs nearly all the stack a step may use.
static __attribute__((noinline)) float fill(i64 n) {
    volatile char bytes[7000];
    for (i64 i = 0; i < 7000; i++) bytes[i] = (char)(i * n);
    return bytes[7] + bytes[6999];
}

void deep(void *const *p, const i64 *d, i64 begin, i64 end) {
    volatile char bytes[7000];
    for (i64 i = 0; i < 7000; i++) bytes[i] = (char)i;
    float sum = fill(end);
    *(float *)p[2] = sum + bytes[3];
}

// A denormal result, then a denormal operand.
void denormal(void *const *p, const i64 *d, i64 begin, i64 end) {
    volatile float small = 1e-30f, tiny = 1e-40f;
    float *x = p[2];
    x[0] = small * 1e-10f;
    x[1] = tiny * 1e30f;
}

// How far the stack was from a multiple of 64 before the call.
__attribute__((naked)) void stack_offset(void *const *p, const i64 *d, i64 begin, i64 end) {
#if defined(__x86_64__)
    __asm__("leaq 8(%rsp), %rax\n andq $63, %rax\n cvtsi2ssq %rax, %xmm0\n"
            "movq 16(%rdi), %rdi\n movss %xmm0, (%rdi)\n ret");
#else
    __asm__("mov x9, sp\n and x9, x9, #63\n ldr x10, [x0, #16]\n scvtf s0, x9\n str s0, [x10]\n ret");
#endif
}

// Constants of several widths, looked up and as a vector.
void table(void *const *p, const i64 *d, i64 begin, i64 end) {
    static const float squares[16] = {0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225};
    f16 ramp = {0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f,
                8.5f, 9.5f, 10.5f, 11.5f, 12.5f, 13.5f, 14.5f, 15.5f};
    float *x = p[2];
    for (i64 i = begin; i < end; i++) x[i] = squares[i];
    typedef f16 loose __attribute__((aligned(4)));
    *(loose *)x += ramp;
}

// Adds 1 to all d[0] elements, end - begin times.
void spin(void *const *p, const i64 *d, i64 begin, i64 end) {
    volatile float *x = p[2];
    for (i64 n = begin; n < end; n++)
        for (i64 i = 0; i < d[0]; i++) x[i] += 1.0f;
}
