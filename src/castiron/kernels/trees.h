/* trees.h: decision trees, row by row or eight rows of one tree abreast.
 *
 * Both ways take eight walks at a time, which don't wait for one another. A walk takes as many steps as its tree is
 * deep at most; leaves lead to themselves.
 */
#ifndef CASTIRON_TREES_H
#define CASTIRON_TREES_H

#include "vec.h"

#define WALKS 8

/* Keeps the compiler from gathering what several walks read, which is slower than to load it. */
#define APART(at) __asm__("" : "+r"(at))

enum { TREE_SUM, TREE_MIN, TREE_MAX };

/* key_of(x, highest): the bits of a float as an integer in the order of the floats; NaN as it is asked for. */
#define DEFINE_TREES(scalar, key_t, link_t, lowest) \
    typedef struct { key_t threshold; link_t link; } scalar##_node; \
    \
    INLINE key_t tree_key(scalar x, int32_t column) { \
        const scalar infinity = (scalar)V_INF; \
        key_t bits, limit; \
        __builtin_memcpy(&bits, &x, sizeof bits); \
        __builtin_memcpy(&limit, &infinity, sizeof limit); \
        const key_t size = bits & ~lowest; \
        if (size > limit) return column & 1 ? lowest : ~lowest; \
        return bits < 0 ? -size : size; \
    } \
    \
    /* keys[c][WALKS] of the columns of `rows` rows. */ \
    INLINE void tree_keys(key_t *keys, const scalar *x, int64_t rows, int64_t features, const int32_t *columns, \
                          int64_t count) { \
        for (int64_t c = 0; c < count; c++) { \
            const int32_t column = columns[c]; \
            const scalar *from = x + (column < 0 ? 0 : column >> 1); \
            for (int64_t r = 0; r < rows; r++) \
                keys[c * WALKS + r] = column < 0 ? lowest : tree_key(from[r * features], column); \
        } \
    } \
    \
    /* Eight walks from at[] on; walk j reads the keys j · spread behind the columns'. */ \
    INLINE void tree_descend(const scalar##_node *nodes, const key_t *keys, link_t *at, int32_t steps, int bits, \
                             int64_t spread) { \
        const link_t mask = ((link_t)1 << bits) - 1; \
        for (; steps > 0; steps -= 4) { \
            link_t moved = 0; \
            _Pragma("clang loop unroll(full)") \
            for (int s = 0; s < 4; s++) { \
                _Pragma("clang loop unroll(full)") \
                for (int64_t j = 0; j < WALKS; j++) { \
                    const scalar##_node node = nodes[at[j]]; \
                    const key_t key = keys[(node.link & mask) + j * spread]; \
                    const link_t next = (node.link >> bits) + (key > node.threshold); \
                    if (s == 3) moved |= next ^ at[j]; \
                    at[j] = next; \
                    APART(at[j]); \
                } \
            } \
            if (!moved) break; \
        } \
    } \
    \
    INLINE scalar tree_both(scalar a, scalar b, int combine) { \
        return combine == TREE_SUM ? a + b : combine == TREE_MIN ? b < a ? b : a : b > a ? b : a; \
    } \
    \
    /* to[] = its combination with the weights of a leaf. */ \
    INLINE void tree_leaf(scalar *to, const scalar##_node *leaf, const scalar *weights, int64_t width, int combine) { \
        const scalar *from = width == 1 ? (const scalar *)&leaf->threshold : weights + leaf->threshold; \
        for (int64_t k = 0; k < width; k++) to[k] = tree_both(to[k], from[k], combine); \
    } \
    \
    /* The trees of one group for rows octet by octet: out[] of each row is combined with what they give. `part` has \
     * room for `width` elements of every row. */ \
    INLINE void tree_rows(scalar *out, int64_t targets, const scalar *start, scalar *part, const key_t *keys, \
                          int64_t columns, int64_t octets, int64_t trees, int64_t first, int64_t width, \
                          const int32_t *depths, const scalar##_node *nodes, const scalar *weights, int bits, \
                          int combine) { \
        for (int64_t p = 0; p < WALKS; p++) { \
            for (int64_t i = 0; i < octets * WALKS * width; i++) part[i] = *start; \
            for (int64_t t = 0; t < trees; t++) \
                for (int64_t o = 0; o < octets; o++) { \
                    link_t at[WALKS]; \
                    for (int64_t j = 0; j < WALKS; j++) at[j] = (link_t)(first + p * trees + t); \
                    tree_descend(nodes, keys + o * columns * WALKS, at, depths[t], bits, 1); \
                    for (int64_t j = 0; j < WALKS; j++) \
                        tree_leaf(part + (o * WALKS + j) * width, nodes + at[j], weights, width, combine); \
                } \
            for (int64_t r = 0; r < octets * WALKS; r++) \
                for (int64_t k = 0; k < width; k++) \
                    out[r * targets + k] = tree_both(out[r * targets + k], part[r * width + k], combine); \
        } \
    } \
    \
    /* The same for one row, eight trees at a time. */ \
    INLINE void tree_row(scalar *out, const scalar *start, scalar *part, const key_t *keys, int64_t trees, \
                         int64_t first, int64_t width, const int32_t *depths, const scalar##_node *nodes, \
                         const scalar *weights, int bits, int combine) { \
        for (int64_t i = 0; i < WALKS * width; i++) part[i] = *start; \
        for (int64_t t = 0; t < trees; t++) { \
            link_t at[WALKS]; \
            for (int64_t j = 0; j < WALKS; j++) at[j] = (link_t)(first + j * trees + t); \
            tree_descend(nodes, keys, at, depths[t], bits, 0); \
            for (int64_t j = 0; j < WALKS; j++) \
                tree_leaf(part + j * width, nodes + at[j], weights, width, combine); \
        } \
        for (int64_t j = 0; j < WALKS; j++) \
            for (int64_t k = 0; k < width; k++) out[k] = tree_both(out[k], part[j * width + k], combine); \
    } \
    \
    /* All groups for `rows` rows, `most` of them at a time. */ \
    NOINLINE void scalar##_tree_walk(scalar *out, const scalar *x, int64_t rows, int64_t features, int64_t targets, \
                          const int32_t *columns, int64_t count, const int32_t *groups, int64_t group_count, \
                          const int32_t *depths, const scalar##_node *nodes, const scalar *weights, int bits, \
                          int combine, char *scratch, int64_t most) { \
        const scalar start = combine == TREE_SUM ? 0 : (scalar)(combine == TREE_MIN ? V_INF : -V_INF); \
        key_t *keys = (key_t *)scratch; \
        scalar *part = (scalar *)(keys + most * count); \
        for (int64_t r = 0, some; r < rows; r += some) { \
            const int64_t octets = (rows - r < most ? rows - r : most) / WALKS; \
            some = octets ? octets * WALKS : 1; \
            for (int64_t o = 0; o < octets; o++) \
                tree_keys(keys + o * count * WALKS, x + (r + o * WALKS) * features, WALKS, features, columns, count); \
            if (!octets) tree_keys(keys, x + r * features, 1, features, columns, count); \
            for (int64_t i = 0; i < some * targets; i++) out[r * targets + i] = start; \
            const int32_t *depth = depths; \
            for (int64_t g = 0, first = 0; g < group_count; g++) { \
                const int64_t trees = groups[3 * g], width = groups[3 * g + 2]; \
                scalar *to = out + r * targets + groups[3 * g + 1]; \
                if (octets) \
                    tree_rows(to, targets, &start, part, keys, count, octets, trees, first, width, depth, nodes, \
                              weights, bits, combine); \
                else \
                    tree_row(to, &start, part, keys, trees, first, width, depth, nodes, weights, bits, combine); \
                first += WALKS * trees, depth += trees; \
            } \
        } \
    }
DEFINE_TREES(float, int32_t, uint32_t, INT32_MIN)
DEFINE_TREES(double, int64_t, uint64_t, INT64_MIN)
#undef DEFINE_TREES

#endif
