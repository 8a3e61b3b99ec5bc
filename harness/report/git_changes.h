/* Stage 7, private: what of a work tree differs from its commit. */
#ifndef SB_REPORT_GIT_CHANGES_H
#define SB_REPORT_GIT_CHANGES_H

#include "base/text.h"

#include <jansson.h>
#include <time.h>

/* "xxh3:<32 hex>" of the tracked files that differ from the commit: of their paths, modes and
 * contents as they lie in the work tree that `directory` is in. `records` are those of `git status
 * --porcelain=v2 --no-renames -z` without its headers. "not hashed: <why>" where that cannot be
 * told, such as when one was written after `since`. malloc'd, or NULL: no memory. */
char *sb_git_changes(const char *directory, const struct sb_strings *records,
                     const struct timespec *since);

/* What a manifest's "git" says of changes: their digest, or "none". NULL: it does not say (one of
 * before there were digests), or they were not hashed. Borrowed. */
const char *sb_git_changes_of(const json_t *git);

/* Is this the digest of something, and not the reason why there is none? */
bool sb_is_digest(const char *text);

#endif
