/* Tests: backend `chaos`, which is `ref` but for one fault, planted where SAMEBITS_CHAOS says:
 *
 *     FAULT[=VALUE]@OPERATION:CALL     e.g. ulp@gemm:3, on the third gemm of the process
 *
 * ulp     the middle element of the first output becomes its neighbour, one ulp up
 * swap    its first and its last element change places
 * zero    its first zero changes its sign
 * nan     its first element becomes a quiet NaN with VALUE as its payload
 * stale   the first input is read as it was at the call before, of the same operation and size
 * order   terms are summed from the last to the first
 * race    `sum` by eight threads that add their parts as they arrive, each after a random delay
 * tree    the same threads and delays; the parts are added in fixed order
 * refuse  it says that it cannot do this here
 * none    nothing: the bits of ref
 */
#include "kernels/dispatch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { THREADS = 8, MOST_KERNELS = 64, MOST_DELAY_NS = 300000 };

struct chaos {
    void *ref;
    char fault[16], operation[64];
    unsigned value;
    size_t call; /* of that operation, from 1 */
    size_t seen;
    struct sb_call last; /* the call before, and its first input */
    void *last_input;
};

/* ---- Faults in an output --------------------------------------------------------------------- */

struct output {
    uint32_t *bits; /* of f32 */
    size_t n;
};

static bool plant_ulp(const struct output *output, unsigned value) {
    (void)value;
    output->bits[output->n / 2]++;
    return true;
}

static bool plant_swap(const struct output *output, unsigned value) {
    (void)value;
    uint32_t first = output->bits[0];
    output->bits[0] = output->bits[output->n - 1];
    output->bits[output->n - 1] = first;
    return first != output->bits[0];
}

static bool plant_zero(const struct output *output, unsigned value) {
    (void)value;
    for (size_t i = 0; i < output->n; i++) {
        if ((output->bits[i] & 0x7fffffff) == 0) {
            output->bits[i] ^= 0x80000000;
            return true;
        }
    }
    return false;
}

static bool plant_nan(const struct output *output, unsigned value) {
    output->bits[0] = 0x7fc00000 | value;
    return true;
}

static const struct {
    const char *name;
    bool (*plant)(const struct output *output, unsigned value); /* false: there is no place */
} faults[] = {{"ulp", plant_ulp}, {"swap", plant_swap}, {"zero", plant_zero}, {"nan", plant_nan}};

static int plant(const struct chaos *chaos, const struct sb_call *call, struct sb_error *err) {
    size_t o = 0;
    while (call->operation->operands[o].role == SB_ROLE_IN)
        o++;
    struct output output = {call->operand[o], sb_call_elements(call, o)};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (strcmp(faults[i].name, chaos->fault) == 0 && !faults[i].plant(&output, chaos->value))
            return sb_error_set(err, -EDOM, "no place for fault '%s'", chaos->fault);
    }
    return 0;
}

/* ---- Faults of a whole call ---------------------------------------------------------------- */

static size_t operand_bytes(const struct sb_call *call, size_t o) {
    return sb_call_elements(call, o) * sb_dtype_size(sb_call_dtype(call, o));
}

static int run_ref(const struct chaos *chaos, const struct sb_call *call, struct sb_error *err) {
    const struct sb_kernel *kernel =
        sb_backend_kernel(sb_backend_find("ref"), call->operation->name, call->dtype);
    return kernel->run(chaos->ref, call, err);
}

static int keep_input(struct chaos *chaos, const struct sb_call *call) {
    free(chaos->last_input);
    chaos->last = *call;
    chaos->last_input = malloc(operand_bytes(call, 0));
    if (!chaos->last_input)
        return -ENOMEM;
    memcpy(chaos->last_input, call->operand[0], operand_bytes(call, 0));
    return 0;
}

