/* gemm.h: C = epilogue(A B), A [m, k] and C [m, n] with rows at a stride, B packed.
 *
 * B is [ceil(n/16)][k][16]: panels of 16 columns, the last padded with zeros, 64-byte aligned. One packing
 * serves every instruction set.
 *
 * The order of additions in an element of C depends on n and k alone, never on m, on the tile the element falls
 * in or on the instruction set, so a row has the same bits in any batch. With w = GEMM_WAYS(n) it is w sums,
 * each over every w-th k, then added up first to last. One sum makes a chain of k dependent multiply-adds, which
 * a narrow C can't hide: hence more ways for fewer columns.
 *
 * A tile of C is accumulated in registers. The largest tiles, which do most of the work, meet a short epilogue there;
 * others are left in a small buffer and given to it from there, so these inner loops exist once however many epilogues
 * a program has.
 */
#ifndef CASTIRON_GEMM_H
#define CASTIRON_GEMM_H

#include "vec.h"

/* Operands of an epilogue: operand[i] belongs to row 0, row_stride[i] elements further to row 1 (0: all rows), and
 * likewise column_stride[i] to column 1. */
struct epilogue {
    const float *operand[8];
    int64_t row_stride[8], column_stride[8];
};

/* The operands for rows and columns from (row, column) on. */
INLINE struct epilogue epilogue_at(const struct epilogue *e, int64_t row, int64_t column) {
    struct epilogue moved;
    for (int i = 0; i < 8; i++) {
        moved.operand[i] = e->operand[i] + row * e->row_stride[i] + column * e->column_stride[i];
        moved.row_stride[i] = e->row_stride[i];
    }
    return moved;
}

/* The largest tile, and how many 16-column sums a single row keeps in registers. */
#if defined(__AVX512F__)
#define GEMM_ROWS 6
#define GEMM_PANELS 4
#define GEMM_STRIP_SUMS 8
#elif defined(__AVX2__) || defined(__aarch64__)
#define GEMM_ROWS 6
#define GEMM_PANELS 2
#define GEMM_STRIP_SUMS 4
#else
#define GEMM_ROWS 2
#define GEMM_PANELS 1
#define GEMM_STRIP_SUMS 2
#endif
#define GEMM_STREAMS 4       /* the most panels that a single row reads side by side */
#define GEMM_TILE_VECTORS 24 /* no tile above is larger */
#define GEMM_STRIP_VECTORS (GEMM_STRIP_SUMS > 4 ? GEMM_STRIP_SUMS : 4)

/* It takes so many tiles working on the same panels to fetch the next ones meanwhile. */
#define GEMM_AHEAD 3

#define GEMM_WAYS(n) ((n) <= 32 ? 4 : (n) <= 64 ? 2 : 1)

/* `total` cut into the fewest pieces of at most `most`, nearly equal: `count` pieces of `size`, the first `longer`
 * of them one more. */
struct gemm_split {
    int64_t count, size, longer;
};

INLINE struct gemm_split gemm_split(int64_t total, int64_t most) {
    if (total <= most) return (struct gemm_split){total > 0, total, 0}; /* no division in small calls */
    int64_t count = (total + most - 1) / most, size = total / count;
    return (struct gemm_split){count, size, total - size * count};
}

/* What comes after waits for x, as the compiler sees it: else it loads a whole column of A before its first use,
 * for which registers do not suffice. No instruction. */
#if defined(__AVX512F__)
#define GEMM_IN_ORDER(x) __asm__ volatile("" : "+v"(x)::"memory")
#else
#define GEMM_IN_ORDER(x) (void)0
#endif

/* sum[row][panel] over every `ways`th k from `way` on, rows, panels and `half` constant; `half`: only 8 columns of the
 * last panel, the others zero. With each step along k a cache line is fetched that a later tile reads: the one at
 * `ahead`, then those `pace` floats further. */
