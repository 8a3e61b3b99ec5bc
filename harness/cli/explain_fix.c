/* cli: how a source of divergence is mended, in a sentence. See cli/explain.h. */
#include "cli/explain.h"

#include "base/cleanup.h"

#include <string.h>

/* What the run had loaded, by which it is known what it was written with. */
bool sb_explain_has_library(const struct sb_observation *seen, const char *part) {
    for (size_t i = 0; i < seen->n_libraries; i++) {
        if (strstr(seen->libraries[i], part))
            return true;
    }
    return false;
}

bool sb_explain_is_python(const struct sb_observation *seen) {
    for (size_t i = 0; i < seen->n_processes; i++) {
        const char *exe = seen->processes[i].exe, *name = exe ? strrchr(exe, '/') : NULL;
        if (name && strncmp(name, "/python", 7) == 0)
            return true;
    }
    return false;
}

static bool called(const struct sb_observation *seen, const char *source, const char *call) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(seen->probe, "sources"), i, one) {
        const char *of = json_string_value(json_object_get(one, "source"));
        const char *by = json_string_value(json_object_get(one, "call"));
        if (of && by && strcmp(of, source) == 0 && strcmp(by, call) == 0)
            return true;
    }
    return false;
}

/* Who called, the likelier cause first: the program, or the interpreter that runs its script; what
 * it brought along; a library of the system, which asks for reasons of its own. */
enum caller { PROGRAM, MODULE, SYSTEM, N_CALLERS };

/* /lib/x86_64-linux-gnu/libfoo.so.1 and /usr/lib64/libfoo.so.1, not what lies deeper: there
 * interpreters keep their modules. */
static bool is_of_system(const char *path) {
    path += strncmp(path, "/usr/", 5) == 0 ? 4 : 0;
    if (strncmp(path, "/lib", 4) != 0)
        return false;
    const char *name = strrchr(path, '/'), *folder = strchr(path + 1, '/');
    return folder && (folder == name || strchr(folder + 1, '/') == name);
}

/* A script that starts the program, as pyenv's python3 is, is not what is looked for. */
static bool is_shell(const char *program) {
    static const char *const shells[] = {"sh", "bash", "dash", "busybox"};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(program, shells[i]) == 0)
            return true;
    }
    return false;
}

static enum caller caller_of(const struct sb_observation *seen, const json_t *call) {
    const char *by = json_string_value(json_object_get(call, "by"));
    const char *program = json_string_value(json_object_get(call, "program"));
    if (is_shell(by))
        return SYSTEM;
    if ((program && strcmp(by, program) == 0) || strncmp(by, "libpython", 9) == 0)
        return PROGRAM;
    for (size_t i = 0; i < seen->n_libraries; i++) {
        const char *name = strrchr(seen->libraries[i], '/');
        if (name && strcmp(name + 1, by) == 0)
            return is_of_system(seen->libraries[i]) ? SYSTEM : MODULE;
    }
    return MODULE;
}

/* "time by train, getrandom by libfoo.so": the calls that were seen, without those of the system's
 * libraries where the program called by itself. */
static char *calls_of(const struct sb_observation *seen, const char *source) {
    enum { MOST = 3 };
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t n = 0;
    bool own = false;
    for (int caller = PROGRAM; caller < (own ? SYSTEM : N_CALLERS); caller++) {
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(seen->probe, "sources"), i, one) {
            const char *of = json_string_value(json_object_get(one, "source"));
            const char *call = json_string_value(json_object_get(one, "call"));
            const char *by = json_string_value(json_object_get(one, "by"));
            if (!of || !call || !by || strcmp(of, source) != 0 || n == MOST ||
                (int)caller_of(seen, one) != caller)
                continue;
            sb_text_printf(&text, "%s%s by %s", n++ ? ", " : "", call, by);
            own |= caller == PROGRAM;
        }
    }
    return n ? sb_text_take(&text) : NULL;
}

static char *seed_fix(const struct sb_observation *seen) {
    SB_AUTO_TEXT struct sb_text text = {0};
    if (sb_explain_is_python(seen)) {
        sb_text_puts(&text, "seed every generator: ");
        if (sb_explain_has_library(seen, "_multiarray_umath"))
            sb_text_puts(&text, "numpy.random.default_rng(SEED), numpy.random.seed(SEED), ");
        if (sb_explain_has_library(seen, "libtorch"))
            sb_text_puts(&text, "torch.manual_seed(SEED), ");
        if (sb_explain_has_library(seen, "tensorflow"))
            sb_text_puts(&text, "tf.random.set_seed(SEED), ");
        sb_text_puts(&text, "random.seed(SEED)");
        return sb_text_take(&text);
    }
    if (called(seen, "entropy", "std::random_device"))
        return strdup(
            "seed the generator from a constant or an argument, not from std::random_device");
    SB_AUTO_FREE char *calls = calls_of(seen, "entropy");
    return sb_format("seed from a constant or an argument, not from the system's entropy%s%s%s",
                     calls ? " (" : "", calls ? calls : "", calls ? ")" : "");
}

