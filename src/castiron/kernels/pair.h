/* pair.h: numbers of twice a double's precision, as unevaluated sums of two doubles (Dekker). */
#ifndef CASTIRON_PAIR_H
#define CASTIRON_PAIR_H

#include "vec.h"

typedef struct {
    f64x16 high, low;
} pair;

/* a + b exactly, of any sizes (Knuth). */
INLINE pair pair_sum(f64x16 a, f64x16 b) {
    f64x16 sum = a + b, taken = sum - a;
    return (pair){sum, (a - (sum - taken)) + (b - taken)};
}

/* a b exactly, while a, b < 2^990 and the product isn't subnormal. */
INLINE pair pair_exact_product(f64x16 a, f64x16 b) {
    f64x16 product = a * b;
#if defined(__FMA__) || defined(__aarch64__)
    return (pair){product, v_fma(a, b, -product)};
#else
    f64x16 c = a * 0x1.0000002p27, d = b * 0x1.0000002p27; /* halves of 26 bits (Veltkamp) */
    f64x16 a1 = c - (c - a), a2 = a - a1, b1 = d - (d - b), b2 = b - b1;
    return (pair){product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
#endif
}

INLINE pair pair_product(pair a, pair b) {
    pair y = pair_exact_product(a.high, b.high);
    y.low += a.high * b.low + a.low * b.high;
    return y;
}

INLINE pair pair_quotient(f64x16 a, pair b) {
    f64x16 quotient = a / b.high;
    pair back = pair_exact_product(quotient, b.high);
    return (pair){quotient, ((a - back.high) - back.low - quotient * b.low) / b.high};
}

#endif
