/* winograd.h: convolutions by 3x3 in tiles of m x m results, m = 2 or 4, from tiles of n x n elements, n = m + 2.
 *
 * A block of tiles is transformed to V [n*n][tiles][channels], multiplied by the transformed kernels, a matrix for each
 * of the n*n places, a few columns at a time, to [n*n][tiles][columns], and transformed back. The points of the
 * transforms are 0, p, -p, q, -q and infinity, for m = 2 without q. Tiles begin at multiples of m of the image's
 * results, wherever blocks begin, and the order of additions depends on nothing else, so results have the same bits
 * whatever is computed together.
 */
#ifndef CASTIRON_WINOGRAD_H
#define CASTIRON_WINOGRAD_H

#include "gemm.h"
#include "window.h"

/* The floats from one result of a product to that of the next tile: columns that are multiplied at a time. */
#define WINOGRAD_COLUMNS 64

struct winograd {
    int64_t outputs;
    int64_t panel, panels; /* those of 16 outputs that are wanted: the first, and one behind the last */
    int64_t tiles;  /* in a block, at most */
    int64_t stride; /* floats from a tile's channels to the next tile's in V */
    float *v, *products, *patch; /* scratch: V; [n*n][tiles][WINOGRAD_COLUMNS]; [n*n][channels] and n*n vectors */
};

/* Polynomials at the points: n of n elements. */
INLINE void winograd_in(const int m, const float p, const float q, const f32x16 *d, const int step, f32x16 *r) {
    const float pp = p * p, qq = q * q;
#define WINOGRAD_D(i) d[(i) * step]
    if (m == 2) {
        f32x16 odd = p * WINOGRAD_D(1), even = WINOGRAD_D(2);
        r[0] = v_fma(v_splat(-pp), WINOGRAD_D(0), even);
        r[1] = even + odd, r[2] = even - odd;
        r[3] = v_fma(v_splat(-pp), WINOGRAD_D(1), WINOGRAD_D(3));
        return;
    }
    f32x16 even = v_fma(v_splat(-qq), WINOGRAD_D(2), WINOGRAD_D(4));
    f32x16 odd = p * v_fma(v_splat(-qq), WINOGRAD_D(1), WINOGRAD_D(3));
    r[1] = even + odd, r[2] = even - odd;
    even = v_fma(v_splat(-pp), WINOGRAD_D(2), WINOGRAD_D(4));
    odd = q * v_fma(v_splat(-pp), WINOGRAD_D(1), WINOGRAD_D(3));
    r[3] = even + odd, r[4] = even - odd;
    r[0] = v_fma(v_splat(pp * qq), WINOGRAD_D(0), v_fma(v_splat(-pp - qq), WINOGRAD_D(2), WINOGRAD_D(4)));
    r[5] = v_fma(v_splat(pp * qq), WINOGRAD_D(1), v_fma(v_splat(-pp - qq), WINOGRAD_D(3), WINOGRAD_D(5)));
#undef WINOGRAD_D
}

/* And back: m of n. */
INLINE void winograd_out(const int m, const float p, const float q, const f32x16 *d, const int step, f32x16 *r) {
#define WINOGRAD_D(i) d[(i) * step]
    f32x16 s = WINOGRAD_D(1) + WINOGRAD_D(2), t = WINOGRAD_D(1) - WINOGRAD_D(2);
    if (m == 2) {
        r[0] = WINOGRAD_D(0) + s;
        r[1] = v_fma(v_splat(p), t, WINOGRAD_D(3));
        return;
    }
    f32x16 u = WINOGRAD_D(3) + WINOGRAD_D(4), w = WINOGRAD_D(3) - WINOGRAD_D(4);
    r[0] = WINOGRAD_D(0) + (s + u);
    r[1] = v_fma(v_splat(q), w, p * t);
    r[2] = v_fma(v_splat(q * q), u, (p * p) * s);
    r[3] = v_fma(v_splat(q * q * q), w, v_fma(v_splat(p * p * p), t, WINOGRAD_D(5)));
#undef WINOGRAD_D
}

