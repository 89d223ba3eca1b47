/* tree_bits.h: decision trees whose comparisons are made first, each once, and are bits from there on.
 *
 * Of many rows a comparison is a vector of bits, one a row. A tree then is boolean algebra on such vectors: bit k of
 * the numbers of all rows' leaves is chosen from the comparisons of the tree's level k by the bits before it. Of one
 * row a comparison is a byte, by which eight trees at a time are walked through.
 */
#ifndef CASTIRON_TREE_BITS_H
#define CASTIRON_TREE_BITS_H

#include "trees.h"

/* A vector of bits is a register. */
#if defined(__AVX512F__)
#define BITS_BYTES 64
typedef uint64_t bits_word;
#elif defined(__AVX__)
#define BITS_BYTES 32
typedef uint32_t bits_word;
#else
#define BITS_BYTES 16
typedef uint16_t bits_word;
#endif
#define BITS_ROWS (8 * BITS_BYTES)

/* So many rows at least are worth vectors of bits. */
#define BITS_FEW 56

typedef uint64_t bits __attribute__((ext_vector_type(BITS_BYTES / 8)));
typedef uint8_t bits_bytes __attribute__((ext_vector_type(BITS_BYTES)));
typedef _Bool bits_mask __attribute__((ext_vector_type(BITS_BYTES)));

/* bits_pickK(by, tests, made): of 2^K comparisons the one whose number the bits by[0], by[1] … by[K-1] are. */
INLINE bits bits_pick0(const bits *by, const uint16_t *tests, const bits *made) { return made[tests[0]]; }
#define DEFINE_PICK(more, fewer) \
    INLINE bits bits_pick##more(const bits *by, const uint16_t *tests, const bits *made) { \
        const bits zero = bits_pick##fewer(by + 1, tests, made); \
        const bits one = bits_pick##fewer(by + 1, tests + (1 << fewer), made); \
        return (one & by[0]) | (zero & ~by[0]); \
    }
DEFINE_PICK(1, 0)
DEFINE_PICK(2, 1)
DEFINE_PICK(3, 2)
DEFINE_PICK(4, 3)
DEFINE_PICK(5, 4)
DEFINE_PICK(6, 5)
DEFINE_PICK(7, 6)
#undef DEFINE_PICK

/* leaf[r] = the number of the leaf that row r reaches, from the comparisons that are made; tests[2^k …] are those of
 * level k. */
INLINE void bits_descend(uint8_t *leaf, const uint16_t *tests, const bits *made, int depth) {
    bits by[8];
    by[0] = bits_pick0(by, tests + 1, made);
    if (depth > 1) by[1] = bits_pick1(by, tests + 2, made);
    if (depth > 2) by[2] = bits_pick2(by, tests + 4, made);
    if (depth > 3) by[3] = bits_pick3(by, tests + 8, made);
    if (depth > 4) by[4] = bits_pick4(by, tests + 16, made);
    if (depth > 5) by[5] = bits_pick5(by, tests + 32, made);
    if (depth > 6) by[6] = bits_pick6(by, tests + 64, made);
    if (depth > 7) by[7] = bits_pick7(by, tests + 128, made);
    for (int i = 0; i < 8; i++) {
        bits_bytes number = 0;
        _Pragma("clang loop unroll(full)")
        for (int k = 0; k < depth; k++) {
            const bits_mask one = __builtin_bit_cast(bits_mask, ((const bits_word *)(by + k))[i]);
            number = number + number + (__builtin_convertvector(one, bits_bytes) & 1);
        }
        *(bits_bytes *)(leaf + i * BITS_BYTES) = number;
    }
}

/* Calls a function with a depth from 1 to 8 that the compiler knows. */
#define WITH_DEPTH(depth, function, ...) \
    switch (depth) { \
        case 1: function(__VA_ARGS__, 1); break; \
        case 2: function(__VA_ARGS__, 2); break; \
        case 3: function(__VA_ARGS__, 3); break; \
        case 4: function(__VA_ARGS__, 4); break; \
        case 5: function(__VA_ARGS__, 5); break; \
        case 6: function(__VA_ARGS__, 6); break; \
        case 7: function(__VA_ARGS__, 7); break; \
        case 8: function(__VA_ARGS__, 8); break; \
    }

NOINLINE void bits_leaves(uint8_t *leaf, const uint16_t *tests, const bits *made, int depth) {
    WITH_DEPTH(depth, bits_descend, leaf, tests, made)
}

