/* Stage 6: see divergence.h. A call of one trace belongs to one of the other that has the same
 * kernel, shape and inputs, wherever that stands: threads take turns in other orders, and traces
 * may differ in length, but a call that got equal inputs has to give equal outputs. Where the same
 * call was made several times, outputs are matched as sets with repetition. So no call is taken for
 * a culprit that is none, whatever else differs. A reduction over processes gives what all of them
 * put in: it is one only where nobody's inputs to it, or to one before it, differ. */
#include "attribute/divergence.h"

#include "base/cleanup.h"
#include "base/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

_Static_assert((int)SB_DIVERGENT_SIZES == (int)SB_TRACE_SIZES, "a shape of a record fits");

/* A call of the second trace. Of hashes 64 bits suffice: two of 10 million calls are taken for one
 * once in 400,000 times. */
struct made {
    uint64_t key, out;
    uint32_t seq;
    uint32_t used; /* in the first of those with equal key and out: how many are matched */
};

struct mades {
    struct made *items;
    size_t n, room;
};

/* A call of the first trace that found its inputs in the second but not its outputs. */
struct unmatched {
    uint64_t seq, key;
    uint64_t when; /* see struct turn */
};

struct unmatcheds {
    struct unmatched *items;
    size_t n, room;
};

/* Processes stand one after the other in a trace. What happened first in them is told by the
 * reductions that all take part in: two numbers for each, one for what comes before it and one for
 * itself. Without reductions it is the order in the trace. */
struct turn {
    uint32_t process;
    uint64_t reductions;
    uint64_t first_other; /* of a reduction whose inputs the second trace has not */
};

static bool is_reduction(const struct sb_trace_record *record) {
    return strncmp(record->kernel, "MPI_", strlen("MPI_")) == 0 ||
           strncmp(record->kernel, "nccl", strlen("nccl")) == 0;
}

static uint64_t when(struct turn *turn, const struct sb_trace_record *record) {
    if (turn->process != record->process) {
        turn->process = record->process;
        turn->reductions = 0;
    }
    return is_reduction(record) ? 2 * turn->reductions++ + 1 : 2 * turn->reductions;
}

/* A reduction's result is no function of what one process put in: of two with equal inputs, one
 * belongs to that of the same turn. */
static uint64_t key_of(const struct sb_trace_record *record, uint64_t now) {
    uint64_t parts[3 + SB_TRACE_SIZES + SB_TRACE_DIGEST / sizeof(uint64_t)];
    size_t n = record->n_sizes;
    parts[0] = XXH3_64bits(record->kernel, strlen(record->kernel));
    parts[1] = record->dtype;
    parts[2] = now % 2 ? now : 0;
    memcpy(parts + 3, record->sizes, n * sizeof *record->sizes);
    memcpy(parts + 3 + n, record->in, sizeof record->in);
    return XXH3_64bits(parts, (3 + n) * sizeof *parts + sizeof record->in);
}

static uint64_t out_of(const struct sb_trace_record *record) {
    uint64_t out;
    memcpy(&out, record->out, sizeof out);
    return out;
}

/* ---- The second trace -------------------------------------------------------------------------
 */

static int in_order(const void *left, const void *right) {
    const struct made *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->out != b->out)
        return a->out < b->out ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static int add(struct mades *mades, struct turn *turn, const struct sb_trace_record *record) {
    if (mades->n == UINT32_MAX)
        return -E2BIG;
    if (mades->n == mades->room) {
        size_t room = mades->room ? mades->room + mades->room / 2 : 1024;
        struct made *items = reallocarray(mades->items, room, sizeof *items);
        if (!items)
            return -ENOMEM;
        mades->items = items;
        mades->room = room;
    }
    mades->items[mades->n] = (struct made){key_of(record, when(turn, record)), out_of(record),
                                           (uint32_t)mades->n + 1, 0};
    mades->n++;
    return 0;
}

static int read_second(const char *path, struct mades *mades, struct sb_error *err) {
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    struct turn turn = {0};
    int rc = sb_trace_reader_open(path, &reader, err);
    if (rc < 0)
        return rc;
    int added = 0;
    while (added == 0 && (rc = sb_trace_read(reader, &record, err)) == 1)
        added = add(mades, &turn, &record);
    sb_trace_reader_close(reader);
    if (added < 0)
        return sb_error_errno(err, added, "%s", path);
    if (mades->n)
        qsort(mades->items, mades->n, sizeof *mades->items, in_order);
    return rc;
}

/* The first that does not stand before (key, out). */
static size_t lower_bound(const struct mades *mades, uint64_t key, uint64_t out) {
    size_t from = 0, to = mades->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct made *made = &mades->items[middle];
        if (made->key < key || (made->key == key && made->out < out))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool has_key(const struct mades *mades, uint64_t key) {
    size_t at = lower_bound(mades, key, 0);
    return at < mades->n && mades->items[at].key == key;
}

/* Matches one more of the calls with this key and out. */
static bool take(struct mades *mades, uint64_t key, uint64_t out) {
    size_t first = lower_bound(mades, key, out);
    if (first == mades->n)
        return false;
    size_t at = first + mades->items[first].used;
    if (at >= mades->n || mades->items[at].key != key || mades->items[at].out != out)
        return false;
    mades->items[first].used++;
    return true;
}

/* The earliest call with this key that nothing matched; 0: there is none. */
static uint32_t left_over(const struct mades *mades, uint64_t key) {
    uint32_t seq = 0;
    size_t at = lower_bound(mades, key, 0);
    while (at < mades->n && mades->items[at].key == key) {
        uint64_t out = mades->items[at].out;
        size_t left = at + mades->items[at].used;
        if (left < mades->n && mades->items[left].key == key && mades->items[left].out == out &&
            (!seq || mades->items[left].seq < seq))
            seq = mades->items[left].seq;
        while (at < mades->n && mades->items[at].key == key && mades->items[at].out == out)
            at++;
    }
    return seq;
}

/* ---- The first --------------------------------------------------------------------------------
 */

static int keep(struct unmatcheds *list, uint64_t seq, uint64_t key, uint64_t when) {
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        struct unmatched *items = reallocarray(list->items, room, sizeof *items);
        if (!items)
            return -ENOMEM;
        list->items = items;
        list->room = room;
    }
    list->items[list->n++] = (struct unmatched){seq, key, when};
    return 0;
}

