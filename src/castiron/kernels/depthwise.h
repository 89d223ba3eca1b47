/* depthwise.h: convolutions of every channel by itself, windows as window.h numbers them, with the epilogues of gemm.h.
 *
 * Sixteen channels are computed for all windows before the next ones, so that what windows share of them stays in the
 * first-level cache.
 */
#ifndef CASTIRON_DEPTHWISE_H
#define CASTIRON_DEPTHWISE_H

#include "gemm.h"
#include "window.h"

/* Windows side by side that are worked on at once: what registers hold, or one less where a line divides so. */
#if defined(__AVX512F__)
#define DEPTHWISE_WINDOWS 8
#elif defined(__AVX2__) || defined(__aarch64__)
#define DEPTHWISE_WINDOWS 4
#else
#define DEPTHWISE_WINDOWS 2
#endif

#define DEPTHWISE_KERNEL 7 /* the largest along a line that there is code for */
#define DEPTHWISE_BAND 16  /* lines of windows that are computed for one column after another */

/* Windows side by side on a line: their first row in the result, the position at which the first one begins, how many
 * they are, and for each of the kernel's lines where position 0 of the first channel is, or NULL if it is padding. */
struct depthwise_run {
    int64_t row, start, count;
    const float **lines;
};

/* A column of 16 channels, of which `lanes` exist: its first one, and what there is instead of padding. `skips` says
 * that padding can be left out, because every weight makes zero of it. */
struct depthwise_column {
    int64_t first, lanes;
    const float *weights, *zeros;
    _Bool skips;
};

/* The runs of windows up to row `count`, from the given one on, which is that of `row`; both are moved behind them.
 * `lines` has room for all lines of DEPTHWISE_BAND runs. Returns how many there are. */
INLINE int64_t depthwise_runs(const struct window *w, struct window_place *at, const float *x, int64_t *row,
                              int64_t count, struct depthwise_run *runs, const float **lines) {
    int64_t many = 0;
    for (; many < DEPTHWISE_BAND && *row < count; many++) {
        int64_t here = w->count[2] - at->index[2] < count - *row ? w->count[2] - at->index[2] : count - *row;
        runs[many] = (struct depthwise_run){*row, at->start[2], here, lines};
        for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
            for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) {
                int64_t p0 = at->start[0] + k0 * w->dilation[0], p1 = at->start[1] + k1 * w->dilation[1];
                int inside = p0 >= 0 && p0 < w->size[0] && p1 >= 0 && p1 < w->size[1];
                int64_t line = ((at->image * w->size[0] + p0) * w->size[1] + p1) * w->size[2];
                *lines++ = inside ? x + line * w->channels : 0;
            }
        *row += here;
        at->index[2] += here - 1;
        at->start[2] += (here - 1) * w->stride[2];
        window_next(w, at);
    }
    return many;
}

/* Weights, in a register where there are enough: as an operand in memory they would be loaded again for each window. */
INLINE f32x16 depthwise_weights(const float *b) {
#if defined(__AVX512F__)
    return v_opaque(*(const f32x16 *)b);
#else
    return *(const f32x16 *)b;
#endif
}

/* The first `lanes` elements. With masks they are loaded as fast as all. */
INLINE f32x16 depthwise_load(const float *x, int64_t lanes) {
#if !defined(__AVX512F__)
    if (lanes == LANES) return v_load(x);
#endif
    return v_load_n(x, lanes);
}

/* sum[window] of `many` windows side by side, the first at position `start`, with a kernel and a stride along the line
 * that are known. What neighbours share is loaded once. All are `inside` and asked for, and all channels exist; or else
 * only the first `used` are asked for, and nothing is read that these don't cover. */
INLINE void depthwise_near(const int many, const int kernel, const int stride, const int inside, const struct window *w,
                           const float *const *lines, int64_t start, int64_t used, const struct depthwise_column *v,
                           f32x16 *sum) {
    const int64_t covered = start + (used - 1) * stride + kernel, size = covered < w->size[2] ? covered : w->size[2];
    const int64_t channels = w->channels, count = w->kernel[0] * w->kernel[1];
    const float *b = v->weights;
#pragma clang loop unroll(full)
    for (int i = 0; i < many; i++) sum[i] = v_splat(0.0f);
#pragma clang loop unroll(disable)
    for (int64_t k = 0; k < count; k++, b += kernel * LANES) {
        if (!lines[k] && v->skips) continue;
        const float *line = lines[k] ? lines[k] + start * channels + v->first : v->zeros;
        const int64_t step = lines[k] ? channels : 0;
        f32x16 weights[DEPTHWISE_KERNEL];
#pragma clang loop unroll(full)
        for (int tap = 0; tap < kernel; tap++) weights[tap] = depthwise_weights(b + tap * LANES);
#pragma clang loop unroll(full)
        for (int j = 0; j < (many - 1) * stride + kernel; j++, line += step) {
            const float *from = inside || (uint64_t)(start + j) < (uint64_t)size ? line : v->zeros;
            f32x16 x = inside ? v_load(from) : depthwise_load(from, v->lanes);
#pragma clang loop unroll(full)
            for (int i = 0; i < many; i++) {
                const int tap = j - i * stride;
                if (tap >= 0 && tap < kernel) sum[i] = v_fma(x, weights[tap], sum[i]);
            }
        }
    }
}

