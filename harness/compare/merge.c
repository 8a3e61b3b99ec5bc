/* Stage 5, compare: walks two sides by name. See compare/merge.h. */
#include "compare/merge.h"

#include "base/cleanup.h"
#include "compare/diagnosis.h"
#include "compare/side.h"
#include "compare/slices.h"
#include "weights/tensors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A tensor to be read again. */
struct permuted {
    char *name;
    uint64_t index;
};

struct walk {
    const struct sb_merge *merge;
    struct sb_side a, b;
    struct sb_ranges *ranges;
    uint64_t n_tensors; /* handed on */
    struct permuted *permuted;
    size_t n_permuted;
};

static int walk_start(struct walk *walk, struct sb_error *err) {
    const struct sb_merge *merge = walk->merge;
    int r = sb_side_start(&walk->a, merge->files[0], merge->n_files[0], merge->options, err);
    if (r == 0)
        r = sb_side_start(&walk->b, merge->files[1], merge->n_files[1], merge->options, err);
    return r;
}

static void walk_stop(struct walk *walk) {
    sb_side_stop(&walk->a);
    sb_side_stop(&walk->b);
}

static void walk_clear(struct walk *walk) {
    walk_stop(walk);
    sb_ranges_free(walk->ranges);
    for (size_t i = 0; i < walk->n_permuted; i++)
        free(walk->permuted[i].name);
    free(walk->permuted);
}

/* ---- Elements ----------------------------------------------------------------------------------
 */

typedef void take_function(void *context, const void *a, const void *b, uint64_t n);

/* To the next elements of the tensor. */
static int refill(struct sb_side *side, struct sb_error *err) {
    int r = 0;
    while (r == 0 && side->event == SB_SIDE_ELEMENTS && side->n == 0)
        r = sb_side_next(side, true, err);
    return r;
}

static int leave_tensor(struct sb_side *side, struct sb_error *err) {
    int r = refill(side, err);
    if (r == 0 && side->event != SB_SIDE_TENSOR_END)
        r = sb_side_misfit(side, err);
    return r < 0 ? r : sb_side_next(side, true, err);
}

/* To what comes next of the tensor that both sides are in. */
static int go_on(struct walk *walk, struct sb_error *err) {
    int r = sb_side_next(&walk->a, true, err);
    return r < 0 ? r : sb_side_next(&walk->b, true, err);
}

/* Hands its elements to `take`, in whatever pieces both have in common, and goes on to what comes
 * after it. */
static int feed(struct walk *walk, uint64_t n_elements, size_t size, take_function *take,
                void *context, struct sb_error *err) {
    struct sb_side *a = &walk->a, *b = &walk->b;
    int r = a->event == SB_SIDE_RANGE ? sb_side_next(a, true, err) : 0;
    if (r == 0 && b->event == SB_SIDE_RANGE)
        r = sb_side_next(b, true, err);
    for (uint64_t left = n_elements; r == 0 && left;) {
        r = refill(a, err);
        if (r == 0)
            r = refill(b, err);
        if (r == 0 && (a->event != SB_SIDE_ELEMENTS || b->event != SB_SIDE_ELEMENTS))
            r = sb_side_misfit(a->event != SB_SIDE_ELEMENTS ? a : b, err);
        if (r < 0)
            break;
        uint64_t n = a->n < b->n ? a->n : b->n;
        n = n < left ? n : left;
        take(context, a->elements, b->elements, n);
        a->elements += n * size;
        b->elements += n * size;
        a->n -= n;
        b->n -= n;
        left -= n;
    }
    if (r == 0)
        r = leave_tensor(a, err);
    return r < 0 ? r : leave_tensor(b, err);
}

static void take_measure(void *context, const void *a, const void *b, uint64_t n) {
    sb_measure_add(context, a, b, n);
}

static void take_slices(void *context, const void *a, const void *b, uint64_t n) {
    sb_slices_add(context, a, b, n);
}

/* ---- Tensors -----------------------------------------------------------------------------------
 */

