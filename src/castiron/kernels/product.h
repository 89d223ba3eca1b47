/* product.h: products of matrices that are not packed, of any element type. */
#ifndef CASTIRON_PRODUCT_H
#define CASTIRON_PRODUCT_H

#include "vec.h"

/* Rows that are worked on at once: what registers hold of 16 sums each. */
#if defined(__AVX512F__)
#define PRODUCT_ROWS(type) (sizeof(type) == 8 ? 8 : 12)
#elif defined(__AVX__)
#define PRODUCT_ROWS(type) (sizeof(type) == 8 ? 2 : 4)
#elif defined(__aarch64__)
#define PRODUCT_ROWS(type) (sizeof(type) == 8 ? 2 : 4)
#else
#define PRODUCT_ROWS(type) (sizeof(type) == 8 ? 1 : 2)
#endif

/* Defines name(): c [m,n] = a [m,k] · b [k,n], summed up along k by MULTIPLY_ADD(x, y, sum) of vectors. */
#define PRODUCT_DEFINE(name, type, vector, MULTIPLY_ADD) \
    INLINE void name##_tile(const int rows, int64_t lanes, int64_t n, int64_t k, const type *a, const type *b, type *c) { \
        vector sum[PRODUCT_ROWS(type)]; \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < rows; i++) sum[i] = (vector)(type)0; \
        for (int64_t p = 0; p < k; p++, b += n) { \
            vector y = lanes == LANES ? v_load(b) : v_load_n(b, lanes); \
            _Pragma("clang loop unroll(full)") \
            for (int i = 0; i < rows; i++) sum[i] = MULTIPLY_ADD((vector)a[i * k + p], y, sum[i]); \
        } \
        _Pragma("clang loop unroll(full)") \
        for (int i = 0; i < rows; i++) { \
            if (lanes == LANES) v_store(c + i * n, sum[i]); \
            else v_store_n(c + i * n, sum[i], lanes); \
        } \
    } \
    NOINLINE void name(int64_t m, int64_t n, int64_t k, const type *a, const type *b, type *c) { \
        const int many = PRODUCT_ROWS(type); \
        for (int64_t j = 0; j < n; j += LANES) { \
            int64_t lanes = n - j < LANES ? n - j : LANES, i = 0; \
            if (lanes == LANES) { \
                for (; i + many <= m; i += many) name##_tile(many, LANES, n, k, a + i * k, b + j, c + i * n + j); \
                for (; i < m; i++) name##_tile(1, LANES, n, k, a + i * k, b + j, c + i * n + j); \
            } \
            for (; i + many <= m; i += many) name##_tile(many, lanes, n, k, a + i * k, b + j, c + i * n + j); \
            for (; i < m; i++) name##_tile(1, lanes, n, k, a + i * k, b + j, c + i * n + j); \
        } \
    }

#endif