INLINE void gemm_sum(const int rows, const int panels, const int half, int64_t k, const float *a, int64_t lda,
                     const float *b, int64_t way, int64_t ways, const float *ahead, int64_t pace,
                     f32x16 sum[GEMM_ROWS][GEMM_PANELS]) {
    typedef float f32x8 __attribute__((ext_vector_type(8)));
    const int whole = panels - half;
    f32x8 last[GEMM_ROWS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        last[i] = 0.0f;
#pragma clang loop unroll(full)
        for (int j = 0; j < whole; j++) sum[i][j] = v_splat(0.0f);
    }
#pragma clang loop unroll(disable)
    for (int64_t p = way; p < k; p += ways, ahead += pace) {
        __builtin_prefetch(ahead);
        f32x16 column[GEMM_PANELS];
#pragma clang loop unroll(full)
        for (int j = 0; j < panels; j++) column[j] = *(const f32x16 *)(b + (j * k + p) * LANES);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            f32x16 x = v_splat(a[i * lda + p]);
            if (half) x = v_opaque(x); /* spread once, not for each width */
#pragma clang loop unroll(full)
            for (int j = 0; j < whole; j++) {
                sum[i][j] = v_fma(x, column[j], sum[i][j]);
                GEMM_IN_ORDER(sum[i][j]);
            }
            if (half) {
                last[i] = __builtin_elementwise_fma(x.lo, column[whole].lo, last[i]);
                GEMM_IN_ORDER(last[i]);
                GEMM_IN_ORDER(x); /* still needed: else the sum moves to its register, and back */
            }
        }
    }
    if (half)
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            sum[i][whole].lo = last[i];
            sum[i][whole].hi = 0.0f;
        }
}

/* tile[row][panel] = sum[row][panel] or, but for the first way, that and what is there. */
INLINE void gemm_gather(const int rows, const int panels, int64_t way, const f32x16 sum[GEMM_ROWS][GEMM_PANELS],
                        f32x16 *tile) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < panels; j++) {
            f32x16 *t = &tile[i * panels + j];
            *t = way ? *t + sum[i][j] : sum[i][j];
        }
}

/* tile[row][panel] of a tile with constant rows and panels. */
INLINE void gemm_tile_body(const int rows, const int panels, const int half, int64_t k, const float *a, int64_t lda,
                           const float *b, int64_t ways, const float *ahead, int64_t pace, f32x16 *tile) {
    for (int64_t way = 0; way < ways; way++) {
        f32x16 sum[GEMM_ROWS][GEMM_PANELS];
        gemm_sum(rows, panels, half, k, a, lda, b, way, ways, ahead, pace, sum);
        gemm_gather(rows, panels, way, sum, tile);
    }
}

/* tile[panel] of one row, all ways side by side in registers. Code for one layer alone, `straight`, spreads A from a
 * register where a processor multiplies as many vectors as it loads: then loads of weights are what it waits for. */
INLINE void gemm_strip_body(const int panels, const int ways, const int straight, int64_t k, const float *a,
                            const float *b, f32x16 *tile) {
    f32x16 sum[GEMM_STRIP_VECTORS];
#pragma clang loop unroll(full)
    for (int s = 0; s < ways * panels; s++) sum[s] = v_splat(0.0f);
    int64_t p = 0;
#if defined(__AVX512F__)
    if (straight) {
#pragma clang loop unroll(disable)
        for (; p + LANES <= k; p += LANES) {
            f32x16 x = v_opaque(v_load(a + p));
#pragma clang loop unroll(full)
            for (int i = 0; i < LANES; i++)
#pragma clang loop unroll(full)
                for (int j = 0; j < panels; j++) {
                    f32x16 *s = &sum[i % ways * panels + j];
                    *s = v_fma(v_splat(x[i]), *(const f32x16 *)(b + (j * k + p + i) * LANES), *s);
                    GEMM_IN_ORDER(*s);
                }
        }
    }
#endif
#pragma clang loop unroll_count(2)
    for (; p + ways <= k; p += ways)
#pragma clang loop unroll(full)
        for (int w = 0; w < ways; w++)
#pragma clang loop unroll(full)
            for (int j = 0; j < panels; j++)
                sum[w * panels + j] =
                    v_fma(v_splat(a[p + w]), *(const f32x16 *)(b + (j * k + p + w) * LANES), sum[w * panels + j]);
#pragma clang loop unroll(full)
    for (int w = 0; w < ways - 1; w++)
        if (p + w < k)
#pragma clang loop unroll(full)
            for (int j = 0; j < panels; j++)
                sum[w * panels + j] =
                    v_fma(v_splat(a[p + w]), *(const f32x16 *)(b + (j * k + p + w) * LANES), sum[w * panels + j]);
#pragma clang loop unroll(full)
    for (int j = 0; j < panels; j++) {
        f32x16 total = sum[j];
#pragma clang loop unroll(full)
        for (int w = 1; w < ways; w++) total += sum[w * panels + j];
        tile[j] = total;
    }
}

