/* standardize.h: rows brought to mean 0 and variance 1. */
#ifndef CASTIRON_STANDARDIZE_H
#define CASTIRON_STANDARDIZE_H

#include "gemm.h"

/* Rows that one thing is done for before the next: the chain of them for a single row takes longer to wait for than to
 * compute. The first-level cache holds so many. */
#define STANDARDIZE_ROWS 8

/* 16 floats of x from place i on minus the mean, zeros beyond the n-th. */
INLINE f32x16 standardize_centred(int64_t n, const float *x, int64_t i, float mean) {
    if (i + LANES <= n) return v_load(x + i) - mean;
    return v_select(V_IOTA < (int32_t)(n - i), v_load_n(x + i, n - i) - mean, v_splat(0.0f));
}

/* Sums of x - mean and of its squares. The order of additions depends on n alone: every fourth vector, then pairs of
 * these, then the lanes. */
INLINE float standardize_sum(int64_t n, const float *x) {
    f32x16 sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) sum[j] += v_load(x + i + j * LANES);
    for (; i < n; i += LANES) sum[0] += standardize_centred(n, x, i, 0.0f);
    return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

INLINE float standardize_squares(int64_t n, const float *x, float mean) {
    f32x16 sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            f32x16 d = v_load(x + i + j * LANES) - mean;
            sum[j] = v_fma(d, d, sum[j]);
        }
    for (; i < n; i += LANES) {
        f32x16 d = standardize_centred(n, x, i, mean);
        sum[0] = v_fma(d, d, sum[0]);
    }
    return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* Defines name(): c = EPILOGUE((x - mean) / sqrt(variance + epsilon)) for m rows of n floats. */
#define STANDARDIZE_DEFINE(name, EPILOGUE) \
    INLINE void name##_row(int64_t n, const float *x, float mean, float factor, int64_t row, float *c, \
                           const struct epilogue *e) { \
        int64_t i = 0; \
        for (; i + LANES <= n; i += LANES) { \
            f32x16 y = (v_load(x + i) - mean) * factor; \
            v_store(c + i, EPILOGUE(y, e, row, i, LANES)); \
        } \
        if (i < n) { \
            f32x16 y = (v_load_n(x + i, n - i) - mean) * factor; \
            v_store_n(c + i, EPILOGUE(y, e, row, i, n - i), n - i); \
        } \
    } \
    NOINLINE void name(int64_t m, int64_t n, const float *x, float *c, float epsilon, const struct epilogue *e) { \
        const float share = 1.0f / (float)n; \
        float mean[STANDARDIZE_ROWS], factor[STANDARDIZE_ROWS]; \
        for (int64_t row = 0; row < m; row += STANDARDIZE_ROWS) { \
            const float *from = x + row * n; \
            int64_t rows = m - row < STANDARDIZE_ROWS ? m - row : STANDARDIZE_ROWS; \
            for (int64_t i = 0; i < rows; i++) mean[i] = standardize_sum(n, from + i * n) * share; \
            for (int64_t i = 0; i < rows; i++) factor[i] = standardize_squares(n, from + i * n, mean[i]) * share; \
            for (int64_t i = 0; i < rows; i++) factor[i] = (1.0f / v_sqrt(v_splat(factor[i] + epsilon)))[0]; \
            for (int64_t i = 0; i < rows; i++) \
                name##_row(n, from + i * n, mean[i], factor[i], row + i, c + (row + i) * n, e); \
        } \
    }

#endif
