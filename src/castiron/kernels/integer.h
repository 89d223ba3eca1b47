/* integer.h: exact products of bytes by small integers, with epilogues as in gemm.h: A [m, k] of 8-bit integers less
 * their zero point, B packed, of 8 or 16 bits, sums of 32 bits that wrap around.
 *
 * Elements are widened to 16 bits and multiplied two by two along k, so B is [ceil(n/16)][ceil(k/2)][16][2]: panels of
 * 16 columns, the last and an odd k padded with zeros. Products of bytes that are added up in 16 bits would saturate.
 */
#ifndef CASTIRON_INTEGER_H
#define CASTIRON_INTEGER_H

#include "conv.h"

typedef int16_t i16x32 __attribute__((ext_vector_type(32)));
typedef int16_t i16x32_unaligned __attribute__((ext_vector_type(32), aligned(2)));
typedef int8_t i8x32 __attribute__((ext_vector_type(32)));

#define INTEGER_PART(x, i, n) __builtin_shufflevector(x, x, INTEGER_PART_##n(i))
#define INTEGER_PART_8(i) i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7
#define INTEGER_PART_16(i) INTEGER_PART_8(i), INTEGER_PART_8(i + 8)

/* a[2i] b[2i] + a[2i+1] b[2i+1] */
INLINE i32x16 integer_pairs(i16x32 a, i16x32 b) {
#if defined(__AVX512BW__)
    typedef short part __attribute__((vector_size(64)));
    return (i32x16)__builtin_ia32_pmaddwd512((part)a, (part)b);
#elif defined(__AVX2__)
    typedef short part __attribute__((vector_size(32)));
    typedef int32_t half __attribute__((ext_vector_type(8)));
    half low = (half)__builtin_ia32_pmaddwd256((part)INTEGER_PART(a, 0, 16), (part)INTEGER_PART(b, 0, 16));
    half high = (half)__builtin_ia32_pmaddwd256((part)INTEGER_PART(a, 16, 16), (part)INTEGER_PART(b, 16, 16));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#elif defined(__SSE2__)
    typedef short part __attribute__((vector_size(16)));
    typedef int32_t quarter __attribute__((ext_vector_type(4)));
    quarter q0 = (quarter)__builtin_ia32_pmaddwd128((part)INTEGER_PART(a, 0, 8), (part)INTEGER_PART(b, 0, 8));
    quarter q1 = (quarter)__builtin_ia32_pmaddwd128((part)INTEGER_PART(a, 8, 8), (part)INTEGER_PART(b, 8, 8));
    quarter q2 = (quarter)__builtin_ia32_pmaddwd128((part)INTEGER_PART(a, 16, 8), (part)INTEGER_PART(b, 16, 8));
    quarter q3 = (quarter)__builtin_ia32_pmaddwd128((part)INTEGER_PART(a, 24, 8), (part)INTEGER_PART(b, 24, 8));
    typedef int32_t half __attribute__((ext_vector_type(8)));
    half low = __builtin_shufflevector(q0, q1, 0, 1, 2, 3, 4, 5, 6, 7);
    half high = __builtin_shufflevector(q2, q3, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
#define INTEGER_EVERY_OTHER(x, i) \
    __builtin_convertvector(__builtin_shufflevector(x, x, i, i + 2, i + 4, i + 6, i + 8, i + 10, i + 12, i + 14, i + 16, \
                                                    i + 18, i + 20, i + 22, i + 24, i + 26, i + 28, i + 30), i32x16)
    return INTEGER_EVERY_OTHER(a, 0) * INTEGER_EVERY_OTHER(b, 0) + INTEGER_EVERY_OTHER(a, 1) * INTEGER_EVERY_OTHER(b, 1);
#endif
}

INLINE i16x32 integer_weights(const int16_t *b) { return *(const i16x32_unaligned *)b; }
INLINE i16x32 integer_weights(const int8_t *b) {
    i8x32 x;
    __builtin_memcpy(&x, b, sizeof x);
    return __builtin_convertvector(x, i16x32);
}

/* Two neighbours, again and again. */
INLINE i16x32 integer_pair(const int16_t *a) {
    int32_t pair;
    __builtin_memcpy(&pair, a, sizeof pair);
    return (i16x32)v_splat(pair);
}

/* x less zero, as 16 bits: pieces that may overlap, so that nothing outside is read or written. */
#define INTEGER_WIDEN_DEFINE(type) \
    INLINE void integer_widen_8(int16_t *to, const type *x, int16_t zero) { \
        typedef type bytes __attribute__((ext_vector_type(8))); \
        typedef int16_t words __attribute__((ext_vector_type(8))); \
        bytes from; \
        __builtin_memcpy(&from, x, sizeof from); \
        words wide = __builtin_convertvector(from, words) - (words)zero; \
        __builtin_memcpy(to, &wide, sizeof wide); \
    } \
    INLINE void integer_widen_16(int16_t *to, const type *x, int16_t zero) { \
        v_store(to, __builtin_convertvector(v_load(x), i16x16) - (i16x16)zero); \
    } \
    INLINE int16_t *integer_widen(int16_t *to, const type *x, int64_t n, int16_t zero) { \
        if (n >= LANES) { \
            for (int64_t i = 0; i + LANES <= n; i += LANES) integer_widen_16(to + i, x + i, zero); \
            if (n % LANES) integer_widen_16(to + n - LANES, x + n - LANES, zero); \
        } else if (n >= 8) { \
            integer_widen_8(to, x, zero); \
            integer_widen_8(to + n - 8, x + n - 8, zero); \
        } else { \
            _Pragma("clang loop vectorize(disable)") \
            for (int64_t i = 0; i < n; i++) to[i] = (int16_t)(x[i] - zero); \
        } \
        return to + n; \
    }
INTEGER_WIDEN_DEFINE(uint8_t)
INTEGER_WIDEN_DEFINE(int8_t)

/* Up to 15 elements behind the last may be written. */
INLINE int16_t *integer_clear(int16_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) v_store(to + i, (i16x16)0);
    return to + n;
}

