/* convert.h: conversions and integer operations that C leaves undefined, defined. */
#ifndef CASTIRON_CONVERT_H
#define CASTIRON_CONVERT_H

#include "vec.h"

/* Float to integer: towards zero, out of range to the nearest bound, NaN to 0. The bounds as doubles are
 * exact or, for 64 bits, one above the largest value, so `>=` is right for all. */
#define DEFINE_SATURATE(name, scalar, low, high) \
    INLINE name##x16 v_saturate_##name(f64x16 x) { \
        i64x16 below = x <= (double)(low), above = x >= (double)(high); \
        f64x16 inside = (below | above | (x != x)) ? (f64x16)0.0 : x; \
        name##x16 y = __builtin_convertvector(inside, name##x16); \
        name##x16 is_below = __builtin_convertvector(below, name##x16); \
        name##x16 is_above = __builtin_convertvector(above, name##x16); \
        return (y & ~is_below & ~is_above) | ((scalar)(low) & is_below) | ((scalar)(high) & is_above); \
    }
DEFINE_SATURATE(i8, int8_t, INT8_MIN, INT8_MAX)
DEFINE_SATURATE(i16, int16_t, INT16_MIN, INT16_MAX)
DEFINE_SATURATE(i32, int32_t, INT32_MIN, INT32_MAX)
DEFINE_SATURATE(i64, int64_t, INT64_MIN, INT64_MAX)
DEFINE_SATURATE(u8, uint8_t, 0, UINT8_MAX)
DEFINE_SATURATE(u16, uint16_t, 0, UINT16_MAX)
DEFINE_SATURATE(u32, uint32_t, 0, UINT32_MAX)
DEFINE_SATURATE(u64, uint64_t, 0, UINT64_MAX)
#undef DEFINE_SATURATE

/* Floats hold the bounds of narrow integers exactly. */
#define DEFINE_SATURATE_NARROW(name, low, high) \
    INLINE name##x16 v_saturate_##name(f32x16 x) { \
        f32x16 number = x == x ? x : v_splat(0.0f); \
        return __builtin_convertvector(__builtin_convertvector(v_clamp(number, low, high), i32x16), name##x16); \
    }
DEFINE_SATURATE_NARROW(i8, INT8_MIN, INT8_MAX)
DEFINE_SATURATE_NARROW(i16, INT16_MIN, INT16_MAX)
DEFINE_SATURATE_NARROW(u8, 0, UINT8_MAX)
DEFINE_SATURATE_NARROW(u16, 0, UINT16_MAX)
#undef DEFINE_SATURATE_NARROW

#define DEFINE_SATURATE_WIDE(name) \
    INLINE name##x16 v_saturate_##name(f32x16 x) { \
        return v_saturate_##name(__builtin_convertvector(x, f64x16)); \
    }
DEFINE_SATURATE_WIDE(i32)
DEFINE_SATURATE_WIDE(i64)
DEFINE_SATURATE_WIDE(u32)
DEFINE_SATURATE_WIDE(u64)
#undef DEFINE_SATURATE_WIDE

/* The quotient towards minus infinity; 0 for a division by zero, and what wraps around wraps. */
#define DEFINE_FLOORDIV(name, scalar, is_signed) \
    INLINE name##x16 v_floordiv(name##x16 a, name##x16 b) { \
        name##x16 q; \
        for (int lane = 0; lane < LANES; lane++) { \
            scalar n = a[lane], d = b[lane]; \
            if (d == 0) q[lane] = 0; \
            else if (is_signed && d == (scalar)-1) q[lane] = (scalar)(0 - n); \
            else q[lane] = (scalar)(n / d - (is_signed && n % d != 0 && ((n < 0) != (d < 0)))); \
        } \
        return q; \
    }
DEFINE_FLOORDIV(i8, int8_t, 1)
DEFINE_FLOORDIV(i16, int16_t, 1)
DEFINE_FLOORDIV(i32, int32_t, 1)
DEFINE_FLOORDIV(i64, int64_t, 1)
DEFINE_FLOORDIV(u8, uint8_t, 0)
DEFINE_FLOORDIV(u16, uint16_t, 0)
DEFINE_FLOORDIV(u32, uint32_t, 0)
DEFINE_FLOORDIV(u64, uint64_t, 0)
#undef DEFINE_FLOORDIV

/* -1, 0 or 1; NaN for NaN; a zero keeps its sign. */
INLINE f32x16 v_sign(f32x16 x) {
    f32x16 one = v_copysign(v_splat(1.0f), x);
    return (x == 0.0f) | (x != x) ? x : one;
}
INLINE f64x16 v_sign(f64x16 x) {
    f64x16 one = v_copysign(v_splat(1.0), x);
    return (x == 0.0) | (x != x) ? x : one;
}

#endif
