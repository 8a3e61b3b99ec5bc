/* Stage 3: which thread of which program makes a raw system call, and the place that it has in the
 * run, from which its random stream follows. Ids and moments enter nowhere. See run/raw.h. */
#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "probe/stream.h"
#include "run/raw.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The preloaded library begins with another number: what a program asks the kernel for does not
 * repeat what it asks the library for. */
static const uint64_t first_key = 0x7261772063616c6cU;

enum { MOST_PROGRAMS = 256, MOST_LISTINGS = 8, MOST_BIRTHS = 1024, STRANGERS = 1 << 24 };

struct ids {
    pid_t *items;
    size_t n;
};

static void clear_ids(struct ids *ids) {
    free(ids->items);
}

#define AUTO_IDS SB_CLEANUP(clear_ids)

static void add_id(struct ids *ids, const char *text) {
    long id = strtol(text, NULL, 10);
    pid_t *added = id > 0 ? sb_array_add(&ids->items, &ids->n) : NULL;
    if (added)
        *added = (pid_t)id;
}

static int ascending(const void *left, const void *right) {
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return a < b ? -1 : a > b;
}

/* ---- What proc(5) says ------------------------------------------------------------------------
 */

static struct ids list_threads(pid_t program) {
    char path[64];
    struct ids ids = {0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)program);
    SB_AUTO_DIR DIR *folder = opendir(path);
    for (struct dirent *found; folder && (found = readdir(folder));) {
        if (isdigit((unsigned char)found->d_name[0]))
            add_id(&ids, found->d_name);
    }
    if (ids.n)
        qsort(ids.items, ids.n, sizeof *ids.items, ascending);
    return ids;
}

/* A listing ends early where a thread ends meanwhile; so it is asked for until it comes twice. */
static struct ids threads_of(pid_t program) {
    struct ids ids = list_threads(program);
    for (int tries = 0; tries < MOST_LISTINGS; tries++) {
        AUTO_IDS struct ids before = ids;
        ids = list_threads(program);
        if (ids.n == before.n &&
            (!ids.n || memcmp(ids.items, before.items, ids.n * sizeof *ids.items) == 0))
            break;
    }
    return ids;
}

/* In the order in which it made them. */
static struct ids children_of(pid_t program, pid_t maker) {
    char path[96];
    SB_AUTO_FREE char *text = NULL;
    struct ids ids = {0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)program, (int)maker);
    if (sb_file_read(path, 1 << 20, &text, NULL, NULL) < 0)
        return ids;
    for (char *rest = NULL, *word = strtok_r(text, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest))
        add_id(&ids, word);
    return ids;
}

static pid_t process_of(pid_t id) {
    char path[64];
    SB_AUTO_FREE char *text = NULL;
    snprintf(path, sizeof path, "/proc/%d/status", (int)id);
    if (sb_file_read(path, 1 << 16, &text, NULL, NULL) < 0)
        return -1;
    const char *found = strstr(text, "\nTgid:");
    return found ? (pid_t)atol(found + strlen("\nTgid:")) : -1;
}

static uint64_t key_of_arguments(pid_t id) {
    char path[64];
    SB_AUTO_FREE char *text = NULL;
    size_t n = 0;
    uint64_t key = first_key;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)id);
    if (sb_file_read(path, 64 << 20, &text, &n, NULL) < 0)
        return key;
    for (size_t i = 0; i < n; i++)
        key = sb_probe_mix(key, (unsigned char)text[i]);
    return key;
}

static void name_program(pid_t id, char *name, size_t size) {
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)id);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(target, '/');
    const char *base = slash ? slash + 1 : target;
    snprintf(name, size, "%.*s", (int)size - 1, base);
    SB_AUTO_FREE char *comm = NULL;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)id);
    /* A program that hides itself still has a name. */
    if (!*name && sb_file_read(path, PATH_MAX, &comm, NULL, NULL) == 0)
        snprintf(name, size, "%.*s", (int)strcspn(comm, "\n"), comm);
}

/* ---- Programs ---------------------------------------------------------------------------------
 */

static struct sb_raw_task *task_of(const struct sb_raw_program *program, pid_t id) {
    for (size_t i = 0; program && i < program->n_tasks; i++) {
        if (program->tasks[i].id == id)
            return &program->tasks[i];
    }
    return NULL;
}

static struct sb_raw_program *program_of(struct sb_raw_places *places, pid_t id, uint64_t image) {
    for (size_t i = 0; i < places->n_programs; i++) {
        if (places->programs[i].id == id && places->programs[i].image == image)
            return &places->programs[i];
    }
    return NULL;
}

static void drop_program(struct sb_raw_places *places, size_t at) {
    free(places->programs[at].tasks);
    places->programs[at] = places->programs[--places->n_programs];
}

