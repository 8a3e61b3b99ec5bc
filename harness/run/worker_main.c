/* Stage 3, run: the process that does a built-in job. It alone loads a backend; it is started anew
 * for every run, since a library reads its environment once. */
#include <samebits/run.h>
#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/trace.h"
#include "kernels/module.h"
#include "kernels/problem.h"
#include "run/worker_internal.h"

#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

enum { EXIT_DONE = 0, EXIT_WRONG = 1, EXIT_ERROR = 2, EXIT_UNSUPPORTED = 77, MOST_THREADS = 1024 };

/* ---- Floating point as the hardware has it ----------------------------------------------------
 */

struct arithmetic {
    const char *rounding_mode;
    bool known, ftz, daz; /* results and operands that are subnormal taken for zero */
};

static struct arithmetic arithmetic_now(void) {
    static const struct {
        int mode;
        const char *name;
    } modes[] = {{FE_TONEAREST, "nearest"},
#ifdef FE_UPWARD
                 {FE_UPWARD, "upward"},
                 {FE_DOWNWARD, "downward"},
                 {FE_TOWARDZERO, "toward zero"}
#endif
    };
    struct arithmetic now = {.rounding_mode = "unknown"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (fegetround() == modes[i].mode)
            now.rounding_mode = modes[i].name;
    }
#if defined(__SSE__)
    unsigned mxcsr = _mm_getcsr();
    now.known = true;
    now.ftz = mxcsr & 0x8000;
    now.daz = mxcsr & 0x0040;
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    now.known = true;
    now.ftz = now.daz = fpcr >> 24 & 1; /* one bit for both */
#endif
    return now;
}

static bool arithmetic_is_default(const struct arithmetic *now) {
    return strcmp(now->rounding_mode, "nearest") == 0 && !now->ftz && !now->daz;
}

static int check_arithmetic(struct sb_error *err) {
    struct arithmetic now = arithmetic_now();
    if (arithmetic_is_default(&now))
        return 0;
    return sb_error_set(
        err, -EDOM,
        "floating point is not as it should be at the start: rounding %s, ftz %s, daz %s",
        now.rounding_mode, now.ftz ? "on" : "off", now.daz ? "on" : "off");
}

/* ---- Request --------------------------------------------------------------------------------- */

static bool parse_number(const char *text, uint64_t max, uint64_t *number) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end || errno || value > max)
        return false;
    *number = value;
    return true;
}

static int read_threads(struct sb_worker_request *request, struct sb_error *err) {
    static const char *const names[] = {"SAMEBITS_THREADS", "OMP_NUM_THREADS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = getenv(names[i]);
        uint64_t number;
        if (!text || !*text)
            continue;
        if (!parse_number(text, MOST_THREADS, &number) || number == 0)
            return sb_error_set(err, -EINVAL, "%s: '%s' is no number from 1 to %d", names[i], text,
                                MOST_THREADS);
        request->threads = (unsigned)number;
        return 0;
    }
    request->threads = sb_count_allowed_cpus();
    return 0;
}

/* As Python: without a seed, or with "random", another one in every process. */
static int read_hash_seed(struct sb_worker_request *request, struct sb_error *err) {
    const char *text = getenv("SAMEBITS_HASH_SEED");
    request->hash_seed_given = text && *text && strcmp(text, "random") != 0;
    if (request->hash_seed_given) {
        if (!parse_number(text, UINT64_MAX, &request->hash_seed))
            return sb_error_set(err, -EINVAL,
                                "SAMEBITS_HASH_SEED: '%s' is neither a number nor random", text);
        return 0;
    }
    if (getrandom(&request->hash_seed, sizeof request->hash_seed, 0) != sizeof request->hash_seed)
        return sb_error_errno(err, -errno, "getrandom");
    return 0;
}

static int read_environment(struct sb_worker_request *request, struct sb_error *err) {
    const char *deterministic = getenv("SAMEBITS_DETERMINISTIC");
    request->deterministic = deterministic && *deterministic && strcmp(deterministic, "0") != 0;
    int rc = read_threads(request, err);
    return rc < 0 ? rc : read_hash_seed(request, err);
}

