/* exponential.h: exp and the functions made of it: exp2, expm1, sigmoid, tanh, sinh, cosh.
 *
 * Range reduction: x = n ln2 + r, |r| <= ln2/2, so e^x = 2^n e^r (Cody and Waite, ln2 in two pieces, the first
 * short enough that n times it is exact). Polynomials are minimax fits (Remez), coefficients rounded to the
 * type; the error of each is noted. The brief 64-bit forms are for functions whose last float bit needs more
 * than float arithmetic; exponential64.h has those that are right to the last bits of a double.
 */
#ifndef CASTIRON_EXPONENTIAL_H
#define CASTIRON_EXPONENTIAL_H

#include "vec.h"

/* Adding this to |t| < 2^22 rounds t to an integer, which is then in the sum's low bits. */
#define V_ROUNDER 0x1.8p23f

/* n = x / ln2 rounded; returns x - n ln2. |x| < 2^21. */
INLINE f32x16 v_exp_remainder(f32x16 x, i32x16 *n) {
    f32x16 rounder = v_splat(V_ROUNDER);
    f32x16 shifted = v_fma(x, v_splat(0x1.715476p+0f), rounder);
    f32x16 k = shifted - rounder;
    *n = (i32x16)shifted - (i32x16)rounder;
    f32x16 r = v_fma(k, v_splat(-0x1.63p-1f), x);
    return v_fma(k, v_splat(0x1.bd0106p-13f), r);
}

/* e^r - 1 for |r| <= ln2/2: r + r^2 q(r), relative error 2^-28. */
INLINE f32x16 v_exp_polynomial(f32x16 r) {
    f32x16 q = v_splat(0x1.a032c4p-13f);
    q = v_fma(q, r, v_splat(0x1.6d7348p-10f));
    q = v_fma(q, r, v_splat(0x1.11118ap-7f));
    q = v_fma(q, r, v_splat(0x1.5554b0p-5f));
    q = v_fma(q, r, v_splat(0x1.555554p-3f));
    q = v_fma(q, r, v_splat(0.5f));
    return v_fma(r * r, q, r);
}

/* n = x / ln2 rounded; returns e^r - 1. |x| < 2^21. */
INLINE f32x16 v_exp_reduced(f32x16 x, i32x16 *n) {
    return v_exp_polynomial(v_exp_remainder(x, n));
}

/* 2^n, -126 <= n <= 127. */
INLINE f32x16 v_power_of_two(i32x16 n) { return (f32x16)((n + 127) << 23); }
/* 2^n, -1022 <= n <= 1023. */
INLINE f64x16 v_power_of_two(i64x16 n) { return (f64x16)((n + 1023) << 52); }

/* x 2^n for -252 <= n <= 254, rounded once where the result is subnormal: hence in two steps. */
INLINE f32x16 v_scale(f32x16 x, i32x16 n) {
#if defined(__AVX512F__)
    return __builtin_ia32_scalefps512_mask(x, v_f32(n), x, (uint16_t)-1, 4); /* in the rounding mode that is set */
#else
    i32x16 half = n >> 1;
    return x * v_power_of_two(half) * v_power_of_two(n - half);
#endif
}

INLINE f32x16 v_exp(f32x16 x) {
    i32x16 n;
    f32x16 e = v_exp_reduced(v_clamp(x, -105.0f, 89.0f), &n);
    return v_scale(e + 1.0f, n);
}

/* e^x for -87 <= x <= 88, where the result is neither subnormal nor overflows. */
INLINE f32x16 v_exp_normal(f32x16 x) {
    i32x16 n;
    f32x16 e = v_exp_reduced(x, &n);
    return (e + 1.0f) * v_power_of_two(n);
}

INLINE f32x16 v_exp2(f32x16 x) {
    x = v_clamp(x, -151.0f, 129.0f);
    f32x16 n = v_round(x);
    f32x16 r = (x - n) * 0x1.62e430p-1f;
    i32x16 zero;
    return v_scale(v_exp_reduced(r, &zero) + 1.0f, v_i32(v_select(v_is_nan(n), v_splat(0.0f), n)));
}

