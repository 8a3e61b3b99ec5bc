/* Stage 3: what samebits and its guards say to each other: a length, a kind, then fields in order,
 * numbers as in memory and texts with their length before them. */
#include "base/cleanup.h"
#include "run/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct frame {
    uint32_t length; /* with the frame */
    uint32_t kind;
};

struct reader {
    const char *at, *end;
    bool failed;
};

/* Messages stay far below: an environment is limited to a few MiB by the kernel. */
enum { MOST_BYTES = 1 << 30 };

static void put(struct sb_text *out, const void *value, size_t n) {
    sb_text_add(out, value, n);
}

static void put_number(struct sb_text *out, uint64_t number) {
    put(out, &number, sizeof number);
}

static void put_real(struct sb_text *out, double number) {
    put(out, &number, sizeof number);
}

static void put_string(struct sb_text *out, const char *string) {
    put_number(out, string ? strlen(string) + 1 : 0); /* 0: NULL */
    if (string)
        put(out, string, strlen(string));
}

static void put_strings(struct sb_text *out, char *const *items, size_t n) {
    put_number(out, n);
    for (size_t i = 0; i < n; i++)
        put_string(out, items[i]);
}

static void get(struct reader *in, void *value, size_t n) {
    if (in->failed || (size_t)(in->end - in->at) < n) {
        in->failed = true;
        memset(value, 0, n);
        return;
    }
    memcpy(value, in->at, n);
    in->at += n;
}

static uint64_t get_number(struct reader *in) {
    uint64_t number;
    get(in, &number, sizeof number);
    return number;
}

static double get_real(struct reader *in) {
    double number;
    get(in, &number, sizeof number);
    return number;
}

static char *get_string(struct reader *in) {
    uint64_t n = get_number(in);
    if (n == 0 || in->failed)
        return NULL;
    if (n - 1 > (uint64_t)(in->end - in->at)) {
        in->failed = true;
        return NULL;
    }
    char *string = strndup(in->at, n - 1);
    in->at += n - 1;
    in->failed |= !string;
    return string;
}

static void get_strings(struct reader *in, struct sb_strings *list) {
    uint64_t n = get_number(in);
    for (uint64_t i = 0; i < n && !in->failed; i++) {
        char *string = get_string(in);
        if (!string || sb_strings_take(list, string) < 0)
            in->failed = true;
    }
}

/* As above, as a malloc'd array that ends with NULL. */
static char **get_array(struct reader *in, size_t *n) {
    struct sb_strings list = {0};
    get_strings(in, &list);
    if (!list.items)
        list.items = calloc(1, sizeof *list.items);
    if (!list.items)
        in->failed = true;
    if (n)
        *n = list.n;
    return list.items;
}

static size_t begin(struct sb_text *out, enum sb_message kind) {
    struct frame frame = {.kind = kind};
    size_t at = out->length;
    put(out, &frame, sizeof frame);
    return at;
}

static void finish(struct sb_text *out, size_t at) {
    uint32_t length = (uint32_t)(out->length - at);
    if (!out->failed)
        memcpy(out->data + at, &length, sizeof length);
}

static struct reader body(const char *message, size_t length) {
    return (struct reader){.at = message + sizeof(struct frame), .end = message + length};
}

void sb_message_pack(enum sb_message kind, uint64_t serial, struct sb_text *out) {
    size_t at = begin(out, kind);
    put_number(out, serial);
    finish(out, at);
}

uint64_t sb_message_serial(const char *message, size_t length) {
    struct reader in = body(message, length);
    return get_number(&in);
}

void sb_run_request_pack(const struct sb_run_request *request, struct sb_text *out) {
    size_t at = begin(out, SB_MESSAGE_START);
    put_number(out, request->serial);
    put_strings(out, request->command.items, request->command.n);
    put_strings(out, request->environment.items, request->environment.n);
    put_strings(out, request->cpus.items, request->cpus.n);
    put_number(out, request->log_limit);
    put_real(out, request->timeout_s);
    put_real(out, request->grace_s);
    put_number(out, request->aslr_given);
    put_number(out, request->aslr_on);
    put_number(out, request->pid_frozen);
    put_number(out, request->schedule_frozen);
    put_number(out, request->load);
    put_string(out, request->hostname);
    put_string(out, request->alias);
    put_string(out, request->start);
    put_string(out, request->log);
    put_number(out, request->followed);
    put_number(out, request->probed);
    put_number(out, request->raw);
    put_string(out, request->trace);
    finish(out, at);
}