/* What occurs and fits registers: tiles (rows, panels); those (rows, panels, ways) that meet short epilogues
 * there; those whose last panel is half empty, where half a register takes half the time; for a single row, strips
 * (panels, ways). */
#if defined(__AVX512F__)
#define GEMM_ACROSS(T, rows) T(rows, 1) T(rows, 2) T(rows, 3) T(rows, 4)
#define GEMM_TILES(T) \
    GEMM_ACROSS(T, 2) GEMM_ACROSS(T, 3) GEMM_ACROSS(T, 4) GEMM_ACROSS(T, 5) GEMM_ACROSS(T, 6)
#define GEMM_MAIN_TILES(T, name) \
    T(name, 5, 3, 1) T(name, 5, 4, 1) T(name, 6, 3, 1) T(name, 6, 4, 1) T(name, 5, 4, 2) T(name, 6, 4, 2)
#define GEMM_HALF_TILES(T) T(5, 2) T(6, 2) T(5, 3) T(6, 3)
#define GEMM_STRIPS(T) T(1, 4) T(2, 4) T(3, 2) T(4, 2) T(2, 1) T(3, 1) T(4, 1)
INLINE int64_t gemm_tile_panels(int64_t) { return 4; }
#elif defined(__AVX2__) || defined(__aarch64__)
#define GEMM_TILES(T) T(2, 1) T(2, 2) T(3, 1) T(4, 1) T(5, 1) T(6, 1)
#define GEMM_MAIN_TILES(T, name) T(name, 5, 1, 1) T(name, 6, 1, 1) T(name, 5, 1, 2) T(name, 6, 1, 2)
#define GEMM_HALF_TILES(T)
#define GEMM_STRIPS(T) T(1, 4) T(1, 2) T(2, 2) T(2, 1) T(3, 1) T(4, 1)
INLINE int64_t gemm_tile_panels(int64_t rows) { return rows <= 2 ? 2 : 1; }
#else
#define GEMM_TILES(T) T(1, 1) T(2, 1)
#define GEMM_MAIN_TILES(T, name) T(name, 2, 1, 1) T(name, 2, 1, 2)
#define GEMM_HALF_TILES(T)
#define GEMM_STRIPS(T) T(1, 2) T(1, 1) T(2, 1)
INLINE int64_t gemm_tile_panels(int64_t) { return 1; }
#endif

#define GEMM_TILE_KERNEL(rows, panels) \
    NOINLINE void gemm_tile_##rows##x##panels(int64_t k, const float *a, int64_t lda, const float *b, int64_t ways, \
                                              const float *ahead, int64_t pace, f32x16 *tile) { \
        gemm_tile_body(rows, panels, 0, k, a, lda, b, ways, ahead, pace, tile); \
    }
GEMM_TILES(GEMM_TILE_KERNEL)

#define GEMM_HALF_KERNEL(rows, panels) \
    NOINLINE void gemm_half_##rows##x##panels(int64_t k, const float *a, int64_t lda, const float *b, int64_t ways, \
                                              const float *ahead, int64_t pace, f32x16 *tile) { \
        gemm_tile_body(rows, panels, 1, k, a, lda, b, ways, ahead, pace, tile); \
    }
GEMM_HALF_TILES(GEMM_HALF_KERNEL)

#define GEMM_STRIP_KERNEL(panels, ways) \
    NOINLINE void gemm_strip_##panels##x##ways(int64_t k, const float *a, const float *b, f32x16 *tile) { \
        gemm_strip_body(panels, ways, 0, k, a, b, tile); \
    }
GEMM_STRIPS(GEMM_STRIP_KERNEL)

NOINLINE void gemm_tile(int64_t rows, int64_t panels, int64_t columns, int64_t k, const float *a, int64_t lda,
                        const float *b, int64_t ways, const float *ahead, int64_t pace, f32x16 *tile) {
    if (columns <= panels * LANES - LANES / 2)
        switch (rows * 8 + panels) {
#define GEMM_HALF_CASE(rows, panels) \
    case rows * 8 + panels: gemm_half_##rows##x##panels(k, a, lda, b, ways, ahead, pace, tile); return;
            GEMM_HALF_TILES(GEMM_HALF_CASE)
        }
    if (rows == 1) {
        switch (panels * 8 + ways) {
#define GEMM_STRIP_CASE(panels, ways) \
        case panels * 8 + ways: gemm_strip_##panels##x##ways(k, a, b, tile); return;
            GEMM_STRIPS(GEMM_STRIP_CASE)
        }
    }
    switch (rows * 8 + panels) {
#define GEMM_TILE_CASE(rows, panels) \
    case rows * 8 + panels: gemm_tile_##rows##x##panels(k, a, lda, b, ways, ahead, pace, tile); return;
        GEMM_TILES(GEMM_TILE_CASE)
    }
}

