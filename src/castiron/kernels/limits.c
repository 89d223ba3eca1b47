/* What this machine does at most: loops of nothing but multiply-adds, and of nothing but loads. */
#include "vec.h"

/* As many chains of dependent multiply-adds as hide their latency and fit the registers. */
#if defined(__AVX512F__)
#define CHAINS 12
#elif defined(__aarch64__)
#define CHAINS 6
#elif defined(__AVX2__)
#define CHAINS 6
#else
#define CHAINS 3
#endif
#define FMA_ROUNDS 1024

/* p[2] is given the sums, p[3] the operations of a tile. */
void multiply_add(void *const *p, const int64_t *d, int64_t begin, int64_t end) {
    (void)d;
    f32x16 sums[CHAINS], half = v_splat(0.5f);
    for (int i = 0; i < CHAINS; i++) sums[i] = v_splat((float)i);
    for (int64_t t = begin; t < end; t++) {
        for (int64_t r = 0; r < FMA_ROUNDS; r++) {
            for (int i = 0; i < CHAINS; i++) sums[i] = v_opaque(v_fma(sums[i], half, half));
        }
    }
    float *out = p[2];
    for (int i = 0; i < CHAINS; i++) v_store(out + LANES * i, sums[i]);
    *(int64_t *)p[3] = (int64_t)2 * LANES * CHAINS * FMA_ROUNDS;
}

/* The d[0] blocks of 4096 bytes at p[0] are read round and round. */
void read_memory(void *const *p, const int64_t *d, int64_t begin, int64_t end) {
    f32x16 sums[4];
    for (int i = 0; i < 4; i++) sums[i] = v_splat(0.0f);
    int64_t place = begin % d[0];
    for (int64_t t = begin; t < end; t++) {
        const float *block = (const float *)p[0] + place * 1024;
        place = place + 1 < d[0] ? place + 1 : 0;
        for (int64_t j = 0; j < 1024; j += 4 * LANES) {
            for (int i = 0; i < 4; i++) sums[i] = v_opaque(sums[i] + v_load(block + j + LANES * i));
        }
    }
    float *out = p[2];
    for (int i = 0; i < 4; i++) v_store(out + LANES * i, sums[i]);
}
