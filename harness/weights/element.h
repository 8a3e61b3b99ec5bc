/* Stage 4, weights: single elements and their types. */
#ifndef SB_WEIGHTS_ELEMENT_H
#define SB_WEIGHTS_ELEMENT_H

#include <samebits/weights.h>

bool sb_dtype_is_float(enum sb_dtype dtype); /* complex included */
bool sb_dtype_is_complex(enum sb_dtype dtype);
size_t sb_dtype_part_size(enum sb_dtype dtype); /* of one part of a complex element; else of all */

/* The value of an element (little-endian, of any alignment), of a complex one its real part. Exact
 * for all types but i64 and u64, which round to nearest even. */
double sb_element_double(enum sb_dtype dtype, const void *element);

/* +0 and -0 are zero. A complex element is zero when both parts are, NaN when either is. */
bool sb_element_is_zero(enum sb_dtype dtype, const void *element);
bool sb_element_is_nan(enum sb_dtype dtype, const void *element);

#endif
