/* Stage 4, weights: fingerprints without waiting. See samebits/weights.h.
 *
 * The reader is a process that is forked once, while its parent is still small, and loads a
 * format's library when the first file of it came: not before, since all that is loaded makes every
 * parser dearer to fork. For every request it forks a parser (weights/isolated.h). A request is a
 * memory file, a page for the outcome with the request's bytes behind it, and the writing end of a
 * pipe; the parent has the other end, which ends when the reader has buried the parser. */
#include "weights/fingerprint.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "weights/digest.h"
#include "weights/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct sb_reader {
    pid_t pid;
    int control;
};

struct sb_reading {
    int fd;
    struct sb_isolated_page *page;
    struct sb_weights_files files; /* for messages */
    struct sb_text received;
    bool ended;
};

/* ---- Requests -------------------------------------------------------------------------------- */

static void put_strings(struct sb_text *wire, char *const *strings, size_t n) {
    sb_wire_put_u64(wire, n);
    for (size_t i = 0; i < n; i++)
        sb_wire_put_string(wire, strings[i]);
}

static char **get_strings(struct sb_wire *wire, size_t *n) {
    *n = (size_t)sb_wire_get_u64(wire);
    char **strings = *n <= wire->left / sizeof(uint64_t) ? calloc(*n + 1, sizeof *strings) : NULL;
    for (size_t i = 0; strings && i < *n; i++)
        strings[i] = sb_wire_get_string(wire);
    return strings;
}

static void put_request(struct sb_text *wire, const struct sb_weights_files *files,
                        const struct sb_weights_options *options) {
    static const struct sb_weights_options none;
    if (!options)
        options = &none;
    sb_wire_put_u64(wire, files->prefixes != NULL);
    put_strings(wire, files->paths, files->n);
    put_strings(wire, files->prefixes, files->prefixes ? files->n : 0);
    put_strings(wire, options->include, options->n_include);
    put_strings(wire, options->exclude, options->n_exclude);
    sb_wire_put_u64(wire, options->digest);
    sb_wire_put_u64(wire, options->match_by_order);
}

/* In the parser, which never frees it. -EIO where it cannot be kept. */
static int get_request(struct sb_wire *wire, struct sb_weights_files *files,
                       struct sb_weights_options *options) {
    size_t n_prefixes;
    bool prefixed = sb_wire_get_u64(wire);
    files->paths = get_strings(wire, &files->n);
    files->prefixes = get_strings(wire, &n_prefixes);
    options->include = get_strings(wire, &options->n_include);
    options->exclude = get_strings(wire, &options->n_exclude);
    options->digest = (enum sb_digest_kind)sb_wire_get_u64(wire);
    options->match_by_order = sb_wire_get_u64(wire);
    if (wire->failed || !files->paths || !files->prefixes || !options->include ||
        !options->exclude || (prefixed && n_prefixes != files->n))
        return -EIO;
    if (!prefixed)
        files->prefixes = NULL;
    return 0;
}

/* ---- The reader process ---------------------------------------------------------------------- */

struct parser {
    pid_t pid;
    int output; /* our copy of the writing end: its reading end gone, nobody wants the answer */
    struct sb_isolated_page *page;
    size_t n_bytes;
};

struct server {
    int control, deaths;
    sigset_t blocked; /* what `deaths` reports */
    struct sb_jail_filter *filter;
    uint32_t prepared; /* formats */
    struct parser *parsers;
    struct pollfd *polled; /* control, deaths, then one for each parser */
    size_t n, capacity;
};

static _Noreturn void parse(const struct server *server, const struct parser *parser) {
    struct sb_wire wire = {.next = (const char *)(parser->page + 1),
                           .left = parser->n_bytes - sizeof *parser->page};
    struct sb_weights_files files;
    struct sb_weights_options options = {0};
    if (get_request(&wire, &files, &options) < 0)
        _exit(1);
    (void)sb_digest_prepare(options.digest, NULL); /* where it cannot be, no digest is made */
    sb_isolated_child(parser->page, parser->output, server->filter, &files, sb_fingerprint_work,
                      &options);
}

/* Maps a request; both descriptors are used up. 0 or -errno. */
static int accept_request(int memory, int output, struct parser *parser) {
    SB_AUTO_FD int memory_fd = memory, output_fd = output;
    struct stat status;
    if (fstat(memory_fd, &status) < 0 || (size_t)status.st_size < sizeof *parser->page)
        return -EBADMSG;
    void *page =
        mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    *parser = (struct parser){
        .output = sb_steal_fd(&output_fd), .page = page, .n_bytes = (size_t)status.st_size};
    return 0;
}

