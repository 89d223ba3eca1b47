/* winograd.h: convolutions by 3x3, 3x1 or 1x3 in tiles of results: along a dimension of 3 a tile has m results, m = 2
 * or 4, from n = m + 2 elements, along one of 1 a single result from a single element, n = m = 1.
 *
 * A block of tiles is transformed to V [places][tiles][channels], multiplied by the transformed kernels, a matrix for
 * each of the n lines of n places, a few columns at a time, to [places][tiles][columns], and transformed back. The
 * points of the transforms are 0, p, -p, q, -q and infinity, for m = 2 without q. Tiles begin at multiples of m of the
 * image's results, wherever blocks begin, and the order of additions depends on nothing else, so results have the same
 * bits whatever is computed together.
 */
#ifndef CASTIRON_WINOGRAD_H
#define CASTIRON_WINOGRAD_H

#include "gemm.h"
#include "window.h"

/* The floats from one result of a product to that of the next tile: columns that are multiplied at a time. */
#define WINOGRAD_COLUMNS 64

/* The elements along a dimension of a tile of m results, those of the kernel, and how many pairs of results the
 * transforms have there and back. */
#define WINOGRAD_SIZE(m) ((m) == 1 ? 1 : (m) + 2)
#define WINOGRAD_KERNEL(m) ((m) == 1 ? 1 : 3)
#define WINOGRAD_PAIRS(m) ((m) == 1 ? 1 : (m) / 2 + 1)
#define WINOGRAD_HALVES(m) (((m) + 1) / 2)

/* The floats of a page of memory. The addresses of several pages are looked up at a time, one only after another if each
 * is asked for when its turn comes. */
#define WINOGRAD_PAGE 1024

struct winograd {
    int64_t outputs;
    int64_t panel, panels; /* those of 16 outputs that are wanted: the first, and one behind the last */
    int64_t tiles;  /* in a block, at most */
    int64_t stride; /* floats from a tile's channels to the next tile's in V */
    int64_t place, product_place; /* and from a place to the next, in V and in the products */
    float *v, *products, *zeros; /* scratch: V; [places][tiles][WINOGRAD_COLUMNS]; [channels] */
};

/* Polynomials at the points: results `pair` of n of n elements: those for 0 and infinity, for p and -p, or for q
 * and -q. The only result of a single element is itself. */
INLINE void winograd_in(const int m, const float p, const float q, const int pair, const f32x16 *d, f32x16 *r) {
    const float pp = p * p, qq = q * q;
    if (m == 1) {
        r[0] = d[0];
    } else if (m == 2) {
        if (pair == 0) {
            r[0] = v_fma(v_splat(-pp), d[0], d[2]);
            r[1] = v_fma(v_splat(-pp), d[1], d[3]);
        } else {
            f32x16 odd = p * d[1];
            r[0] = d[2] + odd, r[1] = d[2] - odd;
        }
    } else if (pair == 0) {
        r[0] = v_fma(v_splat(pp * qq), d[0], v_fma(v_splat(-pp - qq), d[2], d[4]));
        r[1] = v_fma(v_splat(pp * qq), d[1], v_fma(v_splat(-pp - qq), d[3], d[5]));
    } else {
        const float point = pair == 1 ? p : q, other = pair == 1 ? qq : pp;
        f32x16 even = v_fma(v_splat(-other), d[2], d[4]);
        f32x16 odd = point * v_fma(v_splat(-other), d[1], d[3]);
        r[0] = even + odd, r[1] = even - odd;
    }
}

/* The place of result `second` of a pair. */
INLINE int winograd_point(const int m, const int pair, const int second) {
    return pair ? 2 * pair - 1 + second : second * (m + 1);
}

/* And back: results `half` and, unless there is one only, half + m/2 of m of n. */
INLINE void winograd_out(const int m, const float p, const float q, const int half, const f32x16 *d, f32x16 *r) {
    if (m == 1) {
        r[0] = d[0];
    } else if (m == 2) {
        r[0] = d[0] + (d[1] + d[2]);
        r[1] = v_fma(v_splat(p), d[1] - d[2], d[3]);
    } else if (half == 0) {
        f32x16 s = d[1] + d[2], u = d[3] + d[4];
        r[0] = d[0] + (s + u);
        r[1] = v_fma(v_splat(q * q), u, (p * p) * s);
    } else {
        f32x16 t = d[1] - d[2], w = d[3] - d[4];
        r[0] = v_fma(v_splat(q), w, p * t);
        r[1] = v_fma(v_splat(q * q * q), w, v_fma(v_splat(p * p * p), t, d[5]));
    }
}

/* Where the elements of a tile are that begins at x, which is the place (top, left) of an image and may lie outside:
 * at `zeros` if they do. */
