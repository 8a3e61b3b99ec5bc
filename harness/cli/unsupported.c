/* cli: see cli/unsupported.h. */
#include "cli/unsupported.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

struct tally {
    size_t runs, unsupported;
};

const char *sb_run_unsupported(const struct sb_run *run) {
    return run->status == SB_STATUS_OK
               ? NULL
               : json_string_value(json_object_get(run->seen.worker, "unsupported"));
}

static bool is_left_out(const struct tally *tally) {
    return tally->runs && tally->runs == tally->unsupported;
}

/* Has a level of an axis runs, all of them in cells that are left out? */
static bool level_is_left_out(const struct sb_job_plan *plan, const struct tally *tallies,
                              size_t axis, unsigned level) {
    bool any = false;
    for (size_t c = 0; c < plan->n_cells; c++) {
        if (plan->cells[c].level[axis] != level || !tallies[c].runs)
            continue;
        if (!is_left_out(&tallies[c]))
            return false;
        any = true;
    }
    return any;
}

/* ", at isa=sse2, isa=avx2": where no level is to blame alone, nothing. */
static void add_levels(const struct sb_job_plan *plan, const struct tally *tallies,
                       struct sb_text *text) {
    const char *before = ", at ";
    for (size_t a = 0; a < plan->n_axes; a++) {
        for (unsigned level = 0; level < plan->axes[a].n_levels; level++) {
            if (!level_is_left_out(plan, tallies, a, level))
                continue;
            sb_text_printf(text, "%s%s=%s", before, plan->axes[a].name,
                           plan->axes[a].levels[level]);
            before = ", ";
        }
    }
}

int sb_unsupported_leave_out(const struct sb_job_plan *plan, const struct sb_run **runs,
                             size_t *n_runs, char **sentence) {
    SB_AUTO_FREE struct tally *tallies = calloc(plan->n_cells + 1, sizeof *tallies);
    bool good = false;
    const char *why = NULL;
    size_t kept = 0;
    *sentence = NULL;
    if (!tallies)
        return -ENOMEM;
    for (size_t i = 0; i < *n_runs; i++) {
        struct tally *tally = &tallies[runs[i]->cell];
        tally->runs++;
        tally->unsupported += sb_run_unsupported(runs[i]) != NULL;
        good |= runs[i]->status == SB_STATUS_OK;
    }
    for (size_t i = 0; i < *n_runs && good; i++) {
        if (is_left_out(&tallies[runs[i]->cell]))
            why = sb_run_unsupported(runs[i]);
        else
            runs[kept++] = runs[i];
    }
    if (!why)
        return 0;
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t left_out = *n_runs - kept;
    sb_text_printf(&text, "not supported here, and left out: %zu run%s", left_out,
                   left_out == 1 ? "" : "s");
    add_levels(plan, tallies, &text);
    sb_text_printf(&text, " (%s)", why);
    *n_runs = kept;
    *sentence = sb_text_take(&text);
    return *sentence ? 0 : -ENOMEM;
}
