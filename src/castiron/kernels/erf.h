/* erf.h: the error function and its complement. */
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

#endif