#define DEFINE_TREE_BITS(scalar, keys, key_t) \
    /* made[t] = the bits of the comparisons key > threshold[t] of BITS_ROWS keys. */ \
    NOINLINE void scalar##_bits_tests(bits *made, const key_t *key, const key_t *threshold, int64_t count) { \
        for (int64_t t = 0; t < count; t++) { \
            const keys limit = v_splat(threshold[t]); \
            for (int64_t g = 0; g < BITS_ROWS / LANES; g++) \
                ((uint16_t *)(made + t))[g] = __builtin_bit_cast( \
                    uint16_t, __builtin_convertvector(v_load(key + g * LANES) > limit, bitx16)); \
        } \
    } \
    \
    /* made[t] = whether key > threshold[t]. */ \
    NOINLINE void scalar##_bits_bytes(uint8_t *restrict made, key_t key, const key_t *restrict threshold, \
                                      int64_t count) { \
        for (int64_t t = 0; t < count; t++) made[t] = key > threshold[t]; \
    } \
    \
    INLINE void bits_add(scalar *sum, const scalar *weight, const uint8_t *leaf, int64_t rows) { \
        _Pragma("clang loop vectorize(disable) unroll_count(8)") \
        for (int64_t r = 0; r < rows; r++) sum[r] += weight[leaf[r]]; \
    } \
    \
    /* `rows` rows, BITS_ROWS at most. */ \
    INLINE void bits_block(scalar *out, const scalar *x, int64_t rows, int64_t features, int64_t targets, \
                           const int32_t *columns, int64_t count, const int32_t *starts, const key_t *thresholds, \
                           const int32_t *groups, int64_t group_count, const uint16_t *tests, const scalar *weights, \
                           char *scratch) { \
        bits *made = (bits *)scratch; \
        key_t *key = (key_t *)(made + starts[count]); \
        for (int64_t c = 0; c < count; c++) { \
            for (int64_t r = 0; r < rows; r++) key[r] = tree_key(x[r * features + (columns[c] >> 1)], columns[c]); \
            scalar##_bits_tests(made + starts[c], key, thresholds + starts[c], starts[c + 1] - starts[c]); \
        } \
        uint8_t *leaf = (uint8_t *)key; \
        scalar *sum = (scalar *)(leaf + BITS_ROWS); \
        for (int64_t g = 0; g < group_count; g++) { \
            const int64_t trees = groups[4 * g], target = groups[4 * g + 1], width = groups[4 * g + 2]; \
            const int depth = groups[4 * g + 3]; \
            for (int64_t p = 0; p < WALKS; p++) { \
                for (int64_t i = 0; i < width * BITS_ROWS; i++) sum[i] = 0; \
                for (int64_t t = p; t < WALKS * trees; t += WALKS) { \
                    bits_leaves(leaf, tests + (t << depth), made, depth); \
                    for (int64_t k = 0; k < width; k++) \
                        bits_add(sum + k * BITS_ROWS, weights + ((t * width + k) << depth), leaf, rows); \
                } \
                for (int64_t k = 0; k < width; k++) \
                    for (int64_t r = 0; r < rows; r++) out[r * targets + target + k] += sum[k * BITS_ROWS + r]; \
            } \
            tests += WALKS * trees << depth, weights += WALKS * trees * width << depth; \
        } \
    } \
    \
    /* One row through the trees of a group. */ \
    INLINE void bits_walk(scalar *out, const uint8_t *made, int64_t trees, int64_t width, const uint16_t *tests, \
                          const scalar *weights, scalar *sum, int depth) { \
        for (int64_t i = 0; i < WALKS * width; i++) sum[i] = 0; \
        for (int64_t t = 0; t < trees; t++) { \
            uint64_t at[WALKS]; \
            for (int64_t j = 0; j < WALKS; j++) at[j] = 1; \
            for (int k = 0; k < depth; k++) \
                _Pragma("clang loop unroll(full)") \
                for (int64_t j = 0; j < WALKS; j++) { \
                    at[j] = 2 * at[j] + made[tests[(j << depth) + at[j]]]; \
                    APART(at[j]); \
                } \
            for (int64_t j = 0; j < WALKS; j++) \
                for (int64_t k = 0; k < width; k++) \
                    sum[j * width + k] += weights[((j * width + k) << depth) + at[j] - ((uint64_t)1 << depth)]; \
            tests += WALKS << depth, weights += WALKS * width << depth; \
        } \
        for (int64_t j = 0; j < WALKS; j++) \
            for (int64_t k = 0; k < width; k++) out[k] += sum[j * width + k]; \
    } \
    \
    INLINE void bits_row(scalar *out, const scalar *x, const int32_t *columns, int64_t count, const int32_t *starts, \
                         const key_t *thresholds, const int32_t *groups, int64_t group_count, \
                         const uint16_t *tests, const scalar *weights, char *scratch) { \
        uint8_t *made = (uint8_t *)scratch; \
        scalar *sum = (scalar *)(scratch + (starts[count] + 7) / 8 * 8); \
        for (int64_t c = 0; c < count; c++) { \
            const key_t key = tree_key(x[columns[c] >> 1], columns[c]); \
            scalar##_bits_bytes(made + starts[c], key, thresholds + starts[c], starts[c + 1] - starts[c]); \
        } \
        for (int64_t g = 0; g < group_count; g++, groups += 4) { \
            const int64_t trees = groups[0], width = groups[2]; \
            scalar *to = out + groups[1]; \
            if (width == 1) { \
                WITH_DEPTH(groups[3], bits_walk, to, made, trees, 1, tests, weights, sum) \
            } else \
                bits_walk(to, made, trees, width, tests, weights, sum, groups[3]); \
            tests += WALKS * trees << groups[3], weights += WALKS * trees * width << groups[3]; \
        } \
    } \
    \
    NOINLINE void scalar##_tree_bits(scalar *out, const scalar *x, int64_t rows, int64_t features, int64_t targets, \
                                     const int32_t *columns, int64_t count, const int32_t *starts, \
                                     const key_t *thresholds, const int32_t *groups, int64_t group_count, \
                                     const uint16_t *tests, const scalar *weights, char *scratch) { \
        for (int64_t i = 0; i < rows * targets; i++) out[i] = 0; \
        for (int64_t some; rows > 0; rows -= some, out += some * targets, x += some * features) { \
            some = rows < BITS_FEW ? 1 : rows < BITS_ROWS ? rows : BITS_ROWS; \
            if (some == 1) \
                bits_row(out, x, columns, count, starts, thresholds, groups, group_count, tests, weights, scratch); \
            else \
                bits_block(out, x, some, features, targets, columns, count, starts, thresholds, groups, group_count, \
                           tests, weights, scratch); \
        } \
    }
DEFINE_TREE_BITS(float, i32x16, int32_t)
DEFINE_TREE_BITS(double, i64x16, int64_t)
#undef DEFINE_TREE_BITS

#endif
