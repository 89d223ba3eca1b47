/* strassen.h: C = epilogue(A B) from halves of A and B in 7 products instead of 8, by Strassen's algorithm in Winograd's
 * form.
 *
 * A's rows come in pairs, the first of a pair above and the second below; its columns and those of B are cut in the
 * middle, and so are B's rows. B is packed as one matrix [7 k][n], k and n being the halves, of what the products take
 * from it one after the other: B11, B21, T2, T3, -T4, T1 and B22. So a pair's four rows of results are sums along it.
 * The order of additions depends on nothing else than A's and B's shape.
 */
#ifndef CASTIRON_STRASSEN_H
#define CASTIRON_STRASSEN_H

#include "gemm.h"

/* Pairs of rows of which sums are made at a time. */
#define STRASSEN_PAIRS 32

/* Panels of 16 columns in a tile of up to GEMM_ROWS pairs. B has a multiple of 4. */
#if defined(__AVX512F__)
#define STRASSEN_PANELS 4
#else
#define STRASSEN_PANELS 1
#endif

/* The left side of a product: rows at a stride. */
struct strassen_side {
    const float *rows;
    int64_t stride;
};

/* The sums S1 to S4 of the halves of pairs of rows, side by side. */
NOINLINE void strassen_sums(int64_t pairs, int64_t k, const float *a, float *s, int64_t stride) {
    for (int64_t i = 0; i < pairs; i++, a += 4 * k, s += stride)
        for (int64_t p = 0; p < k; p += LANES) {
            f32x16 a11 = v_load(a + p), a12 = v_load(a + k + p);
            f32x16 a21 = v_load(a + 2 * k + p), a22 = v_load(a + 3 * k + p);
            f32x16 s1 = a21 + a22, s2 = s1 - a11;
            v_store(s + p, s1);
            v_store(s + k + p, s2);
            v_store(s + 2 * k + p, a11 - a21);
            v_store(s + 3 * k + p, a12 - s2);
        }
}

/* tile [C11, C12, C21, C22][pair][panel] for pairs from `first` on. Sums that several results have in common wait in the
 * place of one. With each step a cache line is fetched that a later tile reads: the one at `ahead`, then those `pace`
 * floats further. */
INLINE void strassen_tile_body(const int pairs, int64_t k, const struct strassen_side *side, int64_t first,
                               const float *b, const float *ahead, int64_t pace,
                               f32x16 tile[4][GEMM_ROWS * STRASSEN_PANELS]) {
    const int panels = STRASSEN_PANELS;
    f32x16 sum[GEMM_ROWS * STRASSEN_PANELS];
#define STRASSEN_ALL(statement) \
    _Pragma("clang loop unroll(full)") \
    for (int i = 0; i < pairs * panels; i++) statement
    STRASSEN_ALL(sum[i] = v_splat(0.0f));
    const int64_t panel = 7 * k * LANES;
#pragma clang loop unroll(disable)
    for (int product = 0; product < 7; product++) {
        const int64_t stride = side[product].stride;
        const float *a = side[product].rows + first * stride;
#pragma clang loop unroll(disable)
        for (int64_t p = 0; p < k; p++, b += LANES, ahead += pace) {
            __builtin_prefetch(ahead);
            f32x16 column[STRASSEN_PANELS];
#pragma clang loop unroll(full)
            for (int j = 0; j < panels; j++) column[j] = *(const f32x16 *)(b + j * panel);
#pragma clang loop unroll(full)
            for (int i = 0; i < pairs; i++) {
                f32x16 x = v_splat(a[i * stride + p]);
#pragma clang loop unroll(full)
                for (int j = 0; j < panels; j++) {
                    sum[i * panels + j] = v_fma(x, column[j], sum[i * panels + j]);
                    GEMM_IN_ORDER(sum[i * panels + j]);
                }
            }
        }
        switch (product) {
        case 0: STRASSEN_ALL(tile[3][i] = sum[i]); break;                               /* P1 */
        case 1: STRASSEN_ALL((tile[0][i] = sum[i], sum[i] = tile[3][i])); break;        /* C11 = P1 + P2 */
        case 2: STRASSEN_ALL(tile[1][i] = sum[i]); break;                               /* U2 = P1 + P6 */
        case 3: STRASSEN_ALL(tile[3][i] = sum[i]); break;                               /* U3 = U2 + P7 */
        case 4: STRASSEN_ALL((tile[2][i] = sum[i], sum[i] = v_splat(0.0f))); break;     /* C21 = U3 - P4 */
        case 5: STRASSEN_ALL((tile[3][i] += sum[i], sum[i] += tile[1][i])); break;      /* C22 = U3 + P5 */
        case 6: STRASSEN_ALL(tile[1][i] = sum[i]); break;                               /* C12 = U2 + P5 + P3 */
        }
    }
#undef STRASSEN_ALL
}

#define STRASSEN_TILE_KERNEL(pairs) \
    NOINLINE void strassen_tile_##pairs(int64_t k, const struct strassen_side *side, int64_t first, const float *b, \
                                        const float *ahead, int64_t pace, \
                                        f32x16 tile[4][GEMM_ROWS * STRASSEN_PANELS]) { \
        strassen_tile_body(pairs, k, side, first, b, ahead, pace, tile); \
    }
