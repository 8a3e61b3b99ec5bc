/* base: whole files, folders, and everything below them. */
#ifndef SB_BASE_FILE_H
#define SB_BASE_FILE_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads a whole file of at most `limit` bytes; *data is malloc'd, owned by the caller and has a NUL
 * after its last byte. n may be NULL. Works for /proc files, whose size is unknown. -EFBIG beyond
 * the limit. */
int sb_file_read(const char *path, size_t limit, char **data, size_t *n, struct sb_error *err);

/* Writes through a temporary file in the same folder and a rename: readers see the old or the new
 * content. What is no file (a device, a pipe, /dev/stdout) is written to, and stays. */
int sb_file_write(const char *path, const char *data, size_t n, struct sb_error *err);

/* write(2) until all is written. 0 or a negative errno. */
int sb_write_all(int fd, const void *data, size_t n);

/* Makes a folder and its parents; one that exists is no error. */
int sb_make_folders(const char *path, mode_t mode, struct sb_error *err);

/* Removes a file or a whole tree without following links or crossing into other file systems; makes
 * unwritable folders writable first. What does not exist is no error. -EXDEV when a mount point
 * lies in the tree: it and what is mounted there stay. -EINVAL for "", "/" and what ends in "." or
 * "..".
 */
int sb_remove_tree(const char *path, struct sb_error *err);

/* Copies a regular file's content and mode (reflink or copy_file_range where the kernel can). `to`
 * is replaced. */
int sb_copy_file(const char *from, const char *to, struct sb_error *err);

/* rename(2), or copy and unlink across file systems. */
int sb_move_file(const char *from, const char *to, struct sb_error *err);

/* "<a>/<b>" as a malloc'd string, or NULL. An absolute b is returned alone. */
char *sb_path_join(const char *a, const char *b);

/* Path of the running program, malloc'd, or NULL. */
char *sb_program_path(void);

/* The real path of what can be read at <program's folder>/<folders[i]>/<name>, of the first folder
 * (the list ends with NULL) that has it; malloc'd, or NULL. */
char *sb_find_beside_program(const char *const *folders, const char *name);

#endif
