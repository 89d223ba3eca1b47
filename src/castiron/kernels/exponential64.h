/* exponential64.h: exp and the functions made of it, of doubles, by the formulas of exponential.h. */
#ifndef CASTIRON_EXPONENTIAL64_H
#define CASTIRON_EXPONENTIAL64_H

#include "exponential.h"

/* Functions of doubles are called, not written out: 16 doubles fill most registers anyway. */
#define FUNCTION64 NOINLINE __attribute__((overloadable)) f64x16

/* c[0] x^(n-1) + ... + c[n-1]. */
INLINE f64x16 v_polynomial(f64x16 x, const double *c, const int n) {
    f64x16 p = v_splat(c[0]);
#pragma clang loop unroll(full)
    for (int i = 1; i < n; i++) p = v_fma(p, x, v_splat(c[i]));
    return p;
}

/* x 2^n for -2044 <= n <= 2046: in two steps, so that a subnormal result is rounded once. */
INLINE f64x16 v_scale(f64x16 x, i64x16 n) {
    i64x16 half = n >> 1;
    return x * v_power_of_two(half) * v_power_of_two(n - half);
}

/* n = x / ln2 rounded; returns e^r - 1 where x + low = n ln2 + r. |x| < 2^11. (e^r - 1 - r) / r^2 has the relative
 * error 2^-60 of e^r - 1. */
INLINE f64x16 v_exp_reduced(f64x16 x, f64x16 low, i64x16 *n) {
    static const double c[] = {0x1.1f7340dbc337ep-29, 0x1.af4e554377204p-26, 0x1.27e4db46cddd1p-22,
                               0x1.71de01fdbf9cap-19, 0x1.a01a01a6e1e2ap-16, 0x1.a01a01abf85abp-13,
                               0x1.6c16c16c162c3p-10, 0x1.11111111100bep-7,  0x1.5555555555556p-5,
                               0x1.5555555555557p-3,  0.5};
    f64x16 rounder = v_splat(0x1.8p52);
    f64x16 shifted = v_fma(x, v_splat(0x1.71547652b82fep+0), rounder), k = shifted - rounder;
    *n = (i64x16)shifted - (i64x16)rounder;
    f64x16 r = v_fma(k, v_splat(-0x1.62e42fefp-1), x) + v_fma(k, v_splat(-0x1.473de6af278edp-34), low);
    return v_fma(r * r, v_polynomial(r, c, 11), r);
}

INLINE f64x16 v_between(f64x16 x, double low, double high) {
    return v_less(v_splat(high), v_greater(v_splat(low), x));
}

FUNCTION64 v_exp(f64x16 x) {
    i64x16 n;
    f64x16 e = v_exp_reduced(v_between(x, -746.0, 710.0), v_splat(0.0), &n);
    return v_scale(1.0 + e, n);
}

FUNCTION64 v_expm1(f64x16 x) {
    i64x16 n;
    f64x16 e = v_exp_reduced(v_between(x, -40.0, 710.0), v_splat(0.0), &n), half = v_power_of_two(n - 1);
    f64x16 y = v_fma(e, half, half - 0.5);
    return v_select(v_abs(x) < 0x1p-55, x, y + y);
}

FUNCTION64 v_sigmoid(f64x16 x) {
    f64x16 e = v_exp(-v_abs(x)), sum = 1.0 + e, lost = e - (sum - 1.0);
    f64x16 y = v_select(x < 0.0, e, v_splat(1.0)) / sum;
    return v_fma(-y, lost / sum, y);
}

/* With t = e^2|x| - 1: t / (t + 2). */
FUNCTION64 v_tanh(f64x16 x) {
    f64x16 a = v_abs(x), t = v_expm1(v_between(a + a, 0.0, 44.0));
    return v_copysign(v_select(a < 0x1p-28, a, t / (t + 2.0)), x);
}

/* With h = (e^|x| - 1) / 8: sinh |x| = 4 (h + h / (8h + 1)), cosh x = 4 (g + 1 / 64g) for g = h + 1/8; an eighth, so
 * that the power of two doesn't overflow before the result does. */
FUNCTION64 v_sinh(f64x16 x) {
    i64x16 n;
    f64x16 a = v_abs(x), e = v_exp_reduced(v_between(a, 0.0, 711.0), v_splat(0.0), &n), eighth = v_power_of_two(n - 3);
    f64x16 h = v_fma(e, eighth, eighth - 0.125);
    return v_copysign(v_select(a < 0x1p-28, a, 4.0 * (h + h / (8.0 * h + 1.0))), x);
}

FUNCTION64 v_cosh(f64x16 x) {
    i64x16 n;
    f64x16 e = v_exp_reduced(v_between(v_abs(x), 0.0, 711.0), v_splat(0.0), &n);
    f64x16 g = (1.0 + e) * v_power_of_two(n - 3);
    return 4.0 * (g + 0.015625 / g);
}

#endif
