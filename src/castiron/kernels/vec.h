/* vec.h: sixteen lanes on every instruction set.
 *
 * A vector always has 16 lanes. The compiler maps it to one AVX-512 register, two AVX, four SSE or NEON
 * registers, so one source serves every level and every reduction has the same order of additions.
 *
 * Conditions are masks: the lanes of an integer vector as wide as the operands', 0 or -1, as the
 * comparison operators give them. `a < b ? x : y` works lane by lane and compiles to blends.
 */
#ifndef CASTIRON_VEC_H
#define CASTIRON_VEC_H

#include <stdint.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

/* The vector width attribute lets AVX-512 code use whole registers where the compiler would rather not. */
#if defined(__AVX512F__)
#define INLINE static inline __attribute__((always_inline, unused, overloadable, min_vector_width(512)))
#define NOINLINE static __attribute__((noinline, unused, min_vector_width(512)))
#else
#define INLINE static inline __attribute__((always_inline, unused, overloadable))
#define NOINLINE static __attribute__((noinline, unused))
#endif

#define LANES 16

#define VECTOR_TYPES(T) \
    T(f32, float) T(f64, double) \
    T(i8, int8_t) T(i16, int16_t) T(i32, int32_t) T(i64, int64_t) \
    T(u8, uint8_t) T(u16, uint16_t) T(u32, uint32_t) T(u64, uint64_t)

#define DEFINE_TYPE(name, scalar) \
    typedef scalar name##x16 __attribute__((ext_vector_type(16))); \
    typedef scalar name##x16_unaligned __attribute__((ext_vector_type(16), aligned(sizeof(scalar))));
VECTOR_TYPES(DEFINE_TYPE)
#undef DEFINE_TYPE

typedef _Bool bitx16 __attribute__((ext_vector_type(16)));

#define V_IOTA ((i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#define V_INF __builtin_inff()
#define V_NAN __builtin_nanf("")

/* Hide a value's origin, at no cost. Without it `p[i] = c ? x : p[i]` becomes a masked store, which is many
 * times slower than a blend and a store on some processors. */
INLINE f32x16 v_opaque(f32x16 x) {
#if defined(__AVX512F__)
    __asm__("" : "+v"(x));
#elif defined(__AVX__)
    typedef float f32x8 __attribute__((ext_vector_type(8)));
    f32x8 low = x.lo, high = x.hi;
    __asm__("" : "+x"(low), "+x"(high));
    x.lo = low, x.hi = high;
#endif
    return x;
}

/* v_load(p): p[0..15], at any alignment. v_store(p, x) the reverse.
 * v_load_n(p, n): p[0..n-1] and zeros, 0 <= n <= 16, reads nothing beyond p[n-1]. v_store_n(p, x, n) writes
 * nothing beyond p[n-1]. v_splat(s): s in every lane. */
#define DEFINE_ACCESS(name, scalar) \
    INLINE name##x16 v_load(const scalar *p) { return *(const name##x16_unaligned *)p; } \
    INLINE name##x16 v_splat(scalar s) { return (name##x16)s; }
VECTOR_TYPES(DEFINE_ACCESS)
#undef DEFINE_ACCESS

#define DEFINE_STORE(name, scalar) \
    INLINE void v_store(scalar *p, name##x16 x) { *(name##x16_unaligned *)p = x; }
DEFINE_STORE(f64, double)
DEFINE_STORE(i8, int8_t)
DEFINE_STORE(i16, int16_t)
DEFINE_STORE(i32, int32_t)
DEFINE_STORE(i64, int64_t)
DEFINE_STORE(u8, uint8_t)
DEFINE_STORE(u16, uint16_t)
DEFINE_STORE(u32, uint32_t)
DEFINE_STORE(u64, uint64_t)
#undef DEFINE_STORE
INLINE void v_store(float *p, f32x16 x) { *(f32x16_unaligned *)p = v_opaque(x); }

/* n elements in pieces of 16, 8, 4, 2 and 1: no loop, and one move when n is a constant power of two. */
#define DEFINE_PARTIAL(name, scalar) \
    INLINE void v_copy_n(scalar *to, const scalar *from, int64_t n) { \
        if (n == 16) { \
            __builtin_memcpy_inline(to, from, 16 * sizeof(scalar)); \
            return; \
        } \
        if (n & 8) { \
            __builtin_memcpy_inline(to, from, 8 * sizeof(scalar)); \
            to += 8, from += 8; \
        } \
        if (n & 4) { \
            __builtin_memcpy_inline(to, from, 4 * sizeof(scalar)); \
            to += 4, from += 4; \
        } \
        if (n & 2) { \
            __builtin_memcpy_inline(to, from, 2 * sizeof(scalar)); \
            to += 2, from += 2; \
        } \
        if (n & 1) *to = *from; \
    }
VECTOR_TYPES(DEFINE_PARTIAL)
#undef DEFINE_PARTIAL

#define DEFINE_LOAD_N(name, scalar) \
    INLINE name##x16 v_load_n(const scalar *p, int64_t n) { \
        name##x16 x = (name##x16)(scalar)0; \
        v_copy_n((scalar *)&x, p, n); \
        return x; \
    }
