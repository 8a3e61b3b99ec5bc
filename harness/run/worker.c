/* Stage 3, run: built-in jobs as seen by the process that plans them. It loads no backend itself:
 * what has to be tried is tried in a child. */
#include <samebits/run.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "kernels/module.h"
#include "kernels/problem.h"
#include "run/worker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { CHECK_SECONDS = 60 };

void sb_kernel_arguments(const struct sb_operation *operation,
                         struct sb_argument_spec specs[SB_KERNEL_ARGUMENTS]) {
    size_t n = 0;
    for (const struct sb_attribute *a = operation->attributes; a->name; a++)
        specs[n++] =
            (struct sb_argument_spec){a->name, SB_ARGUMENT_REAL, NULL, a->min, a->max, a->summary};
    specs[n++] = (struct sb_argument_spec){"seed", SB_ARGUMENT_INTEGER,    "0",
                                           0,      18446744073709549568.0, "of the inputs"};
    specs[n++] = (struct sb_argument_spec){
        "calls", SB_ARGUMENT_INTEGER, "3", 1, 100000, "times that it is computed in one process"};
    specs[n] = (struct sb_argument_spec){NULL};
}

void sb_kernel_attributes(const struct sb_operation *operation,
                          const struct sb_argument_value *values,
                          double attributes[SB_MAX_ATTRIBUTES]) {
    for (size_t i = 0; operation->attributes[i].name; i++)
        attributes[i] = values[i].given ? values[i].real : operation->attributes[i].value;
}

enum sb_dtype sb_dtype_find(const char *name) {
    enum sb_dtype dtype = 0;
    while (dtype < SB_N_DTYPES && strcmp(sb_dtype_names[dtype], name) != 0)
        dtype++;
    return dtype;
}

static const char *backend_name(const struct sb_job *job) {
    return job->backend ? job->backend : "ref";
}

static enum sb_dtype dtype_of(const struct sb_job *job) {
    return sb_dtype_find(job->dtype ? job->dtype : "f32");
}

/* ---- Command --------------------------------------------------------------------------------- */

int sb_worker_command(const struct sb_job *job, const char *program, char ***command,
                      struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings argv = {0};
    int rc = 0;
#define ADD(string)                                                                                \
    if (rc == 0)                                                                                   \
    rc = sb_strings_add(&argv, string)
    ADD(program);
    ADD("worker");
    ADD(sb_job_kind_names[job->kind]);
    ADD(job->subject);
    ADD("--backend");
    ADD(backend_name(job));
    if (job->kind == SB_JOB_KERNEL) {
        ADD("--dtype");
        ADD(job->dtype ? job->dtype : "f32");
    }
    if (job->kind == SB_JOB_KERNEL && job->shape) {
        SB_AUTO_TEXT struct sb_text shape = {0};
        for (size_t i = 0; i < job->n_shape; i++)
            sb_text_printf(&shape, "%s%zu", i ? "x" : "", job->shape[i]);
        ADD("--shape");
        if (rc == 0)
            rc = sb_strings_take(&argv, sb_text_take(&shape));
    }
    if (job->algorithm) {
        ADD("--algorithm");
        ADD(job->algorithm);
    }
    for (size_t i = 0; i < job->n_arguments; i++) {
        ADD("--arg");
        if (rc == 0)
            rc = sb_strings_take(
                &argv, sb_format("%s=%s", job->arguments[i].name, job->arguments[i].value));
    }
    ADD("--weights");
    ADD(job->weights);
#undef ADD
    if (rc < 0)
        return sb_error_errno(err, rc, "job '%s'", job->id);
    *command = sb_steal_pointer(&argv.items);
    argv.n = 0;
    return 0;
}

/* ---- Check ----------------------------------------------------------------------------------- */

static int unknown(const struct sb_where *where, const char *what, const char *name, char *choices,
                   struct sb_error *err) {
    int rc = sb_where_error(err, -EINVAL, where, "unknown %s '%s' (choices: %s)", what, name,
                            choices ? choices : "");
    free(choices);
    return rc;
}

static int check_arguments(const struct sb_job *job, const struct sb_argument_spec *specs,
                           struct sb_argument_value *values, struct sb_error *err) {
    sb_arguments_default(specs, values);
    for (size_t i = 0; i < job->n_arguments; i++) {
        const struct sb_argument *argument = &job->arguments[i];
        struct sb_error inner = {0};
        if (sb_argument_set(specs, values, argument->name, argument->value, &inner) < 0)
            return sb_where_error(err, -EINVAL, &argument->where, "%s '%s': %s",
                                  sb_job_kind_names[job->kind], job->subject, inner.text);
    }
    return 0;
}

