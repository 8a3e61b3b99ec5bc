/* Stage 1, suite: a commented suite to begin with. */
#include "suite/adhoc.h"
#include "suite/build.h"
#include "suite/quote.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <samebits/suite.h>

#include <errno.h>
#include <string.h>

/* Width of a line, beyond which the command stands one argument a line. */
enum { WIDTH = 88 };

static const char head[] =
    "# A suite for samebits: one job, run again and again under varied conditions, each time in a\n"
    "# process of its own. Do the weights that it saves have the same bits every time?\n"
    "#\n"
    "#   samebits run THIS-FILE          runs it\n"
    "#   samebits run THIS-FILE --list   shows what would be run\n"
    "#   samebits list axes              what can be varied, and by which levels\n"
    "version: 1\n"
    "\n"
    "jobs:\n";

static const char command_comment[] =
    "    # The program and its arguments, run in this file's folder. No shell takes part; for "
    "one,\n"
    "    # write [sh, -c, \"...\"]. {weights} in an argument stands for the path below, and "
    "{NAME}\n"
    "    # for the level of an axis called NAME; {{ is a brace.\n";

static const char weights_comment[] =
    "\n"
    "    # The file that a run saves its weights to, or a glob (\"out/*.h5\"), below this file's\n"
    "    # folder. It counts only if the run wrote it: if the command reads this file, name the "
    "one\n"
    "    # that it writes.\n";

static const char no_weights_comment[] =
    "\n"
    "    # The file that a run saves its weights to, or a glob, below this file's folder. Without\n"
    "    # it, every weights file that the run writes counts.\n"
    "    # weights: model.weights.h5\n";

static const char tail[] =
    "    # Tensors that do not matter, by name; and the files that are read, which are hashed "
    "before\n"
    "    # and after, so that changed data is not taken for changed code.\n"
    "    # exclude: [\"optimizer/**\"]\n"
    "    # inputs: [data/train.csv]\n"
    "\n"
    "    # A run that takes longer is ended, and is an error of that run.\n"
    "    timeout: 30m\n"
    "\n"
    "    # Runs of each combination of levels. More are added by themselves where so few prove "
    "too\n"
    "    # little. Also: {min: 3, max: 50, stop: diverged}, or {min: 3, exact: true}.\n"
    "    repeats: 3\n"
    "\n"
    "    # What is varied. The first level of each axis is the one that the others are compared "
    "to.\n"
    "    axes:\n"
    "      hash_seed: [0, 1]          # PYTHONHASHSEED: the order of sets\n"
    "      threads: [1, all]          # every library's thread count, and the CPUs that may be "
    "used\n"
    "      deterministic: [off, on]   # TF_DETERMINISTIC_OPS, CUBLAS_WORKSPACE_CONFIG and the "
    "like\n"
    "      # isa: [sse2, avx2]        # the instruction set that math libraries choose\n"
    "      # aslr: [on, off]          # addresses: the order of sets of objects\n"
    "      # memory: [0x00, 0x55]     # what fresh memory holds: reads before any write\n"
    "      # \"env:TF_ENABLE_ONEDNN_OPTS\": [\"0\", \"1\"]   # any variable of the environment\n"
    "\n"
    "    # Which combinations: each level once beside the first of all others (one-at-a-time), "
    "every\n"
    "    # two levels together somewhere (pairwise), or all of them (full).\n"
    "    design: one-at-a-time\n"
    "\n"
    "    # How much may change along each axis and between repeats: nothing (bitwise), no more "
    "than\n"
    "    # the tolerance (rounding), anything (ignore). These are what holds where nothing is "
    "said.\n"
    "    # require: {repeats: bitwise, hash_seed: bitwise, threads: rounding, deterministic: "
    "rounding}\n"
    "    # rtol: 1.3e-6\n"
    "    # atol: 1e-5\n";

/* ---- Which argument names the weights ------------------------------------------------------- */

