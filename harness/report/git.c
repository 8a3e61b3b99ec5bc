/* Stage 7: commit and state of the folder that a job runs in. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "report/git_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
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
    /* In a group of its own: an interrupt of the runs takes nothing from the manifest. */
    posix_spawnattr_t attributes;
    if (rc == 0 && (rc = posix_spawnattr_init(&attributes)) == 0) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        rc = posix_spawnp(child, "git", &actions, &attributes, argv, environment.items);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* A thread reads what git says, and hashes what it names, while the caller starts runs. */
struct sb_git {
    pid_t child;
    int from;
    char *directory;
    struct timespec began;
    bool threaded;
    pthread_t thread;
    atomic_bool ready;
    /* What the thread found. */
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
static void *watch(void *context) {
    struct sb_git *git = context;
    SB_AUTO_FILE FILE *file = fdopen(git->from, "r");
    SB_AUTO_FREE char *record = NULL;
    SB_AUTO_STRINGS struct sb_strings changed = {0};
    size_t room = 0;
    if (!file)
        close(git->from);
    while (file && getdelim(&record, &room, '\0', file) > 0) {
        if (is_header(record, &git->commit))
            continue;
        git->dirty = true;
        sb_strings_add(&changed, record);
    }
    if (git->dirty)
        git->changes = sb_git_changes(git->directory, &changed, &git->began);
    atomic_store(&git->ready, true);
    return NULL;
}

/* Signals are the caller's: they say that a run has ended. */
static void start_watching(struct sb_git *git) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    git->threaded = pthread_create(&git->thread, NULL, watch, git) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!git->threaded)
        watch(git);
}

static void git_free(struct sb_git *git) {
    free(git->directory);
    free(git->commit);
    free(git->changes);
    free(git);
}

struct sb_git *sb_git_start(const char *directory) {
    const char *const argv[] = {"git",          "--no-optional-locks",
                                "-c",           "core.fsmonitor=false",
                                "-C",           directory,
                                "status",       "--porcelain=v2",
                                "--branch",     "--no-ahead-behind",
                                "--no-renames", "-uno",
                                "-z",           NULL};
    struct sb_git *git = calloc(1, sizeof *git);
    int ends[2];
    if (!git)
        return NULL;
    git->directory = strdup(directory);
    clock_gettime(CLOCK_REALTIME, &git->began);
    if (git->directory && pipe2(ends, O_CLOEXEC) == 0) {
        int rc = spawn_git((char *const *)argv, ends[1], &git->child);
        close(ends[1]);
        git->from = ends[0];
        if (rc == 0) {
            start_watching(git);
            return git;
        }
        close(git->from);
    }
    git_free(git);
    return NULL;
}

bool sb_git_ready(struct sb_git *git) {
    return git && atomic_load(&git->ready);
}

json_t *sb_git_finish(struct sb_git *git) {
    if (!git)
        return json_null();
    if (git->threaded)
        pthread_join(git->thread, NULL);
    int status = -1;
    while (waitpid(git->child, &status, 0) < 0 && errno == EINTR)
        ;
    json_t *found = status != 0 || !git->commit
                        ? json_null()
                        : json_pack("{s:o, s:b, s:o}", "commit", sb_json_string(git->commit),
                                    "dirty", git->dirty, "changes", sb_json_string(git->changes));
    git_free(git);
    return found;
}
