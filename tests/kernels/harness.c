/* Runs entries of a unit's flat text, each operand between two pages that can't be touched: whatever reads or
 * writes outside an operand ends the process. Linux only, on the kernel alone: no C library to build first.
 *
 * Standard input: the text's size and the text, then requests. A request is int64_t words: the entry's offset, where
 * operands lie (0: against the page after them, 1: against the page before), whether subnormal numbers count as zero,
 * dimensions[8], bytes[4]; then the operands. Standard output: for each request the first operand, as the entry left it. */
#include <stdint.h>

#define PAGE 65536
#define OPERANDS 4
#define READ_WRITE 3
#define READ_EXECUTE 5

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, MMAP = 9, MPROTECT = 10, MUNMAP = 11, EXIT = 60 };
static long kernel(long number, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}
static void set_flush(int64_t flush) {
    uint32_t mode = flush ? 0x9fc0 : 0x1f80; /* MXCSR: masked exceptions; flush to zero, denormals are zero */
    __asm__ volatile("ldmxcsr %0" ::"m"(mode));
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n and $-64, %rsp\n call run\n");
#else
enum { READ = 63, WRITE = 64, MMAP = 222, MPROTECT = 226, MUNMAP = 215, EXIT = 93 };
static long kernel(long number, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
static void set_flush(int64_t flush) {
    uint64_t mode = flush ? 1 << 24 : 0; /* FPCR: flush to zero, inputs too */
    __asm__ volatile("msr fpcr, %0" ::"r"(mode));
}
__asm__(".globl _start\n_start: bl run\n");
#endif

struct request {
    int64_t offset, at_start, flush, dimensions[8], bytes[OPERANDS];
};

typedef void entry(const int64_t *dimensions, void **operands);

static void leave(int status) { kernel(EXIT, status, 0, 0, 0, 0); }

/* All of `bytes`, or 0 at the end of the file. */
static int transfer(long call, long file, char *p, int64_t bytes) {
    while (bytes > 0) {
        long done = kernel(call, file, (long)p, bytes, 0, 0);
        if (done <= 0) return 0;
        p += done, bytes -= done;
    }
    return 1;
}

static int64_t whole_pages(int64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

/* Pages for `bytes`, and one on each side that stays out of reach. */
static char *guarded(int64_t bytes) {
    int64_t size = whole_pages(bytes);
    long p = kernel(MMAP, 0, size + 2 * PAGE, 0, 0x22 /* private, anonymous */, -1);
    if (p < 0 || (size && kernel(MPROTECT, p + PAGE, size, READ_WRITE, 0, 0))) leave(2);
    return (char *)p + PAGE;
}

__attribute__((used)) void run(void) {
    int64_t size;
    if (!transfer(READ, 0, (char *)&size, sizeof size)) leave(2);
    char *text = guarded(size);
    if (!transfer(READ, 0, text, size) || kernel(MPROTECT, (long)text, whole_pages(size), READ_EXECUTE, 0, 0)) leave(2);

    struct request request;
    while (transfer(READ, 0, (char *)&request, sizeof request)) {
        char *pages[OPERANDS];
        void *operands[OPERANDS];
        for (int i = 0; i < OPERANDS; i++) {
            int64_t bytes = request.bytes[i];
            pages[i] = guarded(bytes);
            operands[i] = pages[i] + (request.at_start ? 0 : whole_pages(bytes) - bytes);
            if (!transfer(READ, 0, operands[i], bytes)) leave(2);
        }
        set_flush(request.flush);
        ((entry *)(text + request.offset))(request.dimensions, operands);
        if (!transfer(WRITE, 1, operands[0], request.bytes[0])) leave(2);
        for (int i = 0; i < OPERANDS; i++)
            kernel(MUNMAP, (long)pages[i] - PAGE, whole_pages(request.bytes[i]) + 2 * PAGE, 0, 0, 0);
    }
    leave(0);
}