static int check_training(const struct sb_job *job, struct sb_error *err) {
    const struct sb_training *training = sb_training_find(job->subject);
    if (!training)
        return unknown(&job->subject_where, "training job", job->subject, sb_training_names(), err);
    if (training->planned)
        return 0;
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    int rc = check_arguments(job, training->arguments, values, err);
    struct sb_error inner = {0};
    if (rc == 0 && training->check && training->check(values, &inner) < 0)
        rc = sb_where_error(err, -EINVAL, &job->where, "train '%s': %s", job->subject, inner.text);
    return rc;
}

/* Known, or a module that others have written, of which only a process that loads it knows more. */
static bool is_backend(const char *name) {
    SB_AUTO_FREE char *path = NULL;
    return sb_backend_find(name) || sb_module_find(name, &path, NULL) == 0;
}

/* An algorithm is checked against a kernel that is there; a gap has its own reason. */
static int check_algorithm(const struct sb_job *job, struct sb_error *err) {
    const struct sb_backend *backend = sb_backend_find(backend_name(job));
    const struct sb_kernel *kernel =
        backend ? sb_backend_kernel(backend, job->subject, dtype_of(job)) : NULL;
    if (!job->algorithm || !kernel)
        return 0;
    SB_AUTO_TEXT struct sb_text names = {0};
    for (const char *const *name = kernel->algorithms; name && *name; name++) {
        if (strcmp(*name, job->algorithm) == 0)
            return 0;
        sb_text_printf(&names, "%s%s", names.length ? " " : "", *name);
    }
    return unknown(&job->algorithm_where, "algorithm", job->algorithm,
                   strdup(names.length ? names.data : "none"), err);
}

static int check_kernel(const struct sb_job *job, struct sb_error *err) {
    const struct sb_operation *operation = sb_operation_find(job->subject);
    if (!operation)
        return unknown(&job->subject_where, "kernel", job->subject, sb_operation_names(), err);
    if (dtype_of(job) == SB_N_DTYPES)
        return unknown(&job->dtype_where, "dtype", job->dtype, strdup("f16 bf16 f32 f64"), err);
    if (operation->planned)
        return 0;
    struct sb_error inner = {0};
    /* Another known dtype is a gap of the backend, not a mistake: it is skipped with a reason. */
    enum sb_dtype dtype = dtype_of(job);
    if (dtype != SB_DTYPE_F64 && dtype != SB_DTYPE_F16 && dtype != SB_DTYPE_BF16)
        dtype = SB_DTYPE_F32;
    struct sb_argument_spec specs[SB_KERNEL_ARGUMENTS];
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    sb_kernel_arguments(operation, specs);
    int rc = check_arguments(job, specs, values, err);
    if (rc < 0)
        return rc;
    double attributes[SB_MAX_ATTRIBUTES];
    sb_kernel_attributes(operation, values, attributes);
    struct sb_problem_options options = {
        .dtype = dtype, .shape = job->shape, .n_shape = job->n_shape, .attributes = attributes};
    if (sb_problem_check(operation, &options, &inner) < 0)
        return sb_where_error(err, -EINVAL, &job->where, "%s", inner.text);
    return check_algorithm(job, err);
}

int sb_worker_check(const struct sb_job *job, struct sb_error *err) {
    if (job->kind == SB_JOB_COMMAND)
        return 0;
    if (!is_backend(backend_name(job)))
        return unknown(&job->backend_where, "backend", backend_name(job), sb_backend_names(), err);
    return job->kind == SB_JOB_TRAIN ? check_training(job, err) : check_kernel(job, err);
}

/* ---- A child that tries ---------------------------------------------------------------------- */

/* Everything that arrives until the pipe closes or the time is up; what lies beyond the limit is
 * thrown away. */
static bool read_until(int fd, double deadline, struct sb_text *text) {
    for (;;) {
        double left = deadline - sb_monotonic();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return false;
        int ready = poll(&poll_fd, 1, (int)(left * 1000) + 1);
        char buffer[4096];
        ssize_t n = ready > 0 ? read(fd, buffer, sizeof buffer) : -1;
        if (ready > 0 && n == 0)
            return true;
        if (n > 0 && text->length < 65536)
            sb_text_add(text, buffer, (size_t)n);
        if (sb_interrupted)
            return false;
    }
}

