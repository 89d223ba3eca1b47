/* trigonometric64.h: sin, cos, tan, asin, acos, atan, atan2 of doubles. */
#ifndef CASTIRON_TRIGONOMETRIC64_H
#define CASTIRON_TRIGONOMETRIC64_H

#include "exponential64.h"
#include "pair.h"

/* As the function of this name for floats: 2/pi has 1152 bits here, of which 192 matter, times 53 bits. */
NOINLINE __attribute__((overloadable)) void reduce_large_angles(const double *x, double *remainder, double *low,
                                                                int64_t *quadrant) {
    static const uint64_t two_over_pi[] = {
        0xa2f9836e4e441529ull, 0xfc2757d1f534ddc0ull, 0xdb6295993c439041ull, 0xfe5163abdebbc561ull,
        0xb7246e3a424dd2e0ull, 0x06492eea09d1921cull, 0xfe1deb1cb129a73eull, 0xe88235f52ebb4484ull,
        0xe99c7026b45f7e41ull, 0x3991d639835339f4ull, 0x9c845f8bbdf9283bull, 0x1ff897ffde05980full,
        0xef2f118b5a0a6d1full, 0x6d367ecf27cb09b7ull, 0x4f463f669e5fea2dull, 0x7527bac7ebe5f17bull,
        0x3d0739f78a5292eaull, 0x6bfb5fb11f8d5d08ull, 0x56033046fc7b6babull, 0xf0cfbc209af4361dull};
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t bits = __builtin_bit_cast(uint64_t, x[lane]);
        int64_t exponent = (int64_t)(bits >> 52 & 0x7ff) - 1023;
        if (exponent < 20 || exponent == 1024) continue;
        uint64_t significand = (bits & 0xfffffffffffff) | 0x10000000000000;
        /* x = significand * 2^shift: bits of 2/pi before shift - 2 give multiples of 4. The first 64 may be zeros. */
        int64_t first = exponent - 52 - 2 + 64, word = first / 64, offset = first % 64;
        uint64_t window[4];
        for (int i = 0; i < 4; i++) window[i] = word + i == 0 ? 0 : two_over_pi[word + i - 1];
        if (offset)
            for (int i = 0; i < 3; i++) window[i] = window[i] << offset | window[i + 1] >> (64 - offset);
        /* x * 2/pi mod 4, in units of 2^-62, and 128 bits of fraction behind. */
        unsigned __int128 product = (unsigned __int128)significand * window[2];
        uint64_t third = (uint64_t)product;
        product = (unsigned __int128)significand * window[1] + (uint64_t)(product >> 64);
        uint64_t second = (uint64_t)product, turns = significand * window[0] + (uint64_t)(product >> 64);
        int64_t nearest = (int64_t)((turns >> 62) + (turns >> 61 & 1));
        /* The signed rest as its size, shifted to the top. */
        uint64_t a = turns - ((uint64_t)nearest << 62), b = second, c = third;
        int below = (int64_t)a < 0;
        if (below) {
            a = ~a, b = ~b, c = ~c;
            if (++c == 0 && ++b == 0) ++a;
        }
        double scale = 0x1p-62;
        if (a == 0) a = b, b = c, scale = 0x1p-126;
        int zeros = __builtin_clzll(a | 1);
        if (zeros) a = a << zeros | b >> (64 - zeros), b <<= zeros;
        for (int i = 0; i < zeros; i++) scale *= 0.5;
        /* times pi/2: the first 22 bits with the first 31, exactly. */
        double rest = (double)(int64_t)((a & 2047) << 10 | b >> 54) * 0x1p-10;
        double h1 = (double)(int64_t)(a >> 42) * 0x1p42, h2 = (double)(int64_t)(a >> 11 << 11 & 0x3ffffffffff) + rest;
        double r = h1 * 0x1.921fb544p+0, r2 = h2 * 0x1.921fb54442d18p+0 + h1 * 0x1.0b4611a626331p-34;
        if (below) scale = -scale;
        if (bits >> 63) scale = -scale, nearest = -nearest;
        remainder[lane] = (r + r2) * scale;
        low[lane] = (r2 - ((r + r2) - r)) * scale;
        quadrant[lane] = nearest;
    }
}

/* x = quadrant pi/2 + remainder, |remainder| <= pi/4 and as a pair: pi/2 in three pieces, the first two of 33 bits so
 * that their products with the quadrant are exact. */
