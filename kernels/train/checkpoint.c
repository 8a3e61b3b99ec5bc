/* kernels, train: see checkpoint.h. */
#include "kernels/train/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char magic[8] = "sbcheck1";

struct header {
    char magic[8];
    uint64_t bytes; /* of all that follows the losses */
    uint64_t steps, calls, epoch, batches;
    double sum;
};

/* One direction or the other over the same memory, so that writing and reading cannot disagree. */
typedef size_t transfer(void *data, size_t bytes, FILE *file);

static size_t put(void *data, size_t bytes, FILE *file) {
    return fwrite(data, 1, bytes, file);
}

static size_t get(void *data, size_t bytes, FILE *file) {
    return fread(data, 1, bytes, file);
}

static uint64_t total_bytes(const struct sb_learner *learner) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < learner->n_variables; i++)
        bytes += 4 * learner->variables[i]->n * sb_dtype_size(learner->dtype);
    for (size_t i = 0; i < learner->n_states; i++)
        bytes += learner->states[i].bytes;
    return bytes;
}

static bool transfer_state(const struct sb_learner *learner, transfer *move, FILE *file) {
    for (size_t i = 0; i < learner->n_variables; i++) {
        const struct sb_variable *v = learner->variables[i];
        size_t bytes = v->n * sb_dtype_size(learner->dtype);
        if (move(v->value, bytes, file) != bytes || move(v->momentum, bytes, file) != bytes ||
            move(v->velocity, bytes, file) != bytes || move(v->initial, bytes, file) != bytes)
            return false;
    }
    for (size_t i = 0; i < learner->n_states; i++) {
        if (move(learner->states[i].data, learner->states[i].bytes, file) !=
            learner->states[i].bytes)
            return false;
    }
    return true;
}

int sb_checkpoint_write(const char *path, const struct sb_learner *learner,
                        const struct sb_progress *progress, struct sb_error *err) {
    struct header header = {.bytes = total_bytes(learner),
                            .steps = progress->steps,
                            .calls = progress->calls,
                            .epoch = progress->epoch,
                            .batches = progress->batches,
                            .sum = progress->sum};
    memcpy(header.magic, magic, sizeof magic);
    size_t losses = progress->epoch * sizeof(double);
    FILE *file = fopen(path, "we");
    if (!file)
        return sb_error_errno(err, -errno, "%s", path);
    errno = 0;
    bool whole = put(&header, sizeof header, file) == sizeof header &&
                 put(progress->losses, losses, file) == losses &&
                 transfer_state(learner, put, file);
    whole &= fclose(file) == 0;
    return whole ? 0 : sb_error_errno(err, errno ? -errno : -EIO, "%s", path);
}

int sb_checkpoint_read(const char *path, const struct sb_learner *learner,
                       struct sb_progress *progress, struct sb_error *err) {
    struct header header = {0};
    FILE *file = fopen(path, "re");
    if (!file)
        return sb_error_errno(err, -errno, "%s", path);
    bool whole = get(&header, sizeof header, file) == sizeof header &&
                 memcmp(header.magic, magic, sizeof magic) == 0 &&
                 header.bytes == total_bytes(learner) && header.epoch <= progress->n_losses;
    size_t losses = whole ? header.epoch * sizeof(double) : 0;
    whole = whole && get(progress->losses, losses, file) == losses &&
            transfer_state(learner, get, file) && fgetc(file) == EOF;
    fclose(file);
    if (!whole)
        return sb_error_set(err, -EBADMSG, "%s: not a checkpoint of this training", path);
    progress->steps = header.steps;
    progress->calls = header.calls;
    progress->epoch = header.epoch;
    progress->batches = header.batches;
    progress->sum = header.sum;
    return 0;
}
