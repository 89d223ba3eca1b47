/* trigonometric.h: sin, cos, tan, asin, acos, atan, atan2, in double, so that the last float bit is right
 * nearly always. Polynomials are minimax fits (Remez). */
#ifndef CASTIRON_TRIGONOMETRIC_H
#define CASTIRON_TRIGONOMETRIC_H

#include "vec.h"

/* x mod pi/2 for |x| >= 2^20 (Payne and Hanek): the bits of 2/pi that x's exponent leaves below 4 and above
 * 2^-62, times x's 24-bit significand, in integers. Writes the quadrant and the remainder of each lane of x that
 * is so large and finite. */
NOINLINE void reduce_large_angles(const float *x, double *remainder, int64_t *quadrant) {
    static const uint32_t two_over_pi[] = {0,          0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                           0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
    for (int lane = 0; lane < LANES; lane++) {
        uint32_t bits = __builtin_bit_cast(uint32_t, x[lane]);
        int32_t exponent = (int32_t)(bits >> 23 & 0xff) - 127;
        if (exponent < 20 || exponent == 128) continue;
        uint64_t significand = (bits & 0x7fffff) | 0x800000;
        /* x = significand * 2^shift; fraction bits `shift - 2` and on of 2/pi matter, 64 + 32 of them. */
        int32_t shift = exponent - 23, first = shift - 2 + 32;
        const uint32_t *word = two_over_pi + first / 32;
        int32_t offset = first % 32;
        uint64_t high = (uint64_t)word[0] << 32 | word[1], low = (uint64_t)word[2] << 32 | word[3];
        if (offset) high = high << offset | low >> (64 - offset), low <<= offset;
        /* (x * 2/pi mod 4) * 2^62: the product's bits above are multiples of 4. */
        uint64_t turns = significand * high + (significand * (low >> 32) >> 32);
        int64_t nearest = (int64_t)(turns + (1ull << 61)) >> 62;
        int64_t fraction = (int64_t)(turns - ((uint64_t)nearest << 62));
        double r = (double)fraction * 0x1.921fb54442d18p-62;
        int negative = bits >> 31;
        remainder[lane] = negative ? -r : r;
        quadrant[lane] = negative ? -nearest : nearest;
    }
}

/* x = quadrant pi/2 + remainder, |remainder| <= pi/4: pi/2 in two pieces, the first of 33 bits so that its product
 * with the quadrant is exact. NaN for infinities and NaN. */
INLINE f64x16 v_reduce_angle(f32x16 x, i64x16 *quadrant) {
    f64x16 w = v_f64(x), rounder = v_splat(0x1.8p52);
    f64x16 shifted = v_fma(w, v_splat(0x1.45f306dc9c883p-1), rounder);
    f64x16 n = shifted - rounder;
    f64x16 r = v_fma(n, v_splat(-0x1.921fb544p+0), w);
    r = v_fma(n, v_splat(-0x1.0b4611a626331p-34), r);
    *quadrant = (i64x16)shifted;
    i32x16 large = v_abs(x) >= 0x1p20f;
    if (__builtin_expect(v_any(large), 0)) {
        r = v_select(v_mask64(large), v_splat((double)V_NAN), r);
        reduce_large_angles((const float *)&x, (double *)&r, (int64_t *)quadrant);
    }
    return r;
}

/* |r| <= pi/4: r (1 + z s(z)), z = r^2, relative error 2^-47. */
INLINE f64x16 v_sin_reduced(f64x16 r) {
    f64x16 z = r * r;
    f64x16 s = v_splat(-0x1.a965d1ab91dbfp-26);
    s = v_fma(s, z, v_splat(0x1.71d77a19ac609p-19));
    s = v_fma(s, z, v_splat(-0x1.a019f95547796p-13));
    s = v_fma(s, z, v_splat(0x1.1111110c9ebb6p-7));
    s = v_fma(s, z, v_splat(-0x1.55555555523c5p-3));
    return r * v_fma(s, z, v_splat(1.0));
}

/* |r| <= pi/4: 1 + z c(z), z = r^2, error 2^-43. */
INLINE f64x16 v_cos_reduced(f64x16 r) {
    f64x16 z = r * r;
    f64x16 c = v_splat(-0x1.23d712d88d621p-22);
    c = v_fma(c, z, v_splat(0x1.a00f0c790fabfp-16));
    c = v_fma(c, z, v_splat(-0x1.6c16b3f700c8dp-10));
    c = v_fma(c, z, v_splat(0x1.55555546e6f42p-5));
    c = v_fma(c, z, v_splat(-0x1.ffffffffebe50p-2));
    return v_fma(c, z, v_splat(1.0));
}

/* sin(r + quadrant pi/2). */
INLINE f32x16 v_sin_of(f64x16 r, i64x16 quadrant) {
    f64x16 y = v_select((quadrant & 1) != 0, v_cos_reduced(r), v_sin_reduced(r));
    return v_f32(v_select((quadrant & 2) != 0, -y, y));
}

INLINE f32x16 v_sin(f32x16 x) {
    i64x16 quadrant;
    f64x16 r = v_reduce_angle(x, &quadrant);
    return v_sin_of(r, quadrant);
}

INLINE f32x16 v_cos(f32x16 x) {
    i64x16 quadrant;
    f64x16 r = v_reduce_angle(x, &quadrant);
    return v_sin_of(r, quadrant + 1);
}

INLINE f32x16 v_tan(f32x16 x) {
    i64x16 quadrant;
    f64x16 r = v_reduce_angle(x, &quadrant);
    f64x16 s = v_sin_reduced(r), c = v_cos_reduced(r);
    i64x16 odd = (quadrant & 1) != 0;
    return v_f32(v_select(odd, -c, s) / v_select(odd, s, c));
}

/* |s| <= 1/2: s (1 + z p(z)), z = s^2, relative error 2^-40. */
INLINE f64x16 v_asin_reduced_brief(f64x16 s, f64x16 z) {
    f64x16 p = v_splat(0x1.0dfc58d6dca7cp-5);
    p = v_fma(p, z, v_splat(0x1.fafde3c165d11p-10));
    p = v_fma(p, z, v_splat(0x1.52910c3263bd3p-6));
    p = v_fma(p, z, v_splat(0x1.662fb0a6d010bp-6));
    p = v_fma(p, z, v_splat(0x1.f283e47a4bcdbp-6));
    p = v_fma(p, z, v_splat(0x1.6db24b5ffcf51p-5));
    p = v_fma(p, z, v_splat(0x1.333340c76fe61p-4));
    p = v_fma(p, z, v_splat(0x1.555555478f14cp-3));
    return s * v_fma(p, z, v_splat(1.0));
}

/* Above 1/2: asin a = pi/2 - 2 asin sqrt((1-a)/2), acos a = 2 asin sqrt((1-a)/2). */
INLINE f32x16 v_asin(f32x16 x) {
    f64x16 a = v_abs(v_f64(x)), half = (1.0 - a) * 0.5;
    i64x16 high = a > 0.5;
    f64x16 z = v_select(high, half, a * a);
    f64x16 y = v_asin_reduced_brief(v_select(high, v_sqrt(half), a), z);
    return v_copysign(v_f32(v_select(high, 0x1.921fb54442d18p+0 - (y + y), y)), x);
}

INLINE f32x16 v_acos(f32x16 x) {
    f64x16 w = v_f64(x), a = v_abs(w), half = (1.0 - a) * 0.5;
    i64x16 high = a > 0.5;
    f64x16 z = v_select(high, half, a * a);
    f64x16 y = v_asin_reduced_brief(v_select(high, v_sqrt(half), a), z);
    f64x16 upper = v_select(w < 0.0, 0x1.921fb54442d18p+1 - (y + y), y + y);
    return v_f32(v_select(high, upper, 0x1.921fb54442d18p+0 - v_copysign(y, w)));
}

/* atan(low / high) for 0 <= low <= high, high > 0: about pi/4 where the quotient is above tan(pi/8), then
 * t (1 + z p(z)), z = t^2, relative error 2^-45. */
INLINE f64x16 v_atan_quotient_brief(f64x16 low, f64x16 high) {
    i64x16 upper = low > high * 0x1.a827999fcef32p-2;
    f64x16 t = v_select(upper, low - high, low) / v_select(upper, low + high, high), z = t * t;
    f64x16 p = v_splat(0x1.fa1fcc87282ffp-6);
    p = v_fma(p, z, v_splat(-0x1.e293f6f5e0d92p-5));
    p = v_fma(p, z, v_splat(0x1.360150635b27dp-4));
    p = v_fma(p, z, v_splat(-0x1.73e194a29b0cap-4));
    p = v_fma(p, z, v_splat(0x1.c71581a33582ep-4));
    p = v_fma(p, z, v_splat(-0x1.24922d5895e85p-3));
    p = v_fma(p, z, v_splat(0x1.9999992d745ddp-3));
    p = v_fma(p, z, v_splat(-0x1.555555550d47ap-2));
    return v_fma(p, z, v_splat(1.0)) * t + v_select(upper, v_splat(0x1.921fb54442d18p-1), v_splat(0.0));
}

/* The angle of the point (x, y), by octants: 0 .. pi/4 from the quotient, then mirrored. */
INLINE f32x16 v_atan2(f32x16 y, f32x16 x) {
    f32x16 a = v_abs(y), b = v_abs(x);
    i32x16 both = (v_is_inf(a) & v_is_inf(b)) | ((a == 0.0f) & (b == 0.0f));
    i32x16 swap = a > b;
    f64x16 low = v_f64(v_select(swap, b, a)), high = v_f64(v_select(swap, a, b));
    /* Two infinities are at pi/4, as 1 and 1; two zeros at 0, as 0 and 1. */
    low = v_select(v_mask64(both & (a != 0.0f)), v_splat(1.0), low);
    high = v_select(v_mask64(both), v_splat(1.0), high);
    i64x16 infinite = v_mask64(v_is_inf(v_f32(high)));
    low = v_select(infinite, v_splat(0.0), low), high = v_select(infinite, v_splat(1.0), high);
    f64x16 angle = v_atan_quotient_brief(low, high);
    angle = v_select(v_mask64(swap), 0x1.921fb54442d18p+0 - angle, angle);
    angle = v_select(v_mask64((i32x16)x < 0), 0x1.921fb54442d18p+1 - angle, angle);
    f32x16 result = v_copysign(v_f32(angle), y);
    return v_select(v_is_nan(x) | v_is_nan(y), v_splat(V_NAN), result);
}

INLINE f32x16 v_atan(f32x16 x) {
    f64x16 a = v_f64(v_abs(x)), one = v_splat(1.0);
    i64x16 swap = a > 1.0, infinite = a == (double)V_INF;
    f64x16 low = v_select(swap, v_select(infinite, v_splat(0.0), one), a);
    f64x16 high = v_select(swap & ~infinite, a, one);
    f64x16 angle = v_atan_quotient_brief(low, high);
    angle = v_select(swap, 0x1.921fb54442d18p+0 - angle, angle);
    return v_copysign(v_f32(angle), x);
}

#endif
