/* elementary.h: every elementary function of 16 floats or doubles. Floats within 2 ULP (v_sigmoid near -17 within 2.5),
 * the normal distribution's (v_ndtr) within 5, doubles within 3, and the smallest normal number more where the
 * processor is told to count subnormal numbers as zero; NaN in gives NaN out; infinities and signed zeros as in C's
 * <math.h>. */
#ifndef CASTIRON_ELEMENTARY_H
#define CASTIRON_ELEMENTARY_H

#include "erf.h"
#include "erf64.h"
#include "exponential.h"
#include "exponential64.h"
#include "logarithm.h"
#include "logarithm64.h"
#include "modulo.h"
#include "trigonometric.h"
#include "trigonometric64.h"

INLINE f32x16 v_rsqrt(f32x16 x) { return 1.0f / v_sqrt(x); }
INLINE f64x16 v_rsqrt(f64x16 x) { return 1.0 / v_sqrt(x); }

#endif
