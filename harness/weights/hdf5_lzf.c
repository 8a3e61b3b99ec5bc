/* Stage 4, weights: decompresses LZF chunks. See weights/hdf5_lzf.h.
 * A control byte c below 32 is followed by c + 1 bytes to be copied. Otherwise c >> 5 is a length,
 * 7 meaning that another byte adds to it, and 13 bits are a distance: length + 2 bytes are repeated
 * from distance + 1 bytes back. */
#include "weights/hdf5_lzf.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LZF_FILTER = 32000, MOST_CHUNK_BYTES = 1 << 30 };

/* What stands in the stream before bytes that come from further back. */
struct reference {
    size_t length, distance;
};

static bool get_reference(const unsigned char *input, size_t n, size_t *at, unsigned control,
                          struct reference *reference) {
    reference->length = control >> 5;
    if (reference->length == 7) {
        if (*at == n)
            return false;
        reference->length += input[(*at)++];
    }
    if (*at == n)
        return false;
    reference->length += 2;
    reference->distance = ((size_t)(control & 0x1f) << 8 | input[(*at)++]) + 1;
    return true;
}

size_t sb_lzf_decompress(const unsigned char *input, size_t n, unsigned char *output,
                         size_t n_room) {
    size_t at = 0, made = 0;
    while (at < n) {
        unsigned control = input[at++];
        if (control < 32) {
            size_t length = control + 1;
            if (length > n - at)
                return 0;
            if (length > n_room - made)
                return SIZE_MAX;
            memcpy(output + made, input + at, length);
            at += length;
            made += length;
            continue;
        }
        struct reference reference;
        if (!get_reference(input, n, &at, control, &reference) || reference.distance > made)
            return 0;
        if (reference.length > n_room - made)
            return SIZE_MAX;
        /* Byte by byte: what is repeated may reach into itself. */
        for (size_t i = 0; i < reference.length; i++, made++)
            output[made] = output[made - reference.distance];
    }
    return made;
}

/* libhdf5's buffer is exchanged for a larger one. values[2] is the chunk's size, in files of newer
 * writers. */
static size_t lzf_filter(unsigned flags, size_t n_values, const unsigned *values, size_t n_bytes,
                         size_t *buffer_size, void **buffer) {
    if (!(flags & H5Z_FLAG_REVERSE))
        return 0;
    size_t n_room = n_values >= 3 && values[2] ? values[2] : 4 * *buffer_size, made = SIZE_MAX;
    unsigned char *output = NULL;
    for (; made == SIZE_MAX && n_room <= MOST_CHUNK_BYTES; n_room *= 2) {
        free(output);
        output = malloc(n_room);
        if (!output)
            return 0;
        made = sb_lzf_decompress(*buffer, n_bytes, output, n_room);
        *buffer_size = made == SIZE_MAX ? *buffer_size : n_room;
    }
    if (made == 0 || made == SIZE_MAX) {
        free(output);
        return 0;
    }
    free(*buffer); /* libhdf5 allocates what passes through filters with malloc */
    *buffer = output;
    return made;
}

int sb_hdf5_lzf_register(const struct sb_hdf5_library *h5, struct sb_error *err) {
    static const H5Z_class2_t lzf = {
        .version = H5Z_CLASS_T_VERS,
        .id = LZF_FILTER,
        .encoder_present = 0,
        .decoder_present = 1,
        .name = "lzf",
        .filter = lzf_filter,
    };
    return h5->H5Zregister(&lzf) < 0
               ? sb_hdf5_error(h5, err, -EIO, "libhdf5 refuses the LZF filter")
               : 0;
}
