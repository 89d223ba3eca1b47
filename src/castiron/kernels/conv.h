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

/* Defines name(): c [count][outputs] = EPILOGUE(windows · weights), the weights of a group packed as for gemm.h, with
 * PRODUCT(m, n, k, a, lda, b, c, ldc, e) one of its products. Windows are copied to the scratch [rows][stride],
 * which has room for a vector more, and multiplied there. */
#define CONV_DEFINE(name, PRODUCT) \
    NOINLINE void name(const struct window *w, const struct conv *v, const float *x, const float *b, int64_t first, \
                       int64_t count, float *c, float *scratch, const struct epilogue *e) { \
        int64_t depth = w->channels / v->groups, outputs = v->outputs / v->groups; \
        int64_t k = w->kernel[0] * w->kernel[1] * w->kernel[2] * depth; \
        struct gemm_split blocks = gemm_split(count, v->rows); \
        for (int64_t block = 0, row = 0; block < blocks.count; block++) { \
            int64_t m = blocks.size + (block < blocks.longer); \
            for (int64_t group = 0; group < v->groups; group++) { \
                struct epilogue moved = epilogue_at(e, row, group * outputs); \
                window_gather(w, x, group * depth, depth, first + row, m, scratch, v->stride); \
                PRODUCT(m, outputs, k, scratch, v->stride, b + group * v->weights, \
                        c + row * v->outputs + group * outputs, v->outputs, &moved); \
            } \
            row += m; \
        } \
    }

/* Windows that are worked on at once where every group has one channel: what registers hold. */
#if defined(__AVX512F__)
#define DEPTHWISE_WINDOWS 8
#elif defined(__AVX2__) || defined(__aarch64__)
#define DEPTHWISE_WINDOWS 4
#else
#define DEPTHWISE_WINDOWS 2
#endif

#define DEPTHWISE_INSIDE (4 * DEPTHWISE_WINDOWS)

typedef int64_t depthwise_vector __attribute__((ext_vector_type(DEPTHWISE_WINDOWS), aligned(8)));

/* Those of `count` windows on a line, from the given one on, that lie inside x: first .. end-1. None if they are so few that
 * it takes longer to treat those at the edges by themselves. */
INLINE struct window_span depthwise_inside(const struct window *w, const struct window_place *at, int64_t count) {
    for (int axis = 0; axis < 2; axis++) {
        int64_t last = w->size[axis] - (w->kernel[axis] - 1) * w->dilation[axis] - 1;
        if (at->start[axis] < 0 || at->start[axis] > last) return (struct window_span){0, 0};
    }
    int64_t step = w->stride[2], start = at->start[2];
    int64_t last = w->size[2] - (w->kernel[2] - 1) * w->dilation[2] - 1 - start;
    struct window_span inside = {start < 0 ? (step - 1 - start) / step : 0, last < 0 ? 0 : last / step + 1};
    if (inside.end > count) inside.end = count;
    return inside.end - inside.first < DEPTHWISE_INSIDE ? (struct window_span){0, 0} : inside;
}

/* The addresses of what some windows on a line have at each position, `zeros` for padding: the windows are `number`
 * further than the given one. */
INLINE void depthwise_addresses(const struct window *w, const struct window_place *at, depthwise_vector number,
                                const float *x, const float *zeros, int64_t *table) {
    const int64_t element = w->channels * (int64_t)sizeof *x;
    for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
        for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) {
            int64_t p0 = at->start[0] + k0 * w->dilation[0], p1 = at->start[1] + k1 * w->dilation[1];
            int outside = p0 < 0 || p0 >= w->size[0] || p1 < 0 || p1 >= w->size[1];
            int64_t line = (int64_t)x + window_element(w, at, k0, k1, 0) * element;
            depthwise_vector p2 = at->start[2] + number * w->stride[2];
            depthwise_vector address = line + number * (w->stride[2] * element);
            if (outside) p2 = (depthwise_vector)INT64_MIN;
            for (int64_t k2 = 0; k2 < w->kernel[2]; k2++, table += DEPTHWISE_WINDOWS) {
                *(depthwise_vector *)table = (p2 >= 0) & (p2 < w->size[2]) ? address : (depthwise_vector)(int64_t)zeros;
                p2 += w->dilation[2];
                address += w->dilation[2] * element;
            }
        }
}

/* tile[window] = the sums of 16 channels, of which `lanes` exist, for windows whose elements are at the addresses in
 * the table, `column` floats further. */
