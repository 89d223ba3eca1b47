/* modulo.h: exact remainders of division. */
#ifndef CASTIRON_MODULO_H
#define CASTIRON_MODULO_H

#include "vec.h"

/* x - y trunc(x/y), exact, x's sign: C's fmod. Each step takes off the quotient's leading 29 bits, whose product
 * with y's 24 is exact in double; quotients of floats below 2^29, nearly all, take one step. */
INLINE f32x16 v_fmod(f32x16 x, f32x16 y) {
    f64x16 r = v_f64(v_abs(x)), d = v_f64(v_abs(y));
    i32x16 invalid = ~v_is_finite(x) | v_is_nan(y) | (y == 0.0f);
    d = v_select(v_mask64(invalid), v_splat(1.0), d);
    r = v_select(v_mask64(invalid), v_splat(0.0), r);
    for (;;) {
        i32x16 more = v_mask32(r >= d);
        if (!v_any(more)) break;
        f64x16 quotient = v_trunc((f64x16)((i64x16)(r / d) & ~0xffffff));
        f64x16 product = quotient * d;
        i64x16 over = product > r;
        quotient = v_select(over, quotient - 1.0, quotient); /* r / d was rounded up to an integer */
        r = v_select(v_mask64(more), r - v_select(over, quotient * d, product), r);
    }
    return v_select(invalid, v_splat(V_NAN), v_copysign(v_f32(r), x));
}

/* y's sign, as numpy's and Python's: fmod plus y where the signs differ. */
INLINE f32x16 v_floormod(f32x16 x, f32x16 y) {
    f32x16 r = v_fmod(x, y);
    i32x16 differ = (r < 0.0f) != (y < 0.0f);
    return v_select(r == 0.0f, v_copysign(r, y), v_select(differ, r + y, r));
}

#endif
