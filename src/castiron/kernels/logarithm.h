/* logarithm.h: log and the functions made of it: log2, log10, log1p, softplus, asinh, acosh, atanh, pow.
 *
 * x = 2^n m, sqrt(1/2) <= m < sqrt(2), so log x = n ln2 + log m. Polynomials are minimax fits (Remez).
 */
#ifndef CASTIRON_LOGARITHM_H
#define CASTIRON_LOGARITHM_H

#include "exponential.h"

/* log(1+f) = f - f^2/2 + f^3 p(f), relative error 2^-28. */
INLINE f32x16 v_log(f32x16 x) {
    i32x16 tiny = x < 0x1p-126f;
    f32x16 y = v_select(tiny, x * 0x1p25f, x);
    i32x16 above = (i32x16)y - 0x3f3504f3; /* bits above those of sqrt(1/2) */
    f32x16 n = v_f32((above >> 23) - (tiny & 25));
    f32x16 f = (f32x16)((above & 0x7fffff) + 0x3f3504f3) - 1.0f;
    f32x16 p = v_splat(0x1.1458cap-4f);
    p = v_fma(p, f, v_splat(-0x1.de3e04p-4f));
    p = v_fma(p, f, v_splat(0x1.e6f0eep-4f));
    p = v_fma(p, f, v_splat(-0x1.fc21c2p-4f));
    p = v_fma(p, f, v_splat(0x1.23375cp-3f));
    p = v_fma(p, f, v_splat(-0x1.555c4ep-3f));
    p = v_fma(p, f, v_splat(0x1.99a4b6p-3f));
    p = v_fma(p, f, v_splat(-0x1.000006p-2f));
    p = v_fma(p, f, v_splat(0x1.555548p-2f));
    f32x16 z = f * f;
    f32x16 t = v_fma(n, v_splat(-0x1.bd0106p-13f), z * f * p);
    t = v_fma(z, v_splat(-0.5f), t) + f;
    t = v_fma(n, v_splat(0x1.63p-1f), t);
    t = v_select(x < V_INF, t, x);
    t = v_select(x < 0.0f, v_splat(V_NAN), t);
    return v_select(x == 0.0f, v_splat(-V_INF), t);
}

/* log(1+f) for sqrt(1/2) <= 1+f <= sqrt(2): with s = f/(2+f), 2 atanh s = s (2 + s^2 p(s^2)),
 * relative error 2^-52. */
INLINE f64x16 v_log1p_reduced_brief(f64x16 f) {
    f64x16 s = f / (2.0 + f), z = s * s;
    f64x16 p = v_splat(0x1.587925a31a741p-3);
    p = v_fma(p, z, v_splat(0x1.732c041421318p-3));
    p = v_fma(p, z, v_splat(0x1.c72279117e552p-3));
    p = v_fma(p, z, v_splat(0x1.2492417609f57p-2));
    p = v_fma(p, z, v_splat(0x1.999999a295eccp-2));
    p = v_fma(p, z, v_splat(0x1.555555555395bp-1));
    return s * v_fma(p, z, v_splat(2.0));
}

/* n with sqrt(1/2) <= x / 2^n < sqrt(2), for finite normal x > 0. */
INLINE i64x16 v_log_exponent(f64x16 x) { return ((i64x16)x - 0x3fe6a09e667f3bcd) >> 52; }

/* log(x) / log(base) given 1/log(base), for x from a float: never subnormal as a double. */
INLINE f64x16 v_log_scaled(f64x16 x, double ln2_in_base, double inverse_log_base) {
    i64x16 n = v_log_exponent(x);
    f64x16 f = x * v_power_of_two(-n) - 1.0;
    f64x16 y = v_fma(__builtin_convertvector(n, f64x16), v_splat(ln2_in_base), v_log1p_reduced_brief(f) * inverse_log_base);
    y = v_select(x < (double)V_INF, y, x);
    y = v_select(x < 0.0, v_splat((double)V_NAN), y);
    return v_select(x == 0.0, v_splat(-(double)V_INF), y);
}

