/* Stage 7: commit and state of the folder that a job runs in. */
#include "report/manifest.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

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

/* First line of what `git -C directory …` prints, malloc'd; NULL when it fails. All of it is read:
 * a git that finds its pipe closed fails. */
static char *git_line(const char *directory, const char *const *arguments) {
    const char *argv[12] = {"git",    "--no-optional-locks", "-c", "core.fsmonitor=false", "-C",
                            directory};
    for (size_t i = 0; arguments[i] && i < 5; i++)
        argv[6 + i] = arguments[i];
    int ends[2];
    pid_t child = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    int rc = spawn_git((char *const *)argv, ends[1], &child);
    close(ends[1]);
    SB_AUTO_FD int from = ends[0];
    char line[512], buffer[4096];
    size_t length = 0;
    for (ssize_t got; rc == 0 && (got = read(from, buffer, sizeof buffer)) != 0;) {
        if (got < 0 && errno != EINTR)
            break;
        for (ssize_t i = 0; i < got && length < sizeof line - 1; i++)
            line[length++] = buffer[i];
    }
    int status = -1;
    while (rc == 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return rc == 0 && status == 0 ? strdup(line) : NULL;
}

json_t *sb_git_json(const char *directory) {
    static const char *const head[] = {"rev-parse", "--verify", "HEAD", NULL};
    static const char *const status[] = {"status", "--porcelain", "-uno", NULL};
    SB_AUTO_FREE char *commit = git_line(directory, head);
    if (!commit)
        return json_null();
    SB_AUTO_FREE char *changed = git_line(directory, status);
    return json_pack("{s:o, s:o}", "commit", sb_json_string(commit), "dirty",
                     changed ? json_boolean(*changed) : json_null());
}
