/* base: see trace.h. */
#include "base/trace.h"

#include "base/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = SB_TRACE_MAGIC;

enum { MOST_NAMES = 65535, MOST_NAME = 255, CALL_BYTES = 56, MOST_SHAPES = 1 << 20 };

struct shape {
    uint8_t dtype, n;
    uint64_t sizes[SB_TRACE_SIZES];
};

/* ---- Writing --------------------------------------------------------------------------------- */

struct sb_trace_writer {
    FILE *file;
    char *path;
    char **names;
    size_t n_names;
    struct shape *shapes;
    size_t n_shapes, room;
};

int sb_trace_writer_open(const char *path, struct sb_trace_writer **writer, struct sb_error *err) {
    struct sb_trace_writer *opened = calloc(1, sizeof *opened);
    if (!opened || !(opened->path = strdup(path))) {
        free(opened);
        return sb_error_errno(err, -ENOMEM, "%s", path);
    }
    opened->file = fopen(path, "ae");
    if (!opened->file || fwrite(magic, 1, sizeof magic, opened->file) != sizeof magic) {
        int rc = sb_error_errno(err, -errno, "%s", path);
        sb_trace_writer_close(opened, NULL);
        return rc;
    }
    *writer = opened;
    return 0;
}

static int put(struct sb_trace_writer *writer, const void *bytes, size_t n, struct sb_error *err) {
    errno = 0;
    if (fwrite(bytes, 1, n, writer->file) == n)
        return 0;
    return sb_error_errno(err, errno ? -errno : -EIO, "%s", writer->path);
}

/* The id of a name, which is written when it is new. */
static int name_id(struct sb_trace_writer *writer, const char *name, uint16_t *id,
                   struct sb_error *err) {
    for (size_t i = 0; i < writer->n_names; i++) {
        if (strcmp(writer->names[i], name) == 0) {
            *id = htole16((uint16_t)i);
            return 0;
        }
    }
    size_t n = strnlen(name, MOST_NAME);
    char **names = realloc(writer->names, (writer->n_names + 1) * sizeof *names);
    if (names)
        writer->names = names;
    if (!names || !(names[writer->n_names] = strndup(name, n)))
        return sb_error_errno(err, -ENOMEM, "%s", writer->path);
    if (writer->n_names == MOST_NAMES) {
        free(names[writer->n_names]);
        return sb_error_set(err, -E2BIG, "%s: more than %d names", writer->path, MOST_NAMES);
    }
    *id = htole16((uint16_t)writer->n_names++);
    uint8_t head[4] = {'N', 0, 0, (uint8_t)n};
    memcpy(head + 1, id, sizeof *id);
    int rc = put(writer, head, sizeof head, err);
    return rc < 0 ? rc : put(writer, name, n, err);
}

static int write_shape(struct sb_trace_writer *writer, uint32_t id, const struct shape *shape,
                       struct sb_error *err) {
    uint8_t head[7] = {'S', 0, 0, 0, 0, shape->dtype, shape->n};
    memcpy(head + 1, &id, sizeof id);
    int rc = put(writer, head, sizeof head, err);
    for (size_t i = 0; i < shape->n && rc == 0; i++) {
        uint64_t size = htole64(shape->sizes[i]);
        rc = put(writer, &size, sizeof size, err);
    }
    return rc;
}

/* The same few shapes come again and again, the last one used most of all: searched backwards. */
static int shape_id(struct sb_trace_writer *writer, const struct sb_trace_record *record,
                    uint32_t *id, struct sb_error *err) {
    struct shape shape = {record->dtype, record->n_sizes, {0}};
    memcpy(shape.sizes, record->sizes, record->n_sizes * sizeof *record->sizes);
    for (size_t i = writer->n_shapes; i-- > 0;) {
        if (memcmp(&writer->shapes[i], &shape, sizeof shape) == 0) {
            *id = htole32((uint32_t)i);
            return 0;
        }
    }
    if (writer->n_shapes == MOST_SHAPES)
        return sb_error_set(err, -E2BIG, "%s: more than %d shapes", writer->path, MOST_SHAPES);
    if (writer->n_shapes == writer->room) {
        size_t room = writer->room ? 2 * writer->room : 64;
        struct shape *shapes = realloc(writer->shapes, room * sizeof *shapes);
        if (!shapes)
            return sb_error_errno(err, -ENOMEM, "%s", writer->path);
        writer->shapes = shapes;
        writer->room = room;
    }
    *id = htole32((uint32_t)writer->n_shapes);
    writer->shapes[writer->n_shapes++] = shape;
    return write_shape(writer, *id, &shape, err);
}