static char *race_fix(const struct sb_observation *seen, bool flag_cures) {
    if (flag_cures && sb_explain_has_library(seen, "libtorch"))
        return strdup("set the deterministic flag: torch.use_deterministic_algorithms(True)");
    if (flag_cures && sb_explain_has_library(seen, "tensorflow"))
        return strdup("set the deterministic flag: tf.config.experimental.enable_op_determinism()");
    if (flag_cures)
        return strdup("set the deterministic flag (deterministic=on cures it)");
    return strdup(
        "threads meet in any order: combine what they computed in a fixed order, and not as it "
        "arrives (atomics, locks, reduction clauses, as_completed)");
}

/* By what the run's libraries are told how many threads to use. */
static char *threads_fix(const struct sb_observation *seen) {
    static const char *const knobs[][2] = {
        {"libgomp", "OMP_NUM_THREADS"},
        {"libomp", "OMP_NUM_THREADS"},
        {"libiomp", "OMP_NUM_THREADS"},
        {"libopenblas", "OPENBLAS_NUM_THREADS"},
        {"libblis", "BLIS_NUM_THREADS"},
        {"libmkl", "MKL_NUM_THREADS"},
        {"libtorch", "torch.set_num_threads"},
        {"tensorflow", "tf.config.threading.set_intra_op_parallelism_threads"}};
    SB_AUTO_TEXT struct sb_text text = {0};
    const char *last = "";
    sb_text_puts(&text, "fix the number of threads");
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        if (!sb_explain_has_library(seen, knobs[i][0]) || strcmp(knobs[i][1], last) == 0)
            continue;
        sb_text_printf(&text, "%s%s", *last ? ", " : " (", knobs[i][1]);
        last = knobs[i][1];
    }
    sb_text_printf(&text, "%s, since the order of a sum follows it, or compare with a tolerance",
                   *last ? ")" : "");
    return sb_text_take(&text);
}

static const struct {
    const char *source, *fix;
} fixes[] = {
    {"hash_seed", "sort the set or dictionary before its order matters, or set PYTHONHASHSEED"},
    {"pid", "do not let a process id into seeds, names or orders"},
    {"readdir", "sort what os.listdir, glob or readdir returns before its order matters"},
    {"memory",
     "initialise the memory that is read before it is written (numpy.empty, torch.empty, malloc); "
     "valgrind or MemorySanitizer names the place"},
    {"aslr", "do not sort, hash or branch by addresses (id(), pointers as keys)"},
    {"hostname", "do not let the host's name into seeds or data"},
    {"path", "do not let the working directory's path into seeds, orders or data"},
    {"locale", "set the locale (LC_ALL=C.UTF-8), or sort and parse without it"},
    {"isa",
     "hold libraries to one instruction set (OPENBLAS_CORETYPE, ATEN_CPU_CAPABILITY, "
     "ONEDNN_MAX_CPU_ISA), or compare with a tolerance"},
    {"deterministic",
     "the deterministic paths compute other bits than the fast ones: choose one setting and keep "
     "it"},
    {"load", "do not let measured times decide what is computed"},
    {"batch",
     "kernels choose their way by the size of the batch: keep it, or compare with a tolerance"},
};

char *sb_explain_fix(const char *source, const struct sb_observation *seen, bool flag_cures) {
    if (strcmp(source, "entropy") == 0)
        return seed_fix(seen);
    if (strcmp(source, "threads") == 0)
        return threads_fix(seen);
    if (strcmp(source, "schedule") == 0)
        return race_fix(seen, flag_cures);
    if (strcmp(source, "clock") == 0) {
        SB_AUTO_FREE char *calls = calls_of(seen, "clock");
        return sb_format("do not let the time into seeds, names or decisions%s%s%s",
                         calls ? " (" : "", calls ? calls : "", calls ? ")" : "");
    }
    for (size_t i = 0; i < sizeof fixes / sizeof *fixes; i++) {
        if (strcmp(fixes[i].source, source) == 0)
            return strdup(fixes[i].fix);
    }
    return strncmp(source, "env:", 4) == 0
               ? sb_format("give %s the same value everywhere", source + 4)
               : sb_format("keep '%s' the same everywhere", source);
}