/* log(1+x) for x > -1 of any size: (1+x)/2^n - 1 is x/2^n + (1/2^n - 1), nothing lost for small x. */
INLINE f64x16 v_log1p_brief(f64x16 x) {
    f64x16 u = 1.0 + x;
    i64x16 n = v_log_exponent(u);
    f64x16 scale = v_power_of_two(-n);
    f64x16 f = v_fma(x, scale, scale - 1.0);
    f64x16 y = v_fma(__builtin_convertvector(n, f64x16), v_splat(0x1.62e42fefa39efp-1), v_log1p_reduced_brief(f));
    y = v_select(u < (double)V_INF, y, u);
    y = v_select(u < 0.0, v_splat((double)V_NAN), y);
    return v_select(u == 0.0, v_splat(-(double)V_INF), y);
}

INLINE f32x16 v_log2(f32x16 x) { return v_f32(v_log_scaled(v_f64(x), 1.0, 0x1.71547652b82fep+0)); }
INLINE f32x16 v_log10(f32x16 x) { return v_f32(v_log_scaled(v_f64(x), 0x1.34413509f79ffp-2, 0x1.bcb7b1526e50ep-2)); }
INLINE f32x16 v_log1p(f32x16 x) { return v_select(x == 0.0f, x, v_f32(v_log1p_brief(v_f64(x)))); }

/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|), which neither overflows nor vanishes early. */
INLINE f32x16 v_softplus(f32x16 x) {
    f64x16 w = v_f64(x);
    return v_f32(v_greater(v_splat(0.0), w) + v_log1p_brief(v_exp_brief(-v_abs(w))));
}

/* asinh a = log1p(a + a^2 / (1 + sqrt(1 + a^2))). */
INLINE f32x16 v_asinh(f32x16 x) {
    f64x16 a = v_f64(v_abs(x)), z = a * a;
    f32x16 y = v_f32(v_log1p_brief(a + z / (1.0 + v_sqrt(1.0 + z))));
    return v_copysign(v_select(v_is_finite(x), y, x), x);
}

/* acosh x = log1p(t + sqrt(2t + t^2)), t = x - 1; NaN below 1. */
INLINE f32x16 v_acosh(f32x16 x) {
    f64x16 t = v_f64(x) - 1.0;
    return v_select(x < 1.0f, v_splat(V_NAN), v_f32(v_log1p_brief(t + v_sqrt(v_fma(t, t, t + t)))));
}

/* atanh a = log1p(2a / (1-a)) / 2; NaN above 1. */
INLINE f32x16 v_atanh(f32x16 x) {
    f64x16 a = v_f64(v_abs(x));
    f32x16 y = v_f32(0.5 * v_log1p_brief((a + a) / (1.0 - a)));
    return v_copysign(v_select(v_abs(x) > 1.0f, v_splat(V_NAN), y), x);
}

/* x^y with C99's special cases: |x|^y = 2^(y log2|x|), then the sign. */
INLINE f32x16 v_pow(f32x16 x, f32x16 y) {
    f64x16 exponent = v_f64(y) * v_log_scaled(v_f64(v_abs(x)), 1.0, 0x1.71547652b82fep+0);
    exponent = v_less(v_splat(1000.0), v_greater(v_splat(-1000.0), exponent));
    f64x16 n = v_round(exponent);
    i64x16 zero;
    f64x16 e = v_exp_reduced_brief((exponent - n) * 0x1.62e42fefa39efp-1, &zero) + 1.0;
    e *= v_power_of_two(__builtin_convertvector(v_select(n == n, n, v_splat(0.0)), i64x16));
    f32x16 power = v_f32(e);

    f32x16 half = y * 0.5f;
    i32x16 whole = v_floor(y) == y, odd = whole & (v_floor(half) != half);
    i32x16 negative = (i32x16)x < 0;
    power = v_select(odd & negative, -power, power);
    power = v_select((x < 0.0f) & v_is_finite(x) & ~whole, v_splat(V_NAN), power);
    i32x16 one = (x == 1.0f) | (y == 0.0f) | ((x == -1.0f) & v_is_inf(y));
    return v_select(one, v_splat(1.0f), power);
}

#endif
