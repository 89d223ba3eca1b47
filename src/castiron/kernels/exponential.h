/* exponential.h: exp and the functions made of it: exp2, expm1, sigmoid, tanh, sinh, cosh.
 *
 * Range reduction: x = k ln2 + r, so e^x = 2^k e^r (Cody and Waite, ln2 in two pieces, the first short enough that k
 * times it is exact). Where a vector can be permuted, k is a multiple of 1/16 and |r| <= ln2/32: 2^k is one of sixteen
 * powers with a shift into the exponent, and a polynomial of degree 3 suffices. Elsewhere, and for expm1, which must not
 * round 2^k, k is an integer and |r| <= ln2/2. Polynomials are minimax fits (Remez), coefficients rounded to the type;
 * the error of each is noted. The brief 64-bit forms are for functions whose last float bit needs more than float
 * arithmetic; exponential64.h has those that are right to the last bits of a double.
 */
#ifndef CASTIRON_EXPONENTIAL_H
#define CASTIRON_EXPONENTIAL_H

#include "vec.h"

/* Adding this to |t| < 2^22 rounds t to an integer, which is then in the sum's low bits. */
#define V_ROUNDER 0x1.8p23f

/* k of e^x = 2^k e^r is a multiple of 1 / 2^V_EXP_BITS; adding V_EXP_ROUNDER rounds to one. */
#if defined(V_PERMUTES)
#define V_EXP_BITS 4
#else
#define V_EXP_BITS 0
#endif
#define V_EXP_ROUNDER (V_ROUNDER / (1 << V_EXP_BITS))

/* x = k ln2 + r, k rounded by `rounder`. Returns r; *sum is k + rounder. |x| < 2^17. */
INLINE f32x16 v_exp_remainder(f32x16 x, float rounder, f32x16 *sum) {
    *sum = v_fma(x, v_splat(0x1.715476p+0f), v_splat(rounder));
    f32x16 k = *sum - rounder;
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

#if defined(V_PERMUTES)
/* 2^(i/16). */
#define V_POWERS ((f32x16){ \
    0x1.000000p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fe0p+0f, 0x1.3dea64p+0f, 0x1.4bfdaep+0f, \
    0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f, 0x1.ae89fap+0f, 0x1.c199bep+0f, \
    0x1.d5818ep+0f, 0x1.ea4afap+0f})

/* What the logarithm of 2^(i/16) exceeds that of the float by. */
#define V_POWER_RESTS ((f32x16){ \
    0x0.000000p+0f, 0x1.8d96d4p-25f, -0x1.9c0c22p-27f, 0x1.964902p-25f, 0x1.125002p-25f, 0x1.370be4p-25f, \
    -0x1.0a3552p-25f, -0x1.00d8acp-27f, 0x1.26055cp-26f, -0x1.05cb44p-25f, 0x1.67a1cap-28f, 0x1.a3b5e4p-28f, \
    -0x1.f9c306p-27f, -0x1.6961b4p-28f, -0x1.a5217cp-28f, 0x1.61428ep-28f})

/* 2^(k - floor k) for sum = k + V_EXP_ROUNDER. */
INLINE f32x16 v_power_fraction(f32x16 sum) { return v_permute(V_POWERS, (i32x16)sum); }

/* 2^(k + n), -126 <= k + n < 128. The shift moves all of 16 k, so the powers are without what its fraction adds. */
INLINE f32x16 v_power(f32x16 sum, int32_t n) {
    i32x16 powers = (i32x16)V_POWERS - (V_IOTA << 19) + (n << 23);
    return (f32x16)((i32x16)v_permute((f32x16)powers, (i32x16)sum) + ((i32x16)sum << 19));
}

/* Adds to r what rounding took from the power. */
INLINE f32x16 v_exp_exact(f32x16 sum, f32x16 r) { return r + v_permute(V_POWER_RESTS, (i32x16)sum); }

