/* Stage 7: commit and state of the folder that a job runs in. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "report/git_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The environment without what would point git elsewhere (a hook that runs samebits has it set),
 * or NULL. */
static int git_environment(struct sb_strings *environment) {
    static const char *const elsewhere[] = {
        "GIT_DIR",        "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"};
    for (char **item = environ; *item; item++) {
        if (sb_strings_add(environment, *item) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        sb_environment_unset(environment, elsewhere[i]);
    return sb_environment_set(environment, "LC_ALL", "C");
}

static int spawn_git(char *const *argv, int out, pid_t *child) {
    SB_AUTO_STRINGS struct sb_strings environment = {0};
    posix_spawn_file_actions_t actions;
    if (git_environment(&environment) < 0 || posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    int rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawnp(child, "git", &actions, NULL, argv, environment.items);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* What git says. */
struct state {
    char *commit, *changes;
    bool dirty;
};

/* Whether a record of the porcelain format is a header (git-status(1), version 2); fills in *commit
 * from the one that names it. */
static bool is_header(const char *line, char **commit) {
    static const char names_commit[] = "# branch.oid ";
    size_t n = strlen(names_commit);
    if (strncmp(line, names_commit, n) == 0 && line[n] != '(' && !*commit)
        *commit = strdup(line + n);
    return line[0] == '#';
}

/* Reads all that git has to say: a git that finds its pipe closed fails. */
static void read_state(int from, const char *directory, const struct timespec *began,
                       struct state *state) {
    SB_AUTO_FILE FILE *file = fdopen(from, "r");
    SB_AUTO_FREE char *record = NULL;
    SB_AUTO_STRINGS struct sb_strings changed = {0};
    size_t room = 0;
    if (!file)
        close(from);
    while (file && getdelim(&record, &room, '\0', file) > 0) {
        if (is_header(record, &state->commit))
            continue;
        state->dirty = true;
        sb_strings_add(&changed, record);
    }
    if (state->dirty)
        state->changes = sb_git_changes(directory, &changed, began);
}

static json_t *ask_git(const char *directory, const struct timespec *began) {
    const char *const argv[] = {"git",          "--no-optional-locks",
                                "-c",           "core.fsmonitor=false",
                                "-C",           directory,
                                "status",       "--porcelain=v2",
                                "--branch",     "--no-ahead-behind",
                                "--no-renames", "-uno",
                                "-z",           NULL};
    int ends[2], status = -1;
    pid_t child;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return json_null();
    int rc = spawn_git((char *const *)argv, ends[1], &child);
    close(ends[1]);
    if (rc < 0)
        return json_null();
    struct state state = {NULL};
    read_state(ends[0], directory, began, &state);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    json_t *found = status != 0 || !state.commit
                        ? json_null()
                        : json_pack("{s:o, s:b, s:o}", "commit", sb_json_string(state.commit),
                                    "dirty", state.dirty, "changes", sb_json_string(state.changes));
    free(state.commit);
    free(state.changes);
    return found;
}

/* A process beside the caller, and no thread: the caller forks, and what a thread holds at that
 * moment, such as a lock of an allocator, is held in the child for ever. It keeps nothing of the
 * caller's open, such as the lock of a folder, and writes what sb_git_finish gives as one text. It
 * leads a process group of its own, in which git and what that starts are: they end together. */
struct sb_git {
    pid_t child;
    int from;
};

enum { MOST_TEXT = 4096, OUT = 3 };

static void end_group(int signal_number) {
    (void)signal_number;
    kill(0, SIGKILL);
}

static _Noreturn void tell(const char *directory, pid_t caller, int out) {
    struct timespec began;
    clock_gettime(CLOCK_REALTIME, &began);
    /* An interrupt of the runs takes nothing from the manifest; the caller's end ends git too. */
    if (setpgid(0, 0) < 0 || signal(SIGTERM, end_group) == SIG_ERR ||
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != caller ||
        (out != OUT && dup3(out, OUT, O_CLOEXEC) < 0) || close_range(OUT + 1, ~0U, 0) < 0)
        _exit(1);
    json_t *found = ask_git(directory, &began);
    SB_AUTO_FREE char *text = found ? sb_json_text(found) : NULL;
    _exit(!text || sb_write_all(OUT, text, strlen(text)) < 0);
}

struct sb_git *sb_git_start(const char *directory) {
    struct sb_git *git = calloc(1, sizeof *git);
    int ends[2];
    if (!git || pipe2(ends, O_CLOEXEC) < 0) {
        free(git);
        return NULL;
    }
    pid_t caller = getpid();
    *git = (struct sb_git){.child = fork(), .from = ends[0]};
    if (git->child == 0)
        tell(directory, caller, ends[1]);
    close(ends[1]);
    if (git->child > 0) {
        setpgid(git->child, git->child); /* whichever of the two comes first */
        return git;
    }
    close(git->from);
    free(git);
    return NULL;
}

bool sb_git_ready(struct sb_git *git, int milliseconds) {
    struct pollfd end = {.fd = git ? git->from : -1, .events = POLLIN};
    return poll(&end, 1, git ? milliseconds : 0) > 0;
}

json_t *sb_git_finish(struct sb_git *git) {
    if (!git)
        return json_null();
    char text[MOST_TEXT];
    size_t length = 0;
    ssize_t n = 1;
    bool ready = sb_git_ready(git, 0);
    if (!ready)
        kill(-git->child, SIGKILL);
    while (ready && (n > 0 || (n < 0 && errno == EINTR))) {
        n = read(git->from, text + length, sizeof text - length);
        length += n > 0 ? (size_t)n : 0;
    }
    while (waitpid(git->child, NULL, 0) < 0 && errno == EINTR)
        ;
    close(git->from);
    free(git);
    json_t *found = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    return found ? found : json_null();
}
