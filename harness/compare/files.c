/* Stage 5, compare: weights files that are not trusted, in a jailed child. See samebits/compare.h.
 */
#include "compare/answer.h"
#include "compare/comparison.h"
#include "compare/merge.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "weights/isolated.h"

#include <errno.h>
#include <stdlib.h>

enum { FLUSH_BYTES = 64 << 10 };

struct request {
    size_t n_a; /* the first files are a's, the rest b's */
    const struct sb_weights_options *options;
    const struct sb_tolerance *tolerance;
};

/* ---- In the child ------------------------------------------------------------------------------
 */

struct answering {
    int output;
    struct sb_text answer, block;
};

static int flush(struct answering *answering, size_t least, struct sb_error *err) {
    struct sb_text *answer = &answering->answer;
    if (answer->failed)
        return sb_error_errno(err, -ENOMEM, "the comparison");
    if (answer->length < least)
        return 0;
    struct sb_text *block = &answering->block;
    sb_answer_block(answer, block);
    int r = block->failed ? -ENOMEM : sb_write_all(answering->output, block->data, block->length);
    return r < 0 ? sb_error_errno(err, r, "the comparison") : 0;
}

static int answer_tensor(void *context, const struct sb_tensor_difference *difference,
                         struct sb_error *err) {
    struct answering *answering = context;
    sb_answer_put_tensor(&answering->answer, difference);
    return flush(answering, FLUSH_BYTES, err);
}

static int answer_axis(void *context, uint64_t index, int axis, struct sb_error *err) {
    struct answering *answering = context;
    sb_answer_put_axis(&answering->answer, index, axis);
    return flush(answering, FLUSH_BYTES, err);
}

static int compare_work(void *context, const struct sb_weights_file *files, size_t n, int output,
                        struct sb_error *err) {
    const struct request *request = context;
    struct answering answering = {.output = output};
    struct sb_weights_options options = {0};
    if (request->options)
        options = *request->options;
    options.threads = sb_jail_threads(options.threads);
    struct sb_merge merge = {
        .options = &options,
        .tolerance = *request->tolerance,
        .context = &answering,
        .tensor = answer_tensor,
        .axis = answer_axis,
    };
    SB_AUTO_FREE const struct sb_weights_file **sides = calloc(2 * n + 1, sizeof *sides);
    if (!sides)
        return sb_error_errno(err, -ENOMEM, "the comparison");
    merge.files[0] = sides;
    merge.files[1] = sides + n;
    for (size_t i = 0; i < n; i++) {
        unsigned side = files[i].index >= request->n_a;
        sides[side * n + merge.n_files[side]++] = &files[i];
    }
    int r = sb_merge_run(&merge, err);
    if (r == 0) {
        sb_answer_put_end(&answering.answer);
        r = flush(&answering, 0, err);
    }
    sb_text_clear(&answering.answer);
    sb_text_clear(&answering.block);
    return r;
}

/* ---- In the parent -----------------------------------------------------------------------------
 */

static void free_isolated(struct sb_isolated **isolated) {
    sb_isolated_free(*isolated);
}

/* Both sides' files in one list; borrows what it lists. */
static int list_both(const struct sb_weights_files *a, const struct sb_weights_files *b,
                     struct sb_weights_files *both) {
    static char none[] = "";
    const struct sb_weights_files *const sides[2] = {a, b};
    both->paths = calloc(a->n + b->n + 1, sizeof *both->paths);
    both->prefixes = calloc(a->n + b->n + 1, sizeof *both->prefixes);
    if (!both->paths || !both->prefixes)
        return -ENOMEM;
    for (unsigned side = 0; side < 2; side++) {
        for (size_t i = 0; i < sides[side]->n; i++) {
            char *prefix = sides[side]->prefixes ? sides[side]->prefixes[i] : NULL;
            both->paths[both->n] = sides[side]->paths[i];
            both->prefixes[both->n++] = prefix ? prefix : none;
        }
    }
    return 0;
}

static int receive(struct sb_isolated *isolated, struct sb_comparison *comparison,
                   struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text received = {0};
    int more, taken = 1;
    do {
        more = sb_receive(sb_isolated_fd(isolated), &received, FLUSH_BYTES);
        if (more >= 0 && taken == 1)
            taken = sb_answer_take(&received, comparison);
    } while (more == 1 && taken >= 0);
    int r = taken < 0 ? 0 : sb_isolated_finish(isolated, err);
    if (r < 0)
        return r;
    r = more < 0 ? more : taken < 0 ? taken : taken == 0 && !received.length ? 0 : -EBADMSG;
    return r < 0 ? sb_error_errno(err, r, "the parser's answer makes no sense") : 0;
}

int sb_compare_files(const struct sb_weights_files *a, const struct sb_weights_files *b,
                     const struct sb_weights_options *options, const struct sb_tolerance *tolerance,
                     struct sb_comparison *comparison, struct sb_error *err) {
    SB_CLEANUP(free_isolated) struct sb_isolated *isolated = NULL;
    struct request request = {.n_a = a->n, .options = options, .tolerance = tolerance};
    struct sb_weights_files both = {0};
    SB_AUTO_FREE char **paths = NULL, **prefixes = NULL;
    int r = list_both(a, b, &both);
    paths = both.paths;
    prefixes = both.prefixes;
    if (r < 0)
        return sb_error_errno(err, r, "the comparison");
    r = sb_isolated_start(&both, compare_work, &request, &isolated, err);
    if (r < 0)
        return r;
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison made = {0};
    r = receive(isolated, &made, err);
    if (r < 0)
        return r;
    sb_comparison_finish(&made);
    made.met = sb_isolated_met(isolated);
    *comparison = made;
    made = (struct sb_comparison){0};
    return 0;
}