/* 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1); halved inside so that 2^128 never appears. Tiny x is its own answer. */
INLINE f32x16 v_expm1(f32x16 x) {
    i32x16 n;
    f32x16 e = v_exp_reduced(v_clamp(x, -18.0f, 89.0f), &n);
    f32x16 half = v_power_of_two(n - 1);
    f32x16 y = v_fma(e, half, half - 0.5f);
    return v_select(v_abs(x) < 0x1p-26f, x, y + y);
}

/* 1 / (1 + e^-x), both times 2^-30, so that e^-x does not overflow where the result is subnormal. Where it is 1, e^-x
 * may be anything small. */
INLINE f32x16 v_sigmoid(f32x16 x) {
    i32x16 n;
    f32x16 e = v_exp_reduced(v_clamp(-x, -66.0f, 105.0f), &n), scale = v_power_of_two(n - 30);
    return 0x1p-30f / (0x1p-30f + v_fma(e, scale, scale));
}

/* Small |x|: x + x^3 p(x^2), relative error 2^-29. Else 1 - 2 / (e^2|x| + 1). */
INLINE f32x16 v_tanh(f32x16 x) {
    f32x16 a = v_abs(x), z = x * x;
    f32x16 p = v_splat(-0x1.9454f2p-8f);
    p = v_fma(p, z, v_splat(0x1.5811f6p-6f));
    p = v_fma(p, z, v_splat(-0x1.b905c4p-5f));
    p = v_fma(p, z, v_splat(0x1.110c5ep-3f));
    p = v_fma(p, z, v_splat(-0x1.555548p-2f));
    f32x16 small = v_fma(p * z, a, a);
    f32x16 e = v_exp_normal(v_less(v_splat(20.0f), a + a));
    f32x16 large = 1.0f - 2.0f / (e + 1.0f);
    return v_copysign(v_select(a < 0.5625f, small, large), x);
}

/* n = x / ln2 rounded; returns e^r - 1, relative error 2^-43. |x| < 2^20. */
INLINE f64x16 v_exp_reduced_brief(f64x16 x, i64x16 *n) {
    f64x16 rounder = v_splat(0x1.8p52);
    f64x16 shifted = v_fma(x, v_splat(0x1.71547652b82fep+0), rounder);
    f64x16 k = shifted - rounder;
    *n = (i64x16)shifted - (i64x16)rounder;
    f64x16 r = v_fma(k, v_splat(-0x1.62e42feep-1), x);
    r = v_fma(k, v_splat(-0x1.a39ef35793c76p-33), r);
    f64x16 p = v_splat(0x1.73c1b0fc0b593p-19);
    p = v_fma(p, r, v_splat(0x1.a165f8167a11dp-16));
    p = v_fma(p, r, v_splat(0x1.a018f2aa79c31p-13));
    p = v_fma(p, r, v_splat(0x1.6c16455791918p-10));
    p = v_fma(p, r, v_splat(0x1.111111430a185p-7));
    p = v_fma(p, r, v_splat(0x1.55555577aedf7p-5));
    p = v_fma(p, r, v_splat(0x1.555555554c010p-3));
    p = v_fma(p, r, v_splat(0x1.fffffffff5bccp-2));
    return v_fma(p * r, r, r);
}

/* Clamped to |x| <= 700, beyond which a float has long overflowed or vanished. */
INLINE f64x16 v_exp_brief(f64x16 x) {
    i64x16 n;
    f64x16 e = v_exp_reduced_brief(v_less(v_splat(700.0), v_greater(v_splat(-700.0), x)), &n);
    return (e + 1.0) * v_power_of_two(n);
}

INLINE f64x16 v_expm1_brief(f64x16 x) {
    i64x16 n;
    f64x16 e = v_exp_reduced_brief(v_less(v_splat(700.0), v_greater(v_splat(-700.0), x)), &n);
    f64x16 scale = v_power_of_two(n);
    return v_fma(e, scale, scale - 1.0);
}

/* With t = e^|x| - 1: sinh |x| = (t + t / (t + 1)) / 2. */
INLINE f32x16 v_sinh(f32x16 x) {
    f64x16 t = v_expm1_brief(v_f64(v_abs(x)));
    return v_copysign(v_f32(0.5 * (t + t / (t + 1.0))), x);
}

INLINE f32x16 v_cosh(f32x16 x) {
    f64x16 e = v_exp_brief(v_f64(v_abs(x)));
    return v_f32(0.5 * (e + 1.0 / e));
}

#endif
