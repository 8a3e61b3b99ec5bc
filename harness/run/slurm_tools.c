/* Stage 3: Slurm's programs: what they are called with, and what they print. See run/slurm.h. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/slurm.h"

#include <samebits/run.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { DEFAULT_ARRAY_SIZE = 1001 };

/* ---- Calling ----------------------------------------------------------------------------------
 */

/* Globs of what they see of the environment. SQUEUE_USERS and the like would hide tasks,
 * SCANCEL_INTERACTIVE would ask; and what sbatch sees goes to the node, where it is nobody's. */
static const char *const seen[] = {
    "PATH",       "HOME",       "USER",
    "LOGNAME",    "SHELL",      "LANG",
    "LC_ALL",     "TZ",         "TMPDIR",
    "KRB5CCNAME", "SLURM_CONF", "SLURM_CONF_SERVER",
    "SLURM_JWT",  "SBATCH_*",   "LD_LIBRARY_PATH",
};

static int make_environment(struct sb_strings *environment) {
    int rc = 0;
    for (char **item = environ; rc == 0 && *item; item++) {
        SB_AUTO_FREE char *name = strndup(*item, strcspn(*item, "="));
        bool kept = false;
        for (size_t i = 0; name && !kept && i < sizeof seen / sizeof *seen; i++)
            kept = sb_glob_match(seen[i], name);
        if (kept || !name)
            rc = name ? sb_strings_add(environment, *item) : -ENOMEM;
    }
    return rc;
}

/* In a process group of its own: Ctrl-C is for samebits, which then decides. */
static int start(const char *const *arguments, int in, int out, int said, pid_t *pid) {
    SB_AUTO_STRINGS struct sb_strings environment = {0};
    if (make_environment(&environment) < 0)
        return -ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual, none;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, in, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, said, 2);
    if (rc == 0 && (rc = posix_spawnattr_init(&attributes)) == 0) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigdefault(&attributes, &usual);
        posix_spawnattr_setsigmask(&attributes, &none);
        rc = posix_spawnp(pid, arguments[0], &actions, &attributes, (char *const *)arguments,
                          environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* To the end of what it prints. A second interruption ends it. */
static int take_output(int fd, pid_t pid, struct sb_text *out) {
    for (;;) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        char buffer[65536];
        if (sb_interrupted < 0)
            kill(pid, SIGKILL);
        if (poll(&polled, 1, 200) <= 0)
            continue;
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n > 0)
            sb_text_add(out, buffer, (size_t)n);
        else if (n == 0 || errno != EINTR)
            return out->failed ? -ENOMEM : 0;
    }
}

