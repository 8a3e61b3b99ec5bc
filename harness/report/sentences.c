/* Stage 7: what reports say of a job, in words. See report/sentences.h. */
#include "report/sentences.h"

#include <samebits/compare.h>

#include <math.h>
#include <string.h>

void sb_say_list(struct sb_text *text, const json_t *strings, const char *separator) {
    for (size_t i = 0; i < json_array_size(strings); i++)
        sb_text_printf(text, "%s%s", i ? separator : "", sb_text_at(strings, i));
}

const json_t *sb_axis_of(const json_t *job, const char *name) {
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        if (sb_text_is(axis, "name", name))
            return axis;
    }
    return NULL;
}

/* "threads=2,4 and isa=avx2" of an object that maps axes to lists of levels. */
static void say_levels(struct sb_text *text, const json_t *axes, const char *between) {
    const char *name, *separator = "";
    json_t *levels;
    json_object_foreach((json_t *)axes, name, levels) {
        sb_text_printf(text, "%s%s=", separator, name);
        sb_say_list(text, levels, ",");
        separator = between;
    }
}

static bool is_nondeterministic(const json_t *job) {
    return sb_text_is(job, "verdict", "nondeterministic");
}

/* ---- Missing cells ----------------------------------------------------------------------------
 */

void sb_say_scope(struct sb_text *text, const json_t *job) {
    const json_t *missing = json_object_get(job, "missing");
    json_int_t all = sb_count_of(missing, "of");
    if (json_is_object(missing))
        sb_text_printf(text, " (%lld of %lld cells)",
                       (long long)(all - sb_count_of(missing, "cells")), (long long)all);
}

void sb_say_missing(struct sb_text *text, const json_t *job) {
    const json_t *missing = json_object_get(job, "missing");
    const json_t *levels = json_object_get(missing, "levels");
    if (!json_is_object(missing))
        return;
    sb_text_puts(text, "What is said holds of the runs that ended well");
    if (json_object_size(levels)) {
        sb_text_puts(text, ": no run of ");
        say_levels(text, levels, " or ");
        sb_text_puts(text, " did.");
    } else {
        json_int_t n = sb_count_of(missing, "cells");
        sb_text_printf(text, ": %lld of %lld cells %s none.", (long long)n,
                       (long long)sb_count_of(missing, "of"), n == 1 ? "has" : "have");
    }
}

/* ---- Axes in words ----------------------------------------------------------------------------
 */

static void add_classes(struct sb_text *text, const json_t *axis) {
    const json_t *classes = json_object_get(axis, "classes");
    for (size_t i = 0; i < json_array_size(classes); i++) {
        sb_text_puts(text, i ? " | " : "");
        sb_say_list(text, json_array_get(classes, i), " = ");
    }
}

/* Axes of one kind, as "threads and isa" or "a, b and c". */
struct axis_list {
    const json_t *axes[64];
    size_t n;
};

static void say_axes(struct sb_text *text, const struct axis_list *list, bool classes) {
    for (size_t i = 0; i < list->n; i++) {
        sb_text_puts(text, !i ? "" : i + 1 == list->n ? " and " : ", ");
        sb_text_puts(text, sb_text_of(list->axes[i], "name"));
        if (classes && json_array_size(json_object_get(list->axes[i], "classes")) &&
            !json_is_false(json_object_get(list->axes[i], "compared"))) {
            sb_text_puts(text, " (");
            add_classes(text, list->axes[i]);
            sb_text_putc(text, ')');
        }
    }
}

/* ---- Instability ------------------------------------------------------------------------------
 */

void sb_say_when(struct sb_text *text, const json_t *when) {
    say_levels(text, when, " and ");
}