/* power e^r for |r| <= ln2/32, relative error of the polynomial 2^-28. */
INLINE f32x16 v_times_exp(f32x16 power, f32x16 r) {
    f32x16 q = v_fma(v_splat(0x1.5551a2p-3f), r, v_splat(0x1.0001fcp-1f));
    return v_fma(power * r, v_fma(q, r, v_splat(1.0f)), power);
}
#else
INLINE f32x16 v_power_fraction(f32x16 sum) { return v_splat(1.0f); }
INLINE f32x16 v_power(f32x16 sum, int32_t n) { return (f32x16)(((i32x16)sum << 23) + ((n + 127) << 23)); }
INLINE f32x16 v_exp_exact(f32x16 sum, f32x16 r) { return r; }
INLINE f32x16 v_times_exp(f32x16 power, f32x16 r) { return v_fma(v_exp_polynomial(r), power, power); }
#endif

/* 2^n, -126 <= n <= 127. */
INLINE f32x16 v_power_of_two(i32x16 n) { return (f32x16)((n + 127) << 23); }
/* 2^n, -1022 <= n <= 1023. */
INLINE f64x16 v_power_of_two(i64x16 n) { return (f64x16)((n + 1023) << 52); }

/* x 2^floor(k) for sum = k + V_EXP_ROUNDER, -252 <= k < 255, rounded once where the result is subnormal: hence in two
 * steps. */
INLINE f32x16 v_scale(f32x16 x, f32x16 sum) {
#if defined(__AVX512F__)
    f32x16 k = sum - V_EXP_ROUNDER;
    return __builtin_ia32_scalefps512_mask(x, k, x, (uint16_t)-1, 4); /* in the rounding mode that is set */
#else
    i32x16 n = ((i32x16)sum - (i32x16)v_splat(V_EXP_ROUNDER)) >> V_EXP_BITS, half = n >> 1;
    return x * v_power_of_two(half) * v_power_of_two(n - half);
#endif
}

INLINE f32x16 v_exp(f32x16 x) {
    f32x16 sum, r = v_exp_remainder(v_clamp(x, -105.0f, 89.0f), V_EXP_ROUNDER, &sum);
    return v_scale(v_times_exp(v_power_fraction(sum), r), sum);
}

/* e^x for x <= 0. */
INLINE f32x16 v_exp_falling(f32x16 x) {
    f32x16 sum, r = v_exp_remainder(v_greater(v_splat(-105.0f), x), V_EXP_ROUNDER, &sum);
    return v_scale(v_times_exp(v_power_fraction(sum), r), sum);
}

/* e^x for -87 <= x <= 88, where the result is neither subnormal nor overflows. */
INLINE f32x16 v_exp_normal(f32x16 x) {
    f32x16 sum, r = v_exp_remainder(x, V_EXP_ROUNDER, &sum);
    return v_times_exp(v_power(sum, 0), r);
}

INLINE f32x16 v_exp2(f32x16 x) {
    x = v_clamp(x, -151.0f, 129.0f);
    f32x16 sum = x + V_EXP_ROUNDER, r = (x - (sum - V_EXP_ROUNDER)) * 0x1.62e430p-1f;
    return v_scale(v_times_exp(v_power_fraction(sum), r), sum);
}

/* 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1); halved inside so that 2^128 never appears. Tiny x is its own answer. */
INLINE f32x16 v_expm1(f32x16 x) {
    f32x16 sum, r = v_exp_remainder(v_clamp(x, -18.0f, 89.0f), V_ROUNDER, &sum);
    f32x16 half = v_power_of_two((i32x16)sum - (i32x16)v_splat(V_ROUNDER) - 1);
    f32x16 y = v_fma(v_exp_polynomial(r), half, half - 0.5f);
    return v_select(v_abs(x) < 0x1p-26f, x, y + y);
}

/* 1 / (1 + e^-x), both times 2^-30, so that e^-x does not overflow where the result is subnormal. Where it is 1, e^-x
 * may be anything small. Three roundings follow the power's, which would show too. */
INLINE f32x16 v_sigmoid(f32x16 x) {
    f32x16 sum, r = v_exp_remainder(-v_clamp(x, -105.0f, 66.0f), V_EXP_ROUNDER, &sum);
    return 0x1p-30f / (0x1p-30f + v_times_exp(v_power(sum, -30), v_exp_exact(sum, r)));
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
