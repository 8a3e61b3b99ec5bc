/* Stage 4, weights: the header of an npy file, a Python dict literal of three keys. */
#include "weights/npy_header.h"

#include "base/cleanup.h"
#include "weights/element.h"
#include "weights/tensors.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_HEADER = 1 << 20, GATHER_BYTES = 1 << 20 };

struct literal {
    const char *at, *end;
};

static void skip_blanks(struct literal *text) {
    while (text->at < text->end && isspace((unsigned char)*text->at))
        text->at++;
}

/* Takes `c` after blanks. */
static bool take(struct literal *text, char c) {
    skip_blanks(text);
    if (text->at == text->end || *text->at != c)
        return false;
    text->at++;
    return true;
}

/* Takes a quoted string without escapes, which is all that NumPy writes here. */
static bool take_string(struct literal *text, char *string, size_t n) {
    skip_blanks(text);
    if (text->at == text->end || (*text->at != '\'' && *text->at != '"'))
        return false;
    char quote = *text->at++;
    size_t length = 0;
    while (text->at < text->end && *text->at != quote) {
        if (length + 1 == n || *text->at == '\\')
            return false;
        string[length++] = *text->at++;
    }
    string[length] = '\0';
    return text->at++ < text->end;
}

static bool take_word(struct literal *text, const char *word) {
    size_t n = strlen(word);
    skip_blanks(text);
    if ((size_t)(text->end - text->at) < n || strncmp(text->at, word, n) != 0)
        return false;
    text->at += n;
    return true;
}

static bool take_number(struct literal *text, uint64_t *number) {
    skip_blanks(text);
    const char *start = text->at;
    *number = 0;
    for (; text->at < text->end && isdigit((unsigned char)*text->at); text->at++) {
        if (__builtin_mul_overflow(*number, UINT64_C(10), number) ||
            __builtin_add_overflow(*number, (uint64_t)(*text->at - '0'), number))
            return false;
    }
    return text->at > start;
}

/* "(3, 4)", "(3,)", "()" */
static bool take_shape(struct literal *text, struct sb_tensor_info *info) {
    if (!take(text, '('))
        return false;
    while (!take(text, ')')) {
        if (info->rank == SB_MAX_RANK || !take_number(text, &info->dims[info->rank]))
            return false;
        info->rank++;
        if (!take(text, ',') && !(text->at < text->end && *text->at == ')'))
            return false;
    }
    return true;
}

/* "<f4" and its like. False for what is no tensor element; *objects for Python objects. */
static bool parse_descr(const char *descr, struct sb_npy_header *header, bool *objects) {
    static const struct {
        const char *kind;
        enum sb_dtype dtype;
    } kinds[] = {
        {"b1", SB_DTYPE_BOOL}, {"i1", SB_DTYPE_I8},    {"i2", SB_DTYPE_I16}, {"i4", SB_DTYPE_I32},
        {"i8", SB_DTYPE_I64},  {"u1", SB_DTYPE_U8},    {"u2", SB_DTYPE_U16}, {"u4", SB_DTYPE_U32},
        {"u8", SB_DTYPE_U64},  {"f2", SB_DTYPE_F16},   {"f4", SB_DTYPE_F32}, {"f8", SB_DTYPE_F64},
        {"c8", SB_DTYPE_C64},  {"c16", SB_DTYPE_C128},
    };
    *objects = strchr(descr, 'O') != NULL;
    header->big_endian = descr[0] == '>';
    if (!descr[0] || !strchr("<>|=", descr[0]))
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(descr + 1, kinds[i].kind) == 0) {
            header->info.dtype = kinds[i].dtype;
            return true;
        }
    }
    return false;
}