static void drop_birth(struct sb_raw_places *places, size_t at) {
    places->n_births--;
    memmove(places->births + at, places->births + at + 1,
            (places->n_births - at) * sizeof *places->births);
}

/* A run may start thousands; room is kept for those that are there. */
static void forget_ended(struct sb_raw_places *places) {
    for (size_t i = 0; i < places->n_programs;) {
        struct sb_proc_stat now;
        const struct sb_raw_program *program = &places->programs[i];
        if (sb_proc_stat(program->id, &now) && now.image == program->image)
            i++;
        else
            drop_program(places, i);
    }
}

static struct sb_raw_task *add_task(struct sb_raw_program *program, pid_t id,
                                    unsigned long long started, uint64_t key) {
    struct sb_raw_task *task = sb_array_add(&program->tasks, &program->n_tasks);
    if (task)
        *task = (struct sb_raw_task){.id = id, .started = started, .stream.key = key};
    return task;
}

/* Its first thread is `id`'s, unless it is another that asks first. */
static struct sb_raw_program *add_program(struct sb_raw_places *places, pid_t id,
                                          const struct sb_proc_stat *stat,
                                          const struct sb_raw_stream *stream) {
    for (size_t i = places->n_programs; i > 0; i--) {
        if (places->programs[i - 1].id == id) /* which has exec'd since */
            drop_program(places, i - 1);
    }
    if (places->n_programs >= MOST_PROGRAMS && (places->n_programs & (places->n_programs - 1)) == 0)
        forget_ended(places);
    for (size_t i = places->n_births; i > 0; i--) {
        if (places->births[i - 1].program == id && places->births[i - 1].thread)
            drop_birth(places, i - 1);
    }
    struct sb_raw_program *program = sb_array_add(&places->programs, &places->n_programs);
    if (!program)
        return NULL;
    program->id = id;
    program->image = stat->image;
    program->begun = sb_monotonic();
    name_program(id, program->name, sizeof program->name);
    struct sb_raw_task *first = add_task(program, id, stat->started, stream->key);
    if (!first) {
        places->n_programs--;
        return NULL;
    }
    first->stream.clock_ns = stream->clock_ns;
    return program;
}

/* ---- Births -----------------------------------------------------------------------------------
 */

static bool is_there(const struct sb_raw_task *task) {
    struct sb_proc_stat now;
    return sb_proc_stat(task->id, &now) && now.started == task->started;
}

static void forget_threads(struct sb_raw_program *program, const struct ids *threads) {
    size_t kept = 0;
    for (size_t i = 0; i < program->n_tasks; i++) {
        const struct sb_raw_task *task = &program->tasks[i];
        bool listed = threads->n &&
                      bsearch(&task->id, threads->items, threads->n, sizeof task->id, ascending);
        if (listed || task->id == program->id || is_there(task))
            program->tasks[kept++] = *task;
    }
    program->n_tasks = kept;
}

/* The first birth of a thread of this program, from `at` on; SIZE_MAX: none. */
static size_t next_thread_birth(const struct sb_raw_places *places, pid_t program, size_t at) {
    for (; at < places->n_births; at++) {
        if (places->births[at].thread && places->births[at].program == program)
            return at;
    }
    return SIZE_MAX;
}

/* Threads that it has now and did not have when it was last looked at, in the order of their ids,
 * are those that were being made, in the order in which they were. */
static void settle_threads(struct sb_raw_places *places, struct sb_raw_program *program) {
    size_t birth = next_thread_birth(places, program->id, 0);
    if (birth == SIZE_MAX)
        return;
    AUTO_IDS struct ids threads = threads_of(program->id);
    forget_threads(program, &threads);
    for (size_t i = 0; i < threads.n && birth != SIZE_MAX; i++) {
        struct sb_proc_stat stat;
        if (task_of(program, threads.items[i]) || !sb_proc_stat(threads.items[i], &stat))
            continue;
        struct sb_raw_stream stream = places->births[birth].stream;
        drop_birth(places, birth);
        struct sb_raw_task *task = add_task(program, threads.items[i], stat.started, stream.key);
        if (task)
            task->stream.clock_ns = stream.clock_ns;
        birth = next_thread_birth(places, program->id, birth);
    }
}

static bool is_known(const struct sb_raw_places *places, pid_t id) {
    for (size_t i = 0; i < places->n_programs; i++) {
        if (places->programs[i].id == id)
            return true;
    }
    return false;
}

/* The process that was being made: the youngest child of its maker that is not known yet and still
 * the same program. (The first process of a namespace has orphans among its children, which are
 * known.) One that has exec'd meanwhile has its place from its arguments. */
static void settle_process(struct sb_raw_places *places, const struct sb_raw_birth *birth) {
    AUTO_IDS struct ids children = children_of(birth->program, birth->maker);
    for (size_t i = children.n; i > 0; i--) {
        struct sb_proc_stat stat;
        pid_t id = children.items[i - 1];
        if (is_known(places, id) || !sb_proc_stat(id, &stat) || stat.image != birth->image)
            continue;
        add_program(places, id, &stat, &birth->stream);
        return;
    }
}

