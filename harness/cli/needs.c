/* cli: jobs that cannot run here. See cli/needs.h. */
#include "cli/needs.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_S = 120, POLL_MS = 5 };

/* In the child. */
static void execute(const struct sb_job *job) {
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(nothing, fd);
    setpgid(0, 0);
    if (chdir(job->directory) == 0)
        execvp(job->needs[0], job->needs);
    _exit(errno == ENOENT ? 127 : 126);
}

/* The status of waitpid; of a command that takes too long, and is killed, the signal's. */
static int wait_for(pid_t child) {
    int status = 0;
    for (int waited = 0; waitpid(child, &status, WNOHANG) == 0; waited += POLL_MS) {
        if (waited >= LIMIT_S * 1000)
            kill(-child, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return status;
}

/* Why the command did not end well, malloc'd; NULL with 0 where it did. */
static int unmet(const struct sb_job *job, char **why) {
    SB_AUTO_TEXT struct sb_text text = {0};
    pid_t child = fork();
    if (child == 0)
        execute(job);
    int status = child < 0 ? W_EXITCODE(126, 0) : wait_for(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    sb_text_puts(&text, "needs ");
    for (size_t i = 0; i < job->n_needs; i++) {
        sb_text_puts(&text, i ? " " : "");
        sb_text_quote(&text, job->needs[i]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        sb_text_puts(&text, ", which is not there");
    else if (WIFEXITED(status))
        sb_text_printf(&text, ", which ends with %d", WEXITSTATUS(status));
    else
        sb_text_printf(&text, ", which ends by signal %d", WTERMSIG(status));
    if (job->install)
        sb_text_printf(&text, "; to install it: %s", job->install);
    *why = sb_text_take(&text);
    return *why ? 0 : -ENOMEM;
}

/* The same command in the same folder, as one text. */
static char *key_of(const struct sb_job *job) {
    SB_AUTO_TEXT struct sb_text key = {0};
    sb_text_puts(&key, job->directory);
    for (size_t i = 0; i < job->n_needs; i++) {
        sb_text_putc(&key, ' ');
        sb_text_quote(&key, job->needs[i]);
    }
    return sb_text_take(&key);
}

int sb_needs_check(const struct sb_plan *plan, char **skipped) {
    SB_AUTO_JSON json_t *known = json_object(); /* key → why, or null */
    for (size_t i = 0; i < plan->n_jobs; i++) {
        const struct sb_job *job = plan->jobs[i].job;
        if (!job->n_needs || skipped[i])
            continue;
        SB_AUTO_FREE char *key = key_of(job);
        const json_t *before = key ? json_object_get(known, key) : NULL;
        if (json_is_string(before)) {
            skipped[i] = strdup(json_string_value(before));
        } else if (!before) {
            int rc = key ? unmet(job, &skipped[i]) : -ENOMEM;
            if (rc < 0)
                return rc;
            json_object_set_new(known, key, skipped[i] ? json_string(skipped[i]) : json_null());
        }
    }
    return 0;
}
