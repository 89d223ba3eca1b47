/* window.h: windows that slide over x [n, size0, size1, size2, channels]; fewer dimensions come with leading ones.
 *
 * Windows are numbered along [n, count0, count1, count2], and functions are asked for those first .. first + count - 1,
 * whose results are consecutive rows. What a window covers outside x is padding.
 */
#ifndef CASTIRON_WINDOW_H
#define CASTIRON_WINDOW_H

#include "vec.h"

struct window {
    int64_t channels;
    int64_t size[3], count[3]; /* of x, and how many windows there are, along each dimension */
    int64_t kernel[3], stride[3], dilation[3], before[3];
};

/* One window: the first element it covers of each dimension, which may lie outside, and the image that it is on. */
struct window_place {
    int64_t image, index[3], start[3];
};

/* The part first .. end-1 of a window's positions along a dimension that lies inside. */
struct window_span {
    int64_t first, end;
};

INLINE struct window_place window_place(const struct window *w, int64_t number) {
    struct window_place at;
    for (int axis = 2; axis >= 0; axis--) {
        int64_t rest = number / w->count[axis];
        at.index[axis] = number - rest * w->count[axis];
        at.start[axis] = at.index[axis] * w->stride[axis] - w->before[axis];
        number = rest;
    }
    at.image = number;
    return at;
}

/* Steps to the next window. */
INLINE void window_next(const struct window *w, struct window_place *at) {
    for (int axis = 2; axis >= 0; axis--) {
        at->start[axis] += w->stride[axis];
        if (++at->index[axis] < w->count[axis]) return;
        at->index[axis] = 0;
        at->start[axis] = -w->before[axis];
    }
    at->image++;
}

INLINE struct window_span window_span(const struct window *w, const struct window_place *at, int axis) {
    int64_t start = at->start[axis], step = w->dilation[axis], left = w->size[axis] - start;
    struct window_span span = {start < 0 ? -start : 0, left > 0 ? left : 0};
    if (step > 1) span.first = (span.first + step - 1) / step, span.end = (span.end + step - 1) / step;
    if (span.end > w->kernel[axis]) span.end = w->kernel[axis];
    if (span.first > span.end) span.first = span.end;
    return span;
}

/* The index of the element at position k of a window, in vectors of channels. */
INLINE int64_t window_element(const struct window *w, const struct window_place *at, int64_t k0, int64_t k1,
                              int64_t k2) {
    int64_t i = at->image * w->size[0] + at->start[0] + k0 * w->dilation[0];
    i = i * w->size[1] + at->start[1] + k1 * w->dilation[1];
    return i * w->size[2] + at->start[2] + k2 * w->dilation[2];
}

/* Lines of x, those of all images numbered on. */
struct window_lines {
    int64_t first, end;
};

/* The lines that `rows` lines of windows from `row` on cover: of `size` lines an image has, each of `count` covers
 * `span`, `stride` further than the one before, the first from `before` lines ahead of the image on. */
INLINE struct window_lines window_lines(int64_t size, int64_t count, int64_t span, int64_t stride, int64_t before,
                                        int64_t row, int64_t rows) {
    int64_t last = row + rows - 1, image = row / count, to = last / count;
    int64_t start = (row - image * count) * stride - before, end = (last - to * count) * stride - before + span;
    start = start < 0 ? 0 : start < size ? start : size;
    end = end < 0 ? 0 : end < size ? end : size;
    return (struct window_lines){image * size + start, to * size + end};
}

/* Moves so many bytes, if any, from `ahead` bytes ahead to `to`. Up to 63 more are moved along. */
INLINE void window_keep(char *to, int64_t ahead, int64_t bytes) {
    if (ahead > 0)
        for (char *end = to + bytes; to < end; to += 64) {
            struct { char bytes[64]; } some;
            __builtin_memcpy_inline(&some, to + ahead, 64);
            __builtin_memcpy_inline(to, &some, 64);
        }
}