/* What a child wrote and how it ended: an exit code, 128 + its signal, or a negative errno
 * (-ETIMEDOUT). */
static int in_child(void (*body)(void *context, int out), void *context, struct sb_text *text) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        int rc = -errno;
        close(ends[0]);
        close(ends[1]);
        return rc;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127);
        setpgid(0, 0);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        body(context, ends[1]);
        _exit(0);
    }
    setpgid(child, child); /* whichever of the two comes first */
    close(ends[1]);
    bool closed = read_until(ends[0], sb_monotonic() + CHECK_SECONDS, text);
    close(ends[0]);
    if (!closed)
        kill(-child, SIGKILL);
    int status;
    pid_t waited;
    do {
        waited = waitpid(child, &status, 0);
    } while (waited < 0 && errno == EINTR);
    if (!closed)
        return sb_interrupted ? -EINTR : -ETIMEDOUT;
    if (waited < 0)
        return -errno;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- Describe, unavailable ------------------------------------------------------------------- */

static void set_text(json_t *json, const char *key, const char *text) {
    json_object_set_new(json, key, *text ? sb_json_string(text) : json_null());
}

void sb_worker_add_facts(json_t *json, const struct sb_engine *engine) {
    struct sb_backend_facts facts;
    sb_engine_describe(engine, &facts);
    json_object_set_new(json, "backend", json_string(sb_engine_backend(engine)->name));
    set_text(json, "library", facts.library);
    set_text(json, "version", facts.version);
    set_text(json, "core", facts.core);
    set_text(json, "config", facts.config);
    json_object_set_new(json, "threads", facts.threads ? json_integer(facts.threads) : json_null());
}

/* What is tried in a child: a backend, and whether it has a kernel. */
struct trial {
    const char *backend;
    const struct sb_operation *operation; /* NULL: any */
    enum sb_dtype dtype;
};

static int try_backend(const struct trial *trial, struct sb_engine **engine, struct sb_error *err) {
    const struct sb_backend *backend;
    int rc = sb_backend_load(trial->backend, &backend, err);
    if (rc < 0)
        return sb_error_prefix(err, rc, "backend '%s'", trial->backend);
    SB_AUTO_FREE char *gap =
        trial->operation ? sb_backend_gap(backend, trial->operation, trial->dtype) : NULL;
    if (gap)
        return sb_error_set(err, -ENOTSUP, "%s", gap);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct sb_engine_options options = {.threads = cpus > 0 ? (unsigned)cpus : 1};
    return sb_engine_open(backend, &options, engine, err);
}

static json_t *kernels_of(const struct sb_backend *backend) {
    json_t *json = json_object();
    for (const struct sb_kernel *k = backend->kernels; k && k->operation; k++) {
        json_t *dtypes = json_array();
        for (int dtype = 0; dtype < SB_N_DTYPES; dtype++) {
            if ((k->dtypes | k->widened) & SB_BIT(dtype))
                json_array_append_new(dtypes, json_string(sb_dtype_names[dtype]));
        }
        json_object_set_new(json, k->operation, dtypes);
    }
    return json;
}

json_t *sb_worker_kernels(const char *name) {
    const struct sb_backend *backend = sb_backend_find(name);
    return backend ? kernels_of(backend) : NULL;
}

static void describe_in_child(void *context, int out) {
    int silent = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (silent >= 0) { /* a library may write to stderr when it is loaded */
        dup2(silent, 1);
        dup2(silent, 2);
    }
    struct sb_error err = {0};
    struct sb_engine *engine = NULL;
    if (try_backend(context, &engine, &err) < 0) {
        dprintf(out, "%s", err.text);
        _exit(1);
    }
    SB_AUTO_JSON json_t *json = json_object();
    sb_worker_add_facts(json, engine);
    const struct sb_backend *backend = sb_engine_backend(engine);
    json_object_set_new(json, "kernels", kernels_of(backend));
    set_text(json, "summary", backend->summary ? backend->summary : "");
    json_dumpfd(json, out, JSON_COMPACT);
}