/* Axes whose levels were in no two stable cells: an effect of theirs would not show. */
static void say_unjudged(struct sb_text *text, const json_t *job) {
    const json_t *when = json_object_get(job, "unstable_when");
    struct axis_list unjudged = {{NULL}, 0};
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        bool varied = json_array_size(json_object_get(axis, "levels")) > 1;
        bool known = !sb_text_is(axis, "effect", "unknown") ||
                     json_array_size(json_object_get(axis, "classes")) == 1 ||
                     json_object_get(when, sb_text_of(axis, "name"));
        if (varied && !known && unjudged.n < sizeof unjudged.axes / sizeof *unjudged.axes)
            unjudged.axes[unjudged.n++] = axis;
    }
    if (!unjudged.n)
        return;
    sb_text_putc(text, ' ');
    say_axes(text, &unjudged, false);
    sb_text_puts(text, " could not be judged while repeats differ: run again once they agree.");
}

void sb_say_instability(struct sb_text *text, const json_t *job) {
    if (!is_nondeterministic(job))
        return;
    const json_t *when = json_object_get(job, "unstable_when");
    if (json_is_object(when) && !json_object_size(when)) {
        sb_text_puts(text, "Repeats differ in every cell.");
    } else if (json_is_object(when)) {
        sb_text_puts(text, "Repeats differ exactly where ");
        sb_say_when(text, when);
        sb_text_putc(text, '.');
    } else {
        sb_text_puts(text, "Repeats differ in some cells.");
    }
    say_unjudged(text, job);
}

/* ---- Dependence -------------------------------------------------------------------------------
 */

enum kind { CHANGES, SAME, UNPROVEN, INERT, N_KINDS };

static enum kind kind_of(const json_t *axis) {
    bool one_class = json_array_size(json_object_get(axis, "classes")) == 1;
    return sb_text_is(axis, "effect", "bits")                   ? CHANGES
           : sb_text_is(axis, "effect", "none")                 ? SAME
           : sb_text_is(axis, "effect", "inert")                ? INERT
           : sb_text_is(axis, "effect", "unknown") && one_class ? UNPROVEN
                                                                : N_KINDS;
}

static void say_conditions(struct sb_text *text, const json_t *job) {
    size_t i;
    json_t *condition;
    json_array_foreach(json_object_get(job, "conditions"), i, condition) {
        sb_text_printf(text, " %s matters only at ", sb_text_of(condition, "axis"));
        sb_say_when(text, json_object_get(condition, "when"));
        sb_text_putc(text, '.');
    }
}

void sb_say_dependence(struct sb_text *text, const json_t *job) {
    struct axis_list lists[N_KINDS] = {{{NULL}, 0}};
    if (!sb_count_of(job, "distinct"))
        return;
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        enum kind kind = kind_of(axis);
        if (kind < N_KINDS && lists[kind].n < sizeof lists[0].axes / sizeof *lists[0].axes)
            lists[kind].axes[lists[kind].n++] = axis;
    }
    if (lists[CHANGES].n) {
        sb_text_puts(text, is_nondeterministic(job) ? "Where they are stable, the weights are"
                                                    : "The weights are");
        sb_text_puts(text, " a function of ");
        say_axes(text, &lists[CHANGES], true);
        sb_text_putc(text, '.');
        say_conditions(text, job);
    }
    static const struct {
        enum kind kind;
        const char *one, *many;
    } rest[] = {
        {SAME, "does not change ", "do not change "},
        {UNPROVEN, "made no difference, without proof that it reached what computes.",
         "made no difference, without proof that they reached what computes."},
        {INERT, "is inert: every level was the same in the processes.",
         "are inert: every level was the same in the processes."},
    };
    for (size_t k = 0; k < sizeof rest / sizeof *rest; k++) {
        const struct axis_list *list = &lists[rest[k].kind];
        if (!list->n)
            continue;
        bool first = !text->length;
        sb_text_puts(text, first ? "" : " ");
        say_axes(text, list, false);
        sb_text_printf(text, " %s", list->n == 1 ? rest[k].one : rest[k].many);
        if (rest[k].kind == SAME)
            sb_text_puts(text, first ? "the weights." : "them.");
    }
}

/* ---- Magnitude --------------------------------------------------------------------------------
 */

/* "41% of elements"; a share too small for a percentage is not shown as none. */
static void say_share(struct sb_text *text, double share) {
    if (share >= 0.01)
        sb_text_printf(text, "%.0f%% of its elements", 100 * share);
    else
        sb_text_printf(text, "%.2g%% of its elements", 100 * share);
}

