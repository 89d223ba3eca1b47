/* Every kernel behind one signature, for the tests: dimensions and up to four operands, the first the result.
 * conftest.py adds a line UNARY(f), BINARY(f), UNARY64(f) or BINARY64(f) for each function. */
#include "elementary.h"
#include "gemm.h"
#include "gemm_column.h"

#define ENTRY(name) __attribute__((visibility("default"))) void name(const int64_t *d, void **p)

/* y[i] = f(x[i]), d[0] elements: whole vectors, then what is left. */
#define UNARY(name) \
    ENTRY(apply_##name) { \
        float *y = p[0]; \
        const float *x = p[1]; \
        int64_t i = 0; \
        for (; i + LANES <= d[0]; i += LANES) v_store(y + i, v_##name(v_load(x + i))); \
        if (i < d[0]) v_store_n(y + i, v_##name(v_load_n(x + i, d[0] - i)), d[0] - i); \
    }

#define BINARY(name) \
    ENTRY(apply_##name) { \
        float *z = p[0]; \
        const float *x = p[1], *y = p[2]; \
        int64_t i = 0; \
        for (; i + LANES <= d[0]; i += LANES) v_store(z + i, v_##name(v_load(x + i), v_load(y + i))); \
        if (i < d[0]) v_store_n(z + i, v_##name(v_load_n(x + i, d[0] - i), v_load_n(y + i, d[0] - i)), d[0] - i); \
    }

/* The same of doubles. */
#define UNARY64(name) \
    ENTRY(apply64_##name) { \
        double *y = p[0]; \
        const double *x = p[1]; \
        int64_t i = 0; \
        for (; i + LANES <= d[0]; i += LANES) v_store(y + i, v_##name(v_load(x + i))); \
        if (i < d[0]) v_store_n(y + i, v_##name(v_load_n(x + i, d[0] - i)), d[0] - i); \
    }

#define BINARY64(name) \
    ENTRY(apply64_##name) { \
        double *z = p[0]; \
        const double *x = p[1], *y = p[2]; \
        int64_t i = 0; \
        for (; i + LANES <= d[0]; i += LANES) v_store(z + i, v_##name(v_load(x + i), v_load(y + i))); \
        if (i < d[0]) v_store_n(z + i, v_##name(v_load_n(x + i, d[0] - i), v_load_n(y + i, d[0] - i)), d[0] - i); \
    }

/* In place, as the arena's plan may have it. */
ENTRY(leaky) {
    float *y = p[0];
    for (int64_t i = 0; i + LANES <= d[0]; i += LANES) {
        f32x16 x = v_load(y + i);
        v_store(y + i, v_select(x > 0.0f, x, x * 0.25f));
    }
}

ENTRY(classify) {
    int32_t *y = p[0];
    f32x16 x = v_load((const float *)p[1]);
    v_store(y, v_is_nan(x));
    v_store(y + 16, v_is_inf(x));
    v_store(y + 32, v_is_finite(x));
    v_store(y + 48, v_select(v_splat((int32_t)v_any(x > 1.0f)) != 0, v_splat(7), v_splat(0)));
}

ENTRY(reduce) {
    float *y = p[0];
    f32x16 x = v_load((const float *)p[1]);
    y[0] = v_sum(x), y[1] = v_prod(x), y[2] = v_max_lane(x), y[3] = v_min_lane(x);
}

ENTRY(reduce_f64) {
    double *y = p[0];
    f64x16 x = v_load((const double *)p[1]);
    y[0] = v_sum(x), y[1] = v_prod(x), y[2] = v_max_lane(x), y[3] = v_min_lane(x);
}

/* The first d[0] of 16: y = x, then all 16 lanes of what was loaded. */
#define PARTIAL(name, scalar) \
    ENTRY(partial_##name) { \
        name##x16 x = v_load_n((const scalar *)p[1], d[0]); \
        if (d[1]) v_store((scalar *)p[0], x); \
        else v_store_n((scalar *)p[0], x, d[0]); \
    }
VECTOR_TYPES(PARTIAL)

ENTRY(store_three) { v_store_n((float *)p[0], v_load((const float *)p[1]), 3); }

#define PLAIN(sum, e, row, column, count) (sum)
#define BIAS_RELU(sum, e, row, column, count) v_relu((sum) + v_load_n((e)->operand[0] + (column), (count)))
#define RESIDUAL(sum, e, row, column, count) \
    (v_tanh(sum) + v_load_n((e)->operand[0] + (row) * (e)->row_stride[0] + (column), (count)))
GEMM_DEFINE(plain, PLAIN)
GEMM_DEFINE(bias_relu, BIAS_RELU)
GEMM_DEFINE(residual, RESIDUAL)
GEMM_DEFINE_LONG(long_residual, RESIDUAL)

/* d: m, n, k, lda, ldc, stride of the epilogue's operand; p: C, A, packed B, the epilogue's operand. */
#define GEMM(name) \
    ENTRY(gemm_##name) { \
        struct epilogue e = {{p[3]}, {d[5]}}; \
        name(d[0], d[1], d[2], p[1], d[3], p[2], p[0], d[4], &e); \
    }
GEMM(plain) GEMM(bias_relu) GEMM(residual) GEMM(long_residual)

/* A layer whose n and k the compiler knows. */
ENTRY(gemm_layer) {
    struct epilogue e = {{p[3]}, {0}};
    bias_relu(d[0], 40, 27, p[1], 27, p[2], p[0], 40, &e);
}

GEMM_COLUMN_DEFINE(column, BIAS_RELU)
ENTRY(gemm_column) {
    struct epilogue e = {{p[3]}, {0}};
    column(d[0], d[2], p[1], d[3], p[2], p[0], d[4], &e);
}

ENTRY(gemm_pack) { pack_b(d[0], d[1], p[1], d[2], d[3], p[0]); }