/* tile[row][panel] of sums over `pairs` pairs, for constant rows and panels. */
#define INTEGER_BODY_DEFINE(weight) \
    INLINE void integer_tile_body(const int rows, const int panels, int64_t pairs, const int16_t *a, int64_t lda, \
                                  const weight *b, i32x16 *tile) { \
        i32x16 sum[GEMM_ROWS][GEMM_PANELS]; \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < rows; i++) \
            _Pragma("clang loop unroll(full)") \
            for (int j = 0; j < panels; j++) sum[i][j] = (i32x16)0; \
        _Pragma("clang loop unroll(disable)") \
        for (int64_t p = 0; p < pairs; p++) { \
            i16x32 column[GEMM_PANELS]; \
            _Pragma("clang loop unroll(full)") \
            for (int j = 0; j < panels; j++) column[j] = integer_weights(b + (j * pairs + p) * 2 * LANES); \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < rows; i++) { \
                i16x32 x = integer_pair(a + i * lda + 2 * p); \
                _Pragma("clang loop unroll(full)") \
                for (int j = 0; j < panels; j++) { \
                    sum[i][j] += integer_pairs(x, column[j]); \
                    GEMM_IN_ORDER(sum[i][j]); \
                } \
            } \
        } \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < rows; i++) \
            _Pragma("clang loop unroll(full)") \
            for (int j = 0; j < panels; j++) tile[i * panels + j] = sum[i][j]; \
    }
INTEGER_BODY_DEFINE(int8_t)
INTEGER_BODY_DEFINE(int16_t)

#if defined(__AVX512F__)
#define INTEGER_TILES(T, weight) \
    T(1, 1, weight) T(1, 2, weight) T(1, 3, weight) T(1, 4, weight) T(2, 1, weight) T(2, 2, weight) T(2, 3, weight) \
    T(2, 4, weight) T(3, 1, weight) T(3, 2, weight) T(3, 3, weight) T(3, 4, weight) T(4, 1, weight) T(4, 2, weight) \
    T(4, 3, weight) T(4, 4, weight) T(5, 1, weight) T(5, 2, weight) T(5, 3, weight) T(5, 4, weight) T(6, 1, weight) \
    T(6, 2, weight) T(6, 3, weight) T(6, 4, weight)
