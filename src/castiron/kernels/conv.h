/* conv.h: convolutions as window.h numbers their windows, with the epilogues of gemm.h: a window is a row. */
#ifndef CASTIRON_CONV_H
#define CASTIRON_CONV_H

#include "gemm_column.h"
#include "window.h"

struct conv {
    int64_t groups, outputs; /* outputs of all groups */
    int64_t weights;         /* floats from one group's packed weights to the next's */
    int64_t rows, stride;    /* of the scratch that takes windows: how many, and the distance between them in floats */
};

/* How many of `count` windows, from the given one on, follow one another on a line and lie inside x, each in one run of
 * memory: they are rows of a matrix already. */
INLINE int64_t conv_rows(const struct window *w, const struct window_place *at, int64_t count) {
    if (w->kernel[0] * w->kernel[1] > 1 || w->dilation[2] > 1 || !window_inside(w, at)) return 0;
    int64_t inside = (w->size[2] - w->kernel[2] - at->start[2]) / w->stride[2] + 1;
    int64_t line = w->count[2] - at->index[2], rows = inside < line ? inside : line;
    return rows < count ? rows : count;
}

/* Defines name(): c [count][outputs] = EPILOGUE(windows · weights), the weights of a group packed as for gemm.h, with
 * PRODUCT(m, n, k, a, lda, b, c, ldc, e) one of its products. Windows are copied to the scratch [rows][stride],
 * which has room for a vector more, and multiplied there, unless enough of them are rows where they stand. */
#define CONV_DEFINE(name, PRODUCT) \
    NOINLINE void name(const struct window *w, const struct conv *v, const float *x, const float *b, int64_t first, \
                       int64_t count, float *c, float *scratch, const struct epilogue *e) { \
        int64_t depth = w->channels / v->groups, outputs = v->outputs / v->groups; \
        int64_t k = w->kernel[0] * w->kernel[1] * w->kernel[2] * depth; \
        for (int64_t row = 0, m; row < count; row += m) { \
            struct window_place at = window_place(w, first + row); \
            struct gemm_split blocks = gemm_split(count - row, v->rows); \
            int64_t there = v->groups == 1 ? conv_rows(w, &at, count - row) : 0; \
            int direct = there > 0 && (there == count - row || there >= v->rows); \
            m = direct ? there : blocks.size + (blocks.longer > 0); \
            for (int64_t group = 0; group < v->groups; group++) { \
                struct epilogue moved = epilogue_at(e, row, group * outputs); \
                const float *from = direct ? x + window_element(w, &at, 0, 0, 0) * depth : scratch; \
                if (!direct) window_gather(w, x, group * depth, depth, first + row, m, scratch, v->stride); \
                PRODUCT(m, outputs, k, from, direct ? w->stride[2] * depth : v->stride, b + group * v->weights, \
                        c + row * v->outputs + group * outputs, v->outputs, &moved); \
            } \
        } \
    }

/* Defines name(): c [count][outputs] with weights [kernel0][kernel1][kernel2][channels / groups][outputs] that are
 * known when it runs only. */
#define CONV_PLAIN_DEFINE(name, type, vector, MULTIPLY_ADD) \
    NOINLINE void name(const struct window *w, int64_t groups, int64_t outputs, const type *x, const type *b, \
                       int64_t first, int64_t count, type *c) { \
        struct window_place at = window_place(w, first); \
        int64_t depth = w->channels / groups, across = outputs / groups; \
        for (int64_t row = 0; row < count; row++, c += outputs, window_next(w, &at)) { \
            struct window_span s0 = window_span(w, &at, 0), s1 = window_span(w, &at, 1), s2 = window_span(w, &at, 2); \
            for (int64_t group = 0; group < groups; group++) \
                for (int64_t j = 0; j < across; j += LANES) { \
                    int64_t lanes = across - j < LANES ? across - j : LANES, column = group * across + j; \
                    vector sum = (vector)(type)0; \
                    for (int64_t k0 = s0.first; k0 < s0.end; k0++) \
                        for (int64_t k1 = s1.first; k1 < s1.end; k1++) \
                            for (int64_t k2 = s2.first; k2 < s2.end; k2++) { \
                                const type *from = x + window_element(w, &at, k0, k1, k2) * w->channels; \
                                const type *by = b + ((k0 * w->kernel[1] + k1) * w->kernel[2] + k2) * depth * outputs; \
                                for (int64_t d = 0; d < depth; d++) { \
                                    vector weight = v_load_n(by + d * outputs + column, lanes); \
                                    sum = MULTIPLY_ADD((vector)from[group * depth + d], weight, sum); \
                                } \
                            } \
                    v_store_n(c + column, sum, lanes); \
                } \
        } \
    }

#endif