/* Transforms one tile: its elements begin at x, which is the place (top, left) of an image and may lie outside. */
INLINE void winograd_tile_in(const int m, const float p, const float q, const struct window *w,
                             const struct winograd *g, const float *x, int64_t top, int64_t left, float *v) {
    const int n = m + 2;
    const int64_t channels = w->channels, height = w->size[1], width = w->size[2];
    f32x16 *half = (f32x16 *)(g->patch + n * n * channels);
    int64_t line = width * channels;
    if (top < 0 || left < 0 || top + n > height || left + n > width) {
        float *to = g->patch;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                int64_t y = top + i, z = left + j;
                if (y < 0 || z < 0 || y >= height || z >= width) to = window_clear(to, channels);
                else to = window_copy(to, x + i * line + j * channels, channels);
            }
        x = g->patch, line = n * channels;
    }
    for (int64_t c = 0; c < channels; c += LANES) {
#pragma clang loop unroll(full)
        for (int j = 0; j < n; j++) {
            f32x16 d[6], r[6];
#pragma clang loop unroll(full)
            for (int i = 0; i < n; i++) d[i] = v_load(x + i * line + j * channels + c);
            winograd_in(m, p, q, d, 1, r);
#pragma clang loop unroll(full)
            for (int i = 0; i < n; i++) half[i * n + j] = r[i];
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < n; i++) {
            f32x16 r[6];
            winograd_in(m, p, q, half + i * n, 1, r);
#pragma clang loop unroll(full)
            for (int j = 0; j < n; j++) v_store(v + (i * n + j) * g->tiles * g->stride + c, r[j]);
        }
    }
}

/* The rows of G times 3 elements. */
INLINE void winograd_kernel(const int m, const float p, const float q, const f32x16 *d, f32x16 *r) {
    const float pp = p * p, qq = q * q, at_p = m == 2 ? 0.5f / pp : 0.5f / (pp * (pp - qq));
    f32x16 odd = p * d[1], even = v_fma(v_splat(pp), d[2], d[0]);
    r[1] = at_p * (even + odd), r[2] = at_p * (even - odd);
    r[m + 1] = d[2];
    if (m == 2) {
        r[0] = v_splat(-1.0f / pp) * d[0];
        return;
    }
    const float at_q = 0.5f / (qq * (qq - pp));
    odd = q * d[1], even = v_fma(v_splat(qq), d[2], d[0]);
    r[3] = at_q * (even + odd), r[4] = at_q * (even - odd);
    r[0] = v_splat(1.0f / (pp * qq)) * d[0];
}

/* Defines name(): packed kernels [n*n][ceil(outputs/16)][channels][16] of w [3][3][channels][outputs]. */
#define WINOGRAD_PACK_DEFINE(name, M, P, Q) \
    NOINLINE void name(int64_t channels, int64_t outputs, const float *w, float *u) { \
        const int64_t panels = (outputs + LANES - 1) / LANES; \
        for (int64_t panel = 0; panel < panels; panel++) \
            for (int64_t c = 0; c < channels; c++) { \
                int64_t column = panel * LANES, lanes = outputs - column < LANES ? outputs - column : LANES; \
                f32x16 half[M + 2][3]; \
                for (int j = 0; j < 3; j++) { \
                    f32x16 d[3], r[6]; \
                    for (int i = 0; i < 3; i++) \
                        d[i] = v_load_n(w + ((i * 3 + j) * channels + c) * outputs + column, lanes); \
                    winograd_kernel(M, P, Q, d, r); \
                    for (int i = 0; i < M + 2; i++) half[i][j] = r[i]; \
                } \
                for (int i = 0; i < M + 2; i++) { \
                    f32x16 r[6]; \
                    winograd_kernel(M, P, Q, half[i], r); \
                    for (int j = 0; j < M + 2; j++) \
                        v_store(u + (((i * (M + 2) + j) * panels + panel) * channels + c) * LANES, r[j]); \
                } \
            } \
    }

/* The products of all places for so many tiles and panels of 16 columns, from `panel` on. */
NOINLINE void winograd_products(int64_t places, int64_t channels, const struct winograd *g, int64_t tiles,
                                const float *u, int64_t panel, int64_t across) {
    f32x16 tile[GEMM_TILE_VECTORS];
    const int64_t matrix = (g->outputs + LANES - 1) / LANES * channels * LANES;
    struct gemm_split rows = gemm_split(tiles, GEMM_ROWS);
    struct gemm_split panels = gemm_split(across, gemm_panels(rows.size + (rows.longer > 0), 1));
    for (int64_t place = 0; place < places; place++, u += matrix) {
        const float *v = g->v + place * g->tiles * g->stride;
        float *out = g->products + place * g->tiles * WINOGRAD_COLUMNS;
        for (int64_t t = 0, first = 0; t < panels.count; t++) {
            int64_t wide = panels.size + (t < panels.longer);
            for (int64_t s = 0, row = 0; s < rows.count; s++) {
                int64_t down = rows.size + (s < rows.longer);
                gemm_tile(down, wide, channels, v + row * g->stride, g->stride, u + (panel + first) * LANES * channels,
                          1, tile);
                const f32x16 *sum = tile;
                for (int64_t end = row + down; row < end; row++)
                    for (int64_t j = 0; j < wide; j++)
                        v_store(out + row * WINOGRAD_COLUMNS + (first + j) * LANES, *sum++);
            }
            first += wide;
        }
    }
}

