/* cli: the program. Joins the stages, prints, and exits; nothing else does. */
#include "cli/command.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/display.h"
#include "samebits-config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_help(FILE *out) {
    fputs(
        "Same code, same data, same seed: same bits?\n\n"
        "  samebits run SUITE.yaml\n"
        "  samebits run --vary threads=1,2 -- python3 train.py\n\n",
        out);
    for (const struct sb_command *command = sb_commands; command->name; command++) {
        if (command->summary)
            fprintf(out, "  %-12s %s\n", command->name, command->summary);
    }
    fputs(
        "\n  samebits COMMAND --help   its options          samebits --version\n\n"
        "Exit: 0 as required, 1 a divergence that is not allowed, 2 no answer,\n"
        "77 nothing was tested, 130 interrupted (run --resume goes on).\n",
        out);
}

/* "suites/a.yaml:12:9: …" stands as it is, for editors that jump there; the rest gets the program's
 * name. */
static bool names_a_place(const char *text) {
    const char *colon = strchr(text, ':');
    return colon && isdigit((unsigned char)colon[1]) && strstr(colon, ": ");
}

int sb_complain(const struct sb_error *err) {
    bool own = names_a_place(err->text) || strncmp(err->text, "samebits ", 9) == 0;
    SB_AUTO_FREE char *shown = sb_text_printable(err->text); /* it may quote a hostile file */
    fprintf(stderr, "%s%s\n", own ? "" : "samebits: ", shown ? shown : "out of memory");
    return SB_EXIT_ERROR;
}

static int unknown_command(const char *name) {
    const char *names[32];
    size_t n = 0;
    fprintf(stderr, "samebits: unknown command '%s' (commands:", name);
    for (const struct sb_command *command = sb_commands; command->name; command++) {
        if (!command->summary)
            continue;
        names[n++] = command->name;
        fprintf(stderr, " %s", command->name);
    }
    const char *nearest = sb_nearest(name, names, n);
    if (nearest)
        fprintf(stderr, "); did you mean '%s'?\n", nearest);
    else
        fputs(")\n", stderr);
    return SB_EXIT_ERROR;
}

/* `samebits … | head` has read what it wanted. */
static bool has_no_reader(void) {
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) > 0 && output.revents & POLLERR;
}

/* Output may be lost long before the buffer that it was in is written: it is asked about once, at
 * the end of every command. 0, or a negative errno. */
static int finish_output(void) {
    bool lost = ferror(stdout) != 0;
    int rc = fflush(stdout) == 0 ? 0 : -errno;
    if (rc == 0 && lost) /* then, too, errno is of long ago; a further byte meets the same fate */
        rc = write(STDOUT_FILENO, "\n", 1) < 0 ? -errno : -EIO;
    return rc < 0 && (rc == -EPIPE || has_no_reader()) ? 0 : rc;
}

static int run_command(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        print_help(name ? stdout : stderr);
        return name ? SB_EXIT_OK : SB_EXIT_ERROR;
    }
    if (strcmp(name, "--version") == 0) {
        printf("samebits %s (%s)\n", SB_VERSION, SB_GIT_COMMIT);
        return SB_EXIT_OK;
    }
    for (const struct sb_command *command = sb_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command->run(argc - 1, argv + 1);
    }
    return unknown_command(name);
}

int main(int argc, char **argv) {
    struct sb_error err;
    /* A closed pipe and a file at its size limit are failed writes, reported where they happen. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int code = run_command(argc, argv), rc = finish_output();
    if (rc == 0)
        return code;
    sb_error_errno(&err, rc, "standard output");
    return sb_complain(&err);
}