static void bury(struct parser *parser) {
    close(parser->output);
    munmap(parser->page, parser->n_bytes);
}

static int make_room(struct server *server) {
    if (server->n < server->capacity)
        return 0;
    size_t capacity = server->capacity ? 2 * server->capacity : 16;
    void *parsers = reallocarray(server->parsers, capacity, sizeof *server->parsers);
    if (!parsers)
        return -ENOMEM;
    server->parsers = parsers;
    void *polled = reallocarray(server->polled, capacity + 2, sizeof *server->polled);
    if (!polled)
        return -ENOMEM;
    server->polled = polled;
    server->capacity = capacity;
    return 0;
}

static void start_parser(struct server *server, int memory, int output) {
    struct parser parser;
    if (accept_request(memory, output, &parser) < 0)
        return;
    int r = make_room(server);
    if (r == 0) {
        pid_t reader = getpid();
        parser.pid = fork();
        if (parser.pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            sigprocmask(SIG_UNBLOCK, &server->blocked, NULL);
            if (getppid() == reader)
                parse(server, &parser);
            _exit(1);
        }
        r = parser.pid < 0 ? -errno : 0;
    }
    if (r < 0) {
        struct sb_error err;
        parser.page->code = sb_error_errno(&err, r, "no process to read weights in");
        memcpy(parser.page->text, err.text, sizeof parser.page->text);
        parser.page->done = 1;
        bury(&parser);
        return;
    }
    server->parsers[server->n++] = parser;
}

/* One request from the parent: 1, or 0 when the parent is gone. */
static int receive_request(struct server *server) {
    char byte;
    struct iovec vector = {&byte, 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(server->control, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got == 0)
        return 0;
    if (header && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
        int fds[2];
        memcpy(fds, CMSG_DATA(header), sizeof fds);
        start_parser(server, fds[0], fds[1]);
    }
    return 1;
}

static void reap_parsers(struct server *server) {
    int status;
    pid_t pid;
    uint32_t met = 0;
    struct signalfd_siginfo info;
    while (read(server->deaths, &info, sizeof info) == sizeof info)
        continue;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < server->n; i++) {
            struct parser *parser = &server->parsers[i];
            if (parser->pid != pid)
                continue;
            parser->page->wait_status = status;
            parser->page->reaped = 1;
            met |= parser->page->prepared;
            bury(parser);
            *parser = server->parsers[--server->n];
            break;
        }
    }
    /* So that no other parser has to. A set out of a parser that was taken over loads no more than
     * libraries that are ours to load. */
    sb_formats_prepare(met & ~server->prepared);
    server->prepared |= met;
}

static void serve(struct server *server) {
    for (;;) {
        size_t n = server->n;
        server->polled[0] = (struct pollfd){.fd = server->control, .events = POLLIN};
        server->polled[1] = (struct pollfd){.fd = server->deaths, .events = POLLIN};
        for (size_t i = 0; i < n; i++)
            server->polled[i + 2] = (struct pollfd){.fd = server->parsers[i].output};
        if (poll(server->polled, n + 2, -1) < 0)
            continue;
        for (size_t i = 0; i < n; i++) {
            if (server->polled[i + 2].revents & (POLLERR | POLLNVAL))
                kill(server->parsers[i].pid, SIGKILL);
        }
        bool died = server->polled[1].revents, asked = server->polled[0].revents;
        if (died)
            reap_parsers(server);
        if (asked && receive_request(server) == 0)
            return;
    }
}

/* A session of its own: an interrupt from the terminal is the parent's to handle, and the reader
 * ends when the parent closes the control socket or dies. */
static _Noreturn void reader_main(int control) {
    struct server server = {.control = -1, .deaths = -1};
    setsid();
    sb_signals_reset();
    sigemptyset(&server.blocked);
    sigaddset(&server.blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &server.blocked, NULL);
    server.control = fcntl(control, F_DUPFD, 10);
    dup2(server.control, 3);
    server.control = 3;
    sb_close_from(4);
    server.deaths = signalfd(-1, &server.blocked, SFD_NONBLOCK | SFD_CLOEXEC);
    sb_jail_clean_environment();
    server.filter = sb_jail_filter_new();
#if defined(__GLIBC__)
    malloc_trim(0); /* or each parser would merge what samebits has freed, and copy pages for it */
#endif
    if (server.deaths >= 0 && make_room(&server) == 0)
        serve(&server);
    for (size_t i = 0; i < server.n; i++)
        kill(server.parsers[i].pid, SIGKILL);
    _exit(0);
}

/* ---- The parent ------------------------------------------------------------------------------ */