static int parse_command_line(int argc, char **argv, struct sb_worker_request *request,
                              struct sb_error *err) {
    *request = (struct sb_worker_request){.subject = argv[2], .backend = "ref", .dtype = "f32"};
    request->kind = strcmp(argv[1], "train") == 0 ? SB_JOB_TRAIN : SB_JOB_KERNEL;
    request->arguments = calloc((size_t)argc, sizeof *request->arguments);
    if (!request->arguments)
        return sb_error_errno(err, -ENOMEM, "arguments");
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--backend", &request->backend},
                   {"--dtype", &request->dtype},
                   {"--shape", &request->shape},
                   {"--algorithm", &request->algorithm},
                   {"--weights", &request->weights}};
    for (int i = 3; i < argc; i += 2) {
        if (i + 1 == argc)
            return sb_error_set(err, -EINVAL, "%s: a value is missing", argv[i]);
        size_t o = 0, n = sizeof options / sizeof *options;
        while (o < n && strcmp(argv[i], options[o].name) != 0)
            o++;
        if (o < n)
            *options[o].value = argv[i + 1];
        else if (strcmp(argv[i], "--arg") == 0)
            request->arguments[request->n_arguments++] = argv[i + 1];
        else
            return sb_error_set(err, -EINVAL,
                                "unknown option '%s' (choices: --backend --dtype --shape "
                                "--algorithm --arg --weights)",
                                argv[i]);
    }
    if (!request->weights)
        return sb_error_set(err, -EINVAL, "--weights PATH is missing");
    return 0;
}

