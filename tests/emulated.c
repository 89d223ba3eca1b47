// Runs steps under an emulator: flat code and memory come as files that the caller shares, requests as records
// on standard input. Freestanding: it needs nothing but the kernel.

typedef long long i64;

void castiron_call(void *step, void *const *p, const i64 *d, i64 begin, i64 end);

static i64 syscall(i64 number, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
    register i64 x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register i64 x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}

enum { READ = 63, WRITE = 64, EXIT = 93, MMAP = 222, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, SHARED = 1 };

// False at the end of the input.
static int receive(i64 *record, int count) {
    for (i64 have = 0, got; have < count * 8; have += got)
        if ((got = syscall(READ, 0, (i64)record + have, count * 8 - have, 0, 0, 0)) <= 0) return 0;
    return 1;
}

static char *map(i64 file, i64 size, int protection) {
    return (char *)syscall(MMAP, 0, size, protection, SHARED, file, 0);
}

__attribute__((noreturn)) void _start(void) {
    i64 files[4]; // memory and its size, code and its size
    if (!receive(files, 4)) syscall(EXIT, 1, 0, 0, 0, 0, 0);
    char *memory = map(files[0], files[1], PROT_READ | PROT_WRITE);
    char *code = map(files[2], files[3], PROT_READ | PROT_EXEC);
    syscall(WRITE, 1, (i64)&memory, 8, 0, 0, 0);
    i64 r[5]; // offset of the step in the code, addresses of the table and of the symbols, begin, end
    while (receive(r, 5)) {
        castiron_call(code + r[0], (void *const *)r[1], (const i64 *)r[2], r[3], r[4]);
        syscall(WRITE, 1, (i64)r, 8, 0, 0, 0);
    }
    syscall(EXIT, 0, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}
