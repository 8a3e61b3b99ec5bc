/* The trace: points that programs set themselves, and calls that they digested (samebits/trace.h).
 * A point is a call without inputs whose output is the data: equal up to the first that differs. */
#include "probe/trace.h"

#include <samebits/trace.h>
#include <samebits/weights.h>

#include <string.h>

/* Of the names in a fingerprint; bytes of an element. */
static const struct {
    const char *name;
    uint8_t dtype, element;
} dtypes[] = {
    {"bool", SB_DTYPE_BOOL, 1}, {"i8", SB_DTYPE_I8, 1},           {"i16", SB_DTYPE_I16, 2},
    {"i32", SB_DTYPE_I32, 4},   {"i64", SB_DTYPE_I64, 8},         {"u8", SB_DTYPE_U8, 1},
    {"u16", SB_DTYPE_U16, 2},   {"u32", SB_DTYPE_U32, 4},         {"u64", SB_DTYPE_U64, 8},
    {"f16", SB_DTYPE_F16, 2},   {"bf16", SB_DTYPE_BF16, 2},       {"f32", SB_DTYPE_F32, 4},
    {"f64", SB_DTYPE_F64, 8},   {"f8_e4m3", SB_DTYPE_F8_E4M3, 1}, {"f8_e5m2", SB_DTYPE_F8_E5M2, 1},
    {"c64", SB_DTYPE_C64, 8},   {"c128", SB_DTYPE_C128, 16},
};

/* False: nothing is to be noted. */
static bool begin(struct sb_traced *call, const char *dtype, unsigned rank, const uint64_t *dims) {
    if (!sb_trace_is_on())
        return false;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, dtype) == 0) {
            call->dtype = dtypes[i].dtype;
            call->element = dtypes[i].element;
        }
    }
    if (!call->element || rank > SB_TRACED_SIZES) {
        sb_trace_file_lost();
        return false;
    }
    for (; call->n_sizes < rank; call->n_sizes++)
        call->sizes[call->n_sizes] = dims[call->n_sizes];
    return true;
}

SB_INTERPOSED void sb_trace_point(const char *name, const void *data, const char *dtype,
                                  unsigned rank, const uint64_t *dims) {
    struct sb_traced point = {.kernel = name, .library = "sb_trace", .n_operands = 1};
    struct sb_operand *elements = &point.operands[0];
    if (!begin(&point, dtype, rank, dims))
        return;
    *elements = (struct sb_operand){.at = data, .rows = 1, .columns = 1, .written = true};
    for (unsigned i = 0; i < rank; i++)
        elements->rows *= dims[i];
    sb_trace_note(&point);
}

SB_INTERPOSED void sb_trace_call(const char *name, const char *library, uint32_t step,
                                 const char *dtype, unsigned rank, const uint64_t *dims,
                                 const uint8_t in[16], const uint8_t out[16],
                                 const uint64_t times[3]) {
    struct sb_traced call = {.kernel = name, .library = library, .step = step};
    if (!begin(&call, dtype, rank, dims))
        return;
    memcpy(call.in, in, sizeof call.in);
    memcpy(call.out, out, sizeof call.out);
    sb_trace_noted(&call, times);
}

SB_INTERPOSED uint64_t sb_trace_clock(void) {
    return sb_trace_unseen();
}
