/* attention.h: attention of several heads, whose scores stay in the cache. */
#ifndef CASTIRON_ATTENTION_H
#define CASTIRON_ATTENTION_H

#include "exponential.h"
#include "gemm.h"
#include "transpose.h"

/* The sizes of q [B, queries, heads, width], k [B, keys, heads, width] and v [B, keys, heads, depth]; and how many
 * elements of the scores' operands it is from a batch, and from a head, to the next. */
struct attention {
    int64_t queries, keys, heads, width, depth;
    int64_t batch_stride[8], head_stride[8];
};

/* B = the keys' transpose, [width, keys], as gemm.h packs it; the keys are `stride` floats apart. */
NOINLINE void attention_keys(int64_t keys, int64_t width, const float *k, int64_t stride, float *out) {
    for (int64_t key = 0; key < keys; key += LANES, k += LANES * stride, out += LANES * width) {
        int64_t count = keys - key < LANES ? keys - key : LANES, p = 0;
        if (count == LANES)
            for (; p + LANES <= width; p += LANES)
                transpose_block((uint32_t *)(out + p * LANES), LANES, (const uint32_t *)(k + p), stride);
        for (; p < width; p++)
            for (int64_t j = 0; j < LANES; j++) out[p * LANES + j] = j < count ? k[j * stride + p] : 0.0f;
    }
}

/* The largest of n floats, n a multiple of 16, or any if one is NaN. */
INLINE float attention_most(int64_t n, const float *x) {
    f32x16 most = v_load(x), other = most;
    int64_t i = LANES;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        most = v_greater(most, v_load(x + i));
        other = v_greater(other, v_load(x + i + LANES));
    }
    if (i < n) most = v_greater(most, v_load(x + i));
    return v_max_lane(v_greater(most, other));
}

/* Replaces n floats, n a multiple of 16, by e^(x - most); returns their sum. */
INLINE float attention_powers(int64_t n, float *x, float most) {
    f32x16 sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            f32x16 y = v_exp_falling(v_load(x + i + j * LANES) - most);
            v_store(x + i + j * LANES, y);
            sum[j] += y;
        }
    for (; i < n; i += LANES) {
        f32x16 y = v_exp_falling(v_load(x + i) - most);
        v_store(x + i, y);
        sum[0] += y;
    }
    return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

#define ATTENTION_ROWS 36

/* e^(x - max x) / the sum of these, for up to ATTENTION_ROWS rows of n floats that are `stride`, the next multiple of
 * 16, apart. The order of additions depends on n alone. One thing is done for all rows before the next: a row's chain
 * of them takes longer to wait for than to compute. */
NOINLINE void attention_softmax(int64_t rows, int64_t n, float *x, int64_t stride) {
    float known[ATTENTION_ROWS];
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = n; i < stride; i++) x[row * stride + i] = -V_INF;
        known[row] = attention_most(stride, x + row * stride);
    }
    for (int64_t row = 0; row < rows; row++) known[row] = attention_powers(stride, x + row * stride, known[row]);
    for (int64_t row = 0; row < rows; row++) {
        f32x16 factor = v_splat(1.0f / known[row]);
        for (int64_t i = 0; i < stride; i += LANES) v_store(x + row * stride + i, v_load(x + row * stride + i) * factor);
    }
}

/* The operands of the scores of a batch and head from a query on. */
INLINE struct epilogue attention_operands(const struct attention *a, const struct epilogue *e, int64_t batch,
                                          int64_t head, int64_t query) {
    struct epilogue moved = epilogue_at(e, query, 0);
    for (int i = 0; i < 8; i++) moved.operand[i] += batch * a->batch_stride[i] + head * a->head_stride[i];
    return moved;
}

/* Defines name(): out = softmax(scores) v for `count` queries from number `first` of all batches on; q and out begin
 * there. SCORES(), a product as gemm.h defines it, makes q kT the scores with operands e, which begin at query 0;
 * PRODUCT() is one without an epilogue. */
#define ATTENTION_DEFINE(name, SCORES, PRODUCT) \
    NOINLINE void name(const struct attention *a, int64_t first, int64_t count, const float *q, const float *k, \
                       const float *v, float *out, float *scratch, const struct epilogue *e) { \
        const int64_t heads = a->heads, width = a->width, depth = a->depth; \
        const int64_t across = (a->keys + LANES - 1) / LANES * LANES; \
        float *keys = scratch, *values = keys + across * width; \
        float *scores = values + (depth + LANES - 1) / LANES * LANES * a->keys; \
        const struct epilogue none = {0}; \
        for (int64_t done = 0; done < count;) { \
            int64_t batch = (first + done) / a->queries, query = first + done - batch * a->queries; \
            int64_t queries = a->queries - query < count - done ? a->queries - query : count - done; \
            struct gemm_split parts = gemm_split(queries, ATTENTION_ROWS); \
            for (int64_t head = 0; head < heads; head++) { \
                attention_keys(a->keys, width, k + (batch * a->keys * heads + head) * width, heads * width, keys); \
                pack_b(a->keys, depth, v + (batch * a->keys * heads + head) * depth, heads * depth, 1, values); \
                for (int64_t part = 0, row = 0; part < parts.count; part++) { \
                    int64_t rows = parts.size + (part < parts.longer), place = (done + row) * heads + head; \
                    struct epilogue moved = attention_operands(a, e, batch, head, query + row); \
                    SCORES(rows, a->keys, width, q + place * width, heads * width, keys, scores, across, &moved); \
                    attention_softmax(rows, a->keys, scores, across); \
                    PRODUCT(rows, depth, a->keys, scores, across, values, out + place * depth, heads * depth, &none); \
                    row += rows; \
                } \
            } \
            done += queries; \
        } \
    }

#endif