static int hand_on(struct walk *walk, const struct sb_tensor_difference *difference,
                   struct sb_error *err) {
    walk->n_tensors++;
    return walk->merge->tensor(walk->merge->context, difference, err);
}

/* What cannot be measured is as far apart as can be. */
static struct sb_tensor_difference unmeasured(const struct sb_tensor_info *info, int state) {
    struct sb_tensor_difference difference = {
        .info = *info,
        .grade = SB_GRADE_DIVERGENT,
        .n_different = info->n_elements,
        .share = 1,
        .max_abs = INFINITY,
        .max_rel = INFINITY,
        .max_ulp = INFINITY,
        .permuted_axis = -1,
    };
    difference.state = state;
    return difference;
}

static int alone(struct walk *walk, struct sb_side *side, int state, struct sb_error *err) {
    struct sb_tensor_difference difference = unmeasured(side->info, state);
    int r = hand_on(walk, &difference, err);
    return r < 0 ? r : sb_side_next(side, false, err);
}

static void add_type(struct sb_text *text, const struct sb_tensor_info *info) {
    sb_text_puts(text, sb_dtype_names[info->dtype]);
    if (info->rank)
        sb_text_putc(text, ' ');
    sb_dims_print(text, info->dims, info->rank);
}

static int changed(struct walk *walk, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text text = {0};
    struct sb_tensor_difference difference = unmeasured(walk->a.info, SB_TENSOR_CHANGED_TYPE);
    add_type(&text, walk->a.info);
    sb_text_puts(&text, " | ");
    add_type(&text, walk->b.info);
    if (text.failed)
        return sb_error_errno(err, -ENOMEM, "'%s'", walk->a.info->name);
    difference.changed = text.data;
    int r = hand_on(walk, &difference, err);
    if (r == 0)
        r = sb_side_next(&walk->a, false, err);
    return r < 0 ? r : sb_side_next(&walk->b, false, err);
}

static int note_permuted(struct walk *walk, char **name) {
    struct permuted *grown =
        reallocarray(walk->permuted, walk->n_permuted + 1, sizeof *walk->permuted);
    if (!grown)
        return -ENOMEM;
    walk->permuted = grown;
    walk->permuted[walk->n_permuted++] =
        (struct permuted){sb_steal_pointer(name), walk->n_tensors - 1};
    return 0;
}

static int tally_tensor(struct walk *walk, const struct sb_tensor_info *info,
                        struct sb_tally *tally, struct sb_error *err) {
    struct sb_side *a = &walk->a, *b = &walk->b;
    int r = go_on(walk, err);
    if (r < 0)
        return r;
    if (a->event == SB_SIDE_RANGE && b->event == SB_SIDE_RANGE) {
        r = sb_ranges_tally(walk->ranges, info, &a->lying, &b->lying, tally, err);
        a->taken = b->taken = true;
        if (r == 0)
            r = go_on(walk, err); /* from its range to its end */
        if (r == 0)
            r = leave_tensor(a, err);
        return r < 0 ? r : leave_tensor(b, err);
    }
    struct sb_measure measure;
    sb_measure_begin(&measure, info->dtype, &walk->merge->tolerance);
    r = feed(walk, info->n_elements, sb_dtype_size(info->dtype), take_measure, &measure, err);
    if (r == 0)
        *tally = *sb_measure_end(&measure);
    return r;
}

static int measured(struct walk *walk, struct sb_error *err) {
    struct sb_tensor_info info = *walk->a.info;
    SB_AUTO_FREE char *name = strdup(info.name); /* a's reading goes on and takes its own back */
    if (!name)
        return sb_error_errno(err, -ENOMEM, "'%s'", info.name);
    info.name = name;
    struct sb_tally tally;
    struct sb_tensor_difference difference;
    int r = tally_tensor(walk, &info, &tally, err);
    if (r < 0)
        return r;
    sb_diagnose(&tally, &info, &difference);
    r = hand_on(walk, &difference, err);
    if (r == 0 && difference.grade == SB_GRADE_PERMUTATION && difference.permuted_axis < 0 &&
        note_permuted(walk, &name) < 0)
        r = sb_error_errno(err, -ENOMEM, "'%s'", info.name);
    return r;
}