INLINE pair v_reduce_angle(f64x16 x, i64x16 *quadrant) {
    f64x16 rounder = v_splat(0x1.8p52), shifted = v_fma(x, v_splat(0x1.45f306dc9c883p-1), rounder);
    f64x16 n = shifted - rounder;
    pair r = pair_sum(v_fma(n, v_splat(-0x1.921fb544p+0), x), n * -0x1.0b4611a6p-34);
    r = pair_sum(r.high, v_fma(n, v_splat(-0x1.3198a2e037073p-69), r.low));
    *quadrant = (i64x16)shifted;
    i64x16 large = v_abs(x) >= 0x1p20;
    if (__builtin_expect(v_any(v_mask32(large)), 0)) {
        r.high = v_select(large, v_splat((double)V_NAN), r.high);
        reduce_large_angles((const double *)&x, (double *)&r.high, (double *)&r.low, (int64_t *)quadrant);
    }
    return r;
}

/* z = r^2: r + r z s(z), relative error 2^-55. */
INLINE f64x16 v_sin_reduced(pair r) {
    static const double c[] = {0x1.5e0af186af739p-33,  -0x1.ae600a926c89ap-26, 0x1.71de37961e4c6p-19,
                               -0x1.a01a019e8357dp-13, 0x1.1111111110bb1p-7,   -0x1.5555555555555p-3};
    f64x16 z = r.high * r.high;
    return r.high + v_fma(r.high * z, v_polynomial(z, c, 6), r.low * v_fma(z, v_splat(-0.5), v_splat(1.0)));
}

/* z = r^2: 1 - z/2 + z^2 c(z), error 2^-60. */
INLINE f64x16 v_cos_reduced(pair r) {
    static const double c[] = {-0x1.907d7aebd5e3dp-37, 0x1.1eeb68b109173p-29,  -0x1.27e4fa17a41b4p-22,
                               0x1.a01a019f4e867p-16,  -0x1.6c16c16c16966p-10, 0x1.5555555555555p-5};
    f64x16 z = r.high * r.high, half = 0.5 * z, most = 1.0 - half;
    return most + (((1.0 - most) - half) + (z * z * v_polynomial(z, c, 6) - r.high * r.low));
}

/* sin(r + quadrant pi/2). */
FUNCTION64 v_sin_of(pair r, i64x16 quadrant) {
    f64x16 y = v_select((quadrant & 1) != 0, v_cos_reduced(r), v_sin_reduced(r));
    return v_select((quadrant & 2) != 0, -y, y);
}

FUNCTION64 v_sin(f64x16 x) {
    i64x16 quadrant;
    pair r = v_reduce_angle(x, &quadrant);
    return v_select(x == 0.0, x, v_sin_of(r, quadrant));
}

FUNCTION64 v_cos(f64x16 x) {
    i64x16 quadrant;
    pair r = v_reduce_angle(x, &quadrant);
    return v_sin_of(r, quadrant + 1);
}

FUNCTION64 v_tan(f64x16 x) {
    i64x16 quadrant;
    pair r = v_reduce_angle(x, &quadrant);
    f64x16 s = v_sin_reduced(r), c = v_cos_reduced(r);
    i64x16 odd = (quadrant & 1) != 0;
    return v_select(x == 0.0, x, v_select(odd, -c, s) / v_select(odd, s, c));
}

/* |s| <= 1/2: s (1 + z p(z)), z = s^2, relative error 2^-57. */
FUNCTION64 v_asin_reduced(f64x16 s, f64x16 z) {
    static const double c[] = {0x1.d72b2bc8155f8p-6, -0x1.e6aaa8a0a04ccp-7, 0x1.1d189408314eep-6,
                               0x1.65a9c4dfcf8b2p-8, 0x1.52420b04b37bep-7,  0x1.782651caa6547p-7,
                               0x1.c9cf07674736ap-7, 0x1.1c4d35cf95421p-6,  0x1.6e8bb1c8209a2p-6,
                               0x1.f1c71c1db0623p-6, 0x1.6db6db6e31f13p-5,  0x1.3333333332ecap-4,
                               0x1.5555555555556p-3};
    return v_fma(s * z, v_polynomial(z, c, 13), s);
}

#define V_HALF_PI 0x1.921fb54442d18p+0
#define V_HALF_PI_LOW 0x1.1a62633145c07p-54

