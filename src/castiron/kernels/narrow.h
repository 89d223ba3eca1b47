/* narrow.h: floats rounded to what formats of fewer bits hold, halves to even. */
#ifndef CASTIRON_NARROW_H
#define CASTIRON_NARROW_H

#include "vec.h"

/* Of formats whose numbers are `steps` to a power of two, at least `lowest`: the numbers above `largest` become
 * `beyond`. All are powers of two but the latter two, and bound is the power above `largest`. */
#define DEFINE_ROUND_TO(vector, integers, scalar, exponent_bits) \
    INLINE vector v_round_to(vector x, scalar steps, scalar lowest, scalar largest, scalar bound, scalar beyond) { \
        vector a = v_less(v_splat(bound), v_abs(x)); \
        vector power = v_greater(v_splat(lowest), (vector)((integers)a & exponent_bits)); \
        vector y = v_round(a * (steps / power)) * (power / steps); \
        return v_copysign(v_select(y > largest, v_splat(beyond), y), x); \
    }
DEFINE_ROUND_TO(f32x16, i32x16, float, 0x7f800000)
DEFINE_ROUND_TO(f64x16, i64x16, double, 0x7ff0000000000000)
#undef DEFINE_ROUND_TO

#define DEFINE_FORMATS(vector, scalar) \
    INLINE vector v_round_to_f16(vector x) { \
        return v_round_to(x, 0x1p10f, 0x1p-14f, 65504.0f, 0x1p16f, (scalar)V_INF); \
    } \
    INLINE vector v_round_to_f8e4m3fn(vector x) { return v_round_to(x, 8.0f, 0x1p-6f, 448.0f, 512.0f, 448.0f); } \
    INLINE vector v_round_to_f8e4m3fnuz(vector x) { \
        vector y = v_round_to(x, 8.0f, 0x1p-7f, 240.0f, 256.0f, 240.0f); \
        return v_select(y == 0.0f, v_splat((scalar)0), y); \
    } \
    INLINE vector v_round_to_f8e5m2(vector x) { return v_round_to(x, 4.0f, 0x1p-14f, 57344.0f, 0x1p16f, 57344.0f); } \
    INLINE vector v_round_to_f8e5m2fnuz(vector x) { \
        vector y = v_round_to(x, 4.0f, 0x1p-15f, 57344.0f, 0x1p16f, 57344.0f); \
        return v_select(y == 0.0f, v_splat((scalar)0), y); \
    } \
    INLINE vector v_round_to_f4e2m1(vector x) { return v_round_to(x, 2.0f, 1.0f, 6.0f, 8.0f, 6.0f); }
DEFINE_FORMATS(f32x16, float)
DEFINE_FORMATS(f64x16, double)
#undef DEFINE_FORMATS

/* The upper half of a float, so that subnormal numbers need no arithmetic. */
INLINE f32x16 v_round_to_bf16(f32x16 x) {
    u32x16 bits = (u32x16)x, even = bits >> 16 & 1;
    return v_select(v_is_nan(x), x, (f32x16)((bits + 0x7fff + even) & 0xffff0000));
}
INLINE f64x16 v_round_to_bf16(f64x16 x) {
    return v_round_to(x, 0x1p7, 0x1p-126, 0x1.fep127, 0x1p128, (double)V_INF);
}

/* The largest power of two that isn't above |x|; 2^-127 is a subnormal float. */
INLINE f32x16 v_round_to_f8e8m0(f32x16 x) {
    i32x16 power = (i32x16)x & 0x7f800000;
    power = v_select(power == 0, (i32x16)0x400000, power);
    return v_select(v_is_finite(x), (f32x16)power, v_splat(V_NAN));
}
INLINE f64x16 v_round_to_f8e8m0(f64x16 x) {
    f64x16 power = (f64x16)((i64x16)x & 0x7ff0000000000000);
    power = v_less(v_splat(0x1p127), v_greater(v_splat(0x1p-127), power));
    return v_select(v_mask64(v_is_finite(x)), power, v_splat((double)V_NAN));
}

#endif