int sb_worker_arguments(const struct sb_worker_request *request,
                        const struct sb_argument_spec *specs, struct sb_argument_value *values,
                        struct sb_error *err) {
    sb_arguments_default(specs, values);
    for (size_t i = 0; i < request->n_arguments; i++) {
        const char *equals = strchr(request->arguments[i], '=');
        if (!equals)
            return sb_error_set(err, -EINVAL, "--arg '%s' is not NAME=VALUE",
                                request->arguments[i]);
        SB_AUTO_FREE char *name =
            strndup(request->arguments[i], (size_t)(equals - request->arguments[i]));
        if (!name)
            return sb_error_errno(err, -ENOMEM, "arguments");
        int rc = sb_argument_set(specs, values, name, equals + 1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- Report ---------------------------------------------------------------------------------- */

static json_t *report_make(const struct sb_worker_request *request,
                           const struct sb_engine *engine) {
    json_t *json = json_object();
    if (engine)
        sb_worker_add_facts(json, engine);
    else
        json_object_set_new(json, "backend", json_string(request->backend));
    json_object_set_new(json, "threads_asked", json_integer(request->threads));
    /* A training's input pipeline has a switch, whatever its backend has. */
    bool has_switch =
        request->kind == SB_JOB_TRAIN || !engine || sb_engine_backend(engine)->set_deterministic;
    json_object_set_new(json, "deterministic",
                        has_switch ? json_boolean(request->deterministic)
                                   : json_string("no switch"));
    json_object_set_new(json, "hash_seed",
                        request->hash_seed_given ? json_integer((json_int_t)request->hash_seed)
                                                 : json_string("random"));
    return json;
}

/* Taken again here, after the libraries were loaded and have run: some change it for the whole
 * process. */
static void report_arithmetic(json_t *json) {
    struct arithmetic now = arithmetic_now();
    json_object_set_new(json, "rounding_mode", json_string(now.rounding_mode));
    json_object_set_new(json, "ftz", now.known ? json_boolean(now.ftz) : json_null());
    json_object_set_new(json, "daz", now.known ? json_boolean(now.daz) : json_null());
}

static int report_write(const json_t *json, struct sb_error *err) {
    const char *path = getenv("SAMEBITS_REPORT");
    if (!path || !*path)
        return 0;
    SB_AUTO_FREE char *text = sb_json_text(json);
    if (!text)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    return sb_file_write(path, text, strlen(text), err);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

/* What a request names, found in the registries. */
struct found {
    const struct sb_backend *backend;
    const struct sb_training *training;
    const struct sb_operation *operation;
    enum sb_dtype dtype;
};

/* -ENOTSUP: known, but there is no such kernel here. */
static int find(const struct sb_worker_request *request, struct found *found,
                struct sb_error *err) {
    found->dtype = sb_dtype_find(request->dtype);
    int rc = sb_backend_load(request->backend, &found->backend, err);
    if (rc < 0)
        return rc == -ENOENT ? sb_error_prefix(err, -ENOTSUP, "backend '%s'", request->backend)
                             : rc;
    if (request->kind == SB_JOB_TRAIN) {
        found->training = sb_training_find(request->subject);
        if (!found->training)
            return sb_error_set(err, -EINVAL, "unknown training job '%s'", request->subject);
        if (found->training->planned)
            return sb_error_set(err, -ENOTSUP, "training job '%s': not built (%s)",
                                request->subject, found->training->planned);
        return 0;
    }
    found->operation = sb_operation_find(request->subject);
    if (!found->operation || found->dtype == SB_N_DTYPES)
        return sb_error_set(err, -EINVAL, "unknown kernel '%s' or dtype '%s'", request->subject,
                            request->dtype);
    SB_AUTO_FREE char *gap = sb_backend_gap(found->backend, found->operation, found->dtype);
    return gap ? sb_error_set(err, -ENOTSUP, "%s", gap) : 0;
}

static int do_job(const struct sb_worker_request *request, struct sb_error *err) {
    struct found found = {0};
    struct sb_engine *engine = NULL;
    int rc = find(request, &found, err);
    struct sb_engine_options options = {request->threads, request->deterministic};
    if (rc == 0)
        rc = sb_engine_open(found.backend, &options, &engine, err);
    SB_AUTO_JSON json_t *report = report_make(request, engine);
    if (rc == 0)
        rc = found.training
                 ? sb_worker_train(request, found.training, engine, report, err)
                 : sb_worker_kernel(request, found.operation, found.dtype, engine, report, err);
    if (rc == -EAGAIN) {
        sb_engine_close(engine);
        return rc;
    }
    bool unsupported = rc == -ENOTSUP || (rc == -ENOENT && !engine);
    if (unsupported)
        json_object_set_new(report, "unsupported", sb_json_string(err->text));
    report_arithmetic(report);
    sb_engine_close(engine);
    struct sb_error unwritten = {0};
    if ((rc == 0 || unsupported) && report_write(report, &unwritten) < 0) {
        *err = unwritten;
        return -EIO;
    }
    return unsupported ? -ENOTSUP : rc;
}

/* The rest of a training, in a process that knows only what the first has written to a file. */
static int begin_again(int argc, char **argv, struct sb_error *err) {
    SB_AUTO_FREE char *program = sb_program_path();
    SB_AUTO_FREE char **command = calloc((size_t)argc + 2, sizeof *command);
    if (!program || !command)
        return sb_error_errno(err, -ENOMEM, "exec");
    command[0] = program;
    for (int i = 0; i < argc; i++)
        command[i + 1] = argv[i];
    fflush(NULL);
    execv(program, command);
    return sb_error_errno(err, -errno, "%s", program);
}

static int run_job(int argc, char **argv) {
    struct sb_error err = {0};
    struct sb_worker_request request = {0};
    int rc = parse_command_line(argc, argv, &request, &err);
    if (rc == 0)
        rc = read_environment(&request, &err);
    if (rc == 0)
        rc = check_arithmetic(&err);
    if (rc == 0)
        rc = do_job(&request, &err);
    free(request.arguments);
    if (rc == -EAGAIN)
        rc = begin_again(argc, argv, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = sb_error_errno(&err, -errno, "stdout");
    if (rc < 0)
        fprintf(stderr, "samebits worker: %s\n", err.text);
    return rc == 0 ? EXIT_DONE : rc == -ENOTSUP ? EXIT_UNSUPPORTED : EXIT_ERROR;
}

/* ---- check-isa, describe --------------------------------------------------------------------- */

/* Odd sizes, so that the edges of every blocking are computed too. */
static int check_gemm(struct sb_engine *engine, enum sb_dtype dtype, double *worst,
                      struct sb_error *err) {
    static const size_t shapes[][3] = {{1, 1, 1}, {7, 5, 3}, {65, 67, 129}, {191, 130, 257}};
    for (size_t i = 0; i < 2 * sizeof shapes / sizeof *shapes; i++) {
        struct sb_problem problem = {0};
        double attributes[SB_MAX_ATTRIBUTES] = {(double)(i % 2), (double)(i / 2 % 2)};
        struct sb_problem_options options = {dtype, shapes[i / 2], 3, attributes, i, 0};
        int rc = sb_problem_make(sb_operation_find("gemm"), &options, &problem, err);
        if (rc == 0)
            rc = sb_problem_expect(&problem, err);
        if (rc == 0)
            rc = sb_engine_call(engine, &problem.call, err);
        double share = rc == 0 ? sb_problem_error(&problem) / sb_problem_tolerance(&problem) : 0;
        sb_problem_clear(&problem);
        if (rc < 0)
            return rc;
        if (!(share <= *worst))
            *worst = share;
    }
    return 0;
}

static int check_isa(void) {
    struct sb_error err = {0};
    struct sb_engine *engine = NULL;
    struct sb_worker_request request = {0};
    int rc = read_threads(&request, &err);
    if (rc == 0)
        rc = sb_engine_open(sb_backend_find("openblas"),
                            &(struct sb_engine_options){.threads = request.threads}, &engine, &err);
    double worst = 0;
    if (rc == 0)
        rc = check_gemm(engine, SB_DTYPE_F32, &worst, &err);
    if (rc == 0)
        rc = check_gemm(engine, SB_DTYPE_F64, &worst, &err);
    struct sb_backend_facts facts = {0};
    if (engine)
        sb_engine_describe(engine, &facts);
    sb_engine_close(engine);
    if (rc < 0) {
        printf("%s\n", err.text);
        return rc == -ENOENT || rc == -ENOTSUP ? EXIT_UNSUPPORTED : EXIT_ERROR;
    }
    if (worst <= 1) {
        printf("%s\n", facts.core);
        return EXIT_DONE;
    }
    printf("its core %s makes errors of %.3g times what rounding allows\n", facts.core, worst);
    return EXIT_WRONG;
}

static int describe(const char *backend) {
    SB_AUTO_FREE char *missing = NULL;
    SB_AUTO_JSON json_t *json = sb_worker_describe(backend, &missing);
    if (!json) {
        fprintf(stderr, "samebits worker: %s\n", missing ? missing : strerror(ENOMEM));
        return EXIT_ERROR;
    }
    SB_AUTO_FREE char *text = sb_json_text(json);
    printf("%s", text ? text : "");
    return text && fflush(stdout) == 0 ? EXIT_DONE : EXIT_ERROR;
}

/* A program names its points as it likes: nothing of that may end a column or steer a terminal. */
static void print_name(const char *name) {
    for (; *name; name++)
        putchar((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
    putchar('\t');
}

/* A trace as lines of columns, for people and scripts. */
static int show_trace(const char *path) {
    struct sb_trace_reader *reader = NULL;
    struct sb_trace_record record;
    struct sb_error err = {0};
    int rc = sb_trace_reader_open(path, &reader, &err);
    while (rc >= 0 && (rc = sb_trace_read(reader, &record, &err)) == 1) {
        printf("%" PRIu64 "\t%" PRIu32 "\t", record.call, record.step);
        print_name(record.kernel);
        print_name(record.backend);
        printf("%s\t", record.dtype < SB_N_DTYPES ? sb_dtype_names[record.dtype] : "?");
        for (size_t i = 0; i < record.n_sizes; i++)
            printf("%s%" PRIu64, i ? "x" : "", record.sizes[i]);
        char in[2 * SB_TRACE_DIGEST + 1], out[2 * SB_TRACE_DIGEST + 1];
        sb_hex(record.in, sizeof record.in, in);
        sb_hex(record.out, sizeof record.out, out);
        printf("\t%s\t%s\n", in, out);
    }
    sb_trace_reader_close(reader);
    if (rc < 0)
        fprintf(stderr, "samebits worker: %s\n", err.text);
    return rc == 0 && fflush(stdout) == 0 ? EXIT_DONE : EXIT_ERROR;
}

static int replay(const char *path, const char *weights) {
    struct sb_worker_request request = {0};
    struct sb_error err = {0};
    int rc = read_environment(&request, &err);
    if (rc == 0)
        rc = check_arithmetic(&err);
    if (rc == 0)
        rc = sb_worker_replay(path, weights, request.threads, request.deterministic, &err);
    if (rc < 0)
        fprintf(stderr, "samebits worker: %s\n", err.text);
    return rc == 0 ? EXIT_DONE : rc == -ENOTSUP ? EXIT_UNSUPPORTED : EXIT_ERROR;
}

int sb_worker_main(int argc, char **argv) {
    if (argc >= 3 && (strcmp(argv[1], "train") == 0 || strcmp(argv[1], "kernel") == 0))
        return run_job(argc, argv);
    if (argc == 2 && strcmp(argv[1], "check-isa") == 0)
        return check_isa();
    if (argc == 3 && strcmp(argv[1], "describe") == 0)
        return describe(argv[2]);
    if (argc == 3 && strcmp(argv[1], "trace") == 0)
        return show_trace(argv[2]);
    if (argc == 4 && strcmp(argv[1], "replay") == 0)
        return replay(argv[2], argv[3]);
    fprintf(stderr,
            "usage: samebits worker train|kernel NAME [--backend B] [--dtype D] [--shape MxNxK]\n"
            "                       [--arg NAME=VALUE]… --weights PATH\n"
            "       samebits worker check-isa\n"
            "       samebits worker describe BACKEND\n"
            "       samebits worker trace FILE\n"
            "       samebits worker replay CALL WEIGHTS\n");
    return EXIT_ERROR;
}