/* The last line that says anything, as an error. */
static int complain(const char *program, int said, struct sb_error *err) {
    char text[2048];
    ssize_t n = pread(said, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *last = NULL, *next = NULL;
    for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
        last = line;
    const char *named = last && strncmp(last, program, strlen(program)) == 0 ? "" : program;
    return sb_error_set(err, -EIO, "%s%s%s", named, *named ? ": " : "", last ? last : "failed");
}

/* Runs it with `input` on stdin. 0 when it ends with 0; -ENOENT where it is not installed, or -EIO
 * with what it said. */
static int call(const char *const *arguments, const char *input, struct sb_text *out,
                struct sb_error *err) {
    SB_AUTO_FD int in = memfd_create("in", MFD_CLOEXEC);
    SB_AUTO_FD int said = memfd_create("said", MFD_CLOEXEC);
    int ends[2];
    if (in < 0 || said < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return sb_error_errno(err, -errno, "%s", arguments[0]);
    SB_AUTO_FD int from = ends[0];
    SB_AUTO_FD int to = ends[1];
    int rc = input ? sb_write_all(in, input, strlen(input)) : 0;
    pid_t pid = -1;
    if (rc == 0 && lseek(in, 0, SEEK_SET) == 0)
        rc = start(arguments, in, to, said, &pid);
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", arguments[0]);
    close(sb_steal_fd(&to));
    rc = take_output(from, pid, out);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", arguments[0]);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : complain(arguments[0], said, err);
}

bool sb_slurm_found(void) {
    SB_AUTO_FREE char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *next = NULL;
    for (char *part = path ? strtok_r(path, ":", &next) : NULL; part;
         part = strtok_r(NULL, ":", &next)) {
        SB_AUTO_FREE char *program = sb_path_join(part, "sbatch");
        if (program && access(program, X_OK) == 0)
            return true;
    }
    return false;
}

/* ---- The cluster ------------------------------------------------------------------------------
 */

unsigned sb_slurm_array_size(void) {
    const char *arguments[] = {"scontrol", "show", "config", NULL};
    SB_AUTO_TEXT struct sb_text out = {0};
    unsigned size = 0;
    if (call(arguments, NULL, &out, NULL) < 0 || !out.data)
        return DEFAULT_ARRAY_SIZE;
    const char *found = strstr(out.data, "\nMaxArraySize");
    if (!found || sscanf(found, "\nMaxArraySize = %u", &size) != 1 || size == 0)
        return DEFAULT_ARRAY_SIZE;
    return size;
}

/* "--partition=a,b", "--partition a,b", "-p a", "-pa"; the last counts. */
static const char *partition_of(char *const *arguments) {
    static const char name[] = "--partition";
    const char *found = getenv("SBATCH_PARTITION");
    for (size_t i = 0; arguments && arguments[i]; i++) {
        const char *text = arguments[i], *next = arguments[i + 1];
        if (strncmp(text, name, sizeof name - 1) == 0 && text[sizeof name - 1] == '=')
            found = text + sizeof name;
        else if (strcmp(text, name) == 0 || strcmp(text, "-p") == 0)
            found = next ? next : found;
        else if (strncmp(text, "-p", 2) == 0)
            found = text + 2;
    }
    return found;
}

int sb_slurm_node_cpus(char *const *arguments, size_t *cpus, struct sb_error *err) {
    const char *partition = partition_of(arguments);
    const char *command[] = {"sinfo", "--noheader", "--Node", "--format=%c", NULL, NULL};
    SB_AUTO_FREE char *chosen = partition ? sb_format("--partition=%s", partition) : NULL;
    command[4] = chosen;
    SB_AUTO_TEXT struct sb_text out = {0};
    int rc = call(command, NULL, &out, err);
    if (rc < 0)
        return rc;
    unsigned long most = 0;
    for (const char *at = out.data; at && *at;
         at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        unsigned long n = strtoul(at, NULL, 10);
        most = n > most ? n : most;
    }
    if (!most || most > 1 << 20)
        return sb_error_set(err, -ENODEV, "sinfo: there is no node%s%s",
                            partition ? " in partition " : "", partition ? partition : "");
    *cpus = most;
    return 0;
}

/* ---- Submitting -------------------------------------------------------------------------------
 */

int sb_slurm_submit(const struct sb_slurm_array *array, char **id, struct sb_error *err) {
    /* Before the user's arguments what these may say otherwise; behind them what may not be. */
    static const char *const before[] = {"sbatch", "--job-name=samebits", "--ntasks=1",
                                         "--nodes=1"};
    /* ALL of what sbatch sees, which is next to nothing: with NONE or NIL the node would start a
     * login shell for what the task does not want. Not requeued: a run that did not end is a fact
     * to be told. */
    static const char *const after[] = {
        "--parsable",         "--export=ALL",      "--no-requeue", "--input=/dev/null",
        "--output=/dev/null", "--error=/dev/null", "--chdir=/"};
    SB_AUTO_STRINGS struct sb_strings command = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof before / sizeof *before; i++)
        rc = sb_strings_add(&command, before[i]);
    for (char *const *argument = array->arguments; rc == 0 && argument && *argument; argument++)
        rc = sb_strings_add(&command, *argument);
    for (size_t i = 0; rc == 0 && i < sizeof after / sizeof *after; i++)
        rc = sb_strings_add(&command, after[i]);
    if (rc == 0 && array->cpus)
        rc = sb_strings_take(&command, sb_format("--cpus-per-task=%u", array->cpus));
    if (rc == 0)
        rc = sb_strings_take(
            &command, array->at_once ? sb_format("--array=0-%zu%%%u", array->n - 1, array->at_once)
                                     : sb_format("--array=0-%zu", array->n - 1));
    if (rc < 0)
        return sb_error_errno(err, rc, "sbatch");
    SB_AUTO_TEXT struct sb_text out = {0};
    rc = call((const char *const *)command.items, array->script, &out, err);
    if (rc < 0)
        return rc;
    /* "12" or "12;cluster" */
    size_t n = out.data ? strspn(out.data, "0123456789") : 0;
    if (n == 0)
        return sb_error_set(err, -EIO, "sbatch: said no job's number");
    *id = strndup(out.data, n);
    return *id ? 0 : sb_error_errno(err, -ENOMEM, "sbatch");
}

/* ---- States -----------------------------------------------------------------------------------
 */

/* Final states: everything else is still to come, or to come again. */
static const struct {
    const char *name;
    bool broken_off;
} final_states[] = {
    {"BOOT_FAIL", true},      {"CANCELLED", true}, {"COMPLETED", false},
    {"DEADLINE", true},       {"FAILED", false},   {"NODE_FAIL", true},
    {"OUT_OF_MEMORY", false}, {"PREEMPTED", true}, {"TIMEOUT", true},
};

/* Into `said`, which has the name. */
static void judge_state(struct sb_slurm_state *said) {
    for (size_t i = 0; i < sizeof final_states / sizeof *final_states; i++) {
        if (strncmp(said->state, final_states[i].name, strlen(final_states[i].name)) != 0)
            continue; /* "CANCELLED by 0" */
        said->ended = true;
        said->broken_off = final_states[i].broken_off;
    }
}

static char *joined(const struct sb_strings *arrays) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < arrays->n; i++)
        sb_text_printf(&text, "%s%s", i ? "," : "", arrays->items[i]);
    return text.failed ? NULL : sb_text_take(&text);
}

