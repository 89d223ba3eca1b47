/* logarithm64.h: log and the functions made of it, of doubles. */
#ifndef CASTIRON_LOGARITHM64_H
#define CASTIRON_LOGARITHM64_H

#include "exponential64.h"
#include "pair.h"

/* x = 2^n (1+f), sqrt(1/2) <= 1+f < sqrt(2), for finite x > 0. */
INLINE f64x16 v_log_split(f64x16 x, f64x16 *n) {
    i64x16 tiny = x < 0x1p-1022;
    i64x16 above = (i64x16)v_select(tiny, x * 0x1p54, x) - 0x3fe6a09e667f3bcd; /* bits above those of sqrt(1/2) */
    *n = __builtin_convertvector((above >> 52) - (tiny & 54), f64x16);
    return (f64x16)((above & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
}

/* n ln2 + log(1+f) + low. With s = f/(2+f), z = s^2: log(1+f) = f - (f^2/2 - s (f^2/2 + z p(z))), relative error
 * 2^-57. */
INLINE f64x16 v_log_sum(f64x16 n, f64x16 f, f64x16 low) {
    static const double c[] = {0x1.2b5a8aca255fdp-3, 0x1.39fe31c77715cp-3, 0x1.7462b61242bb4p-3, 0x1.c71c62e0922bcp-3,
                               0x1.2492492df5266p-2, 0x1.99999999952bfp-2, 0x1.5555555555558p-1};
    f64x16 s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    f64x16 t = v_fma(n, v_splat(0x1.473de6af278edp-34), low);
    t = v_fma(s, v_fma(z, v_polynomial(z, c, 7), half), t);
    return v_fma(n, v_splat(0x1.62e42fefp-1), f - (half - t));
}

/* What a logarithm of x is at infinity and below the smallest number. */
INLINE f64x16 v_log_ends(f64x16 x, f64x16 y) {
    y = v_select(x < (double)V_INF, y, x);
    y = v_select(x < 0.0, v_splat((double)V_NAN), y);
    return v_select(x == 0.0, v_splat(-(double)V_INF), y);
}

FUNCTION64 v_log(f64x16 x) {
    f64x16 n, f = v_log_split(x, &n);
    return v_log_ends(x, v_log_sum(n, f, v_splat(0.0)));
}

/* log u + (x - (u - 1)) / u for u = 1 + x rounded. */
FUNCTION64 v_log1p(f64x16 x) {
    f64x16 u = 1.0 + x, lost = v_select(x > 1.0, 1.0 - (u - x), x - (u - 1.0));
    f64x16 n, f = v_log_split(u, &n);
    f64x16 y = v_log_ends(u, v_log_sum(n, f, v_select(u < 0x1p60, lost / u, v_splat(0.0))));
    return v_select(x == 0.0, x, y);
}

FUNCTION64 v_softplus(f64x16 x) { return v_greater(v_splat(0.0), x) + v_log1p(v_exp(-v_abs(x))); }

/* From here on both are log 2x. */
#define V_LARGE 0x1p60

/* asinh a = log1p(a + a^2 / (1 + sqrt(1 + a^2))). */
FUNCTION64 v_asinh(f64x16 x) {
    f64x16 a = v_abs(x), z = a * a;
    i64x16 large = a > V_LARGE;
    f64x16 y = v_log1p(v_select(large, a, a + z / (1.0 + v_sqrt(1.0 + z))));
    return v_copysign(y + v_select(large, v_splat(0x1.62e42fefa39efp-1), v_splat(0.0)), x);
}

/* acosh x = log1p(t + sqrt(2t + t^2)), t = x - 1; NaN below 1. */
FUNCTION64 v_acosh(f64x16 x) {
    f64x16 t = x - 1.0;
    i64x16 large = x > V_LARGE;
    f64x16 y = v_log1p(v_select(large, x, t + v_sqrt(v_fma(t, t, t + t))));
    y += v_select(large, v_splat(0x1.62e42fefa39efp-1), v_splat(0.0));
    return v_select(x < 1.0, v_splat((double)V_NAN), y);
}

/* atanh a = log1p(2a / (1-a)) / 2; NaN above 1. */
FUNCTION64 v_atanh(f64x16 x) {
    f64x16 a = v_abs(x), y = 0.5 * v_log1p((a + a) / (1.0 - a));
    return v_copysign(v_select(a > 1.0, v_splat((double)V_NAN), v_select(a < 0x1p-28, a, y)), x);
}

/* log x as a pair, relative error 2^-65, for finite x > 0: with s = f/(2+f), z = s^2, log(1+f) = 2s + 2/3 s^3 +
 * s^5 q(z). */
INLINE pair v_log_pair(f64x16 x) {
    static const double c[] = {0x1.e03154927f8a6p-4, 0x1.df7c8211b283cp-4, 0x1.1118c93749c38p-3, 0x1.3b1395cbdf152p-3,
                               0x1.745d177aa4f0ep-3, 0x1.c71c71c6ea903p-3, 0x1.2492492492522p-2, 0x1.999999999999ap-2};
    f64x16 n, f = v_log_split(x, &n);
    pair s = pair_quotient(f, pair_sum(v_splat(2.0), f)), z = pair_product(s, s);
    pair cube = pair_product(pair_product(s, z), (pair){v_splat(0x1.5555555555555p-1), v_splat(0x1.5555555555555p-55)});
    f64x16 tail = s.high * z.high * z.high * v_polynomial(z.high, c, 8);
    pair y = pair_sum(2.0 * s.high, cube.high);
    y.low += 2.0 * s.low + (cube.low + tail);
    pair whole = pair_sum(n * 0x1.62e42fefp-1, y.high);
    return pair_sum(whole.high, whole.low + v_fma(n, v_splat(0x1.473de6af278edp-34), y.low));
}

/* x^y with C99's special cases: e^(y log |x|), then the sign. */
FUNCTION64 v_pow(f64x16 x, f64x16 y) {
    f64x16 a = v_abs(x);
    pair l = v_log_pair(a);
    f64x16 by = v_between(y, -0x1p70, 0x1p70), high = v_log_ends(a, l.high);
    pair exponent = pair_exact_product(by, high);
    i64x16 inside = v_abs(exponent.high) < 800.0;
    i64x16 n;
    f64x16 e = v_exp_reduced(v_between(exponent.high, -800.0, 800.0),
                             v_select(inside, v_fma(by, l.low, exponent.low), v_splat(0.0)), &n);
    f64x16 power = v_scale(1.0 + e, n);

    f64x16 half = y * 0.5;
    i64x16 whole = v_floor(y) == y, odd = whole & (v_floor(half) != half);
    power = v_select(odd & ((i64x16)x < 0), -power, power);
    power = v_select((x < 0.0) & (a < (double)V_INF) & ~whole, v_splat((double)V_NAN), power);
    i64x16 one = (x == 1.0) | (y == 0.0) | ((x == -1.0) & (v_abs(y) == (double)V_INF));
    return v_select(one, v_splat(1.0), power);
}

#endif
