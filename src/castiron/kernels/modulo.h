/* modulo.h: exact remainders of division. */
#ifndef CASTIRON_MODULO_H
#define CASTIRON_MODULO_H

#include "exponential64.h"

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

/* C's fmod of doubles: long division of the significands in integers, 11 bits at a time. x and y are finite, y not
 * 0. */
NOINLINE __attribute__((overloadable)) double fmod_of(double x, double y) {
    uint64_t n = __builtin_bit_cast(uint64_t, x) << 1 >> 1, d = __builtin_bit_cast(uint64_t, y) << 1 >> 1;
    if (n < d) return x;
    int64_t exponents[2] = {(int64_t)(n >> 52), (int64_t)(d >> 52)};
    uint64_t parts[2] = {n & 0xfffffffffffff, d & 0xfffffffffffff};
    for (int i = 0; i < 2; i++) {
        if (exponents[i]) parts[i] |= 0x10000000000000;
        else exponents[i] = 1;
    }
    uint64_t rest = parts[0] % parts[1];
    for (int64_t left = exponents[0] - exponents[1]; left > 0 && rest; left -= 11)
        rest = (rest << (left < 11 ? left : 11)) % parts[1];
    /* rest 2^(exponent - 1075), exact */
    int64_t half = (exponents[1] - 1075) / 2, other = exponents[1] - 1075 - half;
    double r = (double)(int64_t)rest * __builtin_bit_cast(double, (half + 1023) << 52);
    return __builtin_copysign(r * __builtin_bit_cast(double, (other + 1023) << 52), x);
}

INLINE f64x16 v_fmod(f64x16 x, f64x16 y) {
    const double infinity = (double)V_INF;
    f64x16 r;
    for (int lane = 0; lane < LANES; lane++) {
        double n = x[lane], d = y[lane];
        int valid = n == n && n != infinity && n != -infinity && d == d && d != 0.0;
        r[lane] = !valid ? (double)V_NAN : d == infinity || d == -infinity ? n : fmod_of(n, d);
    }
    return r;
}

FUNCTION64 v_floormod(f64x16 x, f64x16 y) {
    f64x16 r = v_fmod(x, y);
    i64x16 differ = (r < 0.0) != (y < 0.0);
    return v_select(r == 0.0, v_copysign(r, y), v_select(differ, r + y, r));
}

#endif