NOINLINE void depthwise_scattered(int64_t lanes, int64_t taps, const int64_t *table, const float *b, int64_t column,
                                  f32x16 *tile) {
    f32x16 sum[DEPTHWISE_WINDOWS];
#pragma clang loop unroll(full)
    for (int i = 0; i < DEPTHWISE_WINDOWS; i++) sum[i] = v_splat(0.0f);
    for (int64_t t = 0; t < taps; t++, table += DEPTHWISE_WINDOWS, b += LANES) {
        f32x16 weight = *(const f32x16 *)b;
#pragma clang loop unroll(full)
        for (int i = 0; i < DEPTHWISE_WINDOWS; i++) {
            const float *p = (const float *)table[i] + column;
            sum[i] = v_fma(lanes == LANES ? v_load(p) : v_load_n(p, lanes), weight, sum[i]);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < DEPTHWISE_WINDOWS; i++) tile[i] = sum[i];
}

/* The same as sum[window] for windows side by side inside x, from `from` on, with this kernel and stride along the
 * line: what neighbours share is loaded once. */
INLINE void depthwise_line(const int kernel, const int stride, const struct window *w, const float *from,
                           const float *b, f32x16 *sum) {
    const int64_t channels = w->channels, down = w->dilation[1] * w->size[2] * channels;
#pragma clang loop unroll(full)
    for (int i = 0; i < DEPTHWISE_WINDOWS; i++) sum[i] = v_splat(0.0f);
    for (int64_t k0 = 0; k0 < w->kernel[0]; k0++, from += w->dilation[0] * w->size[1] * w->size[2] * channels) {
        const float *line = from;
        for (int64_t k1 = 0; k1 < w->kernel[1]; k1++, line += down, b += kernel * LANES)
#pragma clang loop unroll(full)
            for (int j = 0; j < (DEPTHWISE_WINDOWS - 1) * stride + kernel; j++) {
                f32x16 x = v_load(line + j * channels);
#pragma clang loop unroll(full)
                for (int i = 0; i < DEPTHWISE_WINDOWS; i++) {
                    const int k = j - i * stride;
                    if (k >= 0 && k < kernel) sum[i] = v_fma(x, ((const f32x16 *)b)[k], sum[i]);
                }
            }
    }
}

/* The addresses of the elements that DEPTHWISE_WINDOWS windows side by side, of which the first is the given one, cover on
 * their lines: `across` for each line of the kernel, `zeros` for padding and for all but the first `used`. */
INLINE void depthwise_columns(const struct window *w, const struct window_place *at, int64_t across, int64_t used,
                              const float *x, const float *zeros, const float **table) {
    for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
        for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) {
            int64_t p0 = at->start[0] + k0 * w->dilation[0], p1 = at->start[1] + k1 * w->dilation[1];
            int inside = p0 >= 0 && p0 < w->size[0] && p1 >= 0 && p1 < w->size[1];
            const float *line = x + window_element(w, at, k0, k1, 0) * w->channels;
            for (int64_t j = 0; j < across; j++, line += w->channels) {
                int64_t p2 = at->start[2] + j;
                *table++ = inside && j < used && p2 >= 0 && p2 < w->size[2] ? line : zeros;
            }
        }
}

/* sum[window] of 16 channels from `column` on, of which `lanes` exist, for windows whose columns are in the table. */
INLINE void depthwise_near(const int kernel, const int stride, const struct window *w, const float *const *table,
                           const float *b, int64_t column, int64_t lanes, f32x16 *sum) {
    const int across = (DEPTHWISE_WINDOWS - 1) * stride + kernel;
#pragma clang loop unroll(full)
    for (int i = 0; i < DEPTHWISE_WINDOWS; i++) sum[i] = v_splat(0.0f);
    for (int64_t line = w->kernel[0] * w->kernel[1]; line > 0; line--, b += kernel * LANES, table += across)
#pragma clang loop unroll(full)
        for (int j = 0; j < across; j++) {
            f32x16 x = lanes == LANES ? v_load(table[j] + column) : v_load_n(table[j] + column, lanes);
#pragma clang loop unroll(full)
            for (int i = 0; i < DEPTHWISE_WINDOWS; i++) {
                const int k = j - i * stride;
                if (k >= 0 && k < kernel) sum[i] = v_fma(x, ((const f32x16 *)b)[k], sum[i]);
            }
        }
}