static bool same_type(const struct sb_tensor_info *a, const struct sb_tensor_info *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

/* Order of the tensors that the sides have reached; what has none comes last. */
static int order(const struct sb_side *a, const struct sb_side *b) {
    if (a->event == SB_SIDE_END || b->event == SB_SIDE_END)
        return (a->event == SB_SIDE_END) - (b->event == SB_SIDE_END);
    int prefixes = strcmp(sb_side_prefix(a), sb_side_prefix(b));
    return prefixes ? prefixes : strcmp(a->info->name, b->info->name);
}

static int pair_all(struct walk *walk, struct sb_error *err) {
    struct sb_side *a = &walk->a, *b = &walk->b;
    int r = walk_start(walk, err);
    while (r == 0 && (a->event != SB_SIDE_END || b->event != SB_SIDE_END)) {
        int first = order(a, b);
        if (first < 0)
            r = alone(walk, a, SB_TENSOR_ONLY_A, err);
        else if (first > 0)
            r = alone(walk, b, SB_TENSOR_ONLY_B, err);
        else
            r = same_type(a->info, b->info) ? measured(walk, err) : changed(walk, err);
    }
    return r;
}

/* ---- Again -------------------------------------------------------------------------------------
 */

static int skip_to(struct sb_side *side, const char *name, struct sb_error *err) {
    int r = 0;
    while (r == 0 && side->event == SB_SIDE_TENSOR && strcmp(side->info->name, name) != 0)
        r = sb_side_next(side, false, err);
    if (r == 0 && side->event != SB_SIDE_TENSOR)
        r = sb_error_set(err, -EBADMSG, "'%s' was there a moment ago: who writes to the file?",
                         name);
    return r;
}

static int find_axis(struct walk *walk, const struct permuted *permuted, struct sb_error *err) {
    int r = skip_to(&walk->a, permuted->name, err);
    if (r == 0)
        r = skip_to(&walk->b, permuted->name, err);
    if (r < 0)
        return r;
    struct sb_tensor_info info = *walk->a.info;
    SB_CLEANUP(sb_slices_clear) struct sb_slices slices = {0};
    if (!same_type(&info, walk->b.info))
        return sb_error_set(err, -EBADMSG, "'%s' had another shape a moment ago", permuted->name);
    if (sb_slices_begin(&slices, &info) < 0)
        return sb_error_errno(err, -ENOMEM, "'%s'", permuted->name);
    r = go_on(walk, err);
    if (r == 0)
        r = feed(walk, info.n_elements, sb_dtype_size(info.dtype), take_slices, &slices, err);
    if (r < 0)
        return r;
    return walk->merge->axis(walk->merge->context, permuted->index, sb_slices_axis(&slices), err);
}

static int find_axes(struct walk *walk, struct sb_error *err) {
    walk_stop(walk);
    int r = walk_start(walk, err);
    for (size_t i = 0; i < walk->n_permuted && r == 0; i++)
        r = find_axis(walk, &walk->permuted[i], err);
    return r;
}

static int check_any(const struct sb_side *side, struct sb_error *err) {
    if (side->n_tensors)
        return 0;
    return sb_error_set(err, -ENODATA, "%s: no tensor is left to compare",
                        side->n_files ? side->files[0]->path : "no file");
}

int sb_merge_run(const struct sb_merge *merge, struct sb_error *err) {
    SB_CLEANUP(walk_clear) struct walk walk = {.merge = merge};
    walk.ranges = sb_ranges_new(merge->options ? merge->options->threads : 1, &merge->tolerance);
    if (!walk.ranges)
        return sb_error_errno(err, -ENOMEM, "comparing weights");
    int r = pair_all(&walk, err);
    if (r == 0)
        r = check_any(&walk.a, err);
    if (r == 0)
        r = check_any(&walk.b, err);
    if (r == 0 && walk.n_permuted)
        r = find_axes(&walk, err);
    return r;
}
