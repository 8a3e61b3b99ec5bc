/* Stage 3: the journal: an append-only file of one line for every run that ended.
 *
 * A line is the XXH3-64 of its JSON in 16 hex digits, a space, the JSON and a newline; the first
 * names the schema. It is written by a single write(2), so that the death of samebits at any moment
 * leaves at most one torn line, at the end. Such a tail is ignored, and cut off by whoever holds
 * the lock. A damaged line with good ones after it is passed over: its run counts as not done. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <xxhash.h>

#define SCHEMA "samebits.journal/1"

enum { PREFIX_LENGTH = 17 }; /* the sum and the space */

/* ---- Lines ----------------------------------------------------------------------------------- */

static void print_prefix(char prefix[PREFIX_LENGTH + 1], const char *body, size_t n) {
    snprintf(prefix, PREFIX_LENGTH + 1, "%016llx ", (unsigned long long)XXH3_64bits(body, n));
}

static int make_line(const json_t *json, struct sb_text *line) {
    SB_AUTO_FREE char *body =
        json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    if (!body)
        return -ENOMEM;
    char prefix[PREFIX_LENGTH + 1];
    print_prefix(prefix, body, strlen(body));
    sb_text_puts(line, prefix);
    sb_text_puts(line, body);
    sb_text_putc(line, '\n');
    return line->failed ? -ENOMEM : 0;
}

/* Is this line, with its newline, as it was written? */
static bool is_intact(const char *line, size_t n) {
    if (n <= PREFIX_LENGTH || line[n - 1] != '\n')
        return false;
    char prefix[PREFIX_LENGTH + 1];
    print_prefix(prefix, line + PREFIX_LENGTH, n - PREFIX_LENGTH - 1);
    return memcmp(prefix, line, PREFIX_LENGTH) == 0;
}

static json_t *parse_line(const char *line, size_t n) {
    return json_loadb(line + PREFIX_LENGTH, n - PREFIX_LENGTH - 1, 0, NULL);
}

static int check_header(const json_t *header, const char *path, struct sb_error *err) {
    const char *schema = json_string_value(json_object_get(header, "schema"));
    if (schema && strcmp(schema, SCHEMA) == 0)
        return 0;
    return sb_error_set(err, -EBADMSG, "%s:1: schema '%s', and this samebits reads '%s'", path,
                        schema ? schema : "unknown", SCHEMA);
}

/* ---- Scanning -------------------------------------------------------------------------------- */

struct scan {
    const char *path;
    sb_journal_record *record; /* may be NULL */
    void *context;
    off_t good;             /* length up to the end of the last good line */
    unsigned damaged;       /* lines with a good one after them */
    unsigned first_damaged; /* number of the first line that is not intact, 0: all are */
};

static int scan_line(struct scan *scan, const char *line, size_t n, unsigned number,
                     struct sb_error *err) {
    if (number > 1 && scan->good == 0)
        return sb_error_set(err, -EBADMSG, "%s:1: is no line of a journal", scan->path);
    if (number > 1 && !scan->record)
        return 0;
    SB_AUTO_JSON json_t *json = parse_line(line, n);
    if (number == 1)
        return check_header(json, scan->path, err);
    int rc = scan->record(scan->context, json, err);
    return rc < 0 ? sb_error_prefix(err, rc, "%s:%u", scan->path, number) : 0;
}

static int scan_file(FILE *file, struct scan *scan, struct sb_error *err) {
    SB_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    off_t offset = 0;
    unsigned number = 0, pending = 0;
    for (ssize_t n; (n = getline(&line, &capacity, file)) > 0;) {
        number++;
        offset += n;
        if (!is_intact(line, (size_t)n)) {
            pending++;
            if (!scan->first_damaged)
                scan->first_damaged = number;
            continue;
        }
        int rc = scan_line(scan, line, (size_t)n, number, err);
        if (rc < 0)
            return rc;
        scan->damaged += pending;
        pending = 0;
        scan->good = offset;
    }
    return feof(file) ? 0 : sb_error_errno(err, -EIO, "%s", scan->path);
}

static int scan_path(struct scan *scan, struct sb_error *err) {
    SB_AUTO_FILE FILE *file = fopen(scan->path, "re");
    if (!file)
        return sb_error_errno(err, -errno, "%s", scan->path);
    return scan_file(file, scan, err);
}

int sb_journal_scan(const char *path, sb_journal_record *record, void *context,
                    struct sb_error *err) {
    struct scan scan = {.path = path, .record = record, .context = context};
    return scan_path(&scan, err);
}

static int one_is_enough(void *context, const json_t *json, struct sb_error *err) {
    (void)context, (void)json, (void)err;
    return -ECANCELED;
}

bool sb_journal_holds_runs(const char *path) {
    SB_AUTO_FREE char *file = sb_path_join(path, "journal");
    if (!file)
        return false;
    struct scan scan = {.path = file, .record = one_is_enough};
    int rc = scan_path(&scan, NULL);
    return rc == -ECANCELED || (rc == -EBADMSG && scan.first_damaged != 1);
}

/* ---- Appending ------------------------------------------------------------------------------- */

static int append(struct sb_folder *folder, const struct sb_text *line, struct sb_error *err) {
    int rc = sb_write_all(folder->journal, line->data, line->length);
    if (rc < 0) {
        /* A full disk may have taken half a line. */
        if (ftruncate(folder->journal, folder->journal_length) < 0)
            return sb_error_errno(err, rc, "%s/journal: cannot be cut back to its last good record",
                                  folder->path);
        return sb_error_errno(err, rc, "%s/journal", folder->path);
    }
    folder->journal_length += (off_t)line->length;
    folder->unsynced = true;
    return 0;
}