static void say_ulp(struct sb_text *text, const json_t *ulp) {
    double value = json_number_value(ulp);
    if (json_is_number(ulp) && value < 1e6)
        sb_text_printf(text, "%.0f ulp", value);
    else if (json_is_number(ulp))
        sb_text_printf(text, "%.1e ulp", value);
    else
        sb_text_puts(text, "not finite");
}

/* A hint to the cause. */
static void say_shape(struct sb_text *text, const json_t *job, const json_t *worst) {
    const json_t *ulp = json_object_get(worst, "max_ulp");
    enum sb_grade grade = SB_GRADE_IDENTICAL;
    while (grade < SB_GRADE_DIVERGENT && !sb_text_is(job, "grade", sb_grade_names[grade]))
        grade++;
    for (int shape = SB_SHAPE_NONE + 1; shape <= SB_SHAPE_GROWN; shape++) {
        if (sb_text_is(worst, "shape_of_difference", sb_shape_names[shape]))
            sb_text_printf(text, " Hint: %s.",
                           sb_shape_text((enum sb_shape)shape, grade, json_number_value(ulp)));
    }
}

static void say_worst_difference(struct sb_text *text, const json_t *job) {
    static const struct {
        const char *grade, *text;
    } grades[] = {{"rounding", ": rounding, inside the tolerance"},
                  {"permutation", ": the same values in another order"},
                  {"divergent", ": beyond the tolerance"}};
    const json_t *worst = json_object_get(job, "worst");
    if (!json_is_object(worst))
        return;
    const json_t *abs = json_object_get(worst, "max_abs");
    const char *difference = sb_text_of(worst, "difference");
    if (*difference) {
        sb_text_printf(text, "Tensor %s: %s.", sb_text_of(worst, "tensor"), difference);
        return;
    }
    sb_text_puts(text, "Largest difference");
    if (json_is_number(abs))
        sb_text_printf(text, " %.2g", json_number_value(abs));
    sb_text_printf(text, " in %s (", sb_text_of(worst, "tensor"));
    say_ulp(text, json_object_get(worst, "max_ulp"));
    sb_text_puts(text, ", ");
    say_share(text, json_number_value(json_object_get(worst, "share")));
    sb_text_putc(text, ')');
    for (size_t i = 0; i < sizeof grades / sizeof *grades; i++) {
        if (sb_text_is(job, "grade", grades[i].grade))
            sb_text_puts(text, grades[i].text);
    }
    sb_text_putc(text, '.');
    say_shape(text, job, worst);
}

static void say_point(struct sb_text *text, const json_t *point) {
    const json_t *abs = json_object_get(point, "max_abs");
    if (json_is_number(abs))
        sb_text_printf(text, "%.2g (", json_number_value(abs));
    say_ulp(text, json_object_get(point, "max_ulp"));
    sb_text_puts(text, json_is_number(abs) ? ", " : " (");
    say_share(text, json_number_value(json_object_get(point, "share")));
    sb_text_putc(text, ')');
}

bool sb_say_growth(struct sb_text *text, const char *subject, const json_t *job) {
    const json_t *growth = json_object_get(job, "growth"), *first = NULL, *last = NULL;
    size_t i;
    json_t *point;
    json_array_foreach(growth, i, point) {
        if (!first && json_number_value(json_object_get(point, "share")) > 0)
            first = point;
        last = point;
    }
    if (!first)
        return false;
    sb_text_printf(text, "%s begins at step %lld: ", subject,
                   json_integer_value(json_object_get(first, "step")));
    say_point(text, first);
    if (last != first) {
        sb_text_printf(text, "; at step %lld it is ",
                       json_integer_value(json_object_get(last, "step")));
        say_point(text, last);
    }
    return true;
}

void sb_say_magnitude(struct sb_text *text, const json_t *job) {
    const json_t *limits = json_object_get(job, "limits");
    say_worst_difference(text, job);
    if (sb_say_growth(text, " It", job))
        sb_text_putc(text, '.');
    for (size_t i = 0; i < json_array_size(limits); i++)
        sb_text_printf(text, "%sNote: %s.", text->length ? " " : "", sb_text_at(limits, i));
}