#define DEFINE_STORE_N(name, scalar) \
    INLINE void v_store_n(scalar *p, name##x16 x, int64_t n) { v_copy_n(p, (const scalar *)&x, n); }

INLINE bitx16 v_first(int64_t n) { return __builtin_convertvector(V_IOTA < (int32_t)n, bitx16); }

#if defined(__AVX__)
INLINE f32x16 v_load_n(const float *p, int64_t n) { return __builtin_masked_load(v_first(n), p, (f32x16)0.0f); }
INLINE i32x16 v_load_n(const int32_t *p, int64_t n) { return __builtin_masked_load(v_first(n), p, (i32x16)0); }
#else
DEFINE_LOAD_N(f32, float)
DEFINE_LOAD_N(i32, int32_t)
#endif
#if defined(__AVX512F__)
#define DEFINE_MASKED_STORE(name, scalar) \
    INLINE void v_store_n(scalar *p, name##x16 x, int64_t n) { \
        if (__builtin_constant_p(n)) v_copy_n(p, (const scalar *)&x, n); \
        else __builtin_masked_store(v_first(n), x, p); \
    }
DEFINE_MASKED_STORE(f32, float)
DEFINE_MASKED_STORE(i32, int32_t)
#undef DEFINE_MASKED_STORE
#else
DEFINE_STORE_N(f32, float)
DEFINE_STORE_N(i32, int32_t)
#endif
DEFINE_LOAD_N(f64, double)
DEFINE_LOAD_N(i8, int8_t)
DEFINE_LOAD_N(i16, int16_t)
DEFINE_LOAD_N(i64, int64_t)
DEFINE_LOAD_N(u8, uint8_t)
DEFINE_LOAD_N(u16, uint16_t)
DEFINE_LOAD_N(u32, uint32_t)
DEFINE_LOAD_N(u64, uint64_t)
DEFINE_STORE_N(f64, double)
DEFINE_STORE_N(i8, int8_t)
DEFINE_STORE_N(i16, int16_t)
DEFINE_STORE_N(i64, int64_t)
DEFINE_STORE_N(u8, uint8_t)
DEFINE_STORE_N(u16, uint16_t)
DEFINE_STORE_N(u32, uint32_t)
DEFINE_STORE_N(u64, uint64_t)
#undef DEFINE_LOAD_N
#undef DEFINE_STORE_N

/* Conversions. Float to integer truncates; the value must fit. */
INLINE f64x16 v_f64(f32x16 x) { return __builtin_convertvector(x, f64x16); }
INLINE f32x16 v_f32(f64x16 x) { return __builtin_convertvector(x, f32x16); }
INLINE f32x16 v_f32(i32x16 x) { return __builtin_convertvector(x, f32x16); }
INLINE i32x16 v_i32(f32x16 x) { return __builtin_convertvector(x, i32x16); }
INLINE i32x16 v_mask32(i64x16 mask) { return __builtin_convertvector(mask, i32x16); }
INLINE i64x16 v_mask64(i32x16 mask) { return __builtin_convertvector(mask, i64x16); }

/* v_select(mask, a, b): a where the mask is set, else b. */
INLINE f32x16 v_select(i32x16 mask, f32x16 a, f32x16 b) { return mask ? a : b; }
INLINE i32x16 v_select(i32x16 mask, i32x16 a, i32x16 b) { return mask ? a : b; }
INLINE u32x16 v_select(i32x16 mask, u32x16 a, u32x16 b) { return mask ? a : b; }
INLINE f64x16 v_select(i64x16 mask, f64x16 a, f64x16 b) { return mask ? a : b; }
INLINE i64x16 v_select(i64x16 mask, i64x16 a, i64x16 b) { return mask ? a : b; }

/* Lane i of the result is lane index[i] % 16 of table, where the processor can. */
#if defined(__AVX2__) || defined(__aarch64__)
#define V_PERMUTES 1
INLINE f32x16 v_permute(f32x16 table, i32x16 index) {
#if defined(__AVX512F__)
    return __builtin_ia32_permvarsf512(table, index);
#elif defined(__AVX2__)
    f32x16 low, high;
    low.lo = __builtin_ia32_permvarsf256(table.lo, index.lo), low.hi = __builtin_ia32_permvarsf256(table.lo, index.hi);
    high.lo = __builtin_ia32_permvarsf256(table.hi, index.lo), high.hi = __builtin_ia32_permvarsf256(table.hi, index.hi);
    return v_select((index << 28) < 0, high, low);
#else
    i32x16 lane_bytes = (index & 15) * 0x04040404 + 0x03020100; /* where the four of each lane are in the table */
    uint8x16x4_t bytes = __builtin_bit_cast(uint8x16x4_t, lane_bytes), from = __builtin_bit_cast(uint8x16x4_t, table);
    for (int i = 0; i < 4; i++) bytes.val[i] = vqtbl4q_u8(from, bytes.val[i]);
    return __builtin_bit_cast(f32x16, bytes);
#endif
}
#endif

INLINE _Bool v_any(i32x16 mask) { return __builtin_reduce_or(mask) != 0; }

/* a*b + c. One rounding where the processor has it, which all levels but x86-64-v2 do; written out so that
 * what is fused does not depend on the compiler's choice. */
#if defined(__FMA__) || defined(__aarch64__)
INLINE f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE f64x16 v_fma(f64x16 a, f64x16 b, f64x16 c) { return __builtin_elementwise_fma(a, b, c); }
#else
INLINE f32x16 v_fma(f32x16 a, f32x16 b, f32x16 c) { return a * b + c; }
INLINE f64x16 v_fma(f64x16 a, f64x16 b, f64x16 c) { return a * b + c; }
#endif

#define DEFINE_FLOAT(vector) \
    INLINE vector v_abs(vector x) { return __builtin_elementwise_abs(x); } \
    INLINE vector v_copysign(vector x, vector sign) { return __builtin_elementwise_copysign(x, sign); } \
    INLINE vector v_floor(vector x) { return __builtin_elementwise_floor(x); } \
    INLINE vector v_ceil(vector x) { return __builtin_elementwise_ceil(x); } \
    INLINE vector v_trunc(vector x) { return __builtin_elementwise_trunc(x); } \
    INLINE vector v_round(vector x) { return __builtin_elementwise_roundeven(x); } \
    INLINE vector v_sqrt(vector x) { return __builtin_elementwise_sqrt(x); }
DEFINE_FLOAT(f32x16)
DEFINE_FLOAT(f64x16)
#undef DEFINE_FLOAT

INLINE i32x16 v_is_nan(f32x16 x) { return x != x; }
INLINE i32x16 v_is_inf(f32x16 x) { return v_abs(x) == V_INF; }
INLINE i32x16 v_is_finite(f32x16 x) { return v_abs(x) < V_INF; }
INLINE i32x16 v_is_nan(f64x16 x) { return v_mask32(x != x); }
INLINE i32x16 v_is_inf(f64x16 x) { return v_mask32(v_abs(x) == (double)V_INF); }
INLINE i32x16 v_is_finite(f64x16 x) { return v_mask32(v_abs(x) < (double)V_INF); }

/* `a > b ? a : b` and `a < b ? a : b`: b where either is NaN. One instruction on x86, named so that no
 * rewriting of the comparison loses it. */
#if defined(__AVX512F__)
INLINE f32x16 v_greater(f32x16 a, f32x16 b) { return __builtin_ia32_maxps512(a, b, 4); }
INLINE f32x16 v_less(f32x16 a, f32x16 b) { return __builtin_ia32_minps512(a, b, 4); }
#elif defined(__AVX__)
INLINE f32x16 v_greater(f32x16 a, f32x16 b) {
    a.lo = __builtin_ia32_maxps256(a.lo, b.lo), a.hi = __builtin_ia32_maxps256(a.hi, b.hi);
    return a;
}
INLINE f32x16 v_less(f32x16 a, f32x16 b) {
    a.lo = __builtin_ia32_minps256(a.lo, b.lo), a.hi = __builtin_ia32_minps256(a.hi, b.hi);
    return a;
}
#elif defined(__SSE__)
INLINE f32x16 v_greater(f32x16 a, f32x16 b) {
    a.lo.lo = __builtin_ia32_maxps(a.lo.lo, b.lo.lo), a.lo.hi = __builtin_ia32_maxps(a.lo.hi, b.lo.hi);
    a.hi.lo = __builtin_ia32_maxps(a.hi.lo, b.hi.lo), a.hi.hi = __builtin_ia32_maxps(a.hi.hi, b.hi.hi);
    return a;
}
INLINE f32x16 v_less(f32x16 a, f32x16 b) {
    a.lo.lo = __builtin_ia32_minps(a.lo.lo, b.lo.lo), a.lo.hi = __builtin_ia32_minps(a.lo.hi, b.lo.hi);
    a.hi.lo = __builtin_ia32_minps(a.hi.lo, b.hi.lo), a.hi.hi = __builtin_ia32_minps(a.hi.hi, b.hi.hi);
    return a;
}
#else
INLINE f32x16 v_greater(f32x16 a, f32x16 b) { return a > b ? a : b; }
INLINE f32x16 v_less(f32x16 a, f32x16 b) { return a < b ? a : b; }
#endif
INLINE f64x16 v_greater(f64x16 a, f64x16 b) { return a > b ? a : b; }
INLINE f64x16 v_less(f64x16 a, f64x16 b) { return a < b ? a : b; }

/* Maximum and minimum: NaN where either is NaN, as numpy's maximum and minimum. */
INLINE f32x16 v_max(f32x16 a, f32x16 b) { return v_select(v_is_nan(a), a, v_greater(a, b)); }
INLINE f32x16 v_min(f32x16 a, f32x16 b) { return v_select(v_is_nan(a), a, v_less(a, b)); }
INLINE f64x16 v_max(f64x16 a, f64x16 b) { return v_select(a != a, a, v_greater(a, b)); }
INLINE f64x16 v_min(f64x16 a, f64x16 b) { return v_select(a != a, a, v_less(a, b)); }
INLINE i32x16 v_max(i32x16 a, i32x16 b) { return a > b ? a : b; }
INLINE i32x16 v_min(i32x16 a, i32x16 b) { return a < b ? a : b; }

/* low and high must be numbers; NaN stays NaN. */
INLINE f32x16 v_clamp(f32x16 x, float low, float high) { return v_less(v_splat(high), v_greater(v_splat(low), x)); }
INLINE f32x16 v_relu(f32x16 x) { return v_greater(v_splat(0.0f), x); }

/* Reductions of 16 lanes to one, always in this order: lanes 8 apart, then 4, 2 and 1. */
#define REDUCE(type, scalar, name, combine) \
    INLINE scalar name(type##x16 x) { \
        typedef scalar v8 __attribute__((ext_vector_type(8))); \
        typedef scalar v4 __attribute__((ext_vector_type(4))); \
        v8 a8 = x.lo, b8 = x.hi, c8 = combine(a8, b8); \
        v4 a4 = c8.lo, b4 = c8.hi, c4 = combine(a4, b4); \
        v4 a2 = c4, b2 = c4.zwxy, c2 = combine(a2, b2); \
        v4 a1 = c2, b1 = c2.yxwz, c1 = combine(a1, b1); \
        return c1.x; \
    }
#define SUM_OF(a, b) ((a) + (b))
#define PRODUCT_OF(a, b) ((a) * (b))
#define MAX_OF(a, b) ((a) != (a) ? (a) : (a) > (b) ? (a) : (b))
#define MIN_OF(a, b) ((a) != (a) ? (a) : (a) < (b) ? (a) : (b))
REDUCE(f32, float, v_sum, SUM_OF)
REDUCE(f32, float, v_prod, PRODUCT_OF)
REDUCE(f32, float, v_max_lane, MAX_OF)
REDUCE(f32, float, v_min_lane, MIN_OF)
REDUCE(f64, double, v_sum, SUM_OF)
REDUCE(f64, double, v_prod, PRODUCT_OF)
REDUCE(f64, double, v_max_lane, MAX_OF)
REDUCE(f64, double, v_min_lane, MIN_OF)
REDUCE(i32, int32_t, v_sum, SUM_OF)
#undef REDUCE
#undef SUM_OF
#undef PRODUCT_OF
#undef MAX_OF
#undef MIN_OF

#endif
