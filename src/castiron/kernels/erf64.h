/* erf64.h: the functions of erf.h, of doubles. */
#ifndef CASTIRON_ERF64_H
#define CASTIRON_ERF64_H

#include "exponential64.h"
#include "pair.h"

/* erfc a = e^(-a^2) g(u) / (1 + 2a), u = (a-7/2)/(a+7/2), relative error 2^-55, for 0 <= a <= 27.3, where erfc leaves
 * the doubles. What rounding takes from a^2 goes into the exponential. */
FUNCTION64 v_erfc_above(f64x16 a) {
    static const double c[] = {
        -0x1.29f30279331edp-31, -0x1.05b9b46b95734p-29, 0x1.3dc8d5f8fdd28p-29,  0x1.1ea43b7e8d885p-26,
        -0x1.f4e98697f1d40p-29, -0x1.b64b23881fee1p-24, -0x1.eea063858f36dp-29, 0x1.462f294e791cfp-21,
        -0x1.93baada3d13f2p-25, -0x1.003c7fb5e50ffp-18, 0x1.38a7203bb5c55p-19,  0x1.970d820e1a38cp-16,
        -0x1.66e2cb0625184p-15, -0x1.fda9489667cb8p-14, 0x1.27e666b645f26p-11,  -0x1.3cf367715ae29p-12,
        -0x1.143c4cadf78bap-8,  0x1.38ec667070118p-6,   -0x1.8ff5ef76c33b1p-5,  0x1.6861060470c76p-4,
        -0x1.d76830c3535d2p-4,  0x1.8f702ec6b3289p-4,   -0x1.59e2c284b1188p-7,  -0x1.1ebd220ea593bp-3,
        0x1.3e0a99a0ee914p+0};
    pair square = pair_exact_product(a, a);
    i64x16 n;
    f64x16 e = v_exp_reduced(-square.high, -square.low, &n);
    f64x16 g = v_polynomial((a - 3.5) / (a + 3.5), c, 25) / (1.0 + 2.0 * a);
    return v_scale(v_fma(e, g, g), n);
}

/* Up to 1: x + x p(x^2), relative error 2^-55; beyond 6 the double nearest to erf is 1. */
FUNCTION64 v_erf(f64x16 x) {
    static const double c[] = {0x1.05ffd737fb32ep-34,  -0x1.389d4f2641625p-30, 0x1.f7b4bf3b13964p-27,
                               -0x1.5f1ecb6f0764cp-23, 0x1.b9df224ca4b97p-20,  -0x1.f4d1e3183f7aep-17,
                               0x1.f9a321d5b8e1ep-14,  -0x1.c02db3dac435fp-11, 0x1.565bcd0dbaa38p-8,
                               -0x1.b82ce31284e00p-6,  0x1.ce2f21a042b30p-4,   -0x1.812746b0379e6p-2,
                               0x1.06eba8214db69p-3};
    f64x16 a = v_less(v_splat(6.0), v_abs(x)), z = v_less(v_splat(1.0), a * a);
    f64x16 small = v_fma(v_polynomial(z, c, 13), a, a);
    return v_copysign(v_select(a < 1.0, small, 1.0 - v_erfc_above(a)), x);
}

/* Below 1/2 erfc is 1 - erf, which takes nothing away; so is what is near 2. */
FUNCTION64 v_erfc(f64x16 x) {
    f64x16 tail = v_erfc_above(v_between(v_abs(x), 0.0, 27.3));
    return v_select(x < 0.5, 1.0 - v_erf(x), v_select(x == x, tail, x));
}

INLINE f64x16 v_ndtr(f64x16 x) { return 0.5 * v_erfc(x * -0x1.6a09e667f3bcdp-1); }

#endif
