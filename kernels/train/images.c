/* kernels, train: see images.h. */
#include "kernels/train/images.h"
#include "kernels/train/rng.h"

#include <errno.h>
#include <stdlib.h>

int sb_images_make(uint64_t seed, size_t samples, size_t pixels, size_t classes, double noise,
                   struct sb_images *images, struct sb_error *err) {
    struct sb_stream pictures = sb_stream_make(seed, 0), labels = sb_stream_make(seed, 1),
                     noises = sb_stream_make(seed, 2);
    struct sb_images made = {.samples = samples,
                             .pixels = pixels,
                             .x = calloc(samples * pixels, sizeof *made.x),
                             .labels = calloc(samples, sizeof *made.labels)};
    float *picture = calloc(classes * pixels, sizeof *picture);
    if (!made.x || !made.labels || !picture) {
        free(picture);
        sb_images_clear(&made);
        return sb_error_errno(err, -ENOMEM, "images");
    }
    sb_stream_fill_normal(&pictures, picture, classes * pixels);
    sb_stream_fill_normal(&noises, made.x, samples * pixels);
    for (size_t i = 0; i < samples; i++) {
        made.labels[i] = (int32_t)sb_stream_below(&labels, classes);
        const float *own = picture + (size_t)made.labels[i] * pixels;
        for (size_t j = 0; j < pixels; j++)
            made.x[i * pixels + j] = own[j] + (float)noise * made.x[i * pixels + j];
    }
    free(picture);
    *images = made;
    return 0;
}

void sb_images_clear(struct sb_images *images) {
    free(images->x);
    free(images->labels);
    *images = (struct sb_images){0};
}