/* What this maker (0: whoever of the program) was about to make when it was last seen is there by
 * now, or was, or failed. */
static void settle(struct sb_raw_places *places, pid_t program_id, uint64_t image, pid_t maker) {
    struct sb_raw_program *program = program_of(places, program_id, image);
    if (program)
        settle_threads(places, program);
    for (size_t i = 0; i < places->n_births;) {
        struct sb_raw_birth birth = places->births[i];
        if (birth.program != program_id || (maker && birth.maker != maker)) {
            i++;
            continue;
        }
        drop_birth(places, i);
        if (!birth.thread)
            settle_process(places, &birth);
    }
}

void sb_raw_places_birth(struct sb_raw_places *places, pid_t id, bool thread) {
    struct sb_raw_program *program;
    struct sb_raw_task *task = sb_raw_places_find(places, id, &program);
    if (!task)
        return;
    pid_t process = program->id;
    uint64_t image = program->image;
    settle(places, process, image, id);
    task = sb_raw_places_find(places, id, &program);
    if (places->n_births == MOST_BIRTHS)
        drop_birth(places, 0);
    struct sb_raw_birth *birth = task ? sb_array_add(&places->births, &places->n_births) : NULL;
    if (birth)
        *birth = (struct sb_raw_birth){
            .maker = id,
            .program = process,
            .image = image,
            .thread = thread,
            .stream.key = sb_probe_child_key(task->stream.key, ++task->stream.children),
            .stream.clock_ns = task->stream.clock_ns,
        };
}

void sb_raw_places_end(struct sb_raw_places *places, pid_t id) {
    for (size_t i = 0; i < places->n_births; i++) {
        const struct sb_raw_birth *birth = &places->births[i];
        if (birth->maker == id || birth->program == id) {
            settle(places, birth->program, birth->image, birth->program == id ? 0 : id);
            return;
        }
    }
}

/* ---- Finding ----------------------------------------------------------------------------------
 */

/* A thread of a program that is known. */
static struct sb_raw_task *find_thread(struct sb_raw_places *places, struct sb_raw_program *program,
                                       pid_t id, const struct sb_proc_stat *stat) {
    struct sb_raw_task *task = task_of(program, id);
    if (task && task->started != stat->started && id != program->id)
        task->id = 0; /* one that has ended had this id */
    if (!task || !task->id) {
        settle_threads(places, program);
        task = task_of(program, id);
    }
    if (!task) /* nobody was seen to make it: by the order in which such ones ask */
        task = add_task(
            program, id, stat->started,
            sb_probe_child_key(program->tasks[0].stream.key, STRANGERS + ++program->strangers));
    return task;
}

/* A process that was forked from one that is known, and is that program still. */
static struct sb_raw_program *add_forked(struct sb_raw_places *places, pid_t id,
                                         const struct sb_proc_stat *stat) {
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < places->n_births && found == SIZE_MAX; i++) {
        const struct sb_raw_birth *birth = &places->births[i];
        struct sb_proc_stat maker;
        if (birth->thread || birth->image != stat->image)
            continue;
        /* An orphan has another parent by now. */
        if (birth->program == stat->parent || !sb_proc_stat(birth->program, &maker) ||
            maker.state == 'Z')
            found = i;
    }
    if (found == SIZE_MAX)
        return NULL;
    struct sb_raw_stream stream = places->births[found].stream;
    drop_birth(places, found);
    return add_program(places, id, stat, &stream);
}

struct sb_raw_task *sb_raw_places_find(struct sb_raw_places *places, pid_t id,
                                       struct sb_raw_program **program) {
    struct sb_proc_stat stat;
    if (!sb_proc_stat(id, &stat))
        return NULL;
    for (size_t i = 0; i < places->n_programs; i++) {
        struct sb_raw_task *task = task_of(&places->programs[i], id);
        if (task && places->programs[i].image == stat.image && task->started == stat.started) {
            *program = &places->programs[i];
            return task;
        }
    }
    pid_t process = process_of(id);
    struct sb_raw_program *found = program_of(places, process, stat.image);
    if (!found && process > 0)
        found = add_forked(places, process, &stat);
    if (!found && process > 0)
        found = add_program(places, process, &stat,
                            &(struct sb_raw_stream){.key = key_of_arguments(process)});
    *program = found;
    return found ? find_thread(places, found, id, &stat) : NULL;
}

void sb_raw_places_clear(struct sb_raw_places *places) {
    while (places->n_programs)
        drop_program(places, places->n_programs - 1);
    free(places->programs);
    free(places->births);
    *places = (struct sb_raw_places){0};
}
