/* kernels, train: seeded pictures of a few classes, to be told apart. */
#ifndef SB_KERNELS_IMAGES_H
#define SB_KERNELS_IMAGES_H

#include <samebits/error.h>

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; free with sb_images_clear. */
struct sb_images {
    size_t samples, pixels; /* pixels: channels × side × side */
    float *x;               /* [samples,channels,side,side] */
    int32_t *labels;        /* [samples] */
};

/* Every class has a picture of its own, normal in each pixel; a sample is its class's plus noise,
 * normal times that. A function of the arguments alone. */
int sb_images_make(uint64_t seed, size_t samples, size_t pixels, size_t classes, double noise,
                   struct sb_images *images, struct sb_error *err);
void sb_images_clear(struct sb_images *images);

#endif