/* Above 1/2: asin a = pi/2 - 2 asin sqrt((1-a)/2), acos a = 2 asin sqrt((1-a)/2). */
FUNCTION64 v_asin(f64x16 x) {
    f64x16 a = v_abs(x), half = (1.0 - a) * 0.5;
    i64x16 high = a > 0.5;
    f64x16 y = v_asin_reduced(v_select(high, v_sqrt(half), a), v_select(high, half, a * a));
    return v_copysign(v_select(high, V_HALF_PI - (y + y - V_HALF_PI_LOW), y), x);
}

FUNCTION64 v_acos(f64x16 x) {
    f64x16 a = v_abs(x), half = (1.0 - a) * 0.5;
    i64x16 high = a > 0.5;
    f64x16 y = v_asin_reduced(v_select(high, v_sqrt(half), a), v_select(high, half, a * a));
    f64x16 upper = v_select(x < 0.0, 2.0 * (V_HALF_PI - (y - V_HALF_PI_LOW)), y + y);
    return v_select(high, upper, V_HALF_PI - (v_copysign(y, x) - V_HALF_PI_LOW));
}

/* atan(low / high) for 0 <= low <= high, high > 0: about pi/4 where the quotient is above tan(pi/8), then
 * t (1 + z p(z)), z = t^2, relative error 2^-57. */
FUNCTION64 v_atan_quotient(f64x16 low, f64x16 high) {
    static const double c[] = {-0x1.3a2f1cc1ba3c5p-6, 0x1.4161b24be475bp-5,  -0x1.a0993ef875d4ap-5,
                               0x1.dfe637a48099bp-5,  -0x1.10fa76aa9b02cp-4, 0x1.3b1262f3a2b5bp-4,
                               -0x1.745d0b27da190p-4, 0x1.c71c7185386f1p-4,  -0x1.2492492436180p-3,
                               0x1.999999999934bp-3,  -0x1.5555555555555p-2};
    i64x16 upper = low > high * 0x1.a827999fcef32p-2;
    f64x16 t = v_select(upper, low - high, low) / v_select(upper, low + high, high), z = t * t;
    f64x16 y = v_fma(t * z, v_polynomial(z, c, 11), t);
    return v_select(upper, 0x1.921fb54442d18p-1 + (y + 0x1.1a62633145c07p-55), y);
}

/* The angle of the point (x, y), by octants: 0 .. pi/4 from the quotient, then mirrored. */
FUNCTION64 v_atan2(f64x16 y, f64x16 x) {
    const double infinity = (double)V_INF;
    f64x16 a = v_abs(y), b = v_abs(x);
    i64x16 swap = a > b;
    f64x16 low = v_select(swap, b, a), high = v_select(swap, a, b);
    f64x16 scale = v_select(high > 0x1p1000, v_splat(0x1p-100), v_splat(1.0));
    scale = v_select(high < 0x1p-900, v_splat(0x1p100), scale);
    low *= scale, high *= scale;
    /* Two infinities are at pi/4, as 1 and 1; two zeros at 0, as 0 and 1. */
    i64x16 both = ((a == infinity) & (b == infinity)) | ((a == 0.0) & (b == 0.0));
    low = v_select(both, v_select(a == 0.0, v_splat(0.0), v_splat(1.0)), low);
    high = v_select(both, v_splat(1.0), high);
    i64x16 infinite = high == infinity;
    low = v_select(infinite, v_splat(0.0), low), high = v_select(infinite, v_splat(1.0), high);
    f64x16 angle = v_atan_quotient(low, high);
    angle = v_select(swap, V_HALF_PI - (angle - V_HALF_PI_LOW), angle);
    angle = v_select((i64x16)x < 0, 2.0 * V_HALF_PI - (angle - 2.0 * V_HALF_PI_LOW), angle);
    return v_select((x != x) | (y != y), v_splat((double)V_NAN), v_copysign(angle, y));
}

FUNCTION64 v_atan(f64x16 x) {
    f64x16 a = v_abs(x), one = v_splat(1.0);
    i64x16 swap = a > 1.0, infinite = a == (double)V_INF;
    f64x16 low = v_select(swap, v_select(infinite, v_splat(0.0), one), a);
    f64x16 angle = v_atan_quotient(low, v_select(swap & ~infinite, a, one));
    return v_copysign(v_select(swap, V_HALF_PI - (angle - V_HALF_PI_LOW), angle), x);
}

#endif
