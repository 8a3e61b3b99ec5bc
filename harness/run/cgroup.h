/* Stage 3, inside run/: a cgroup (version 2) for all runs of one working directory, where one can
 * be had: root, or a delegated part of the tree as in a user's own session. It sets no limits. No
 * process can leave it unseen, so what guards that were killed left behind is found in it even
 * without a cookie. */
#ifndef SB_RUN_CGROUP_H
#define SB_RUN_CGROUP_H

#include <sys/types.h>

struct sb_cgroup {
    char *path; /* NULL: there is none, and all is done without */
    int fd;
};

/* For the runs with this cookie, allocated. */
char *sb_cgroup_name(const char *cookie);
/* Makes it below the calling process's own, or joins that of another samebits. What cannot be had
 * is no error. Free it with sb_cgroup_close. */
void sb_cgroup_open(const char *name, struct sb_cgroup *cgroup);
/* As fork(2); the child is in the cgroup. A plain fork where there is none. */
pid_t sb_cgroup_fork(const struct sb_cgroup *cgroup);
/* In a child that outlived samebits: out of the cgroup, so that it can be removed. */
void sb_cgroup_leave(struct sb_cgroup *cgroup);
/* Removed by the last user. */
void sb_cgroup_close(struct sb_cgroup *cgroup);
/* Kills everything in the cgroup at `path` and removes it. */
void sb_cgroup_end(const char *path);

#endif
