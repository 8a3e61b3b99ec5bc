/* Stage 7: commit and state of the folder that a job runs in. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

struct sb_git {
    pid_t child;
    int from;
};

struct sb_git *sb_git_start(const char *directory) {
    const char *const argv[] = {
        "git",    "--no-optional-locks", "-c",       "core.fsmonitor=false", "-C",   directory,
        "status", "--porcelain=v2",      "--branch", "--no-ahead-behind",    "-uno", NULL};
    SB_AUTO_FREE struct sb_git *git = calloc(1, sizeof *git);
    int ends[2];
    if (!git || pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    int rc = spawn_git((char *const *)argv, ends[1], &git->child);
    close(ends[1]);
    git->from = ends[0];
    if (rc == 0)
        return sb_steal_pointer(&git);
    close(git->from);
    return NULL;
}

/* Whether a line of the porcelain format is a header (git-status(1), version 2); fills in *commit
 * from the one that names it. */
static bool is_header(const char *line, char **commit) {
    static const char names_commit[] = "# branch.oid ";
    size_t n = strlen(names_commit);
    if (strncmp(line, names_commit, n) == 0 && line[n] != '(' && !*commit)
        *commit = strdup(line + n);
    return line[0] == '#';
}

/* Reads all that git has to say: a git that finds its pipe closed fails. */
static bool read_status(int from, char **commit) {
    SB_AUTO_FILE FILE *file = fdopen(from, "r");
    SB_AUTO_FREE char *line = NULL;
    size_t room = 0;
    bool dirty = false;
    if (!file)
        close(from);
    while (file && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        dirty |= !is_header(line, commit);
    }
    return dirty;
}

json_t *sb_git_finish(struct sb_git *git) {
    if (!git)
        return json_null();
    SB_AUTO_FREE char *commit = NULL;
    bool dirty = read_status(git->from, &commit);
    int status = -1;
    while (waitpid(git->child, &status, 0) < 0 && errno == EINTR)
        ;
    free(git);
    if (status != 0 || !commit)
        return json_null();
    return json_pack("{s:o, s:b}", "commit", sb_json_string(commit), "dirty", dirty);
}