INLINE void winograd_elements(const int lines, const int columns, const struct window *w, const float *x,
                              const float *zeros, int64_t top, int64_t left, const float **table) {
    const int64_t channels = w->channels, height = w->size[1], width = w->size[2];
    for (int i = 0; i < lines; i++, x += width * channels) {
        int inside = top + i >= 0 && top + i < height;
        for (int j = 0; j < columns; j++)
            *table++ = inside && left + j >= 0 && left + j < width ? x + j * channels : zeros;
    }
}

/* Transforms a tile of down x across results whose elements are where the table says. Two lines of places at a time, so
 * that what is between the transforms along the columns and along the lines stays in registers. */
INLINE void winograd_tile_in(const int down, const int across, const float p, const float q, int64_t channels,
                             const struct winograd *g, const float *const *table, float *v) {
    const int lines = WINOGRAD_SIZE(down), columns = WINOGRAD_SIZE(across);
    const int64_t place = g->place;
    for (int64_t c = 0; c < channels; c += LANES)
#pragma clang loop unroll(full)
        for (int pair = 0; pair < WINOGRAD_PAIRS(down); pair++) {
            f32x16 half[2][6];
#pragma clang loop unroll(full)
            for (int j = 0; j < columns; j++) {
                f32x16 d[6], r[2];
#pragma clang loop unroll(full)
                for (int i = 0; i < lines; i++)
                    if (pair == 0 || (i > 0 && i <= down)) d[i] = v_load(table[i * columns + j] + c);
                winograd_in(down, p, q, pair, d, r);
                half[0][j] = r[0];
                if (lines > 1) half[1][j] = r[1];
            }
#pragma clang loop unroll(full)
            for (int second = 0; second < (lines > 1 ? 2 : 1); second++) {
                float *to = v + winograd_point(down, pair, second) * columns * place + c;
#pragma clang loop unroll(full)
                for (int along = 0; along < WINOGRAD_PAIRS(across); along++) {
                    f32x16 r[2];
                    winograd_in(across, p, q, along, half[second], r);
                    v_store(to + winograd_point(across, along, 0) * place, r[0]);
                    if (columns > 1) v_store(to + winograd_point(across, along, 1) * place, r[1]);
                }
            }
        }
}