#define STRASSEN_TILE_CASE(pairs) \
    case pairs: strassen_tile_##pairs(k, side, first, b, ahead, pace, tile); return;
#if GEMM_ROWS == 6
#define STRASSEN_TILES(T) T(1) T(2) T(3) T(4) T(5) T(6)
#else
#define STRASSEN_TILES(T) T(1) T(2)
#endif
STRASSEN_TILES(STRASSEN_TILE_KERNEL)

NOINLINE void strassen_tile(int64_t pairs, int64_t k, const struct strassen_side *side, int64_t first, const float *b,
                            const float *ahead, int64_t pace, f32x16 tile[4][GEMM_ROWS * STRASSEN_PANELS]) {
    switch (pairs) { STRASSEN_TILES(STRASSEN_TILE_CASE) }
}

/* Defines name(): C [m][2 n] = EPILOGUE(A B) for A [m][2 k], with an even m, k a multiple of 16 and n one of 64, as in
 * GEMM_DEFINE; s is scratch for STRASSEN_PAIRS * (4 k + 16) floats, which a product by the same A may have left `there`
 * just before. */
#define STRASSEN_DEFINE(name, EPILOGUE) \
    NOINLINE void name##_finish(int64_t pairs, int64_t n, int64_t row, int64_t column, \
                                f32x16 tile[4][GEMM_ROWS * STRASSEN_PANELS], float *c, const struct epilogue *e) { \
        for (int half = 0; half < 4; half++) { \
            int64_t at = row + half / 2, left = column + half % 2 * n; \
            const f32x16 *sum = tile[half]; \
            for (int64_t i = 0; i < pairs; i++, at += 2) \
                for (int64_t j = left; j < left + STRASSEN_PANELS * LANES; j += LANES) { \
                    f32x16 y = EPILOGUE(*sum++, e, at, j, LANES); \
                    v_store(c + at * 2 * n + j, y); \
                } \
        } \
    } \
    NOINLINE void name(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c, float *s, \
                       int there, const struct epilogue *e) { \
        f32x16 tile[4][GEMM_ROWS * STRASSEN_PANELS]; \
        const int64_t across = STRASSEN_PANELS * LANES, stride = 4 * k + LANES; \
        struct gemm_split parts = gemm_split(m / 2, STRASSEN_PAIRS); \
        for (int64_t t = 0, row = 0, pairs; t < parts.count; t++, row += 2 * pairs, a += 4 * k * pairs) { \
            pairs = parts.size + (t < parts.longer); \
            if (!there || parts.count > 1) strassen_sums(pairs, k, a, s, stride); \
            const struct strassen_side side[7] = {{a, 4 * k}, {a + k, 4 * k}, {s + k, stride}, {s + 2 * k, stride}, \
                                                  {a + 3 * k, 4 * k}, {s, stride}, {s + 3 * k, stride}}; \
            struct gemm_split tiles = gemm_split(pairs, GEMM_ROWS); \
            const int64_t pace = across / tiles.count; \
            for (int64_t column = 0; column < n; column += across) { \
                const float *panels = b + column * 7 * k; \
                /* Behind the last panels and a quarter of B there are often the next product's. */ \
                const float *ahead = panels + across * 7 * k + (column + across < n ? 0 : k * n); \
                for (int64_t u = 0, first = 0, down; u < tiles.count; u++, first += down, ahead += pace * 7 * k) { \
                    down = tiles.size + (u < tiles.longer); \
                    strassen_tile(down, k, side, first, panels, ahead, pace, tile); \
                    name##_finish(down, n, row + 2 * first, column, tile, c, e); \
                } \
            } \
        } \
    }

/* B [2 k][2 n] as packed panels of what the products take, and behind them those of B12. */
NOINLINE void strassen_pack(int64_t k, int64_t n, const float *b, float *out) {
    pack_b(k, n, b + n, 2 * n, 1, out + 7 * k * n);
    for (int64_t column = 0; column < n; column += LANES)
        for (int64_t p = 0; p < 7 * k; p++, out += LANES) {
            const float *from = b + p % k * 2 * n + column, *below = from + k * 2 * n;
            f32x16 b11 = v_load(from), b12 = v_load(from + n), b21 = v_load(below), b22 = v_load(below + n);
            f32x16 t1 = b12 - b11, t2 = b22 - t1, t3 = b22 - b12;
            const f32x16 taken[7] = {b11, b21, t2, t3, b21 - t2, t1, b22};
            v_store(out, taken[p / k]);
        }
}

/* The reverse. */
NOINLINE void strassen_unpack(int64_t k, int64_t n, const float *packed, float *b) {
    const float *b12 = packed + 7 * k * n;
    for (int64_t column = 0; column < n; column += LANES, packed += 7 * k * LANES)
        for (int64_t p = 0; p < k; p++, b12 += LANES) {
            float *to = b + p * 2 * n + column, *below = to + k * 2 * n;
            v_store(to, v_load(packed + p * LANES));
            v_store(to + n, v_load(b12));
            v_store(below, v_load(packed + (k + p) * LANES));
            v_store(below + n, v_load(packed + (6 * k + p) * LANES));
        }
}

#endif
