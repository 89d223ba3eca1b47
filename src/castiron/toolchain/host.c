// What an executable's trampoline and start-up do, for a process that loads kernels as a library.

typedef void step(void *const *p, const long long *d, long long begin, long long end);

#if defined(__x86_64__)

static void cpuid(unsigned leaf, unsigned r[4]) {
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

static int has(unsigned have, unsigned want) { return (have & want) == want; }

// The feature bits are those of the x86-64 psABI's micro-architecture levels; see cpu_amd64.go.
int castiron_level(void) {
    unsigned leaf0[4], leaf1[4], leaf7[4] = {0}, ext0[4], ext1[4] = {0}, xcr0 = 0, high;
    cpuid(0, leaf0);
    cpuid(1, leaf1);
    if (leaf0[0] >= 7) cpuid(7, leaf7);
    cpuid(0x80000000u, ext0);
    if (ext0[0] >= 0x80000001u) cpuid(0x80000001u, ext1);
    if (!has(leaf1[2], 0x00982201u) || !has(ext1[2], 1u)) return 0;
    if (leaf1[2] >> 27 & 1) __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    if (!has(xcr0, 0x6u) || !has(leaf1[2], 0x38401000u) || !has(leaf7[1], 0x128u) || !has(ext1[2], 0x20u)) return 1;
    if (!has(xcr0, 0xe6u) || !has(leaf7[1], 0xd0030000u)) return 2;
    return 3;
}

void castiron_call(step *f, void *const *p, const long long *d, long long begin, long long end) {
    unsigned old, mode = 0x9fc0u;
    __asm__ volatile("stmxcsr %0" : "=m"(old));
    __asm__ volatile("ldmxcsr %0" ::"m"(mode));
    f(p, d, begin, end);
    __asm__ volatile("ldmxcsr %0" ::"m"(old));
}

#else

int castiron_level(void) { return 1; }

void castiron_call(step *f, void *const *p, const long long *d, long long begin, long long end) {
    unsigned long long old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"(1ull << 24));
    f(p, d, begin, end);
    __asm__ volatile("msr fpcr, %0" ::"r"(old));
}

#endif
