/* cli: joins stage 3, which has finished runs, with stage 4, which reads their weights. */
#ifndef SB_CLI_DIGESTING_H
#define SB_CLI_DIGESTING_H

#include <samebits/run.h>
#include <samebits/weights.h>

/* Starts the reader process. The context of the returned table is `reader`, which must outlive it.
 */
struct sb_digesting sb_digesting_make(struct sb_reader *reader);

/* Tensor name prefixes of a run's files: NULL for one file, else "relative/path:". n of them,
 * malloc'd, or NULL on failure and for one file. */
char **sb_digesting_prefixes(char *const *relative, size_t n);
void sb_digesting_prefixes_free(char **prefixes, size_t n);

#endif
