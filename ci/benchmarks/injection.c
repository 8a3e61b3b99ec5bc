/* How often are traces right about the culprit? Plants one fault after the other, each in a call
 * drawn at random of a built-in training, and asks where its trace parts from that of a run
 * without.
 *
 *     injection [FAULTS]     5000 unless given, and a tenth as many runs without a fault
 *
 * Exits with 1 where a fault was missed, another call was named, or something was found in a run
 * without a fault. The backend `chaos` (kernels/tests/modules/chaos.c) plants;
 * SAMEBITS_BACKEND_PATH says where it is. */
#include "attribute/divergence.h"
#include "base/cleanup.h"
#include "base/trace.h"
#include "kernels/module.h"
#include "run/worker_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAULTS = 5000, MOST_CALLS = 4096, MOST_DRAWN = 1000 };

/* Small, so that a fault costs milliseconds; each has a smaller last batch and several epochs. */
static const struct {
    const char *name;
    const char *arguments[16];
} trainings[] = {
    {"dense", {"samples=50", "depth=2", "epochs=2", NULL}},
    {"convnet", {"samples=20", "batch_size=8", "side=8", "filters=4", "epochs=2", NULL}},
    {"chargpt",
     {"samples=6", "batch_size=4", "context=8", "width=8", "heads=2", "hidden=16", "epochs=2",
      NULL}},
};
static const char *const faults[] = {"ulp", "swap", "stale", "order"};
enum { TRAININGS = sizeof trainings / sizeof *trainings, KINDS = sizeof faults / sizeof *faults };

/* One call of a training's trace: its operation, and how many of that came up to it. */
struct place {
    char operation[64];
    size_t ordinal;
    uint8_t out[SB_TRACE_DIGEST];
};

struct subject {
    const struct sb_training *training;
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    char path[64], faulty[64];
    struct place places[MOST_CALLS];
    size_t n;
};

struct counts {
    unsigned planted, right, wrong;
};

static uint64_t state = 1;

static size_t draw(size_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(state >> 33) % below;
}

_Noreturn static void die(const struct sb_error *err) {
    fprintf(stderr, "injection: %s\n", err->text);
    exit(2);
}

/* -EDOM: the fault has no place in that call. */
static int train(const struct subject *subject, const char *fault, const char *path,
                 struct sb_error *err) {
    const struct sb_backend *backend;
    struct sb_engine *engine = NULL;
    struct sb_trace_writer *writer = NULL;
    struct sb_train_result result = {0};
    const struct sb_train_options options = {.arguments = subject->values, .threads = 1};
    setenv("SAMEBITS_CHAOS", fault, 1);
    unlink(path);
    int rc = sb_backend_load("chaos", &backend, err);
    if (rc == 0)
        rc = sb_engine_open(backend, &(struct sb_engine_options){.threads = 1}, &engine, err);
    if (rc == 0)
        rc = sb_trace_writer_open(path, &writer, err);
    if (rc == 0) {
        sb_engine_trace(engine, sb_worker_write_call, writer);
        rc = subject->training->run(engine, &options, &result, err);
    }
    int closed = sb_trace_writer_close(writer, NULL);
    sb_train_result_clear(&result);
    sb_engine_close(engine);
    return rc < 0 ? rc : closed;
}

/* Reads a trace's calls up to `limit`; how many there were. */
static size_t read_places(const char *path, struct place *places, size_t limit) {
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    struct sb_error err = {0};
    size_t n = 0;
    if (sb_trace_reader_open(path, &reader, &err) < 0)
        die(&err);
    while (n < limit && sb_trace_read(reader, &record, &err) == 1) {
        struct place *place = &places[n++];
        *place = (struct place){.ordinal = 1};
        snprintf(place->operation, sizeof place->operation, "%s", record.kernel);
        memcpy(place->out, record.out, sizeof place->out);
        for (size_t i = 0; i + 1 < n; i++)
            place->ordinal += strcmp(places[i].operation, place->operation) == 0;
    }
    sb_trace_reader_close(reader);
    return n;
}

static void prepare(struct subject *subject, size_t t, const char *folder) {
    struct sb_error err = {0};
    subject->training = sb_training_find(trainings[t].name);
    sb_arguments_default(subject->training->arguments, subject->values);
    for (const char *const *text = trainings[t].arguments; *text; text++) {
        SB_AUTO_FREE char *name = strndup(*text, strcspn(*text, "="));
        if (!name || sb_argument_set(subject->training->arguments, subject->values, name,
                                     *text + strlen(name) + 1, &err) < 0)
            die(&err);
    }
    if (subject->training->check && subject->training->check(subject->values, &err) < 0)
        die(&err);
    snprintf(subject->path, sizeof subject->path, "%s/%s", folder, trainings[t].name);
    snprintf(subject->faulty, sizeof subject->faulty, "%s/%s.faulty", folder, trainings[t].name);
    if (train(subject, "none", subject->path, &err) < 0)
        die(&err);
    subject->n = read_places(subject->path, subject->places, MOST_CALLS);
}