static int parse(struct literal *text, struct sb_npy_header *header, struct sb_error *err) {
    char key[32], descr[64] = "";
    bool have_shape = false, have_order = false, have_descr = false, records = false;
    if (!take(text, '{'))
        return sb_error_set(err, -EBADMSG, "npy: the header is no dictionary");
    while (!take(text, '}')) {
        bool good = take_string(text, key, sizeof key) && take(text, ':');
        if (good && strcmp(key, "descr") == 0 && !have_descr) {
            have_descr = true;
            if (take(text, '[')) {
                records = true; /* a list of fields: skipped up to the bracket that closes it */
                for (int depth = 1; depth && text->at < text->end; text->at++)
                    depth += (*text->at == '[') - (*text->at == ']');
            } else {
                good = take_string(text, descr, sizeof descr);
            }
        } else if (good && strcmp(key, "fortran_order") == 0 && !have_order) {
            have_order = true;
            header->fortran_order = take_word(text, "True");
            good = header->fortran_order || take_word(text, "False");
        } else if (good && strcmp(key, "shape") == 0 && !have_shape) {
            have_shape = good = take_shape(text, &header->info);
        } else {
            good = false;
        }
        if (!good || (!take(text, ',') && !(text->at < text->end && *text->at == '}')))
            return sb_error_set(err, -EBADMSG, "npy: the header cannot be read");
    }
    if (!have_descr || !have_order || !have_shape)
        return sb_error_set(err, -EBADMSG, "npy: the header lacks descr, fortran_order or shape");
    bool objects = false;
    if (records)
        header->ignored = "holds records";
    else if (!parse_descr(descr, header, &objects))
        header->ignored = "holds strings, dates or raw bytes";
    if (objects)
        return sb_error_set(err, -EBADMSG,
                            "npy: holds Python objects (a pickle), which are refused");
    return header->ignored ? 0 : sb_tensor_info_count(&header->info, err);
}

int sb_npy_header_read(sb_npy_read *read, void *context, struct sb_npy_header *header,
                       struct sb_error *err) {
    unsigned char start[12];
    *header = (struct sb_npy_header){0};
    int rc = read(context, start, 10, err);
    if (rc < 0)
        return rc;
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return sb_error_set(err, -EBADMSG, "npy: not an array of NumPy");
    uint32_t length = start[8] | (uint32_t)start[9] << 8;
    header->data = 10;
    if (start[6] > 1) {
        if (start[6] > 3)
            return sb_error_set(err, -EBADMSG, "npy: version %d is not known (1, 2, 3)", start[6]);
        rc = read(context, start + 10, 2, err);
        length |= (uint32_t)start[10] << 16 | (uint32_t)start[11] << 24;
        header->data = 12;
    }
    if (rc == 0 && length > LONGEST_HEADER)
        return sb_error_set(err, -EBADMSG, "npy: a header of %u bytes is refused", length);
    SB_AUTO_FREE char *text = rc == 0 ? malloc((size_t)length + 1) : NULL;
    if (rc == 0 && !text)
        return sb_error_errno(err, -ENOMEM, "npy");
    if (rc == 0)
        rc = read(context, text, length, err);
    if (rc < 0)
        return rc;
    header->data += length;
    struct literal literal = {.at = text, .end = text + length};
    return parse(&literal, header, err);
}

/* Fortran order: the first index runs fastest as stored, the last one in what is handed out. */
int sb_npy_gather(struct sb_stream *stream, const struct sb_npy_header *header, const char *stored,
                  struct sb_error *err) {
    const struct sb_tensor_info *info = &header->info;
    size_t size = sb_dtype_size(info->dtype);
    uint64_t index[SB_MAX_RANK] = {0}, stride[SB_MAX_RANK], at = 0, n = 0;
    for (unsigned i = 0; i < info->rank; i++)
        stride[i] = i ? stride[i - 1] * info->dims[i - 1] : 1;
    int r = sb_stream_reserve(stream, GATHER_BYTES, info->name, err);
    for (uint64_t left = info->n_elements; r == 0 && left; left--) {
        memcpy(stream->buffer + n++ * size, stored + at * size, size);
        if (left == 1 || n == GATHER_BYTES / size) {
            r = sb_stream_hand_out(stream, info, header->big_endian, n, err);
            n = 0;
        }
        for (unsigned i = info->rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < info->dims[i])
                break;
            at -= stride[i] * info->dims[i];
            index[i] = 0;
        }
    }
    return r;
}
