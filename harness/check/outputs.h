/* check: what a run hands to the test's process: a file in memory, with a page that says how far
 * the run came, and its outputs one after the other. The run may be broken: nothing that it wrote
 * is trusted. */
#ifndef SB_CHECK_OUTPUTS_H
#define SB_CHECK_OUTPUTS_H

#include <samebits/weights.h>

enum { SB_CHECK_MAX_NAME = 255 };

enum sb_run_state {
    SB_RUN_LAUNCHED, /* the function was not called */
    SB_RUN_BEGUN,
    SB_RUN_RETURNED,
    SB_RUN_FAILED, /* `text` says why */
};

/* At the file's start. Both processes are the same program. */
struct sb_run_page {
    uint32_t state;
    uint32_t most_threads; /* that the run itself counted */
    uint64_t end;          /* of the outputs: bytes in the file */
    char text[2048];
};

/* A file of its own, with a page that says LAUNCHED. A descriptor, or -errno. */
int sb_run_file_make(struct sb_error *err);
int sb_run_page_write(int file, const struct sb_run_page *page);
int sb_run_page_read(int file, struct sb_run_page *page);

/* Appends an output at page->end, which moves; the page itself is not written. 0, -EINVAL for
 * arguments that describe no tensor, or the errno of writing. */
int sb_output_append(int file, struct sb_run_page *page, const struct sb_tensor *tensor,
                     struct sb_error *err);

struct sb_output {
    struct sb_tensor_info info; /* its name is the outputs' */
    size_t n_bytes;
    const void *elements; /* aligned for every dtype */
};

struct sb_outputs {
    struct sb_output *items; /* as they were reported */
    size_t n;
    struct sb_output **by_name; /* [n] */
    void *mapped;
    size_t n_mapped;
};

/* Seals the file against who may still hold it, and maps it. -EBADMSG: it holds something else;
 * -EINVAL: two outputs of one name. The outputs are valid after the file is closed. */
int sb_outputs_read(int file, struct sb_outputs *outputs, struct sb_error *err);
/* The same for a file's bytes; `outputs` borrows them. */
int sb_outputs_parse(const void *bytes, size_t n_bytes, struct sb_outputs *outputs,
                     struct sb_error *err);
void sb_outputs_clear(struct sb_outputs *outputs);

/* NULL: there is none of that name. */
const struct sb_output *sb_outputs_find(const struct sb_outputs *outputs, const char *name);

#endif