#elif defined(__AVX2__) || defined(__aarch64__)
#define INTEGER_TILES(T, weight) \
    T(1, 1, weight) T(1, 2, weight) T(2, 1, weight) T(2, 2, weight) T(3, 1, weight) T(4, 1, weight) T(5, 1, weight) \
    T(6, 1, weight)
#else
#define INTEGER_TILES(T, weight) T(1, 1, weight) T(2, 1, weight)
#endif

#define INTEGER_TILE_KERNEL(rows, panels, weight) \
    NOINLINE void integer_tile_##rows##x##panels##_##weight(int64_t pairs, const int16_t *a, int64_t lda, \
                                                           const weight *b, i32x16 *tile) { \
        integer_tile_body(rows, panels, pairs, a, lda, b, tile); \
    }
INTEGER_TILES(INTEGER_TILE_KERNEL, int8_t)
INTEGER_TILES(INTEGER_TILE_KERNEL, int16_t)

#define INTEGER_TILE_CASE(rows, panels, weight) \
    case rows * 8 + panels: integer_tile_##rows##x##panels##_##weight(pairs, a, lda, b, tile); return;
#define INTEGER_TILE_DEFINE(weight) \
    INLINE void integer_tile(int64_t rows, int64_t panels, int64_t pairs, const int16_t *a, int64_t lda, \
                             const weight *b, i32x16 *tile) { \
        switch (rows * 8 + panels) { INTEGER_TILES(INTEGER_TILE_CASE, weight) } \
    }
INTEGER_TILE_DEFINE(int8_t)
INTEGER_TILE_DEFINE(int16_t)

/* Defines name(): C[0..m-1][0..n-1] = EPILOGUE(A B), A widened. EPILOGUE as for gemm.h but of 16 32-bit integers, with
 * a value of 16 `result`s. */
#define INTEGER_DEFINE(name, weight, result, EPILOGUE) \
    NOINLINE void name##_product(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const weight *b, \
                                 result *c, int64_t ldc, const struct epilogue *e) { \
        i32x16 tile[GEMM_TILE_VECTORS]; \
        int64_t pairs = (k + 1) / 2; \
        struct gemm_split rows = gemm_split(m, GEMM_ROWS); \
        int64_t tallest = rows.size + (rows.longer > 0); \
        struct gemm_split panels = gemm_split((n + LANES - 1) / LANES, gemm_tile_panels(tallest)); \
        for (int64_t t = 0, panel = 0; t < panels.count; t++) { \
            int64_t across = panels.size + (t < panels.longer); \
            for (int64_t u = 0, row = 0; u < rows.count; u++) { \
                int64_t down = rows.size + (u < rows.longer); \
                integer_tile(down, across, pairs, a + row * lda, lda, b + panel * LANES * 2 * pairs, tile); \
                const i32x16 *next = tile; \
                for (int64_t end = row + down; row < end; row++) \
                    for (int64_t j = 0; j < across; j++) { \
                        int64_t column = (panel + j) * LANES, count = n - column < LANES ? n - column : LANES; \
                        i32x16 sum = *next++; \
                        if (count == LANES) v_store(c + row * ldc + column, EPILOGUE(sum, e, row, column, count)); \
                        else v_store_n(c + row * ldc + column, EPILOGUE(sum, e, row, column, count), count); \
                    } \
            } \
            panel += across; \
        } \
    }