/* Defines name(): c [count][channels], each channel convolved by itself; weights [ceil(channels/16)][kernel][16]. LINE
 * and STRIDE are kernel and stride along the last dimension if both are small and that isn't dilated, else 0. The
 * epilogue may be evaluated twice for an element. The scratch has room for `channels` floats, a vector more, and
 * DEPTHWISE_WINDOWS addresses for each position, more than a kernel's lines have columns in all. */
#define DEPTHWISE_DEFINE(name, EPILOGUE, LINE, STRIDE) \
    INLINE void name##_finish(f32x16 sum, int64_t row, int64_t column, int64_t lanes, int64_t channels, float *c, \
                              const struct epilogue *e) { \
        f32x16 y = EPILOGUE(sum, e, row, column, lanes); \
        if (lanes == LANES) v_store(c + row * channels + column, y); \
        else v_store_n(c + row * channels + column, y, lanes); \
    } \
    NOINLINE void name##_others(const struct window *w, const struct window_place *at, const float *x, const float *b, \
                                int64_t row, int64_t start, int64_t count, int64_t column, float *c, float *scratch, \
                                const struct epilogue *e) { \
        int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], channels = w->channels; \
        void *table = scratch + (channels + LANES - 1) / LANES * LANES; \
        struct window_place first = *at; \
        first.start[2] += start * w->stride[2]; \
        if (LINE) { \
            depthwise_columns(w, &first, (DEPTHWISE_WINDOWS - 1) * STRIDE + LINE, (count - 1) * STRIDE + LINE, x, scratch, \
                              table); \
        } else { \
            depthwise_vector number; \
            for (int j = 0; j < DEPTHWISE_WINDOWS; j++) number[j] = j < count ? j : count - 1; \
            depthwise_addresses(w, &first, number, x, scratch, table); \
        } \
        for (; column < channels; column += LANES) { \
            int64_t lanes = channels - column < LANES ? channels - column : LANES; \
            f32x16 sum[DEPTHWISE_WINDOWS]; \
            if (!LINE) depthwise_scattered(lanes, taps, table, b + column * taps, column, sum); \
            else if (lanes == LANES) depthwise_near(LINE, STRIDE, w, table, b + column * taps, column, LANES, sum); \
            else depthwise_near(LINE, STRIDE, w, table, b + column * taps, column, lanes, sum); \
            _Pragma("clang loop unroll(disable)") \
            for (int64_t i = 0; i < count; i++) \
                name##_finish(sum[i], row + start + i, column, lanes, channels, c, e); \
        } \
    } \
    NOINLINE void name(const struct window *w, const float *x, const float *b, int64_t first, int64_t count, float *c, \
                       float *scratch, const struct epilogue *e) { \
        const int many = DEPTHWISE_WINDOWS; \
        int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], channels = w->channels; \
        window_clear(scratch, channels); \
        struct window_place at = window_place(w, first); \
        for (int64_t row = 0; row < count;) { \
            int64_t line = w->count[2] - at.index[2] < count - row ? w->count[2] - at.index[2] : count - row; \
            struct window_span inside = LINE ? depthwise_inside(w, &at, line) : (struct window_span){0, 0}; \
            for (int64_t i = inside.first; i < inside.end; i += many) { \
                int64_t start = i + many <= inside.end ? i : inside.end - many, column = 0; \
                const float *from = x + (window_element(w, &at, 0, 0, 0) + start * w->stride[2]) * channels; \
                for (; column + LANES <= channels; column += LANES) { \
                    f32x16 sum[DEPTHWISE_WINDOWS]; \
                    depthwise_line(LINE, STRIDE, w, from + column, b + column * taps, sum); \
                    _Pragma("clang loop unroll(full)") \
                    for (int j = 0; j < many; j++) \
                        name##_finish(sum[j], row + start + j, column, LANES, channels, c, e); \
                } \
                if (column < channels) name##_others(w, &at, x, b, row, start, many, column, c, scratch, e); \
            } \
            for (int side = 0; side < 2; side++) { \
                int64_t end = side ? line : inside.first; \
                for (int64_t i = side ? inside.end : 0; i < end; i += many) \
                    name##_others(w, &at, x, b, row, i, end - i < many ? end - i : many, 0, c, scratch, e); \
            } \
            row += line; \
            at.index[2] += line - 1; \
            at.start[2] += (line - 1) * w->stride[2]; \
            window_next(w, &at); \
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
