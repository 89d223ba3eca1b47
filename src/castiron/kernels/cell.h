/* cell.h: a step of a recurrent layer's cell: sums of products for each of several parts ("gates") of the columns, and
 * what is computed of them element by element while they are in registers.
 *
 * B is packed as in gemm.h, the panels of part p behind those of part p-1; each part has n columns, a multiple of 16.
 * For 16 units at a time the panels of all parts are read side by side. An element is one sum in the order of k,
 * whatever the number of rows.
 *
 * A single row reads B once and waits for little else. So what comes next is fetched while results are computed; every
 * other step goes backwards through the units, to begin with what the step before left in the first-level cache; and
 * products of which later steps read a row are computed beside it, 16 rows at a time.
 */
#ifndef CASTIRON_CELL_H
#define CASTIRON_CELL_H

#include "gemm.h"

/* Operands of what is computed of the sums, of any type: operand[i] belongs to row 0, row_stride[i] elements further to
 * row 1 (0: all rows). result[i] has rows of n. */
struct cell {
    const void *operand[8];
    int64_t row_stride[8];
    float *result[8];
};

/* The most rows whose sums are in registers together, and how many parts of them. */
#if defined(__AVX512F__)
#define CELL_ROWS 6
#define CELL_PARTS(rows) 4
#elif defined(__AVX2__) || defined(__aarch64__)
#define CELL_ROWS 6
#define CELL_PARTS(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#else
#define CELL_ROWS 2
#define CELL_PARTS(rows) ((rows) == 1 ? 2 : 1)
#endif

/* A product of which each step of a loop reads a row: C [steps, 16 * panels] = A B, B packed as in gemm.h. All but the
 * first CELL_AHEAD_ROWS rows, and what is left of so many, can be computed beside the steps before. */
struct cell_ahead {
    const float *a, *b;
    float *c;
    int64_t steps, panels, k;
};

/* How many rows are computed ahead at a time: 0 where registers don't suffice. */
#if defined(__AVX512F__)
#define CELL_AHEAD_ROWS 16
#else
#define CELL_AHEAD_ROWS 0
#endif

/* Lines of each part's next panel that are fetched ahead. */
#define CELL_FETCHED 16

/* sum[row * all + part] of constant rows and parts; `stride` floats lie between the panels of two parts. */
INLINE void cell_sums(const int rows, const int parts, const int all, int64_t k, const float *a, int64_t lda,
                      const float *b, int64_t stride, f32x16 *out) {
    f32x16 sum[CELL_ROWS][4];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < parts; j++) sum[i][j] = v_splat(0.0f);
