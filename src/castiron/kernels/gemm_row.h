/* gemm_row.h: one row through a layer whose n and k are constants: the same bits as gemm.h, in straight code with
 * the epilogue in registers. For nets so small that a call and a loop count. */
#ifndef CASTIRON_GEMM_ROW_H
#define CASTIRON_GEMM_ROW_H

#include "gemm.h"

/* Defines name(): c[0..N-1] = EPILOGUE(a B), a [K], B packed [ceil(N/16)][K][16], EPILOGUE as for GEMM_DEFINE, with
 * `row` as its row. N >= 1, K >= 0, constant. */
#define GEMM_ROW_DEFINE(name, N, K, EPILOGUE) \
    INLINE void name(int64_t row, const float *a, const float *b, float *c, const struct epilogue *e) { \
        enum { ways = GEMM_WAYS(N), panels = (N + LANES - 1) / LANES, \
               wide = GEMM_ROW_SUMS > ways ? GEMM_ROW_SUMS / ways : 1 }; \
        for (int64_t panel = 0; panel < panels; panel += wide) { \
            f32x16 sum[wide]; \
            if (panel + wide <= panels) gemm_row_body(wide, ways, K, a, b + panel * LANES * K, sum); \
            else gemm_row_body(panels % wide, ways, K, a, b + panel * LANES * K, sum); \
            _Pragma("clang loop unroll(full)") \
            for (int64_t j = 0; j < wide; j++) { \
                int64_t column = (panel + j) * LANES; \
                if (column + LANES <= N) v_store(c + column, EPILOGUE((sum[j]), e, row, column, LANES)); \
                else if (column < N) \
                    v_store_n(c + column, EPILOGUE((sum[j]), e, row, column, N % LANES), N % LANES); \
            } \
        } \
    }

#endif