/* Did the call give something else? A term that is zero may stand anywhere. */
static bool has_effect(const struct subject *subject, size_t at) {
    static struct place found[MOST_CALLS];
    return read_places(subject->faulty, found, at + 1) == at + 1 &&
           memcmp(found[at].out, subject->places[at].out, SB_TRACE_DIGEST) != 0;
}

/* Plants a fault of the kind where it shows; the call's place, from 0. */
static size_t plant(const struct subject *subject, const char *kind) {
    for (size_t tries = 0; tries < MOST_DRAWN; tries++) {
        struct sb_error err = {0};
        char fault[128];
        size_t at = draw(subject->n);
        snprintf(fault, sizeof fault, "%s@%s:%zu", kind, subject->places[at].operation,
                 subject->places[at].ordinal);
        int rc = train(subject, fault, subject->faulty, &err);
        if (rc < 0 && rc != -EDOM)
            die(&err);
        if (rc == 0 && has_effect(subject, at))
            return at;
    }
    die(&(struct sb_error){.text = "no place for a fault"});
}

/* The call that is named, from 1; 0: none. Either trace may be the first. */
static uint64_t name(const struct subject *subject) {
    struct sb_divergence divergence;
    struct sb_error err = {0};
    bool turned = draw(2);
    if (sb_divergence_find(turned ? subject->faulty : subject->path,
                           turned ? subject->path : subject->faulty, &divergence, &err) < 0)
        die(&err);
    uint64_t seq = divergence.culprit.seq;
    sb_divergence_clear(&divergence);
    return seq;
}

static bool say(const char *what, const char *kind, const struct counts *counts) {
    unsigned named = counts->right + counts->wrong;
    printf("%-10s %-6s %6u planted %6u named %6u rightly   precision %6.2f%%   recall %6.2f%%\n",
           what, kind, counts->planted, named, counts->right,
           named ? 100.0 * counts->right / named : 100.0,
           counts->planted ? 100.0 * counts->right / counts->planted : 100.0);
    return counts->right == counts->planted && counts->wrong == 0;
}

static void remove_traces(const struct subject *subjects, const char *folder) {
    for (size_t t = 0; t < TRAININGS; t++) {
        unlink(subjects[t].path);
        unlink(subjects[t].faulty);
    }
    rmdir(folder);
}

int main(int argc, char **argv) {
    static struct subject subjects[TRAININGS];
    struct counts counts[TRAININGS][KINDS] = {{{0}}}, all = {0}, clean = {0};
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : FAULTS;
    char folder[] = "/tmp/samebits-injection-XXXXXX";
    if (!mkdtemp(folder))
        die(&(struct sb_error){.text = "no folder in /tmp"});
    for (size_t t = 0; t < TRAININGS; t++)
        prepare(&subjects[t], t, folder);
    for (unsigned long i = 0; i < n; i++) {
        size_t t = i % TRAININGS, kind = i / TRAININGS % KINDS;
        size_t at = plant(&subjects[t], faults[kind]);
        uint64_t seq = name(&subjects[t]);
        if (seq != at + 1)
            printf("%s: %s in call %zu, %s, and call %" PRIu64 " was named\n", trainings[t].name,
                   faults[kind], at + 1, subjects[t].places[at].operation, seq);
        counts[t][kind].planted++;
        counts[t][kind].right += seq == at + 1;
        counts[t][kind].wrong += seq && seq != at + 1;
    }
    for (unsigned long i = 0; i < n / 10; i++) {
        struct sb_error err = {0};
        const struct subject *subject = &subjects[i % TRAININGS];
        if (train(subject, "none", subject->faulty, &err) < 0)
            die(&err);
        clean.wrong += name(subject) != 0;
    }
    for (size_t t = 0; t < TRAININGS; t++) {
        for (size_t kind = 0; kind < KINDS; kind++) {
            say(trainings[t].name, faults[kind], &counts[t][kind]);
            all.planted += counts[t][kind].planted;
            all.right += counts[t][kind].right;
            all.wrong += counts[t][kind].wrong;
        }
    }
    bool met = say("all", "", &all);
    printf("without a fault: %lu runs, %u of them with a culprit\n", n / 10, clean.wrong);
    remove_traces(subjects, folder);
    return met && clean.wrong == 0 ? 0 : 1;
}