int sb_trace_write(struct sb_trace_writer *writer, const struct sb_trace_record *record,
                   struct sb_error *err) {
    uint16_t names[2];
    uint32_t numbers[3] = {0, htole32(record->thread), htole32(record->step)};
    uint64_t call = htole64(record->call);
    if (record->n_sizes > SB_TRACE_SIZES)
        return sb_error_set(err, -EINVAL, "%s: %u sizes", writer->path, record->n_sizes);
    int rc = name_id(writer, record->kernel, &names[0], err);
    if (rc == 0)
        rc = name_id(writer, record->backend, &names[1], err);
    if (rc == 0)
        rc = shape_id(writer, record, &numbers[0], err);
    if (rc < 0)
        return rc;
    uint8_t bytes[1 + CALL_BYTES] = {'C'}, *at = bytes + 1;
    memcpy(at, names, 4);
    memcpy(at + 4, numbers, 12);
    memcpy(at + 16, &call, 8);
    memcpy(at + 24, record->in, SB_TRACE_DIGEST);
    memcpy(at + 40, record->out, SB_TRACE_DIGEST);
    return put(writer, bytes, sizeof bytes, err);
}

int sb_trace_writer_close(struct sb_trace_writer *writer, struct sb_error *err) {
    int rc = 0;
    if (!writer)
        return 0;
    if (writer->file && fclose(writer->file) != 0)
        rc = sb_error_errno(err, -errno, "%s", writer->path);
    for (size_t i = 0; i < writer->n_names; i++)
        free(writer->names[i]);
    free(writer->names);
    free(writer->shapes);
    free(writer->path);
    free(writer);
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct sb_trace_reader {
    FILE *file;
    char *path;
    char **names; /* [n_names], by id; NULL: not defined */
    size_t n_names;
    struct shape *shapes;
    bool *known;
    size_t room;
    uint32_t process;
    char program[MOST_NAME + 1];
};

static bool get(struct sb_trace_reader *reader, void *bytes, size_t n) {
    return fread(bytes, 1, n, reader->file) == n;
}

static int damaged(const struct sb_trace_reader *reader, const char *what, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "%s: %s at byte %ld", reader->path, what,
                        ftell(reader->file));
}

int sb_trace_reader_open(const char *path, struct sb_trace_reader **reader, struct sb_error *err) {
    struct sb_trace_reader *opened = calloc(1, sizeof *opened);
    if (!opened || !(opened->path = strdup(path))) {
        free(opened);
        return sb_error_errno(err, -ENOMEM, "%s", path);
    }
    char head[sizeof magic];
    opened->file = fopen(path, "re");
    int rc = opened->file ? 0 : sb_error_errno(err, -errno, "%s", path);
    if (rc == 0 && (!get(opened, head, sizeof head) || memcmp(head, magic, sizeof magic) != 0))
        rc = sb_error_set(err, -EBADMSG, "%s: not a trace of samebits", path);
    if (rc < 0) {
        sb_trace_reader_close(opened);
        return rc;
    }
    opened->process = 1;
    *reader = opened;
    return 0;
}

static int make_room_for_name(struct sb_trace_reader *reader, uint16_t id) {
    if (id < reader->n_names)
        return 0;
    size_t n = id < 16 ? 16 : 2 * (size_t)id;
    char **names = realloc(reader->names, n * sizeof *names);
    if (!names)
        return -ENOMEM;
    memset(names + reader->n_names, 0, (n - reader->n_names) * sizeof *names);
    reader->names = names;
    reader->n_names = n;
    return 0;
}

static const char *name_of(const struct sb_trace_reader *reader, uint16_t id) {
    return id < reader->n_names ? reader->names[id] : NULL;
}

/* Each of these: 1, or 0 at a record that is cut off, or negative. */

static int read_name(struct sb_trace_reader *reader, struct sb_error *err) {
    uint8_t head[3];
    char name[MOST_NAME + 1] = "";
    if (!get(reader, head, sizeof head) || !get(reader, name, head[2]))
        return 0;
    uint16_t id = (uint16_t)(head[0] | head[1] << 8);
    char *copy = strdup(name);
    if (!copy || make_room_for_name(reader, id) < 0) {
        free(copy);
        return sb_error_errno(err, -ENOMEM, "%s", reader->path);
    }
    free(reader->names[id]);
    reader->names[id] = copy;
    return 1;
}

static int read_process(struct sb_trace_reader *reader) {
    uint8_t head[5];
    if (!get(reader, head, sizeof head) || !get(reader, reader->program, head[4]))
        return 0;
    reader->program[head[4]] = '\0';
    return 1;
}