/* A file without one good line may only be what is left of a header that was being written: any
 * other one is not a journal, and is not cut. */
static int check_stub(int fd, const struct sb_text *header, const char *path,
                      struct sb_error *err) {
    char stub[128];
    ssize_t n = pread(fd, stub, sizeof stub, 0);
    if (n < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if ((size_t)n < header->length && memcmp(stub, header->data, (size_t)n) == 0)
        return 0;
    return sb_error_set(err, -EBADMSG, "%s: is not a journal of samebits, or its start is damaged",
                        path);
}

int sb_journal_attach(struct sb_folder *folder, const char *name, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_folder_file(folder, name);
    SB_AUTO_JSON json_t *header = json_pack("{s:s}", "schema", SCHEMA);
    SB_AUTO_TEXT struct sb_text line = {0};
    if (!path || make_line(header, &line) < 0)
        return sb_error_errno(err, -ENOMEM, "%s", folder->path);
    SB_AUTO_FD int fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0666);
    if (fd < 0)
        return sb_error_errno(err, -errno, "%s", path);
    struct scan scan = {.path = path};
    int rc = scan_path(&scan, err);
    if (rc == 0 && scan.good == 0)
        rc = check_stub(fd, &line, path, err);
    if (rc < 0)
        return rc;
    if (ftruncate(fd, scan.good) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    folder->journal = sb_steal_fd(&fd);
    folder->journal_length = scan.good;
    return scan.good > 0 ? 0 : append(folder, &line, err);
}

int sb_journal_append_json(struct sb_folder *folder, const json_t *json, struct sb_error *err) {
    if (folder->journal < 0)
        return sb_error_set(err, -EBADF, "%s: opened for reading only", folder->path);
    SB_AUTO_TEXT struct sb_text line = {0};
    if (make_line(json, &line) < 0)
        return sb_error_errno(err, -ENOMEM, "%s/journal", folder->path);
    return append(folder, &line, err);
}

int sb_journal_append(struct sb_folder *folder, const struct sb_run *run, struct sb_error *err) {
    SB_AUTO_JSON json_t *json = sb_run_to_json(run);
    return sb_journal_append_json(folder, json, err);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct collected {
    struct sb_run *runs;
    size_t n, capacity;
};

static void cleanup_collected(struct collected *collected) {
    for (size_t i = 0; i < collected->n; i++)
        sb_run_clear(&collected->runs[i]);
    free(collected->runs);
}

static int collect(void *context, const json_t *json, struct sb_error *err) {
    struct collected *collected = context;
    if (collected->n == collected->capacity) {
        size_t capacity = collected->capacity ? 2 * collected->capacity : 64;
        struct sb_run *runs = realloc(collected->runs, capacity * sizeof *runs);
        if (!runs)
            return sb_error_errno(err, -ENOMEM, "reading runs");
        collected->runs = runs;
        collected->capacity = capacity;
    }
    int rc = sb_run_from_json(json, &collected->runs[collected->n], err);
    collected->n += rc == 0;
    return rc;
}

/* qsort is not stable: so the index of a record decides between equal ids. */
struct place {
    const struct sb_run *run;
    size_t index;
};

static int compare_places(const void *a, const void *b) {
    const struct place *first = a, *second = b;
    size_t length_a = strlen(first->run->id), length_b = strlen(second->run->id);
    if (length_a != length_b)
        return length_a < length_b ? -1 : 1;
    int order = strcmp(first->run->id, second->run->id);
    return order ? order : first->index < second->index ? -1 : 1;
}

/* Sorts by id and drops all but the last record of each. */
static int sort_collected(struct collected *collected) {
    size_t n = collected->n, n_kept = 0;
    SB_AUTO_FREE struct place *places = calloc(n + 1, sizeof *places);
    SB_AUTO_FREE struct sb_run *sorted = calloc(n + 1, sizeof *sorted);
    if (!places || !sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        places[i] = (struct place){&collected->runs[i], i};
    qsort(places, n, sizeof *places, compare_places);
    for (size_t i = 0; i < n; i++) {
        struct sb_run *run = &collected->runs[places[i].index];
        /* Superseded runs keep their ids until all are sorted: the next one is compared to them. */
        if (i + 1 == n || strcmp(run->id, places[i + 1].run->id) != 0) {
            sorted[n_kept++] = *run;
            char id[sizeof run->id];
            memcpy(id, run->id, sizeof id);
            *run = (struct sb_run){0};
            memcpy(run->id, id, sizeof id);
        }
    }
    cleanup_collected(collected);
    *collected = (struct collected){.runs = sb_steal_pointer(&sorted), .n = n_kept};
    return 0;
}

int sb_journal_read(struct sb_folder *folder, struct sb_run **runs, size_t *n,
                    struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_folder_file(folder, "journal");
    if (!path)
        return sb_error_errno(err, -ENOMEM, "%s", folder->path);
    SB_CLEANUP(cleanup_collected) struct collected collected = {0};
    struct scan scan = {.path = path, .record = collect, .context = &collected};
    int rc = scan_path(&scan, err);
    if (rc < 0)
        return rc;
    rc = sort_collected(&collected);
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", path);
    *runs = collected.runs;
    *n = collected.n;
    collected = (struct collected){0};
    if (scan.damaged)
        sb_error_set(err, 0,
                     "%s:%u: damaged (%u of its lines in all): those runs count as not done", path,
                     scan.first_damaged, scan.damaged);
    return (int)scan.damaged;
}