/* A call with inputs that the second trace has not. */
static void note_other(struct turn *turn, struct sb_divergence *divergence,
                       const struct sb_trace_record *record, uint64_t seq, uint64_t now) {
    if (is_reduction(record) && now < turn->first_other)
        turn->first_other = now;
    if (!divergence->other.seq)
        divergence->other.seq = seq;
}

static int match_first(const char *path, struct mades *mades, struct unmatcheds *list,
                       struct turn *turn, struct sb_divergence *divergence, struct sb_error *err) {
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    int rc = sb_trace_reader_open(path, &reader, err);
    if (rc < 0)
        return rc;
    int kept = 0;
    while (kept == 0 && (rc = sb_trace_read(reader, &record, err)) == 1) {
        uint64_t seq = ++divergence->calls[0], now = when(turn, &record);
        uint64_t key = key_of(&record, now);
        if (take(mades, key, out_of(&record)))
            divergence->same++;
        else if (has_key(mades, key))
            kept = keep(list, seq, key, now);
        else
            note_other(turn, divergence, &record, seq, now);
    }
    sb_trace_reader_close(reader);
    return kept < 0 ? sb_error_errno(err, kept, "%s", path) : rc;
}

/* Calls that were made more often in one run than in the other are none of both: so what is left of
 * the second trace is asked when all of the first is matched. */
static void choose(const struct mades *mades, const struct unmatcheds *list,
                   const struct turn *turn, struct sb_divergence *divergence) {
    uint64_t first = UINT64_MAX, none_left = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct unmatched *call = &list->items[i];
        bool reduction = call->when % 2;
        if (call->when >= first || (reduction && call->when >= turn->first_other) ||
            (none_left && call->key == none_left))
            continue;
        uint32_t seq = left_over(mades, call->key);
        if (!seq) {
            none_left = call->key;
            if (!divergence->other.seq || call->seq < divergence->other.seq)
                divergence->other.seq = call->seq;
            continue;
        }
        first = call->when;
        divergence->culprit.seq = call->seq;
        divergence->culprit_seq_b = seq;
    }
}

static int describe(struct sb_divergent_call *call, const struct sb_trace_record *record) {
    call->kernel = strdup(record->kernel);
    call->backend = strdup(record->backend);
    call->program = record->program ? strdup(record->program) : NULL;
    call->dtype = record->dtype;
    call->n_sizes = record->n_sizes;
    memcpy(call->sizes, record->sizes, sizeof call->sizes);
    call->process = record->process;
    call->thread = record->thread;
    call->step = record->step;
    call->call = record->call;
    memcpy(call->in, record->in, sizeof call->in);
    return call->kernel && call->backend && (call->program || !record->program) ? 0 : -ENOMEM;
}

static int describe_calls(const char *path, struct sb_divergence *divergence,
                          struct sb_error *err) {
    struct sb_divergent_call *calls[] = {&divergence->culprit, &divergence->other};
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    uint64_t last = calls[0]->seq > calls[1]->seq ? calls[0]->seq : calls[1]->seq;
    int rc = last ? sb_trace_reader_open(path, &reader, err) : 0;
    if (rc < 0 || !last)
        return rc;
    rc = 1;
    for (uint64_t seq = 1; seq <= last && rc == 1; seq++) {
        rc = sb_trace_read(reader, &record, err);
        for (size_t i = 0; i < 2 && rc == 1; i++) {
            if (calls[i]->seq == seq && describe(calls[i], &record) < 0)
                rc = sb_error_errno(err, -ENOMEM, "%s", path);
        }
    }
    sb_trace_reader_close(reader);
    return rc < 0 ? rc : 0;
}

int sb_divergence_find(const char *path_a, const char *path_b, struct sb_divergence *divergence,
                       struct sb_error *err) {
    struct mades mades = {0};
    struct unmatcheds list = {0};
    struct turn turn = {.first_other = UINT64_MAX};
    *divergence = (struct sb_divergence){0};
    int rc = read_second(path_b, &mades, err);
    divergence->calls[1] = mades.n;
    if (rc == 0)
        rc = match_first(path_a, &mades, &list, &turn, divergence, err);
    if (rc == 0) {
        choose(&mades, &list, &turn, divergence);
        rc = describe_calls(path_a, divergence, err);
    }
    free(mades.items);
    free(list.items);
    if (rc < 0)
        sb_divergence_clear(divergence);
    return rc;
}

void sb_divergence_clear(struct sb_divergence *divergence) {
    struct sb_divergent_call *calls[] = {&divergence->culprit, &divergence->other};
    for (size_t i = 0; i < 2; i++) {
        free(calls[i]->kernel);
        free(calls[i]->backend);
        free(calls[i]->program);
    }
    *divergence = (struct sb_divergence){0};
}