static int run_stale(struct chaos *chaos, const struct sb_call *call, struct sb_error *err) {
    struct sb_call stale = *call;
    if (call->operation->operands[0].role != SB_ROLE_IN || !chaos->last_input ||
        memcmp(chaos->last.size, call->size, sizeof call->size) != 0 ||
        memcmp(chaos->last.attribute, call->attribute, sizeof call->attribute) != 0)
        return sb_error_set(err, -EDOM, "no place for fault 'stale'");
    stale.operand[0] = chaos->last_input;
    return run_ref(chaos, &stale, err);
}

/* Letters of an operand's dims as they are stored. */
static void stored_dims(const struct sb_call *call, size_t o, char *dims) {
    const struct sb_operand *operand = &call->operation->operands[o];
    strcpy(dims, operand->dims);
    if (operand->transposed_by && call->attribute[operand->transposed_by - 1] != 0) {
        dims[0] = operand->dims[1];
        dims[1] = operand->dims[0];
    }
}

/* Copies an operand so that its elements stand the other way round along a letter. */
static void turn(const struct sb_call *call, size_t o, char letter, const void *from, void *to) {
    char dims[SB_MAX_SIZES + 1];
    stored_dims(call, o, dims);
    size_t element = sb_dtype_size(sb_call_dtype(call, o)), inner = element;
    size_t along = sb_call_size(call, letter), all = operand_bytes(call, o);
    for (const char *dim = strchr(dims, letter) + 1; *dim; dim++)
        inner *= sb_call_size(call, *dim);
    for (size_t at = 0; at < all; at += inner) {
        size_t place = at / inner % along, other = at / inner - place + along - 1 - place;
        memcpy((char *)to + other * inner, (const char *)from + at, inner);
    }
}

/* The same sums with their terms in another order, which is what arrival does to them. Only of an
 * operation that is the same when its operands are turned. */
static int run_in_other_order(const struct chaos *chaos, const struct sb_call *call,
                              struct sb_error *err) {
    const struct sb_operand *operands = call->operation->operands;
    char letter = *call->operation->reduced;
    struct sb_call turned = *call;
    int rc = letter ? 0 : sb_error_set(err, -EDOM, "no place for fault 'order'");
    for (size_t o = 0; operands[o].name && rc == 0; o++) {
        if (!strchr(operands[o].dims, letter))
            continue;
        turned.operand[o] = malloc(operand_bytes(call, o) + 1);
        if (!turned.operand[o])
            rc = sb_error_errno(err, -ENOMEM, "order");
        else
            turn(call, o, letter, call->operand[o], turned.operand[o]);
    }
    if (rc == 0)
        rc = run_ref(chaos, &turned, err);
    for (size_t o = 0; letter && operands[o].name; o++) {
        if (turned.operand[o] == call->operand[o])
            continue;
        if (rc == 0 && operands[o].role != SB_ROLE_IN)
            turn(call, o, letter, turned.operand[o], call->operand[o]);
        free(turned.operand[o]);
    }
    return rc;
}

/* ---- A race ---------------------------------------------------------------------------------- */

struct race {
    const float *x;
    size_t n;
    float total, parts[THREADS];
    bool fixed;
    pthread_mutex_t lock;
};

struct racer {
    struct race *race;
    size_t i;
};

static void *run_racer(void *argument) {
    const struct racer *racer = argument;
    struct race *race = racer->race;
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random)
        nanosleep(&(struct timespec){.tv_nsec = random % MOST_DELAY_NS}, NULL);
    float part = 0;
    for (size_t i = racer->i * race->n / THREADS; i < (racer->i + 1) * race->n / THREADS; i++)
        part += race->x[i];
    pthread_mutex_lock(&race->lock);
    race->parts[racer->i] = part;
    race->total += part;
    pthread_mutex_unlock(&race->lock);
    return NULL;
}

