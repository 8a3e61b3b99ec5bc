/* Stage 7: how a difference grows over the steps of a training that saves its weights on the way:
 * as step-N.h5 and the like, or in one file as step-N/…. */
#include "report/result.h"

#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_POINTS = 256 };

struct point {
    uint64_t step;
    double max_abs, max_ulp;
    uint64_t different, elements;
};

/* "step-12" at the beginning of a name or of a part of it, before what is no digit. */
static bool step_of(const char *name, uint64_t *step) {
    static const char prefix[] = "step-";
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, prefix, sizeof prefix - 1) != 0)
            continue;
        const char *digits = at + sizeof prefix - 1;
        size_t n = strspn(digits, "0123456789");
        if (n && n < 19 && (digits[n] == '/' || digits[n] == '.' || digits[n] == ':')) {
            *step = strtoull(digits, NULL, 10);
            return true;
        }
    }
    return false;
}

static int by_step(const void *left, const void *right) {
    const struct point *a = left, *b = right;
    return (a->step > b->step) - (a->step < b->step);
}

/* One point for each tensor of a step, those of one step then made one. */
static size_t gather(const struct sb_comparison *comparison, struct point *points) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < comparison->n_tensors; i++) {
        struct sb_tensor_difference tensor;
        uint64_t step;
        sb_comparison_tensor(comparison, i, &tensor);
        if (!step_of(tensor.info.name, &step))
            continue;
        points[n++] = (struct point){step, tensor.max_abs, tensor.max_ulp, tensor.n_different,
                                     tensor.info.n_elements};
    }
    qsort(points, n, sizeof *points, by_step);
    for (size_t i = 0; i < n; i++) {
        struct point *into = &points[kept ? kept - 1 : 0];
        if (!kept || into->step != points[i].step) {
            points[kept++] = points[i];
            continue;
        }
        into->max_abs = fmax(into->max_abs, points[i].max_abs);
        into->max_ulp = fmax(into->max_ulp, points[i].max_ulp);
        into->different += points[i].different;
        into->elements += points[i].elements;
    }
    return kept;
}

/* The first that differs is among them, however many there are. */
static bool is_shown(size_t n, size_t i, size_t first) {
    size_t every = (n + MOST_POINTS - 1) / MOST_POINTS;
    return i == first || i + 1 == n || i % every == 0;
}

json_t *sb_growth_json(struct sb_making *making, const struct sb_comparison *comparison) {
    if (!comparison || !comparison->n_different)
        return json_null();
    struct point *points = calloc(comparison->n_tensors + 1, sizeof *points);
    making->failed |= !points;
    size_t n = points ? gather(comparison, points) : 0, first = 0;
    while (first < n && !points[first].different)
        first++;
    json_t *growth = n > 1 ? sb_new(making, json_array()) : json_null();
    for (size_t i = 0; n > 1 && i < n; i++) {
        if (!is_shown(n, i, first))
            continue;
        double elements = (double)points[i].elements;
        json_t *point = sb_new(making, json_object());
        sb_put(making, point, "step", json_integer((json_int_t)points[i].step));
        sb_put(making, point, "max_abs", sb_json_real(points[i].max_abs));
        sb_put(making, point, "max_ulp", sb_json_real(points[i].max_ulp));
        sb_put(making, point, "share",
               sb_json_real(elements > 0 ? (double)points[i].different / elements : 0));
        sb_push(making, growth, point);
    }
    free(points);
    return growth;
}