/* Panels worked on at once for so many rows: what registers hold, and for a single row what processors fetch
 * ahead. */
INLINE int64_t gemm_panels(int64_t rows, int64_t ways) {
    if (rows > 1) return gemm_tile_panels(rows);
    int64_t held = GEMM_STRIP_SUMS > ways ? GEMM_STRIP_SUMS / ways : 1;
    return held < GEMM_STREAMS ? held : GEMM_STREAMS;
}

/* Layers up to so many weights get code of their own for a single row when n and k are constants: a call and loop
 * counts would take as long as the sums. */
#define GEMM_STRAIGHT 8192

/* One of the main tiles with its epilogue, all columns there. Each panel's results are computed before the first is
 * stored: operands that all rows share are loaded once. */
#define GEMM_MAIN_KERNEL(name, rows, panels, ways) \
    NOINLINE void name##_##rows##x##panels##x##ways(int64_t row, int64_t column, int64_t k, const float *a, \
                                                    int64_t lda, const float *b, const float *ahead, int64_t pace, \
                                                    float *c, int64_t ldc, const struct epilogue *e) { \
        f32x16 first[rows * panels], sum[GEMM_ROWS][GEMM_PANELS]; \
        if (ways == 2) { \
            gemm_sum(rows, panels, 0, k, a, lda, b, 0, 2, ahead, pace, sum); \
            gemm_gather(rows, panels, 0, sum, first); \
            __asm__ volatile("" : : "r"(first) : "memory"); /* in memory: registers are for the next sums */ \
        } \
        gemm_sum(rows, panels, 0, k, a, lda, b, ways - 1, ways, ahead, pace, sum); \
        if (ways == 2) \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < rows * panels; i++) sum[i / panels][i % panels] += first[i]; \
        _Pragma("clang loop unroll(full)") \
        for (int j = 0; j < panels; j++, column += LANES) { \
            f32x16 y[rows]; \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < rows; i++) y[i] = name##_values(sum[i][j], row + i, column, LANES, e); \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < rows; i++) v_store(c + (row + i) * ldc + column, y[i]); \
        } \
    }
#define GEMM_MAIN_CASE(name, rows, panels, ways) \
    case (rows * 8 + panels) * 8 + ways: \
        name##_##rows##x##panels##x##ways(row, column, k, from, lda, part, ahead, pace, c, ldc, e); \
        continue;
#define GEMM_NO_TILES(T, name)

/* Defines name(): C[0..m-1][0..n-1] = EPILOGUE(A B). EPILOGUE(sum, e, row, column, count) is an expression of 16
 * floats, the values of `row` at `column`.. `column`+15, of which the first `count` exist. It is evaluated once for
 * each element, in any order. m >= 0, n >= 1, k >= 0; strides count elements. C overlaps neither A nor B, but may be
 * an operand that the epilogue reads at the element it is asked for. GEMM_DEFINE_LONG is for an epilogue of which there
 * should be no copy for each sum of a tile. */