static int spawn(struct sb_reader *reader) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        reader_main(ends[1]);
    int r = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    reader->pid = pid;
    reader->control = ends[0];
    return 0;
}

static void end(struct sb_reader *reader) {
    close(reader->control);
    /* ECHILD where the caller's own waiting came first. */
    while (waitpid(reader->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int sb_reader_start(struct sb_reader **reader, struct sb_error *err) {
    SB_AUTO_FREE struct sb_reader *started = calloc(1, sizeof *started);
    int r = started ? spawn(started) : -ENOMEM;
    if (r < 0)
        return sb_error_errno(err, r, "no process to read weights in");
    *reader = sb_steal_pointer(&started);
    return 0;
}

void sb_reader_stop(struct sb_reader *reader) {
    if (!reader)
        return;
    end(reader);
    free(reader);
}

static int send_request(const struct sb_reader *reader, int memory, int output) {
    int fds[2] = {memory, output};
    struct iovec vector = {(char[]){'r'}, 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control = {0};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    while (sendmsg(reader->control, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* The memory file of a request, its first page mapped. Sealed: the parser must not be able to
 * shrink it under us. */
static int make_request(const struct sb_weights_files *files,
                        const struct sb_weights_options *options, int *memory,
                        struct sb_isolated_page **page) {
    static const struct sb_isolated_page empty;
    SB_AUTO_TEXT struct sb_text wire = {0};
    sb_wire_put(&wire, &empty, sizeof empty);
    put_request(&wire, files, options);
    SB_AUTO_FD int fd = memfd_create("samebits-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (wire.failed)
        return -ENOMEM;
    if (fd < 0)
        return -errno;
    int r = sb_write_all(fd, wire.data, wire.length);
    if (r < 0)
        return r;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    *page = mmap(NULL, sizeof **page, PROT_READ, MAP_SHARED, fd, 0);
    if (*page == MAP_FAILED)
        return -errno;
    *memory = sb_steal_fd(&fd);
    return 0;
}

static int begin(struct sb_reader *reader, const struct sb_weights_files *files,
                 const struct sb_weights_options *options, struct sb_reading *reading) {
    SB_AUTO_FD int memory = -1, output = -1;
    int ends[2];
    int r = sb_weights_files_copy(files, &reading->files);
    if (r == 0)
        r = make_request(files, options, &memory, &reading->page);
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    reading->fd = ends[0];
    output = ends[1];
    if (fcntl(reading->fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    r = send_request(reader, memory, output);
    if (r == -EPIPE || r == -ECONNRESET) {
        /* Somebody killed the reader: another one serves as well. */
        end(reader);
        r = spawn(reader);
        if (r == 0)
            r = send_request(reader, memory, output);
    }
    return r;
}

int sb_reading_start(struct sb_reader *reader, const struct sb_weights_files *files,
                     const struct sb_weights_options *options, struct sb_reading **reading,
                     struct sb_error *err) {
    struct sb_reading *started = calloc(1, sizeof *started);
    if (!started)
        return sb_error_errno(err, -ENOMEM, "reading weights");
    started->fd = -1;
    started->page = MAP_FAILED;
    int r = begin(reader, files, options, started);
    if (r < 0) {
        sb_reading_free(started);
        return sb_error_errno(err, r, "reading weights");
    }
    *reading = started;
    return 0;
}

int sb_reading_fd(const struct sb_reading *reading) {
    return reading->fd;
}

int sb_reading_step(struct sb_reading *reading, struct sb_fingerprint *fingerprint,
                    struct sb_error *err) {
    if (reading->ended)
        return sb_error_set(err, -EINVAL, "this reading has ended");
    int r = sb_receive(reading->fd, &reading->received, 4 << 20);
    if (r == 1 || r == -EAGAIN)
        return -EAGAIN;
    reading->ended = true;
    if (r < 0)
        return sb_error_errno(err, r, "the parser's answer");
    if (!reading->page->reaped && !reading->page->done)
        return sb_error_set(err, -EIO, "%s: the process that reads weights was killed",
                            reading->files.n ? reading->files.paths[0] : "no file");
    r = sb_isolated_outcome(reading->page, reading->page->wait_status, &reading->files, err);
    if (r == 0)
        r = sb_fingerprint_received(&reading->received, fingerprint, err);
    if (r == 0)
        fingerprint->met = reading->page->met;
    return r;
}

void sb_reading_free(struct sb_reading *reading) {
    if (!reading)
        return;
    if (reading->fd >= 0)
        close(reading->fd);
    if (reading->page != MAP_FAILED)
        munmap(reading->page, sizeof *reading->page);
    sb_weights_files_clear(&reading->files);
    sb_text_clear(&reading->received);
    free(reading);
}