int sb_run_request_unpack(const char *message, size_t length, struct sb_run_request *request) {
    struct reader in = body(message, length);
    request->serial = get_number(&in);
    get_strings(&in, &request->command);
    get_strings(&in, &request->environment);
    get_strings(&in, &request->cpus);
    request->log_limit = get_number(&in);
    request->timeout_s = get_real(&in);
    request->grace_s = get_real(&in);
    request->aslr_given = get_number(&in);
    request->aslr_on = get_number(&in);
    request->pid_frozen = get_number(&in);
    request->schedule_frozen = get_number(&in);
    request->load = get_number(&in);
    request->hostname = get_string(&in);
    request->alias = get_string(&in);
    request->start = get_string(&in);
    request->log = get_string(&in);
    request->followed = get_number(&in);
    request->probed = get_number(&in);
    request->raw = (unsigned)get_number(&in);
    request->trace = get_string(&in);
    return in.failed ? -EBADMSG : 0;
}

void sb_run_request_clear(struct sb_run_request *request) {
    sb_strings_clear(&request->command);
    sb_strings_clear(&request->environment);
    sb_strings_clear(&request->cpus);
    free(request->hostname);
    free(request->alias);
    free(request->start);
    free(request->log);
    free(request->trace);
    sb_cleanup_fd(&request->log_folder);
    *request = (struct sb_run_request){.log_folder = -1};
}

static void put_observation(struct sb_text *out, const struct sb_observation *seen) {
    put_number(out, seen->n_samples);
    put_number(out, seen->n_cpus);
    put_number(out, seen->max_threads);
    put_number(out, seen->n_processes);
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        size_t n = 0, m = 0;
        while (process->arguments && process->arguments[n])
            n++;
        while (process->environment && process->environment[m])
            m++;
        put_string(out, process->exe);
        put_strings(out, process->arguments, n);
        put_number(out, process->environment != NULL);
        put_strings(out, process->environment, m);
    }
    put_strings(out, seen->libraries, seen->n_libraries);
    put_number(out, seen->personality_known);
    put_number(out, seen->personality);
    put_string(out, seen->hostname);
    put_string(out, seen->cwd);
    SB_AUTO_FREE char *probe = seen->probe ? json_dumps(seen->probe, JSON_COMPACT) : NULL;
    put_string(out, probe);
    SB_AUTO_FREE char *trace = seen->trace ? json_dumps(seen->trace, JSON_COMPACT) : NULL;
    put_string(out, trace);
}

static void get_observation(struct reader *in, struct sb_observation *seen) {
    seen->n_samples = (unsigned)get_number(in);
    seen->n_cpus = (unsigned)get_number(in);
    seen->max_threads = (unsigned)get_number(in);
    uint64_t n = get_number(in);
    seen->processes = n && n <= 64 ? calloc(n, sizeof *seen->processes) : NULL;
    in->failed |= n && !seen->processes;
    for (; seen->n_processes < n && !in->failed; seen->n_processes++) {
        struct sb_seen_process *process = &seen->processes[seen->n_processes];
        process->exe = get_string(in);
        process->arguments = get_array(in, NULL);
        bool readable = get_number(in);
        process->environment = get_array(in, NULL);
        if (!readable)
            free(sb_steal_pointer(&process->environment));
    }
    seen->libraries = get_array(in, &seen->n_libraries);
    seen->personality_known = get_number(in);
    seen->personality = get_number(in);
    seen->hostname = get_string(in);
    seen->cwd = get_string(in);
    SB_AUTO_FREE char *probe = get_string(in);
    seen->probe = probe ? json_loads(probe, 0, NULL) : NULL;
    SB_AUTO_FREE char *trace = get_string(in);
    seen->trace = trace ? json_loads(trace, 0, NULL) : NULL;
}