#define GEMM_DEFINE(name, EPILOGUE) GEMM_FAMILY(name, EPILOGUE, GEMM_MAIN_TILES)
#define GEMM_DEFINE_LONG(name, EPILOGUE) GEMM_FAMILY(name, EPILOGUE, GEMM_NO_TILES)
#define GEMM_FAMILY(name, EPILOGUE, MAIN_TILES) \
    INLINE f32x16 name##_values(f32x16 sum, int64_t row, int64_t column, int64_t count, const struct epilogue *e) { \
        return EPILOGUE(sum, e, row, column, count); \
    } \
    MAIN_TILES(GEMM_MAIN_KERNEL, name) \
    INLINE void name##_finish(f32x16 sum, int64_t row, int64_t column, int64_t n, float *c, \
                              const struct epilogue *e) { \
        int64_t count = n - column < LANES ? n - column : LANES; \
        f32x16 y = name##_values(sum, row, column, count, e); \
        if (count == LANES) v_store(c + column, y); \
        else v_store_n(c + column, y, count); \
    } \
    INLINE void name##_straight(int64_t n, int64_t k, const float *a, const float *b, float *c, \
                                const struct epilogue *e) { \
        const int ways = GEMM_WAYS(n), panels = (int)((n + LANES - 1) / LANES), wide = (int)gemm_panels(1, ways); \
        _Pragma("clang loop unroll(full)") \
        for (int panel = 0; panel < panels; panel += wide) { \
            f32x16 sum[GEMM_STRIP_VECTORS]; \
            int across = panels - panel < wide ? panels - panel : wide; \
            gemm_strip_body(across, ways, 1, k, a, b + panel * LANES * k, sum); \
            _Pragma("clang loop unroll(full)") \
            for (int j = 0; j < across; j++) name##_finish(sum[j], 0, (panel + j) * LANES, n, c, e); \
        } \
    } \
    NOINLINE void name##_tiled(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, \
                               float *c, int64_t ldc, const struct epilogue *e) { \
        f32x16 tile[GEMM_TILE_VECTORS]; \
        int64_t ways = GEMM_WAYS(n); \
        struct gemm_split rows = gemm_split(m, GEMM_ROWS); \
        int64_t tallest = rows.size + (rows.longer > 0); \
        struct gemm_split panels = gemm_split((n + LANES - 1) / LANES, gemm_panels(tallest, ways)); \
        /* To fetch what is read anyway is free. Behind the last panels there are often the next product's. */ \
        int shared = panels.count > 1 && rows.count >= GEMM_AHEAD; \
        int64_t pace = shared ? panels.size * LANES / rows.count : ways * LANES; \
        for (int64_t t = 0, panel = 0; t < panels.count; t++) { \
            int64_t across = panels.size + (t < panels.longer); \
            const int64_t column = panel * LANES; \
            const float *part = b + column * k, *next = part + across * LANES * k; \
            for (int64_t u = 0, row = 0, down; u < rows.count; u++, row += down) { \
                down = rows.size + (u < rows.longer); \
                const float *from = a + row * lda, *ahead = shared ? next + u * pace * k : part; \
                if (n - column >= across * LANES) \
                    switch ((down * 8 + across) * 8 + ways) { MAIN_TILES(GEMM_MAIN_CASE, name) } \
                gemm_tile(down, across, n - column, k, from, lda, part, ways, ahead, pace, tile); \
                const f32x16 *sum = tile; \
                for (int64_t i = row; i < row + down; i++) \
                    for (int64_t j = 0; j < across; j++) \
                        name##_finish(*sum++, i, column + j * LANES, n, c + i * ldc, e); \
            } \
            panel += across; \
        } \
    } \
    INLINE void name(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, float *c, \
                     int64_t ldc, const struct epilogue *e) { \
        if (__builtin_constant_p(n) && __builtin_constant_p(k) && n * k <= GEMM_STRAIGHT && m == 1) \
            name##_straight(n, k, a, b, c, e); \
        else name##_tiled(m, n, k, a, lda, b, c, ldc, e); \
    }

/* Packs a run-time B [k, n], element (p, j) at b[p * row_stride + j * column_stride], into panels. */
NOINLINE void pack_b(int64_t k, int64_t n, const float *b, int64_t row_stride, int64_t column_stride, float *out) {
    for (int64_t column = 0; column < n; column += LANES) {
        int64_t count = n - column < LANES ? n - column : LANES;
        const float *from = b + column * column_stride;
        for (int64_t p = 0; p < k; p++, from += row_stride, out += LANES) {
            f32x16 x = v_splat(0.0f);
            if (column_stride == 1) x = v_load_n(from, count);
            else
                for (int64_t j = 0; j < count; j++) x[j] = from[j * column_stride];
            v_store(out, x);
        }
    }
}

/* Packs a B of one column, element p at b[p * stride], of which `height` floats are made. */
NOINLINE void pack_column(int64_t k, const float *b, int64_t stride, int64_t height, float *out) {
    for (int64_t p = 0; p < height; p++) out[p] = p < k ? b[p * stride] : 0.0f;
}

/* The reverse of pack_b and pack_column: B [k, n] with rows at a stride, from panels of `width` columns. */
NOINLINE void unpack_b(int64_t k, int64_t n, int64_t width, const float *packed, float *b, int64_t row_stride) {
    for (int64_t column = 0; column < n; column += width) {
        int64_t count = n - column < width ? n - column : width;
        for (int64_t p = 0; p < k; p++, packed += width)
            for (int64_t j = 0; j < count; j++) b[p * row_stride + column + j] = packed[j];
    }
}

#endif