/* Both may write up to 15 floats more than n. */
INLINE float *window_copy(float *to, const float *from, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(to + i, v_load(from + i));
    if (i < n) v_store(to + i, v_load_n(from + i, n - i));
    return to + n;
}

INLINE float *window_clear(float *to, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) v_store(to + i, v_splat(0.0f));
    return to + n;
}

/* Whether a window lies inside x. */
INLINE int window_inside(const struct window *w, const struct window_place *at) {
    int inside = 1;
    for (int axis = 0; axis < 3; axis++) {
        int64_t last = w->size[axis] - (w->kernel[axis] - 1) * w->dilation[axis] - 1;
        inside &= at->start[axis] >= 0 && at->start[axis] <= last;
    }
    return inside;
}

/* What each window covers of `depth` channels from `channel` on, [kernel0][kernel1][kernel2][depth] with zeros for
 * padding, in rows at a distance of `stride` floats. Up to 15 floats behind the last may be written. */
NOINLINE void window_gather(const struct window *w, const float *x, int64_t channel, int64_t depth, int64_t first,
                            int64_t count, float *out, int64_t stride) {
    struct window_place at = window_place(w, first);
    int whole = w->kernel[2] == 1 || (depth == w->channels && w->dilation[2] == 1);
    int64_t run = w->kernel[2] * depth, step = w->dilation[2] * w->channels;
    int64_t line = w->size[2] * w->channels, down = w->dilation[1] * line, deeper = w->dilation[0] * w->size[1] * line;
    for (int64_t i = 0; i < count; i++, out += stride, window_next(w, &at)) {
        float *to = out;
        const float *start = x + window_element(w, &at, 0, 0, 0) * w->channels + channel;
        if (whole && window_inside(w, &at)) {
            for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
                for (int64_t k1 = 0; k1 < w->kernel[1]; k1++)
                    to = window_copy(to, start + k0 * deeper + k1 * down, run);
            continue;
        }
        struct window_span s0 = window_span(w, &at, 0), s1 = window_span(w, &at, 1), s2 = window_span(w, &at, 2);
        for (int64_t k0 = 0; k0 < w->kernel[0]; k0++)
            for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) {
                if (k0 < s0.first || k0 >= s0.end || k1 < s1.first || k1 >= s1.end || s2.first >= s2.end) {
                    to = window_clear(to, run);
                    continue;
                }
                const float *from = start + k0 * deeper + k1 * down + s2.first * step;
                to = window_clear(to, s2.first * depth);
                if (whole) to = window_copy(to, from, (s2.end - s2.first) * depth);
                else
                    for (int64_t k2 = s2.first; k2 < s2.end; k2++, from += step) to = window_copy(to, from, depth);
                to = window_clear(to, (w->kernel[2] - s2.end) * depth);
            }
    }
}

/* Defines name(): for each window and channel START, or OUTSIDE if the window isn't all inside, combined with the elements
 * inside, in order, by COMBINE(result, element), both vectors. */
