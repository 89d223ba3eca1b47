/* erf.h: the error function, its complement and the normal distribution. */
#ifndef CASTIRON_ERF_H
#define CASTIRON_ERF_H

#include "exponential.h"

/* Small |x|: x + x p(x^2), relative error 2^-30. Else 1 - e^-q(|x|), where q fits -log(erfc) to 2^-33 of erfc;
 * beyond 4 the float nearest to erf is 1. Minimax fits (Remez). */
INLINE f32x16 v_erf(f32x16 x) {
    f32x16 a = v_less(v_splat(4.0f), v_abs(x)), z = a * a;
    f32x16 p = v_splat(0x1.4f562ep-14f);
    p = v_fma(p, z, v_splat(-0x1.a606c2p-11f));
    p = v_fma(p, z, v_splat(0x1.5449e4p-8f));
    p = v_fma(p, z, v_splat(-0x1.b80118p-6f));
    p = v_fma(p, z, v_splat(0x1.ce2d64p-4f));
    p = v_fma(p, z, v_splat(-0x1.812740p-2f));
    p = v_fma(p, z, v_splat(0x1.06eba8p-3f));
    f32x16 small = v_fma(p, a, a);
    f32x16 q = v_splat(0x1.63647ap-16f);
    q = v_fma(q, a, v_splat(-0x1.c8a056p-12f));
    q = v_fma(q, a, v_splat(0x1.11abf2p-8f));
    q = v_fma(q, a, v_splat(-0x1.9bc318p-6f));
    q = v_fma(q, a, v_splat(0x1.bb97e0p-4f));
    q = v_fma(q, a, v_splat(0x1.4443d2p-1f));
    q = v_fma(q, a, v_splat(0x1.21286ep+0f));
    q = v_fma(q, a, v_splat(-0x1.71d952p-13f));
    f32x16 large = 1.0f - v_exp_normal(-q);
    return v_copysign(v_select(a < 0.921875f, small, large), x);
}

/* erfc a = e^(-a^2) g(u) / (1 + 2a) for a = |x|, u = (a-3)/(a+3); g is a minimax fit (Remez) for a <= 10.6, where
 * erfc leaves the floats, relative error 2^-36. The square of a float is exact in double. */
INLINE f32x16 v_erfc(f32x16 x) {
    f64x16 a = v_less(v_splat(10.6), v_f64(v_abs(x)));
    f64x16 u = (a - 3.0) / (a + 3.0);
    f64x16 g = v_splat(-0x1.2b130a7849666p-18);
    g = v_fma(g, u, v_splat(0x1.552c3f1bf0e39p-16));
    g = v_fma(g, u, v_splat(0x1.f0949b73ca03dp-14));
    g = v_fma(g, u, v_splat(-0x1.f60a5511dd864p-14));
    g = v_fma(g, u, v_splat(-0x1.998d970c58154p-11));
    g = v_fma(g, u, v_splat(0x1.f0732b9d68bf4p-10));
    g = v_fma(g, u, v_splat(0x1.4bb133a4fef46p-9));
    g = v_fma(g, u, v_splat(-0x1.857850752ac02p-6));
    g = v_fma(g, u, v_splat(0x1.17c9e9c2b1f3ap-4));
    g = v_fma(g, u, v_splat(-0x1.e88b6e70e0a00p-4));
    g = v_fma(g, u, v_splat(0x1.098368c8bb811p-3));
    g = v_fma(g, u, v_splat(-0x1.85a15d73c3a8ep-5));
    g = v_fma(g, u, v_splat(-0x1.15c084c565b8ep-3));
    g = v_fma(g, u, v_splat(0x1.40c522d7f1522p+0));
    f64x16 tail = v_exp_brief(-a * a) * g / (1.0 + 2.0 * a);
    f64x16 y = v_select(v_mask64(x < 0.0f), 2.0 - tail, tail);
    return v_f32(y);
}

/* What rounding took from square = a a. */
INLINE f32x16 v_square_lost(f32x16 a, f32x16 square) {
#if defined(__FMA__) || defined(__aarch64__)
    return v_fma(a, a, -square);
#else
    f32x16 high = (f32x16)((i32x16)a & ~0xfff), low = a - high;
    return (high * high - square) + low * (a + high);
#endif
}

/* For a = |x| <= 14.2, where the result leaves the floats, e^(-a^2/2) t p(a t), t = 1/(a + 5/2); p is a minimax fit
 * (Remez), relative error 2^-26. What rounding takes from a^2 goes into the exponential. Within 5 ULP. */
INLINE f32x16 v_ndtr(f32x16 x) {
    f32x16 a = v_less(v_splat(14.2f), v_abs(x));
    f32x16 t = 1.0f / (a + 2.5f), s = a * t;
    f32x16 p = v_splat(-0x1.492a90p-4f);
    p = v_fma(p, s, v_splat(0x1.20f662p-2f));
    p = v_fma(p, s, v_splat(-0x1.458840p-2f));
    p = v_fma(p, s, v_splat(0x1.240cb6p-3f));
    p = v_fma(p, s, v_splat(-0x1.385e8cp-3f));
    p = v_fma(p, s, v_splat(0x1.d35792p-5f));
    p = v_fma(p, s, v_splat(0x1.2aa66ep-2f));
    p = v_fma(p, s, v_splat(0x1.5b6818p-3f));
    p = v_fma(p, s, v_splat(-0x1.3e4f0ap+0f));
    p = v_fma(p, s, v_splat(1.25f)) * t;
    f32x16 square = a * a;
    f32x16 sum, r = v_exp_remainder(-0.5f * square, V_EXP_ROUNDER, &sum);
    r = v_fma(v_square_lost(a, square), v_splat(-0.5f), r);
    f32x16 tail = v_scale(v_times_exp(p * v_power_fraction(sum), r), sum);
    return v_select(x < 0.0f, tail, 1.0f - tail);
}

#endif
