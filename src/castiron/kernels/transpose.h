/* transpose.h: matrices transposed in blocks, of which the lines of both sides stay in the cache. */
#ifndef CASTIRON_TRANSPOSE_H
#define CASTIRON_TRANSPOSE_H

#include "vec.h"

/* Of two rows of a block, the lanes that lack a bit of the lane number, and those that have it, side by side: after
 * all four bits the block is transposed. */
#define TRANSPOSE_LOW(a, b, s) __builtin_shufflevector(a, b, TRANSPOSE_LANES(TRANSPOSE_LOW_LANE, s))
#define TRANSPOSE_HIGH(a, b, s) __builtin_shufflevector(a, b, TRANSPOSE_LANES(TRANSPOSE_HIGH_LANE, s))
#define TRANSPOSE_LOW_LANE(l, s) ((l) & (s) ? 16 + (l) - (s) : (l))
#define TRANSPOSE_HIGH_LANE(l, s) ((l) & (s) ? 16 + (l) : (l) + (s))
#define TRANSPOSE_LANES(LANE, s) \
    LANE(0, s), LANE(1, s), LANE(2, s), LANE(3, s), LANE(4, s), LANE(5, s), LANE(6, s), LANE(7, s), LANE(8, s), \
        LANE(9, s), LANE(10, s), LANE(11, s), LANE(12, s), LANE(13, s), LANE(14, s), LANE(15, s)

#define TRANSPOSE_STAGE(rows, s) \
    _Pragma("clang loop unroll(full)") \
    for (int i = 0; i < LANES; i++) \
        if (!(i & (s))) { \
            u32x16 a = rows[i], b = rows[i | (s)]; \
            rows[i] = TRANSPOSE_LOW(a, b, s); \
            rows[i | (s)] = TRANSPOSE_HIGH(a, b, s); \
        }

NOINLINE void transpose_block(uint32_t *to, int64_t down, const uint32_t *from, int64_t across) {
    u32x16 rows[LANES];
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) rows[i] = v_load(from + i * across);
    TRANSPOSE_STAGE(rows, 1)
    TRANSPOSE_STAGE(rows, 2)
    TRANSPOSE_STAGE(rows, 4)
    TRANSPOSE_STAGE(rows, 8)
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) v_store(to + i * down, rows[i]);
}

/* Defines name(): to[i * down + j] = from[j * across + i] for i < rows, j < columns. BLOCK(to, down, from, across) is
 * the same for 16 of each, if there is something better than a loop, else 0. */
#define TRANSPOSE_DEFINE(name, type, BLOCK) \
    NOINLINE void name(type *to, int64_t down, const type *from, int64_t across, int64_t rows, int64_t columns) { \
        for (int64_t row = 0; row < rows; row += LANES) \
            for (int64_t column = 0; column < columns; column += LANES) { \
                int64_t height = rows - row < LANES ? rows - row : LANES; \
                int64_t width = columns - column < LANES ? columns - column : LANES; \
                type *target = to + row * down + column; \
                const type *source = from + column * across + row; \
                if (height == LANES && width == LANES && BLOCK(target, down, source, across)) continue; \
                for (int64_t i = 0; i < height; i++) \
                    for (int64_t j = 0; j < width; j++) target[i * down + j] = source[j * across + i]; \
            } \
    }
#define TRANSPOSE_VECTORS(to, down, from, across) (transpose_block(to, down, from, across), 1)
#define TRANSPOSE_LOOP(to, down, from, across) 0

#endif