static int race(const struct chaos *chaos, const struct sb_call *call, struct sb_error *err) {
    struct race race = {call->operand[0], sb_call_elements(call, 0), .fixed = false};
    struct racer racers[THREADS];
    pthread_t threads[THREADS];
    pthread_mutex_init(&race.lock, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){&race, i};
        int rc = pthread_create(&threads[i], NULL, run_racer, &racers[i]);
        if (rc) {
            while (i > 0)
                pthread_join(threads[--i], NULL);
            return sb_error_errno(err, -rc, "a thread");
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bool fixed = strcmp(chaos->fault, "tree") == 0;
    for (size_t step = 1; step < THREADS; step *= 2) {
        for (size_t i = 0; i + step < THREADS; i += 2 * step)
            race.parts[i] += race.parts[i + step];
    }
    *(float *)call->operand[1] = fixed ? race.parts[0] : race.total;
    return 0;
}

/* ---- The backend ----------------------------------------------------------------------------- */

static int run(void *state, const struct sb_call *call, struct sb_error *err) {
    struct chaos *chaos = state;
    bool meant =
        strcmp(call->operation->name, chaos->operation) == 0 && call->dtype == SB_DTYPE_F32;
    if (meant && (strcmp(chaos->fault, "race") == 0 || strcmp(chaos->fault, "tree") == 0))
        return race(chaos, call, err);
    bool now = meant && ++chaos->seen == chaos->call;
    if (now && strcmp(chaos->fault, "refuse") == 0)
        return sb_error_set(err, -ENOTSUP, "refused as planted");
    bool stale = meant && strcmp(chaos->fault, "stale") == 0;
    if (now && stale)
        return run_stale(chaos, call, err);
    if (now && strcmp(chaos->fault, "order") == 0)
        return run_in_other_order(chaos, call, err);
    if (stale && chaos->seen + 1 == chaos->call && keep_input(chaos, call) < 0)
        return sb_error_errno(err, -ENOMEM, "stale");
    int rc = run_ref(chaos, call, err);
    return rc == 0 && now ? plant(chaos, call, err) : rc;
}

static void unload(void *state) {
    struct chaos *chaos = state;
    if (chaos->ref)
        sb_backend_find("ref")->unload(chaos->ref);
    free(chaos->last_input);
    free(chaos);
}

static int read_fault(struct chaos *chaos, struct sb_error *err) {
    const char *text = getenv("SAMEBITS_CHAOS");
    if (!text || strcmp(text, "none") == 0)
        return 0;
    if (sscanf(text, "%15[a-z]=%u@%63[a-z0-9_]:%zu", chaos->fault, &chaos->value, chaos->operation,
               &chaos->call) == 4 ||
        sscanf(text, "%15[a-z]@%63[a-z0-9_]:%zu", chaos->fault, chaos->operation, &chaos->call) ==
            3)
        return 0;
    return sb_error_set(err, -EINVAL, "SAMEBITS_CHAOS: '%s' is not like ulp@gemm:3", text);
}

static int load(void **state, struct sb_error *err) {
    struct chaos *chaos = calloc(1, sizeof *chaos);
    if (!chaos)
        return sb_error_errno(err, -ENOMEM, "load");
    int rc = read_fault(chaos, err);
    if (rc == 0)
        rc = sb_backend_find("ref")->load(&chaos->ref, err);
    if (rc < 0)
        unload(chaos);
    else
        *state = chaos;
    return rc;
}

static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    return sb_backend_find("ref")->set_threads(((struct chaos *)state)->ref, threads, err);
}

/* Ref's table with another function in it, made when the module is loaded. */
static struct sb_kernel kernels[MOST_KERNELS + 1];

__attribute__((constructor)) static void take_kernels(void) {
    const struct sb_kernel *ref = sb_backend_find("ref")->kernels;
    for (size_t i = 0; i < MOST_KERNELS && ref[i].operation; i++) {
        kernels[i] = ref[i];
        kernels[i].run = run;
    }
}

extern const struct sb_backend sb_backend_chaos;
const struct sb_backend sb_backend_chaos = {
    .api = SB_BACKEND_API,
    .name = "chaos",
    .summary = "ref with a planted fault, for tests",
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
};