#define WINDOW_REDUCE_DEFINE(name, type, vector, START, OUTSIDE, COMBINE) \
    INLINE void name##_channels(const int vectors, const struct window *w, const struct window_span *s, type start, \
                                const type *x, type *out, int64_t lanes) { \
        int64_t step = w->dilation[2] * w->channels, line = w->size[2] * w->channels, down = w->dilation[1] * line; \
        int64_t deeper = w->dilation[0] * w->size[1] * line; \
        vector result[WINDOW_VECTORS]; \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < vectors; i++) result[i] = (vector)start; \
        for (int64_t k0 = s[0].first; k0 < s[0].end; k0++) \
            for (int64_t k1 = s[1].first; k1 < s[1].end; k1++) { \
                const type *from = x + k0 * deeper + k1 * down + s[2].first * step; \
                for (int64_t k2 = s[2].first; k2 < s[2].end; k2++, from += step) \
                    _Pragma("clang loop unroll(full)") \
                    for (int i = 0; i < vectors; i++) { \
                        vector element = lanes == LANES ? v_load(from + i * LANES) : v_load_n(from, lanes); \
                        result[i] = COMBINE(result[i], element); \
                    } \
            } \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < vectors; i++) { \
            if (lanes == LANES) v_store(out + i * LANES, result[i]); \
            else v_store_n(out, result[i], lanes); \
        } \
    } \
    NOINLINE void name(const struct window *w, const type *x, int64_t first, int64_t count, type *out) { \
        const int many = WINDOW_VECTORS; \
        struct window_place at = window_place(w, first); \
        for (int64_t i = 0; i < count; i++, out += w->channels, window_next(w, &at)) { \
            struct window_span s[3] = {window_span(w, &at, 0), window_span(w, &at, 1), window_span(w, &at, 2)}; \
            const type *from = x + window_element(w, &at, 0, 0, 0) * w->channels; \
            type start = window_inside(w, &at) ? (type)(START) : (type)(OUTSIDE); \
            int64_t c = 0; \
            for (; c + many * LANES <= w->channels; c += many * LANES) \
                name##_channels(many, w, s, start, from + c, out + c, LANES); \
            for (; c + LANES <= w->channels; c += LANES) name##_channels(1, w, s, start, from + c, out + c, LANES); \
            if (c < w->channels) name##_channels(1, w, s, start, from + c, out + c, w->channels - c); \
        } \
    }

/* Vectors of channels that are reduced side by side. */
#define WINDOW_VECTORS 4

/* Defines name(): out [n, size.., channels] where element o of each dimension is the sum of x [n, count.., kernel..,
 * channels] over all windows and positions that cover it. Here elements of out are numbered. */
#define OVERLAP_ADD_DEFINE(name, type, vector) \
    INLINE void name##_channels(const struct window *w, int64_t image, const int64_t *o, const type *x, type *out, \
                                int64_t lanes) { \
        vector sum = (vector)(type)0; \
        int64_t window[3]; \
        for (int64_t k0 = 0; k0 < w->kernel[0]; k0++) { \
            if (!window_covers(w, 0, o[0], k0, &window[0])) continue; \
            for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) { \
                if (!window_covers(w, 1, o[1], k1, &window[1])) continue; \
                for (int64_t k2 = 0; k2 < w->kernel[2]; k2++) { \
                    if (!window_covers(w, 2, o[2], k2, &window[2])) continue; \
                    int64_t at = (image * w->count[0] + window[0]) * w->count[1] + window[1]; \
                    at = (at * w->count[2] + window[2]) * w->kernel[0] + k0; \
                    at = (at * w->kernel[1] + k1) * w->kernel[2] + k2; \
                    const type *from = x + at * w->channels; \
                    sum += lanes == LANES ? v_load(from) : v_load_n(from, lanes); \
                } \
            } \
        } \
        if (lanes == LANES) v_store(out, sum); \
        else v_store_n(out, sum, lanes); \
    } \
    NOINLINE void name(const struct window *w, const type *x, int64_t first, int64_t count, type *out) { \
        for (int64_t i = first; i < first + count; i++, out += w->channels) { \
            int64_t o[3], image = i, c = 0; \
            for (int axis = 2; axis >= 0; axis--) { \
                o[axis] = image % w->size[axis]; \
                image /= w->size[axis]; \
            } \
            for (; c + LANES <= w->channels; c += LANES) name##_channels(w, image, o, x + c, out + c, LANES); \
            if (c < w->channels) name##_channels(w, image, o, x + c, out + c, w->channels - c); \
        } \
    }

/* Whether a window has its position k over element o of a dimension, and which does. */
INLINE int window_covers(const struct window *w, int axis, int64_t o, int64_t k, int64_t *window) {
    int64_t start = o + w->before[axis] - k * w->dilation[axis];
    if (start < 0) return 0;
    *window = start / w->stride[axis];
    return *window < w->count[axis] && *window * w->stride[axis] == start;
}

#endif
