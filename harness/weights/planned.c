/* Stage 4, weights: formats that are known and not read yet, so that a message can name them. */
#include <samebits/weights.h>

#include <string.h>

/* The name of a zip archive's first member begins with, contains or ends with what its kind has. */
static bool first_member(const unsigned char *head, size_t n, const char *part, bool at_end) {
    enum { NAME_LENGTH_AT = 26, NAME_AT = 30 };
    if (n < NAME_AT || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    size_t length = (size_t)head[NAME_LENGTH_AT] | (size_t)head[NAME_LENGTH_AT + 1] << 8;
    size_t n_part = strlen(part);
    if (length < n_part || length > n - NAME_AT)
        return false;
    const unsigned char *name = head + NAME_AT;
    if (at_end)
        return memcmp(name + length - n_part, part, n_part) == 0;
    return memmem(name, length, part, n_part) != NULL;
}

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), n_end = strlen(end);
    return n >= n_end && strcmp(path + n - n_end, end) == 0;
}

static bool recognise_npz(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return first_member(head, n, ".npy", true);
}

static bool recognise_pytorch(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return first_member(head, n, "/data.pkl", true) || first_member(head, n, "/data/", false);
}

static bool recognise_keras(const unsigned char *head, size_t n, const char *path) {
    return first_member(head, n, "metadata.json", true) ||
           (ends_with(path, ".keras") && n >= 4 && memcmp(head, "PK\3\4", 4) == 0);
}

static bool recognise_tensorbundle(const unsigned char *head, size_t n, const char *path) {
    (void)head;
    (void)n;
    return ends_with(path, ".index");
}

static bool recognise_gguf(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

static bool recognise_onnx(const unsigned char *head, size_t n, const char *path) {
    (void)head;
    (void)n;
    return ends_with(path, ".onnx");
}

#define PLANNED(format, what, ending, instead)                                                     \
    const struct sb_format sb_format_##format = {                                                  \
        .name = #format,                                                                           \
        .summary = what,                                                                           \
        .extensions = ending,                                                                      \
        .planned = "planned; until then save " instead,                                            \
        .recognise = recognise_##format,                                                           \
    };                                                                                             \
    extern const struct sb_format sb_format_##format

PLANNED(npz, "NumPy: several arrays in a zip archive", ".npz", ".npy files or HDF5");
PLANNED(pytorch, "PyTorch's torch.save", ".pt .pth .bin", "safetensors or HDF5");
PLANNED(keras, "Keras 3 model archives", ".keras", "with save_weights (.weights.h5)");
PLANNED(tensorbundle, "TensorFlow checkpoints and SavedModel variables", ".index",
        "HDF5 or safetensors");
PLANNED(gguf, "GGUF: llama.cpp", ".gguf", "safetensors");
PLANNED(onnx, "ONNX initializers", ".onnx", "safetensors");