void sb_reply_pack(const struct sb_reply *reply, struct sb_text *out) {
    size_t at = begin(out, SB_MESSAGE_END);
    const struct sb_process_end *end = &reply->end;
    put_number(out, reply->serial);
    put_number(out, end->how);
    put_number(out, (uint64_t)end->exit_code);
    put_number(out, (uint64_t)end->signal);
    put_string(out, end->message);
    put_real(out, end->wall_s);
    put_real(out, end->cpu_s);
    put_number(out, (uint64_t)end->max_rss_kb);
    put_observation(out, &end->seen);
    put_string(out, reply->files);
    put_strings(out, reply->written.items, reply->written.n);
    put_number(out, reply->printed);
    finish(out, at);
}

int sb_reply_unpack(const char *message, size_t length, struct sb_reply *reply) {
    struct reader in = body(message, length);
    struct sb_process_end *end = &reply->end;
    reply->serial = get_number(&in);
    end->how = (enum sb_ended)get_number(&in);
    end->exit_code = (int)get_number(&in);
    end->signal = (int)get_number(&in);
    end->message = get_string(&in);
    end->wall_s = get_real(&in);
    end->cpu_s = get_real(&in);
    end->max_rss_kb = (long)get_number(&in);
    get_observation(&in, &end->seen);
    reply->files = get_string(&in);
    get_strings(&in, &reply->written);
    reply->printed = get_number(&in);
    return in.failed ? -EBADMSG : 0;
}

void sb_reply_clear(struct sb_reply *reply) {
    sb_process_end_clear(&reply->end);
    free(reply->files);
    sb_strings_clear(&reply->written);
    *reply = (struct sb_reply){0};
}

void sb_ready_pack(const struct sb_ready *ready, struct sb_text *out) {
    size_t at = begin(out, SB_MESSAGE_READY);
    put_string(out, ready->error);
    put_number(out, (uint64_t)ready->code);
    put_number(out, ready->overlay_variant);
    put_strings(out, ready->notes.items, ready->notes.n);
    finish(out, at);
}

int sb_ready_unpack(const char *message, size_t length, struct sb_ready *ready) {
    struct reader in = body(message, length);
    ready->error = get_string(&in);
    ready->code = (int)get_number(&in);
    ready->overlay_variant = (unsigned)get_number(&in);
    get_strings(&in, &ready->notes);
    return in.failed ? -EBADMSG : 0;
}

void sb_ready_clear(struct sb_ready *ready) {
    free(ready->error);
    sb_strings_clear(&ready->notes);
    *ready = (struct sb_ready){0};
}

int sb_message_next(const struct sb_text *in, enum sb_message *kind, size_t *length) {
    struct frame frame;
    if (in->length < sizeof frame)
        return -EAGAIN;
    memcpy(&frame, in->data, sizeof frame);
    if (frame.length < sizeof frame || frame.length > MOST_BYTES)
        return -EBADMSG;
    if (in->length < frame.length)
        return -EAGAIN;
    *kind = (enum sb_message)frame.kind;
    *length = frame.length;
    return 0;
}

void sb_message_drop(struct sb_text *in, size_t length) {
    memmove(in->data, in->data + length, in->length - length);
    in->length -= length;
}

int sb_message_send(int socket, const struct sb_text *out, int descriptor) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    size_t sent = 0;
    if (out->failed)
        return -ENOMEM;
    while (sent < out->length) {
        struct iovec part = {out->data + sent, out->length - sent};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (descriptor >= 0 && sent == 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof control.bytes;
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof descriptor);
            memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
        }
        ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        sent += (size_t)n;
    }
    return 0;
}

ssize_t sb_message_receive(int socket, struct sb_text *in, int *descriptor, bool wait) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char buffer[65536];
    struct iovec part = {buffer, sizeof buffer};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do {
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        int received;
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(&received, CMSG_DATA(header), sizeof received);
        if (descriptor) {
            sb_cleanup_fd(descriptor);
            *descriptor = received;
        } else {
            close(received);
        }
    }
    sb_text_add(in, buffer, (size_t)n);
    return in->failed ? -ENOMEM : n;
}