/* The same with any kernel and stride. */
INLINE void depthwise_far(const int many, const struct window *w, const float *const *lines, int64_t start,
                          int64_t used, const struct depthwise_column *v, f32x16 *sum) {
    const float *b = v->weights;
#pragma clang loop unroll(full)
    for (int i = 0; i < many; i++) sum[i] = v_splat(0.0f);
    for (int64_t k = 0; k < w->kernel[0] * w->kernel[1]; k++)
        for (int64_t tap = 0; tap < w->kernel[2]; tap++, b += LANES) {
            int64_t p = start + tap * w->dilation[2];
#pragma clang loop unroll(full)
            for (int i = 0; i < many; i++, p += w->stride[2]) {
                int there = i < used && lines[k] && (uint64_t)p < (uint64_t)w->size[2];
                f32x16 x = depthwise_load(there ? lines[k] + p * w->channels + v->first : v->zeros, v->lanes);
                sum[i] = v_fma(x, *(const f32x16 *)b, sum[i]);
            }
        }
}

/* Whether the product of each weight and zero is zero. */
INLINE _Bool depthwise_finite(const float *b, int64_t taps) {
    f32x16 sum = v_splat(0.0f);
    for (int64_t t = 0; t < taps; t++) sum += *(const f32x16 *)(b + t * LANES) * 0.0f;
    return !v_any(v_is_nan(sum));
}

/* Defines name(): c [count][channels], each channel convolved by itself; weights [ceil(channels/16)][kernel][16].
 * KERNEL and STRIDE are those along the last dimension if both are small and it isn't dilated, else 0. The epilogue may
 * be evaluated twice for an element. The scratch has room for DEPTHWISE_BAND addresses of each line of the kernel. */
#define DEPTHWISE_DEFINE(name, EPILOGUE, KERNEL, STRIDE) \
    INLINE void name##_some(const int many, const int inside, const struct window *w, const float *const *lines, \
                            int64_t start, const struct depthwise_column *v, int64_t row, int64_t count, float *c, \
                            const struct epilogue *e) { \
        const int64_t lanes = inside ? LANES : v->lanes, channels = w->channels; \
        float *to = c + row * channels + v->first; \
        f32x16 sum[DEPTHWISE_WINDOWS]; \
        if (KERNEL) depthwise_near(many, KERNEL, STRIDE, inside, w, lines, start, count, v, sum); \
        else depthwise_far(many, w, lines, start, count, v, sum); \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < many; i++, to += channels) { \
            if (i >= count) break; \
            f32x16 y = EPILOGUE(sum[i], e, row + i, v->first, lanes); \
            if (lanes == LANES) v_store(to, y); \
            else v_store_n(to, y, lanes); \
        } \
    } \
    INLINE void name##_run(const int many, const struct window *w, const struct depthwise_run *run, \
                           const struct depthwise_column *v, float *c, const struct epilogue *e) { \
        const int64_t last = w->size[2] - (many - 1) * STRIDE - KERNEL; \
        for (int64_t i = 0; i < run->count; i += many) { \
            int64_t first = i + many > run->count && run->count >= many ? run->count - many : i; \
            int64_t start = run->start + first * w->stride[2], row = run->row + first, count = run->count - first; \
            if (KERNEL && start >= 0 && start <= last && v->lanes == LANES && count >= many) \
                name##_some(many, 1, w, run->lines, start, v, row, many, c, e); \
            else name##_some(many, 0, w, run->lines, start, v, row, count, c, e); \
        } \
    } \
    NOINLINE void name(const struct window *w, const float *x, const float *b, int64_t first, int64_t count, float *c, \
                       float *scratch, const struct epilogue *e) { \
        const int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], channels = w->channels; \
        const float zeros[LANES] = {0}; \
        struct depthwise_run runs[DEPTHWISE_BAND]; \
        struct window_place at = window_place(w, first); \
        for (int64_t row = 0; row < count;) { \
            const int64_t many = depthwise_runs(w, &at, x, &row, count, runs, (const float **)(void *)scratch); \
            for (int64_t column = 0; column < channels; column += LANES) { \
                const float *weights = b + column * taps; \
                const struct depthwise_column v = {column, channels - column < LANES ? channels - column : LANES, \
                                                   weights, zeros, depthwise_finite(weights, taps)}; \
                for (int64_t i = 0; i < many; i++) { \
                    if (DEPTHWISE_WINDOWS == 8 && KERNEL && runs[i].count % 8 != 0 && runs[i].count % 7 == 0) \
                        name##_run(7, w, &runs[i], &v, c, e); \
                    else name##_run(DEPTHWISE_WINDOWS, w, &runs[i], &v, c, e); \
                } \
            } \
        } \
    }

#endif
