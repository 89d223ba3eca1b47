/* elementary.h: every elementary function of 16 floats. Within 2 ULP everywhere, and 2^-126 more where the processor
 * is told to count subnormal numbers as zero; NaN in gives NaN out; infinities and signed zeros as in C's <math.h>. */
#ifndef CASTIRON_ELEMENTARY_H
#define CASTIRON_ELEMENTARY_H

#include "erf.h"
#include "exponential.h"
#include "logarithm.h"
#include "modulo.h"
#include "trigonometric.h"

INLINE f32x16 v_rsqrt(f32x16 x) { return 1.0f / v_sqrt(x); }

#endif