#pragma clang loop unroll_count(2)
    for (int64_t p = 0; p < k; p++, b += LANES) {
        f32x16 column[4];
#pragma clang loop unroll(full)
        for (int j = 0; j < parts; j++) column[j] = *(const f32x16 *)(b + j * stride);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            f32x16 x = v_splat(a[i * lda + p]);
#pragma clang loop unroll(full)
            for (int j = 0; j < parts; j++) {
                sum[i][j] = v_fma(x, column[j], sum[i][j]);
                if (rows > 1) GEMM_IN_ORDER(sum[i][j]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < parts; j++) out[i * all + j] = sum[i][j];
}

/* cell_sums of one row and `parts` parts; and beside it `count` <= k / 4 products of 16 other rows by one panel of
 * another B, added to `other`: for every four of its own, since a single row waits for its weights most of the time. */
INLINE void cell_sums_beside(const int parts, int64_t k, const float *a, const float *b, int64_t stride, f32x16 *out,
                             int64_t count, const float *x, int64_t ldx, const float *y, f32x16 *other) {
    f32x16 sum[4], ahead[16];
#pragma clang loop unroll(full)
    for (int j = 0; j < parts; j++) sum[j] = v_splat(0.0f);
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) ahead[i] = other[i];
    int64_t p = 0;
#pragma clang loop unroll(disable)
    for (; p < 4 * count; p += 4, x++, y += LANES) {
        f32x16 column = *(const f32x16 *)y;
#pragma clang loop unroll(full)
        for (int q = 0; q < 4; q++) {
#pragma clang loop unroll(full)
            for (int j = 0; j < parts; j++)
                sum[j] = v_fma(v_splat(a[p + q]), *(const f32x16 *)(b + j * stride + (p + q) * LANES), sum[j]);
#pragma clang loop unroll(full)
            for (int i = 4 * q; i < 4 * q + 4; i++) {
                ahead[i] = v_fma(v_splat(x[i * ldx]), column, ahead[i]);
                GEMM_IN_ORDER(ahead[i]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) other[i] = ahead[i];
    for (; p < k; p++)
#pragma clang loop unroll(full)
        for (int j = 0; j < parts; j++)
            sum[j] = v_fma(v_splat(a[p]), *(const f32x16 *)(b + j * stride + p * LANES), sum[j]);
#pragma clang loop unroll(full)
    for (int j = 0; j < parts; j++) out[j] = sum[j];
}

/* Where a step is in what is computed ahead: panels from `panel` to `end` for 16 rows, of which `done` terms are
 * summed. */
struct cell_beside {
    int64_t row, panel, end, done;
    f32x16 sum[16];
};

INLINE struct cell_beside cell_begin(int64_t step, const struct cell_ahead *d) {
    struct cell_beside now;
    int64_t each = (d->panels + 15) / 16;
    now.row = (step / 16 + 1) * 16, now.panel = step % 16 * each, now.done = 0;
    now.end = now.panel + each < d->panels ? now.panel + each : d->panels;
    return now;
}

/* cell_sums of one row, and the next part of what is computed ahead. */
INLINE void cell_advance(const int parts, int64_t k, const float *a, const float *b, int64_t stride, f32x16 *out,
                         const struct cell_ahead *d, struct cell_beside *now) {
    int64_t left = d->k - now->done, count = left < k / 4 ? left : k / 4;
    if (!now->done)
        for (int i = 0; i < 16; i++) now->sum[i] = v_splat(0.0f);
    cell_sums_beside(parts, k, a, b, stride, out, count, d->a + now->row * d->k + now->done, d->k,
                     d->b + (now->panel * d->k + now->done) * LANES, now->sum);
    now->done += count;
    if (count < left) return;
    for (int i = 0; i < 16; i++) v_store(d->c + ((now->row + i) * d->panels + now->panel) * LANES, now->sum[i]);
    now->panel++, now->done = 0;
}

/* Defines name(): for each row and unit the results that FINISH(sum, e, row, unit, n) stores of the `parts` sums, for
 * 16 units from `unit` on; FETCH(e, row, unit, n) asks for what it will read then. m >= 0, n a multiple of 16, k >= 0;
 * strides count elements. No result is in A's memory; it may be where an operand is that FINISH reads at the same
 * element. */
#define CELL_DEFINE(name, parts, FINISH, FETCH) \
    INLINE void name##_rows(const int rows, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, \
                            f32x16 *sum) { \
        const int across = (parts) < CELL_PARTS(rows) ? (parts) : CELL_PARTS(rows); \
        _Pragma("clang loop unroll(full)") \
        for (int part = 0; part < (parts); part += across) \
            cell_sums(rows, (parts) - part < across ? (parts) - part : across, parts, k, a, lda, b + part * n * k, \
                      n * k, sum + part); \
    } \
    INLINE void name##_row(int64_t n, int64_t k, const float *a, const float *b, int64_t step, const struct cell *e, \
                           const struct cell_ahead *d) { \
        struct cell_beside now; \
        if (d) now = cell_begin(step, d); \
        int64_t back = step & 1, unit = back ? n - LANES : 0, move = back ? -LANES : LANES; \
        for (int64_t done = 0; done < n; done += LANES, unit += move) { \
            f32x16 sum[parts]; \
            const float *panel = b + unit * k, *next = panel + (done + LANES < n ? move * k : 0); \
            if (d && now.panel < now.end) cell_advance(parts, k, a, panel, n * k, sum, d, &now); \
            else name##_rows(1, n, k, a, 0, panel, sum); \
            if (k >= CELL_FETCHED) \
                _Pragma("clang loop unroll(full)") \
                for (int line = 0; line < CELL_FETCHED * (parts); line++) \
                    __builtin_prefetch(next + line / CELL_FETCHED * n * k + line % CELL_FETCHED * LANES); \
            FINISH(sum, e, 0, unit, n) \
        } \
    } \
    NOINLINE void name##_single(int64_t n, int64_t k, const float *a, const float *b, int64_t step, \
                                const struct cell *e) { \
        name##_row(n, k, a, b, step, e, 0); \
    } \
    NOINLINE void name##_beside(int64_t n, int64_t k, const float *a, const float *b, int64_t step, \
                                const struct cell *e, const struct cell_ahead *d) { \
        name##_row(n, k, a, b, step, e, d); \
    } \
    NOINLINE void name##_tiled(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, \
                               const struct cell *e) { \
        f32x16 sum[CELL_ROWS * (parts)]; \
        struct gemm_split rows = gemm_split(m, CELL_ROWS); \
        for (int64_t unit = 0; unit < n; unit += LANES) \
            for (int64_t u = 0, row = 0; u < rows.count; u++) { \
                int64_t down = rows.size + (u < rows.longer); \
                const float *from = a + row * lda, *panel = b + unit * k; \
                for (int64_t i = row; i < row + down; i++) FETCH(e, i, unit, n) \
                switch (down) { \
                case 1: name##_rows(1, n, k, from, lda, panel, sum); break; \
                case 2: name##_rows(2, n, k, from, lda, panel, sum); break; \
                CELL_MORE_ROWS(name) \
                } \
                const f32x16 *of = sum; \
                for (int64_t end = row + down; row < end; row++, of += (parts)) FINISH(of, e, row, unit, n) \
            } \
    } \
    INLINE void name(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t step, \
                     const struct cell *e, const struct cell_ahead *d) { \
        if (m != 1) name##_tiled(m, n, k, a, lda, b, e); \
        else if (CELL_AHEAD_ROWS && d && (step / 16 + 2) * 16 <= d->steps) name##_beside(n, k, a, b, step, e, d); \
        else name##_single(n, k, a, b, step, e); \
    }

#if defined(__AVX__) || defined(__aarch64__)
#define CELL_MORE_ROWS(name) \
    case 3: name##_rows(3, n, k, from, lda, panel, sum); break; \
    case 4: name##_rows(4, n, k, from, lda, panel, sum); break; \
    case 5: name##_rows(5, n, k, from, lda, panel, sum); break; \
    case 6: name##_rows(6, n, k, from, lda, panel, sum); break;
#else
#define CELL_MORE_ROWS(name)
#endif

#endif