static bool ends_like_weights(const char *path) {
    static const char *const extensions[] = {".h5",   ".hdf5",        ".keras", ".npz",
                                             ".npy",  ".pt",          ".pth",   ".ckpt",
                                             ".gguf", ".safetensors", ".onnx"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && dot != path && i < sizeof extensions / sizeof *extensions; i++) {
        if (strcmp(dot, extensions[i]) == 0)
            return true;
    }
    return false;
}

/* The path in "model.h5" or "--out=model.h5", where a suite may name it; or NULL. */
static const char *weights_in(const char *argument) {
    const char *equals = strchr(argument, '=');
    const char *path = *argument == '-' && equals ? equals + 1 : argument;
    if (!ends_like_weights(path) || *path == '-' || path[strcspn(path, " \t\r\n*?[{\\")])
        return NULL;
    return path;
}

static bool sounds_like_output(const char *option) {
    static const char *const words[] = {"-o", "out", "save", "export", "dest"};
    for (size_t i = 0; *option == '-' && i < sizeof words / sizeof *words; i++) {
        if (i == 0 ? strcmp(option, words[i]) == 0 : strstr(option, words[i]) != NULL)
            return true;
    }
    return false;
}

/* A program may read one weights file and write another: the one after an option that sounds like
 * output, else the last. */
static const char *guess_weights(char *const *command, size_t n) {
    const char *guess = NULL;
    for (size_t i = 1; i < n; i++) {
        const char *path = weights_in(command[i]);
        const char *option = path == command[i] ? command[i - 1] : command[i];
        if (path && sb_path_is_below(path)) {
            guess = path;
            if (sounds_like_output(option))
                return guess;
        }
    }
    return guess;
}

static bool uses_weights(char *const *command, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct sb_placeholders walk = {.at = command[i]};
        const char *piece;
        size_t length;
        for (enum sb_piece kind; (kind = sb_placeholder_next(&walk, &piece, &length));) {
            if (kind == SB_PIECE_NAME && length == 7 && memcmp(piece, "weights", 7) == 0)
                return true;
        }
    }
    return false;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static void add_command(struct sb_text *text, char *const *command, size_t n) {
    SB_AUTO_TEXT struct sb_text line = {0};
    for (size_t i = 0; i < n; i++) {
        sb_text_puts(&line, i ? ", " : "    command: [");
        sb_quote_yaml(&line, command[i]);
    }
    sb_text_puts(&line, "]\n");
    text->failed |= line.failed;
    if (!line.failed && line.length <= WIDTH) {
        sb_text_puts(text, line.data);
        return;
    }
    sb_text_puts(text, "    command:\n");
    for (size_t i = 0; i < n; i++) {
        sb_text_puts(text, "      - ");
        sb_quote_yaml(text, command[i]);
        sb_text_putc(text, '\n');
    }
}

int sb_suite_write_template(char *const *command, size_t n, const char *weights, FILE *out,
                            struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text text = {0};
    struct sb_suite *suite = NULL;
    if (!weights)
        weights = guess_weights(command, n);
    if (!weights && uses_weights(command, n))
        weights = "weights.h5";
    /* What cannot be run ad hoc cannot be run from a suite. */
    int rc = sb_suite_adhoc(command, n, weights, NULL, &suite, err);
    if (rc < 0)
        return rc;
    sb_text_puts(&text, head);
    sb_text_puts(&text, "  - name: ");
    sb_quote_yaml(&text, suite->jobs[0].name);
    sb_suite_free(suite);
    sb_text_printf(&text, "\n%s", command_comment);
    add_command(&text, command, n);
    sb_text_puts(&text, weights ? weights_comment : no_weights_comment);
    if (weights) {
        sb_text_puts(&text, "    weights: ");
        sb_quote_yaml(&text, weights);
        sb_text_putc(&text, '\n');
    }
    sb_text_printf(&text, "\n%s", tail);
    if (text.failed)
        return sb_error_errno(err, -ENOMEM, "writing a suite");
    errno = 0;
    if (fwrite(text.data, 1, text.length, out) != text.length || fflush(out) != 0)
        return sb_error_errno(err, errno ? -errno : -EIO, "writing a suite");
    return 0;
}