/* What each window covers, as window_gather of window.h gives it, widened; padding stands for the zero point. */
#define INTEGER_GATHER_DEFINE(type) \
    NOINLINE void integer_gather_##type(const struct window *w, const type *x, int16_t zero, int64_t channel, \
                                        int64_t depth, int64_t first, int64_t count, int16_t *out, int64_t stride) { \
        struct window_place at = window_place(w, first); \
        int whole = w->kernel[2] == 1 || (depth == w->channels && w->dilation[2] == 1); \
        int64_t run = w->kernel[2] * depth, step = w->dilation[2] * w->channels; \
        int64_t line = w->size[2] * w->channels, down = w->dilation[1] * line, deeper = w->dilation[0] * w->size[1] * line; \
        for (int64_t i = 0; i < count; i++, out += stride, window_next(w, &at)) { \
            int16_t *to = out; \
            const type *start = x + window_element(w, &at, 0, 0, 0) * w->channels + channel; \
            struct window_span s0 = window_span(w, &at, 0), s1 = window_span(w, &at, 1), s2 = window_span(w, &at, 2); \
            for (int64_t k0 = 0; k0 < w->kernel[0]; k0++) \
                for (int64_t k1 = 0; k1 < w->kernel[1]; k1++) { \
                    if (k0 < s0.first || k0 >= s0.end || k1 < s1.first || k1 >= s1.end || s2.first >= s2.end) { \
                        to = integer_clear(to, run); \
                        continue; \
                    } \
                    const type *from = start + k0 * deeper + k1 * down + s2.first * step; \
                    if (s2.first) to = integer_clear(to, s2.first * depth); \
                    if (whole) to = integer_widen(to, from, (s2.end - s2.first) * depth, zero); \
                    else \
                        for (int64_t k2 = s2.first; k2 < s2.end; k2++, from += step) \
                            to = integer_widen(to, from, depth, zero); \
                    if (s2.end < w->kernel[2]) to = integer_clear(to, (w->kernel[2] - s2.end) * depth); \
                } \
        } \
    }
INTEGER_GATHER_DEFINE(uint8_t)
INTEGER_GATHER_DEFINE(int8_t)

/* Defines name(): c [m][n] = EPILOGUE(A B) for A of `type` with rows side by side, widened `rows` at a time into the
 * scratch [rows][stride], which has room for a vector more. */
#define INTEGER_DENSE_DEFINE(name, type, weight, result, EPILOGUE) \
    INTEGER_DEFINE(name, weight, result, EPILOGUE) \
    NOINLINE void name(int64_t m, int64_t n, int64_t k, const type *a, const type *zero, const weight *b, result *c, \
                       int16_t *scratch, int64_t rows, int64_t stride, const struct epilogue *e) { \
        struct gemm_split blocks = gemm_split(m, rows); \
        for (int64_t block = 0, row = 0; block < blocks.count; block++) { \
            int64_t count = blocks.size + (block < blocks.longer); \
            for (int64_t i = 0; i < count; i++) integer_widen(scratch + i * stride, a + (row + i) * k, k, *zero); \
            struct epilogue moved = epilogue_at(e, row, 0); \
            name##_product(count, n, k, scratch, stride, b, c + row * n, n, &moved); \
            row += count; \
        } \
    }

/* Defines name(): c [count][outputs] = EPILOGUE(windows · weights), like CONV_DEFINE of conv.h. */
#define INTEGER_CONV_DEFINE(name, type, weight, result, EPILOGUE) \
    INTEGER_DEFINE(name, weight, result, EPILOGUE) \
    NOINLINE void name(const struct window *w, const struct conv *v, const type *x, const type *zero, const weight *b, \
                       int64_t first, int64_t count, result *c, int16_t *scratch, const struct epilogue *e) { \
        int64_t depth = w->channels / v->groups, outputs = v->outputs / v->groups; \
        int64_t k = w->kernel[0] * w->kernel[1] * w->kernel[2] * depth; \
        struct gemm_split blocks = gemm_split(count, v->rows); \
        for (int64_t block = 0, row = 0; block < blocks.count; block++) { \
            int64_t m = blocks.size + (block < blocks.longer); \
            for (int64_t group = 0; group < v->groups; group++) { \
                struct epilogue moved = epilogue_at(e, row, group * outputs); \
                integer_gather_##type(w, x, *zero, group * depth, depth, first + row, m, scratch, v->stride); \
                name##_product(m, outputs, k, scratch, v->stride, b + group * v->weights, \
                               c + row * v->outputs + group * outputs, v->outputs, &moved); \
            } \
            row += m; \
        } \
    }

INLINE i32x16 integer_lanes(const uint8_t *x, int64_t lanes) {
    return __builtin_convertvector(lanes == LANES ? v_load(x) : v_load_n(x, lanes), i32x16);
}
INLINE i32x16 integer_lanes(const int8_t *x, int64_t lanes) {
    return __builtin_convertvector(lanes == LANES ? v_load(x) : v_load_n(x, lanes), i32x16);
}