static json_t *describe_trial(const struct trial *trial, char **missing) {
    const char *name = trial->backend;
    *missing = NULL;
    SB_AUTO_TEXT struct sb_text text = {0};
    int code = in_child(describe_in_child, (void *)trial, &text);
    json_t *json = code == 0 && text.data ? json_loadb(text.data, text.length, 0, NULL) : NULL;
    if (json)
        return json;
    if (code == 1 && text.length)
        *missing = sb_text_take(&text);
    else if (code > 128)
        *missing = sb_format("backend '%s': crashed when loaded (%s)", name, strsignal(code - 128));
    else
        *missing = sb_format("backend '%s': cannot be tried: %s", name,
                             code < 0 ? strerror(-code) : "it gave no answer");
    return NULL;
}

json_t *sb_worker_describe(const char *name, char **missing) {
    const struct sb_backend *backend = sb_backend_find(name);
    if (!is_backend(name)) {
        *missing = sb_format("unknown backend '%s'", name);
        return NULL;
    }
    if (backend && backend->planned) {
        *missing = sb_format("backend '%s': not built (%s)", name, backend->planned);
        return NULL;
    }
    return describe_trial(&(struct trial){.backend = name}, missing);
}

char *sb_worker_unavailable(const struct sb_job *job) {
    if (job->kind == SB_JOB_COMMAND)
        return NULL;
    struct trial trial = {.backend = backend_name(job)};
    if (!is_backend(trial.backend))
        return sb_format("unknown backend '%s'", trial.backend);
    if (job->kind == SB_JOB_KERNEL) {
        trial.operation = sb_operation_find(job->subject);
        trial.dtype = dtype_of(job);
        if (!trial.operation || trial.dtype == SB_N_DTYPES)
            return sb_format("unknown kernel '%s' or dtype", job->subject);
    } else {
        const struct sb_training *training = sb_training_find(job->subject);
        if (!training)
            return sb_format("unknown training job '%s'", job->subject);
        if (training->planned)
            return sb_format("training job '%s': not built (%s)", job->subject, training->planned);
    }
    char *missing;
    json_decref(describe_trial(&trial, &missing));
    return missing;
}

/* ---- check-isa ------------------------------------------------------------------------------- */

struct isa_check {
    char *program;
    char **environment;
};

static void exec_check(void *context, int out) {
    const struct isa_check *check = context;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing >= 0)
        dup2(nothing, 0);
    dup2(out, 1);
    dup2(out, 2);
    char worker[] = "worker", check_isa[] = "check-isa";
    execve(check->program, (char *const[]){check->program, worker, check_isa, NULL},
           check->environment);
    dprintf(out, "%s: %s", check->program, strerror(errno));
    _exit(126);
}

int sb_worker_check_isa(const char *program, const char *level, char **refused) {
    const struct sb_axis *axis = sb_axis_find("isa");
    SB_AUTO_STRINGS struct sb_strings environment = {0};
    struct sb_setup setup = {0};
    int rc = 0;
    for (char **variable = environ; *variable && rc == 0; variable++)
        rc = sb_strings_add(&environment, *variable);
    setup.environment = sb_steal_pointer(&environment.items);
    environment.n = 0;
    if (rc == 0 && axis && axis->apply)
        rc = axis->apply(NULL, "isa", level, &setup);
    SB_AUTO_TEXT struct sb_text text = {0};
    int code = rc;
    if (rc == 0)
        code = in_child(exec_check, &(struct isa_check){(char *)program, setup.environment}, &text);
    sb_setup_clear(&setup);
    if (code < 0 && code != -ETIMEDOUT)
        return code;
    /* One line, without what a library may have printed before it. */
    const char *said = text.data ? text.data : "";
    size_t n = strlen(said);
    while (n > 0 && said[n - 1] == '\n')
        n--;
    const char *line = n ? memrchr(said, '\n', n) : NULL;
    line = line ? line + 1 : said;
    *refused = NULL;
    if (code == -ETIMEDOUT)
        *refused = sb_format("OpenBLAS does not finish at %s within %d s", level, CHECK_SECONDS);
    else if (code > 128)
        *refused = sb_format("OpenBLAS crashes at %s (%s)", level, strsignal(code - 128));
    else if (code == 1)
        *refused = sb_format("OpenBLAS is wrong at %s: %.*s", level, (int)(said + n - line), line);
    else if (code != 0 && code != 77)
        return -ECHILD;
    if (code != 0 && code != 77 && !*refused)
        return -ENOMEM;
    return 0;
}
