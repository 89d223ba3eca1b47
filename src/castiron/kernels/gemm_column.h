/* gemm_column.h: c = epilogue(A b) for a B of one column, which is packed as the column itself: k floats and zeros
 * up to a multiple of 16, 64-byte aligned. Sums run along k, 16 lanes at a time: a panel of gemm.h would be
 * fifteen parts zeros.
 *
 * The order of additions depends on k alone: lane sums over every 16th k, in one vector when k < 64, else in four (each
 * every fourth step of 16) that are added in pairs and take the rest; then the 16 lanes as v_sum adds them.
 */
#ifndef CASTIRON_GEMM_COLUMN_H
#define CASTIRON_GEMM_COLUMN_H

#include "gemm.h"

INLINE float gemm_dot(int64_t k, const float *a, const float *b) {
    f32x16 sum = v_splat(0.0f);
    int64_t p = 0;
    if (k >= 4 * LANES) {
        f32x16 s0 = sum, s1 = sum, s2 = sum, s3 = sum;
        for (; p + 4 * LANES <= k; p += 4 * LANES) {
            s0 = v_fma(v_load(a + p), v_load(b + p), s0);
            s1 = v_fma(v_load(a + p + LANES), v_load(b + p + LANES), s1);
            s2 = v_fma(v_load(a + p + 2 * LANES), v_load(b + p + 2 * LANES), s2);
            s3 = v_fma(v_load(a + p + 3 * LANES), v_load(b + p + 3 * LANES), s3);
        }
        sum = (s0 + s1) + (s2 + s3);
    }
    for (; p + LANES <= k; p += LANES) sum = v_fma(v_load(a + p), v_load(b + p), sum);
    if (p < k) sum = v_fma(v_load_n(a + p, k - p), v_load(b + p), sum);
    return v_sum(sum);
}

/* A single row's sum along so many constant elements has code of its own, as GEMM_STRAIGHT says. */
#define GEMM_COLUMN_STRAIGHT 256

/* Defines name(): c[i * ldc] = EPILOGUE(A b)[0], arguments as for GEMM_DEFINE without n; EPILOGUE is asked for one
 * column, number 0, and its value in the other lanes is dropped. */
#define GEMM_COLUMN_DEFINE(name, EPILOGUE) \
    INLINE void name##_row(int64_t row, int64_t k, const float *a, const float *b, float *c, \
                           const struct epilogue *e) { \
        *c = EPILOGUE((v_splat(gemm_dot(k, a, b))), e, row, 0, 1)[0]; \
    } \
    NOINLINE void name##_rows(int64_t m, int64_t k, const float *a, int64_t lda, const float *b, float *c, \
                              int64_t ldc, const struct epilogue *e) { \
        for (int64_t row = 0; row < m; row++) name##_row(row, k, a + row * lda, b, c + row * ldc, e); \
    } \
    INLINE void name(int64_t m, int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc, \
                     const struct epilogue *e) { \
        if (__builtin_constant_p(k) && k <= GEMM_COLUMN_STRAIGHT && m == 1) name##_row(0, k, a, b, c, e); \
        else name##_rows(m, k, a, lda, b, c, ldc, e); \
    }

#endif
