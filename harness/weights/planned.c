/* Stage 4, weights: formats that are known and not read yet, so that a message can name them. */
#include <samebits/weights.h>

#include <string.h>

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), n_end = strlen(end);
    return n >= n_end && strcmp(path + n - n_end, end) == 0;
}

static bool recognise_tensorbundle(const unsigned char *head, size_t n, const char *path) {
    (void)head;
    (void)n;
    return ends_with(path, ".index");
}

#define PLANNED(format, what, ending, instead)                                                     \
    const struct sb_format sb_format_##format = {                                                  \
        .name = #format,                                                                           \
        .summary = what,                                                                           \
        .extensions = ending,                                                                      \
        .planned = "not in this build; save " instead,                                             \
        .recognise = recognise_##format,                                                           \
    };                                                                                             \
    extern const struct sb_format sb_format_##format

PLANNED(tensorbundle, "TensorFlow checkpoints and SavedModel variables", ".index",
        "HDF5 or safetensors");