void sb_say_worst(struct sb_text *text, const json_t *job, bool place) {
    const json_t *worst = json_object_get(job, "worst");
    if (!json_is_object(worst))
        return;
    const char *difference = sb_text_of(worst, "difference");
    const json_t *compared = json_object_get(job, "compared");
    bool all = !json_is_integer(compared) ||
               sb_count_of(job, "compared") + 1 >= sb_count_of(job, "distinct");
    if (*difference) {
        sb_text_puts(text, difference);
    } else {
        sb_text_puts(text, all ? "" : "≥ ");
        say_ulp(text, json_object_get(worst, "max_ulp"));
    }
    if (!place)
        return;
    sb_text_printf(text, "  %s", sb_text_of(worst, "tensor"));
    const json_t *index = json_object_get(worst, "worst_index");
    if (!json_array_size(index))
        index = json_object_get(worst, "index");
    for (size_t i = 0; i < json_array_size(index); i++)
        sb_text_printf(text, "%c%lld", i ? ',' : '[',
                       (long long)json_integer_value(json_array_get(index, i)));
    if (json_array_size(index))
        sb_text_putc(text, ']');
}

/* ---- Witness ----------------------------------------------------------------------------------
 */

void sb_say_witness(struct sb_text *text, const json_t *job, const struct sb_run_index *index) {
    const json_t *witness = json_object_get(job, "witness");
    const json_t *axes = json_object_get(witness, "differs_in");
    static const char *const sides[] = {"a", "b"};
    for (size_t side = 0; side < 2 && json_is_object(witness); side++) {
        const char *id = sb_text_of(witness, sides[side]), *name;
        const json_t *cell = json_object_get(json_object_get(index->by_id, id), "cell");
        size_t n = json_array_size(axes);
        sb_text_printf(text, "%s%s%s", side ? "   " : "", id, n ? " (" : side ? " (both" : "");
        for (size_t i = 0; i < n; i++) {
            const char *value = sb_text_of(cell, sb_text_at(axes, i));
            sb_text_printf(text, "%s%s=%s", i ? " " : "", sb_text_at(axes, i),
                           *value || json_object_size(cell) ? value : "?");
        }
        json_t *level;
        json_object_foreach((json_t *)(!n && side ? cell : NULL), name, level) {
            const char *value = json_string_value(level);
            sb_text_printf(text, " %s=%s", name, value ? value : "");
        }
        if (!n && side && !json_object_size(cell))
            sb_text_puts(text, " of one cell");
        sb_text_puts(text, n || side ? ")" : "");
    }
}

void sb_say_trace(struct sb_text *text, const json_t *job) {
    sb_say_list(text, json_object_get(json_object_get(job, "trace"), "notes"), "; ");
}

void sb_say_message(struct sb_text *text, const json_t *job) {
    const json_t *depends = json_object_get(job, "depends_on");
    const json_t *when = json_object_get(job, "unstable_when");
    const char *joint = is_nondeterministic(job) ? "; elsewhere it depends on " : ": depends on ";
    sb_text_puts(text, sb_text_of(job, "verdict"));
    sb_say_scope(text, job);
    if (is_nondeterministic(job) && json_object_size(when)) {
        sb_text_puts(text, " where ");
        sb_say_when(text, when);
    }
    if (json_array_size(depends) && !sb_text_is(job, "verdict", "inconclusive")) {
        sb_text_puts(text, joint);
        sb_say_list(text, depends, ", ");
    }
    if (*sb_text_of(job, "reason"))
        sb_text_printf(text, "; %s", sb_text_of(job, "reason"));
    const json_t *causes = json_object_get(json_object_get(job, "explained"), "causes");
    for (size_t i = 0; i < json_array_size(causes); i++)
        sb_text_printf(text, "%s%s",
                       i ? ", " : "; cause: ", sb_text_of(json_array_get(causes, i), "source"));
}