/* result[m][m] of one tile and 16 columns. */
INLINE void winograd_tile_out(const int m, const float p, const float q, const struct winograd *g, const float *from,
                              f32x16 *result) {
    const int n = m + 2;
    f32x16 half[24];
#pragma clang loop unroll(full)
    for (int j = 0; j < n; j++) {
        f32x16 d[6], r[4];
#pragma clang loop unroll(full)
        for (int i = 0; i < n; i++) d[i] = v_load(from + (i * n + j) * g->tiles * WINOGRAD_COLUMNS);
        winograd_out(m, p, q, d, 1, r);
#pragma clang loop unroll(full)
        for (int i = 0; i < m; i++) half[i * n + j] = r[i];
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < m; i++) winograd_out(m, p, q, half + i * n, 1, result + i * m);
}

/* Where a tile is: the place of its first result, and that of the first of its image in all. */
struct winograd_place {
    int64_t image, top, left;
};

/* Defines name(): c [count][outputs] = EPILOGUE of the results first .. first + count - 1, whole lines of images, of
 * x [n, size1, size2, channels] with packed kernels u. The channels are a multiple of 16. */
#define WINOGRAD_DEFINE(name, M, P, Q, EPILOGUE) \
    NOINLINE void name##_in(const struct window *w, const struct winograd *g, const float *x, \
                            const struct winograd_place *at, float *v) { \
        int64_t top = at->top - w->before[1], left = at->left - w->before[2]; \
        const float *from = x + ((at->image * w->size[1] + top) * w->size[2] + left) * w->channels; \
        winograd_tile_in(M, P, Q, w, g, from, top, left, v); \
    } \
    NOINLINE void name##_out(const struct winograd *g, const float *from, f32x16 *result) { \
        winograd_tile_out(M, P, Q, g, from, result); \
    } \
    NOINLINE void name(const struct window *w, const struct winograd *g, const float *x, const float *u, \
                       int64_t first, int64_t count, float *c, const struct epilogue *e) { \
        if (count <= 0) return; \
        const int64_t height = w->count[1], width = w->count[2], places = (M + 2) * (M + 2); \
        const int64_t panels = g->panels, begin = first / width, end = begin + count / width; \
        struct winograd_place at = {begin / height, begin % height / M * M, 0}; \
        while (at.image * height + at.top < end) { \
            struct winograd_place start = at; \
            int64_t tiles = 0; \
            for (; tiles < g->tiles && at.image * height + at.top < end; tiles++) { \
                name##_in(w, g, x, &at, g->v + tiles * g->stride); \
                if ((at.left += M) < width) continue; \
                at.left = 0; \
                if ((at.top += M) >= height) at.top = 0, at.image++; \
            } \
            for (int64_t panel = g->panel; panel < panels; panel += WINOGRAD_COLUMNS / LANES) { \
                int64_t across = panels - panel < WINOGRAD_COLUMNS / LANES ? panels - panel : WINOGRAD_COLUMNS / LANES; \
                /* a single row would be added up in another order */ \
                winograd_products(places, w->channels, g, tiles < 2 ? 2 : tiles, u, panel, across); \
                struct winograd_place to = start; \
                for (int64_t t = 0; t < tiles; t++) { \
                    for (int64_t j = 0; j < across; j++) { \
                        f32x16 result[M * M]; \
                        name##_out(g, g->products + t * WINOGRAD_COLUMNS + j * LANES, result); \
                        int64_t column = (panel + j) * LANES; \
                        int64_t lanes = g->outputs - column < LANES ? g->outputs - column : LANES; \
                        for (int64_t i = 0; i < M; i++) { \
                            int64_t line = to.image * height + to.top + i; \
                            if (line < begin || line >= end || to.top + i >= height) continue; \
                            int64_t row = (line - begin) * width + to.left; \
                            for (int64_t k = 0; k < M && to.left + k < width; k++, row++) { \
                                f32x16 y = EPILOGUE(result[i * M + k], e, row, column, lanes); \
                                if (lanes == LANES) v_store(c + row * g->outputs + column, y); \
                                else v_store_n(c + row * g->outputs + column, y, lanes); \
                            } \
                        } \
                    } \
                    if ((to.left += M) < width) continue; \
                    to.left = 0; \
                    if ((to.top += M) >= height) to.top = 0, to.image++; \
                } \
            } \
        } \
    }

#endif