static int make_room(struct sb_trace_reader *reader, size_t n, struct sb_error *err) {
    if (n <= reader->room)
        return 0;
    size_t room = n < 64 ? 64 : 2 * n;
    struct shape *shapes = realloc(reader->shapes, room * sizeof *shapes);
    if (shapes)
        reader->shapes = shapes;
    bool *known = shapes ? realloc(reader->known, room * sizeof *known) : NULL;
    if (!known)
        return sb_error_errno(err, -ENOMEM, "%s", reader->path);
    memset(known + reader->room, 0, (room - reader->room) * sizeof *known);
    reader->known = known;
    reader->room = room;
    return 0;
}

static int read_shape(struct sb_trace_reader *reader, struct sb_error *err) {
    uint8_t head[6];
    uint32_t id;
    if (!get(reader, head, sizeof head))
        return 0;
    memcpy(&id, head, sizeof id);
    id = le32toh(id);
    if (id >= MOST_SHAPES || head[5] > SB_TRACE_SIZES)
        return damaged(reader, "a shape that cannot be", err);
    int rc = make_room(reader, (size_t)id + 1, err);
    if (rc < 0)
        return rc;
    struct shape *shape = &reader->shapes[id];
    *shape = (struct shape){head[4], head[5], {0}};
    for (size_t i = 0; i < shape->n; i++) {
        if (!get(reader, &shape->sizes[i], sizeof shape->sizes[i]))
            return 0;
        shape->sizes[i] = le64toh(shape->sizes[i]);
    }
    reader->known[id] = true;
    return 1;
}

static int read_call(struct sb_trace_reader *reader, struct sb_trace_record *record,
                     struct sb_error *err) {
    uint8_t bytes[CALL_BYTES];
    uint16_t names[2];
    uint32_t numbers[3];
    uint64_t call;
    if (!get(reader, bytes, sizeof bytes))
        return 0;
    memcpy(names, bytes, 4);
    memcpy(numbers, bytes + 4, 12);
    memcpy(&call, bytes + 16, 8);
    const char *kernel = name_of(reader, le16toh(names[0])),
               *backend = name_of(reader, le16toh(names[1]));
    uint32_t id = le32toh(numbers[0]);
    if (!kernel || !backend || id >= reader->room || !reader->known[id])
        return damaged(reader, "a call of what was not defined", err);
    const struct shape *shape = &reader->shapes[id];
    *record = (struct sb_trace_record){.kernel = kernel,
                                       .backend = backend,
                                       .dtype = shape->dtype,
                                       .n_sizes = shape->n,
                                       .thread = le32toh(numbers[1]),
                                       .step = le32toh(numbers[2]),
                                       .call = le64toh(call),
                                       .process = reader->process,
                                       .program = *reader->program ? reader->program : NULL};
    memcpy(record->sizes, shape->sizes, sizeof shape->sizes);
    memcpy(record->in, bytes + 24, SB_TRACE_DIGEST);
    memcpy(record->out, bytes + 40, SB_TRACE_DIGEST);
    return 1;
}

int sb_trace_read(struct sb_trace_reader *reader, struct sb_trace_record *record,
                  struct sb_error *err) {
    char rest[sizeof magic - 1];
    for (;;) {
        int tag = fgetc(reader->file), rc = 1;
        switch (tag) {
        case EOF:
            return ferror(reader->file) ? sb_error_errno(err, -EIO, "%s", reader->path) : 0;
        case 'N':
            rc = read_name(reader, err);
            break;
        case 'S':
            rc = read_shape(reader, err);
            break;
        case 'P':
            rc = read_process(reader);
            break;
        case 'C':
            return read_call(reader, record, err);
        case 's': /* another process went on */
            if (get(reader, rest, sizeof rest) && memcmp(rest, magic + 1, sizeof rest) == 0) {
                reader->process++;
                reader->program[0] = '\0';
                break;
            }
            /* fall through */
        default:
            return damaged(reader, "no record", err);
        }
        if (rc != 1)
            return rc;
    }
}

bool sb_trace_has_weights(const char *backend) {
    return strncmp(backend, "keras", strlen("keras")) == 0;
}

void sb_trace_reader_close(struct sb_trace_reader *reader) {
    if (!reader)
        return;
    if (reader->file)
        fclose(reader->file);
    for (size_t i = 0; i < reader->n_names; i++)
        free(reader->names[i]);
    free(reader->names);
    free(reader->shapes);
    free(reader->known);
    free(reader->path);
    free(reader);
}
