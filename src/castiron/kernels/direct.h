/* direct.h: convolutions of images of few channels, windows as window.h numbers them, with the epilogues of gemm.h.
 *
 * What a window covers of a line is a short run of memory, and its neighbour's begins a little further: windows are
 * rows of a matrix where they stand, and only those at the edges are copied.
 */
#ifndef CASTIRON_DIRECT_H
#define CASTIRON_DIRECT_H

#include "gemm.h"
#include "window.h"

/* Windows and panels of weights that are worked on at once: what registers hold. */
#if defined(__AVX512F__)
#define DIRECT_ROWS 8
#define DIRECT_PANELS 2
#elif defined(__AVX2__) || defined(__aarch64__)
#define DIRECT_ROWS 6
#define DIRECT_PANELS 1
#else
#define DIRECT_ROWS 2
#define DIRECT_PANELS 1
#endif
#define DIRECT_EDGE 2 /* the same of windows at edges, of which a line has few */

/* The rows of windows: the first one's first run, and the distances to the next window's, line's and plane's. */
struct direct_rows {
    const float *first;
    int64_t window, line, plane;
};

/* Those of `count` windows on a line, from the given one on, that lie inside x: first .. end-1. */
INLINE struct window_span direct_inside(const struct window *w, const struct window_place *at, int64_t count) {
    for (int axis = 0; axis < 2; axis++) {
        int64_t last = w->size[axis] - (w->kernel[axis] - 1) * w->dilation[axis] - 1;
        if (at->start[axis] < 0 || at->start[axis] > last) return (struct window_span){0, 0};
    }
    int64_t step = w->stride[2], start = at->start[2], last = w->size[2] - w->kernel[2] - start;
    struct window_span inside = {start < 0 ? (step - 1 - start) / step : 0, last < 0 ? 0 : last / step + 1};
    if (inside.end > count) inside.end = count;
    return inside.end > inside.first ? inside : (struct window_span){0, 0};
}

/* sum[row * panels + panel]: one sum after another along the window. */
INLINE void direct_sums(const int rows, const int panels, const struct window *w, const struct direct_rows *a,
                        const float *b, f32x16 *sum) {
    const int64_t run = w->kernel[2] * w->channels, k = w->kernel[0] * w->kernel[1] * run;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * panels; i++) sum[i] = v_splat(0.0f);
    for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
        for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) {
            const float *line = a->first + k0 * a->plane + k1 * a->line;
#pragma clang loop unroll(disable)
            for (int64_t p = 0; p < run; p++, b += LANES) {
                f32x16 weights[DIRECT_PANELS];
#pragma clang loop unroll(full)
                for (int j = 0; j < panels; j++) weights[j] = *(const f32x16 *)(b + j * k * LANES);
#pragma clang loop unroll(full)
                for (int i = 0; i < rows; i++) {
                    f32x16 x = v_splat(line[i * a->window + p]);
#pragma clang loop unroll(full)
                    for (int j = 0; j < panels; j++) sum[i * panels + j] = v_fma(x, weights[j], sum[i * panels + j]);
                }
            }
        }
}

/* Defines name(): c [count][outputs] = EPILOGUE(windows · weights), the weights packed as for gemm.h, in one group and
 * not dilated along the last dimension. The epilogue may be evaluated twice for an element. The scratch has room for
 * DIRECT_EDGE windows at a distance of `stride` floats and a vector more. */
#define DIRECT_DEFINE(name, EPILOGUE) \
    INLINE void name##_panels(const int rows, const int panels, const struct window *w, const struct direct_rows *a, \
                              const float *b, int64_t row, int64_t column, int64_t outputs, int64_t count, float *c, \
                              const struct epilogue *e) { \
        f32x16 sum[DIRECT_ROWS * DIRECT_PANELS]; \
        direct_sums(rows, panels, w, a, b, sum); \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < rows; i++) { \
            if (i >= count) break; \
            _Pragma("clang loop unroll(full)") \
            for (int j = 0; j < panels; j++) { \
                int64_t at = column + j * LANES, lanes = outputs - at < LANES ? outputs - at : LANES; \
                f32x16 y = EPILOGUE(sum[i * panels + j], e, row + i, at, lanes); \
                if (lanes == LANES) v_store(c + (row + i) * outputs + at, y); \
                else v_store_n(c + (row + i) * outputs + at, y, lanes); \
            } \
        } \
    } \
    INLINE void name##_rows(const int rows, const struct window *w, const struct direct_rows *a, const float *b, \
                            int64_t row, int64_t outputs, int64_t count, float *c, const struct epilogue *e) { \
        const int64_t k = w->kernel[0] * w->kernel[1] * w->kernel[2] * w->channels; \
        int64_t column = 0; \
        for (; column + (DIRECT_PANELS - 1) * LANES < outputs; column += DIRECT_PANELS * LANES) \
            name##_panels(rows, DIRECT_PANELS, w, a, b + column * k, row, column, outputs, count, c, e); \
        if (column < outputs) name##_panels(rows, 1, w, a, b + column * k, row, column, outputs, count, c, e); \
    } \
    NOINLINE void name##_edge(const struct window *w, int64_t stride, const float *x, const float *b, int64_t number, \
                              int64_t row, int64_t outputs, int64_t count, float *c, float *scratch, \
                              const struct epilogue *e) { \
        const int64_t run = w->kernel[2] * w->channels; \
        const struct direct_rows rows = {scratch, stride, run, w->kernel[1] * run}; \
        for (int64_t i = 0, m; i < count; i += m) { \
            m = count - i < DIRECT_EDGE ? count - i : DIRECT_EDGE; \
            if (m < DIRECT_EDGE) window_clear(scratch + stride, w->kernel[0] * rows.plane); \
            window_gather(w, x, 0, w->channels, number + i, m, scratch, stride); \
            name##_rows(DIRECT_EDGE, w, &rows, b, row + i, outputs, m, c, e); \
        } \
    } \
    NOINLINE void name(const struct window *w, int64_t stride, const float *x, const float *b, int64_t first, \
                       int64_t outputs, int64_t count, float *c, float *scratch, const struct epilogue *e) { \
        const int64_t line = w->dilation[1] * w->size[2] * w->channels; \
        const int64_t plane = w->dilation[0] * w->size[1] * w->size[2] * w->channels; \
        struct window_place at = window_place(w, first); \
        for (int64_t row = 0, here; row < count; row += here) { \
            here = w->count[2] - at.index[2] < count - row ? w->count[2] - at.index[2] : count - row; \
            struct window_span inside = direct_inside(w, &at, here); \
            if (inside.end - inside.first < DIRECT_ROWS) inside = (struct window_span){0, 0}; \
            name##_edge(w, stride, x, b, first + row, row, outputs, inside.first, c, scratch, e); \
            const float *from = x + window_element(w, &at, 0, 0, 0) * w->channels; \
            for (int64_t i = inside.first; i < inside.end; i += DIRECT_ROWS) { \
                int64_t start = i + DIRECT_ROWS <= inside.end ? i : inside.end - DIRECT_ROWS; \
                const int64_t step = w->stride[2] * w->channels; \
                const struct direct_rows rows = {from + start * step, step, line, plane}; \
                name##_rows(DIRECT_ROWS, w, &rows, b, row + start, outputs, DIRECT_ROWS, c, e); \
            } \
            name##_edge(w, stride, x, b, first + row + inside.end, row + inside.end, outputs, here - inside.end, c, \
                        scratch, e); \
            at.index[2] += here - 1; \
            at.start[2] += (here - 1) * w->stride[2]; \
            window_next(w, &at); \
        } \
    }

#endif