enum { WIDTH = 32, COLUMNS = 6 };

/* Columns are of fixed width, since some may be empty. */
static void cut_column(const char **at, char column[WIDTH + 1]) {
    size_t n = strnlen(*at, WIDTH);
    memcpy(column, *at, n);
    *at += n;
    while (n > 0 && column[n - 1] == ' ')
        n--;
    column[n] = '\0';
}

static void take_state(const char *line, void (*each)(void *, const struct sb_slurm_state *),
                       void *context) {
    char columns[COLUMNS][WIDTH + 1], *end;
    for (size_t i = 0; i < COLUMNS; i++)
        cut_column(&line, columns[i]);
    unsigned long task = strtoul(columns[1], &end, 10);
    if (end == columns[1] || !columns[2][0])
        return; /* no task of an array */
    struct sb_slurm_state state = {
        .array = columns[0],
        .task = (unsigned)task,
        .state = columns[2],
        .exit_code = atoi(columns[3]),
        .node = columns[4],
        .reason = columns[5],
    };
    judge_state(&state);
    each(context, &state);
}

int sb_slurm_states(const struct sb_strings *arrays,
                    void (*each)(void *context, const struct sb_slurm_state *state), void *context,
                    struct sb_error *err) {
    SB_AUTO_FREE char *ids = joined(arrays);
    SB_AUTO_FREE char *jobs = ids ? sb_format("--jobs=%s", ids) : NULL;
    SB_AUTO_FREE char *format = sb_format(
        "--Format=ArrayJobID:%d,ArrayTaskID:%d,State:%d,exit_code:%d,NodeList:%d,"
        "Reason:%d",
        WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH);
    if (!jobs || !format)
        return sb_error_errno(err, -ENOMEM, "squeue");
    const char *command[] = {"squeue", "--noheader", "--array", "--states=all", format, jobs, NULL};
    SB_AUTO_TEXT struct sb_text out = {0};
    struct sb_error problem = {{0}};
    int rc = call(command, NULL, &out, &problem);
    if (rc < 0 && strstr(problem.text, "Invalid job id"))
        return 0; /* all of them are forgotten */
    if (rc < 0)
        return sb_error_set(err, rc, "%s", problem.text);
    char *next = NULL;
    for (char *line = out.data ? strtok_r(out.data, "\n", &next) : NULL; line;
         line = strtok_r(NULL, "\n", &next))
        take_state(line, each, context);
    return 0;
}

/* "12_3|CANCELLED by 0|0:0|n1" */
static void take_account(char *line, void (*each)(void *, const struct sb_slurm_state *),
                         void *context) {
    char *next = NULL, *id = strtok_r(line, "|", &next), *state = strtok_r(NULL, "|", &next),
         *code = strtok_r(NULL, "|", &next), *node = strtok_r(NULL, "|", &next);
    char *task = id ? strchr(id, '_') : NULL, *end;
    if (!task || !code)
        return;
    *task++ = '\0';
    unsigned long number = strtoul(task, &end, 10);
    if (end == task)
        return; /* "12_[4-9]": not begun */
    struct sb_slurm_state said = {.array = id,
                                  .task = (unsigned)number,
                                  .state = state,
                                  .exit_code = atoi(code),
                                  .node = node ? node : "",
                                  .reason = ""};
    judge_state(&said);
    each(context, &said);
}

void sb_slurm_accounts(const struct sb_strings *arrays,
                       void (*each)(void *context, const struct sb_slurm_state *state),
                       void *context) {
    SB_AUTO_FREE char *ids = joined(arrays);
    SB_AUTO_FREE char *jobs = ids ? sb_format("--jobs=%s", ids) : NULL;
    const char *command[] = {"sacct",
                             "--noheader",
                             "--parsable2",
                             "--allocations",
                             "--format=JobID,State,ExitCode,NodeList",
                             jobs,
                             NULL};
    SB_AUTO_TEXT struct sb_text out = {0};
    if (!jobs || call(command, NULL, &out, NULL) < 0)
        return;
    char *next = NULL;
    for (char *line = out.data ? strtok_r(out.data, "\n", &next) : NULL; line;
         line = strtok_r(NULL, "\n", &next))
        take_account(line, each, context);
}

void sb_slurm_cancel(const struct sb_strings *arrays, bool pending_only) {
    SB_AUTO_STRINGS struct sb_strings command = {0};
    int rc = sb_strings_add(&command, "scancel");
    if (rc == 0 && pending_only)
        rc = sb_strings_add(&command, "--state=PENDING");
    for (size_t i = 0; rc == 0 && i < arrays->n; i++)
        rc = sb_strings_add(&command, arrays->items[i]);
    SB_AUTO_TEXT struct sb_text out = {0};
    if (rc == 0 && arrays->n)
        (void)call((const char *const *)command.items, NULL, &out, NULL);
}