/* The rows of G times 3 elements, or one that stays as it is. */
INLINE void winograd_kernel(const int m, const float p, const float q, const f32x16 *d, f32x16 *r) {
    if (m == 1) {
        r[0] = d[0];
        return;
    }
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

/* Defines name(): packed kernels [places][ceil(outputs/16)][channels][16] of w [3 or 1][3 or 1][channels][outputs], for
 * tiles of DOWN x ACROSS results. */
#define WINOGRAD_PACK_DEFINE(name, DOWN, ACROSS, P, Q) \
    NOINLINE void name(int64_t channels, int64_t outputs, const float *w, float *u) { \
        const int lines = WINOGRAD_SIZE(DOWN), columns = WINOGRAD_SIZE(ACROSS), wide = WINOGRAD_KERNEL(ACROSS); \
        const int64_t panels = (outputs + LANES - 1) / LANES; \
        for (int64_t panel = 0; panel < panels; panel++) \
            for (int64_t c = 0; c < channels; c++) { \
                int64_t column = panel * LANES, lanes = outputs - column < LANES ? outputs - column : LANES; \
                f32x16 half[6][3]; \
                for (int j = 0; j < wide; j++) { \
                    f32x16 d[3], r[6]; \
                    for (int i = 0; i < WINOGRAD_KERNEL(DOWN); i++) \
                        d[i] = v_load_n(w + ((i * wide + j) * channels + c) * outputs + column, lanes); \
                    winograd_kernel(DOWN, P, Q, d, r); \
                    for (int i = 0; i < lines; i++) half[i][j] = r[i]; \
                } \
                for (int i = 0; i < lines; i++) { \
                    f32x16 r[6]; \
                    winograd_kernel(ACROSS, P, Q, half[i], r); \
                    for (int j = 0; j < columns; j++) \
                        v_store(u + (((i * columns + j) * panels + panel) * channels + c) * LANES, r[j]); \
                } \
            } \
    }

/* out[row][panel], rows WINOGRAD_COLUMNS apart, = sums over k of v[row][k] u[panel][k], in order. Meanwhile the lines of
 * cache from `ahead` on come closer, two for each k, if `step` is the length of two. */
INLINE void winograd_product_body(const int rows, const int panels, int64_t k, const float *v, int64_t stride,
                                  const float *u, const float *ahead, int64_t step, float *out) {
    f32x16 sum[GEMM_ROWS][GEMM_PANELS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < panels; j++) sum[i][j] = v_splat(0.0f);
#pragma clang loop unroll(disable)
    for (int64_t p = 0; p < k; p++, ahead += step) {
        f32x16 column[GEMM_PANELS];
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + LANES, 0, 2);
#pragma clang loop unroll(full)
        for (int j = 0; j < panels; j++) column[j] = *(const f32x16 *)(u + (j * k + p) * LANES);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            f32x16 x = v_splat(v[i * stride + p]);
#pragma clang loop unroll(full)
            for (int j = 0; j < panels; j++) {
                sum[i][j] = v_fma(x, column[j], sum[i][j]);
                GEMM_IN_ORDER(sum[i][j]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < panels; j++) v_store(out + i * WINOGRAD_COLUMNS + j * LANES, sum[i][j]);
}

#define WINOGRAD_PRODUCT(rows, panels) \
    NOINLINE void winograd_product_##rows##x##panels(int64_t k, const float *v, int64_t stride, const float *u, \
                                                     const float *ahead, int64_t step, float *out) { \
        winograd_product_body(rows, panels, k, v, stride, u, ahead, step, out); \
    }
GEMM_TILES(WINOGRAD_PRODUCT)

NOINLINE void winograd_product(int64_t rows, int64_t panels, int64_t k, const float *v, int64_t stride, const float *u,
                               const float *ahead, int64_t step, float *out) {
    switch (rows * 8 + panels) {
#define WINOGRAD_PRODUCT_CASE(rows, panels) \
    case rows * 8 + panels: winograd_product_##rows##x##panels(k, v, stride, u, ahead, step, out); return;
        GEMM_TILES(WINOGRAD_PRODUCT_CASE)
    }
}

/* The products of all places for so many tiles, two at least, and panels of 16 columns, from `panel` on. The kernels of
 * the next place, which may be in memory, are asked for during those of this one. */
NOINLINE void winograd_products(int64_t places, int64_t channels, const struct winograd *g, int64_t tiles,
                                const float *u, int64_t panel, int64_t across) {
    const int64_t matrix = (g->outputs + LANES - 1) / LANES * channels * LANES, asked = 2 * LANES;
    struct gemm_split rows = gemm_split(tiles, GEMM_ROWS);
    struct gemm_split panels = gemm_split(across, gemm_panels(rows.size + (rows.longer > 0), 1));
    const float *begin = u + panel * LANES * channels;
    for (int64_t place = 0; place < places; place++) {
        const float *from = begin + place * matrix;
        const float *ahead = place + 1 < places ? from + matrix : begin + across * LANES * channels;
        const float *end = ahead + across * LANES * channels, *v = g->v + place * g->place;
        float *out = g->products + place * g->product_place;
        for (const float *page = ahead; page < end; page += WINOGRAD_PAGE) __builtin_prefetch(page, 0, 2);
        for (int64_t t = 0, first = 0; t < panels.count; t++) {
            int64_t wide = panels.size + (t < panels.longer);
            for (int64_t s = 0, row = 0; s < rows.count; s++) {
                int64_t down = rows.size + (s < rows.longer);
                winograd_product(down, wide, channels, v + row * g->stride, g->stride, from + first * LANES * channels,
                                 ahead < end ? ahead : end, ahead < end ? asked : 0,
                                 out + row * WINOGRAD_COLUMNS + first * LANES);
                ahead += channels * asked;
                row += down;
            }
            first += wide;
        }
    }
}

/* Lines `half` and, unless there is one only, half + down/2 of a tile's results, in 16 columns. */
INLINE void winograd_tile_out(const int down, const int across, const float p, const float q, const int half,
                              int64_t place, const float *from, f32x16 result[2][4]) {
    const int size = WINOGRAD_SIZE(down), columns = WINOGRAD_SIZE(across);
    f32x16 lines[2][6];
#pragma clang loop unroll(full)
    for (int j = 0; j < columns; j++) {
        f32x16 d[6], r[2];
#pragma clang loop unroll(full)
        for (int i = 0; i < size; i++)
            if (down < 4 || i != (half ? 0 : down + 1)) d[i] = v_load(from + (i * columns + j) * place);
        winograd_out(down, p, q, half, d, r);
        lines[0][j] = r[0];
        if (down > 1) lines[1][j] = r[1];
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < (down > 1 ? 2 : 1); i++)
#pragma clang loop unroll(full)
        for (int k = 0; k < WINOGRAD_HALVES(across); k++) {
            f32x16 r[2];
            winograd_out(across, p, q, k, lines[i], r);
            result[i][k] = r[0];
            if (across > 1) result[i][k + across / 2] = r[1];
        }
}

/* Where a tile is: the place of its first result, and that of the first of its image in all. */
struct winograd_place {
    int64_t image, top, left;
};

/* Steps to the next tile of so many lines and columns of results. */
INLINE void winograd_next(const int down, const int across, int64_t height, int64_t width, struct winograd_place *at) {
    if ((at->left += across) < width) return;
    at->left = 0;
    if ((at->top += down) >= height) at->top = 0, at->image++;
}

/* Defines name(): c [count][outputs] = EPILOGUE of the results first .. first + count - 1, whole lines of images, of
 * x [n, size1, size2, channels] with packed kernels u, in tiles of DOWN x ACROSS. The channels are a multiple of 16. */
#define WINOGRAD_DEFINE(name, DOWN, ACROSS, P, Q, EPILOGUE) \
    NOINLINE void name##_in(const struct window *w, const struct winograd *g, const float *x, \
                            const struct winograd_place *at, float *v) { \
        int64_t top = at->top - w->before[1], left = at->left - w->before[2]; \
        const float *from = x + ((at->image * w->size[1] + top) * w->size[2] + left) * w->channels; \
        const float *table[WINOGRAD_SIZE(DOWN) * WINOGRAD_SIZE(ACROSS)]; \
        winograd_elements(WINOGRAD_SIZE(DOWN), WINOGRAD_SIZE(ACROSS), w, from, g->zeros, top, left, table); \
        winograd_tile_in(DOWN, ACROSS, P, Q, w->channels, g, table, v); \
    } \
    /* What of a tile lies in lines first .. end-1 and in `across` columns, from the row on; of lines `width` long. */ \
    NOINLINE void name##_out(const struct winograd *g, const float *from, int64_t first, int64_t end, int64_t across, \
                             int64_t width, int64_t row, int64_t column, float *c, const struct epilogue *of) { \
        const struct epilogue operands = *of, *const e = &operands; \
        const int64_t place = g->product_place, outputs = g->outputs; \
        const int64_t lanes = outputs - column < LANES ? outputs - column : LANES; \
        _Pragma("clang loop unroll(full)") \
        for (int half = 0; half < WINOGRAD_HALVES(DOWN); half++) { \
            f32x16 result[2][4]; \
            winograd_tile_out(DOWN, ACROSS, P, Q, half, place, from, result); \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < (DOWN > 1 ? 2 : 1); i++) { \
                const int line = half + i * (DOWN / 2); \
                if (line < first || line >= end) continue; \
                _Pragma("clang loop unroll(full)") \
                for (int k = 0; k < ACROSS; k++) { \
                    if (k >= across) continue; \
                    int64_t at = row + line * width + k; \
                    f32x16 y = EPILOGUE(result[i][k], e, at, column, lanes); \
                    if (lanes == LANES) v_store(c + at * outputs + column, y); \
                    else v_store_n(c + at * outputs + column, y, lanes); \
                } \
            } \
        } \
    } \
    NOINLINE void name(const struct window *w, const struct winograd *g, const float *x, const float *u, \
                       int64_t first, int64_t count, float *c, const struct epilogue *e) { \
        if (count <= 0) return; \
        const int64_t height = w->count[1], width = w->count[2]; \
        const int64_t places = WINOGRAD_SIZE(DOWN) * WINOGRAD_SIZE(ACROSS); \
        const int64_t panels = g->panels, most = WINOGRAD_COLUMNS / LANES, begin = first / width; \
        const int64_t end = begin + count / width; \
        struct winograd_place at = {begin / height, begin % height / DOWN * DOWN, 0}; \
        window_clear(g->zeros, w->channels); \
        while (at.image * height + at.top < end) { \
            struct winograd_place start = at; \
            int64_t tiles = 0; \
            for (; tiles < g->tiles && at.image * height + at.top < end; tiles++) { \
                name##_in(w, g, x, &at, g->v + tiles * g->stride); \
                winograd_next(DOWN, ACROSS, height, width, &at); \
            } \
            for (int64_t panel = g->panel; panel < panels; panel += most) { \
                int64_t across = panels - panel < most ? panels - panel : most; \
                winograd_products(places, w->channels, g, tiles < 2 ? 2 : tiles, u, panel, across); \
                struct winograd_place to = start; \
                for (int64_t t = 0; t < tiles; t++) { \
                    int64_t top = to.image * height + to.top, row = (top - begin) * width + to.left; \
                    int64_t left = (end < (to.image + 1) * height ? end : (to.image + 1) * height) - top; \
                    for (int64_t j = 0; j < across; j++) \
                        name##_out(g, g->products + t * WINOGRAD_COLUMNS + j * LANES, begin - top, left, \
                                   width - to.left, width, row, (panel + j) * LANES, c, e); \
                    winograd_next(DOWN, ACROSS, height, width, &to); \
                } \
            } \
        } \
    }

#endif
