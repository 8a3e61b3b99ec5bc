/* Stage 2, matrix: axis deterministic: what each framework reads to take its deterministic paths.
 */
#include "base/cleanup.h"
#include "matrix/axis.h"

#include <stdlib.h>
#include <string.h>

/* The one table: `on` sets all of it, `off` unsets the same. Where nothing but a call switches a
 * framework (PyTorch's use_deterministic_algorithms), the job reads SAMEBITS_DETERMINISTIC. */
const struct sb_variable sb_deterministic_variables[] = {
    {"SAMEBITS_DETERMINISTIC", "1"},
    {"TF_DETERMINISTIC_OPS", "1"},
    {"TF_CUDNN_DETERMINISTIC", "1"},
    {"TORCHINDUCTOR_DETERMINISTIC", "1"},
    {"FLASH_ATTENTION_DETERMINISTIC", "1"},    /* Hugging Face transformers */
    {"NVTE_ALLOW_NONDETERMINISTIC_ALGO", "0"}, /* NVIDIA Transformer Engine */
    {"FLAGS_cudnn_deterministic", "1"},        /* Paddle */
    {"MXNET_ENFORCE_DETERMINISM", "1"},        /* MXNet */
    {"CUBLAS_WORKSPACE_CONFIG", ":4096:8"},    /* cuBLAS: read once, when CUDA starts */
    {"ROCBLAS_DEFAULT_ATOMICS_MODE", "0"},     /* rocBLAS */
    {"NCCL_ALGO", "Ring"},                     /* NVLS adds in an order that changes */
    {"NCCL_PROTO", "Simple"},
    {"KMP_DETERMINISTIC_REDUCTION", "TRUE"}, /* LLVM's and Intel's OpenMP; GNU's has no switch */
    {"MKL_CBWR", "AUTO"},                    /* static scheduling and fixed reductions */
    {NULL, NULL},
};

/* XLA reads flags from one variable, where others put theirs. */
static const char xla_variable[] = "XLA_FLAGS";
static const char xla_flag[] = "--xla_gpu_deterministic_ops";
static const char xla_word[] = "--xla_gpu_deterministic_ops=true";

static const char *const levels[] = {"off", "on", NULL};

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    if (strcmp(level, "on") == 0) {
        int status = sb_setup_set_table(setup, sb_deterministic_variables);
        return status < 0 ? status : sb_setup_flag(setup, xla_variable, xla_flag, xla_word);
    }
    for (const struct sb_variable *variable = sb_deterministic_variables; variable->name;
         variable++)
        sb_setup_unset(setup, variable->name);
    return sb_setup_flag(setup, xla_variable, xla_flag, NULL);
}

/* A framework that takes the variables is not made to use them, so nothing is known of a command.
 */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return sb_worker_word(seen, "deterministic");
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    (void)name;
    const char *names[sizeof sb_deterministic_variables / sizeof *sb_deterministic_variables + 1] =
        {xla_variable};
    for (size_t i = 0; sb_deterministic_variables[i].name; i++)
        names[i + 1] = sb_deterministic_variables[i].name;
    return seen->worker ? NULL : sb_seen_variables(seen, names);
}

const struct sb_axis sb_axis_deterministic = {
    .name = "deterministic",
    .summary = "the deterministic switches of frameworks and libraries",
    .levels = "off, on",
    .among = levels,
    .apply = apply,
    .observe = observe,
    .arrived = arrived,
};