/* Defines name(): c [count][channels], each channel convolved by itself; weights [ceil(channels/16)][kernel][16]. */
#define INTEGER_DEPTHWISE_DEFINE(name, type, weight, result, EPILOGUE) \
    INLINE void name##_channels(const int many, int64_t lanes, const struct window *w, const struct window_span *s, \
                                const type *x, int32_t zero, const weight *b, int64_t row, int64_t column, result *c, \
                                const struct epilogue *e) { \
        const int64_t channels = w->channels, side = w->stride[2] * channels, step = w->dilation[2] * channels; \
        const int64_t line = w->size[2] * channels, down = w->dilation[1] * line; \
        const int64_t deeper = w->dilation[0] * w->size[1] * line; \
        i32x16 sum[DEPTHWISE_WINDOWS], weights = (i32x16)0; \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < many; i++) sum[i] = (i32x16)0; \
        for (int64_t k0 = s[0].first; k0 < s[0].end; k0++) \
            for (int64_t k1 = s[1].first; k1 < s[1].end; k1++) { \
                const type *from = x + k0 * deeper + k1 * down + s[2].first * step; \
                const weight *at = b + ((k0 * w->kernel[1] + k1) * w->kernel[2] + s[2].first) * LANES; \
                _Pragma("clang loop unroll(disable)") \
                for (int64_t k2 = s[2].first; k2 < s[2].end; k2++, from += step, at += LANES) { \
                    i32x16 by = __builtin_convertvector(v_load(at), i32x16); \
                    weights += by; \
                    by &= 0xffff; /* the upper halves of lanes are multiplied by zero */ \
                    _Pragma("clang loop unroll(full)") \
                    for (int i = 0; i < many; i++) \
                        sum[i] += integer_pairs((i16x32)integer_lanes(from + i * side, lanes), (i16x32)by); \
                } \
            } \
        weights *= zero; \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < many; i++) { \
            result *to = c + (row + i) * channels + column; \
            i32x16 total = sum[i] - weights; \
            if (lanes == LANES) v_store(to, EPILOGUE(total, e, (row + i), column, lanes)); \
            else v_store_n(to, EPILOGUE(total, e, (row + i), column, lanes), lanes); \
        } \
    } \
    INLINE void name##_windows(const int many, const struct window *w, const struct window_place *at, const type *x, \
                               int32_t zero, const weight *b, int64_t row, result *c, const struct epilogue *e) { \
        struct window_span s[3] = {window_span(w, at, 0), window_span(w, at, 1), window_span(w, at, 2)}; \
        int64_t channels = w->channels, taps = w->kernel[0] * w->kernel[1] * w->kernel[2], column = 0; \
        x += window_element(w, at, 0, 0, 0) * channels; \
        for (; column + LANES <= channels; column += LANES) \
            name##_channels(many, LANES, w, s, x + column, zero, b + column * taps, row, column, c, e); \
        if (column < channels) \
            name##_channels(many, channels - column, w, s, x + column, zero, b + column * taps, row, column, c, e); \
    } \
    NOINLINE void name(const struct window *w, const type *x, const type *zero, const weight *b, int64_t first, \
                       int64_t count, result *c, const struct epilogue *e) { \
        struct window_place at = window_place(w, first); \
        for (int64_t row = 0; row < count;) { \
            struct window_place last = at; \
            last.index[2] += DEPTHWISE_WINDOWS - 1; \
            last.start[2] += (DEPTHWISE_WINDOWS - 1) * w->stride[2]; \
            int together = row + DEPTHWISE_WINDOWS <= count && last.index[2] < w->count[2] && at.start[2] >= 0 && \
                last.start[2] + (w->kernel[2] - 1) * w->dilation[2] < w->size[2]; \
            if (together) name##_windows(DEPTHWISE_WINDOWS, w, &at, x, *zero, b, row, c, e), at = last; \
            else name##_windows(1, w, &at, x, *zero, b, row, c, e); \
            row += together ? DEPTHWISE_WINDOWS : 1; \
            window_next(w, &at); \
        } \
    }

#endif
