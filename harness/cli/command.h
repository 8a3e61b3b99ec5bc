/* cli: the subcommands. A new one is a file cmd_<name>.c and a line in commands.c. */
#ifndef SB_CLI_COMMAND_H
#define SB_CLI_COMMAND_H

#include <samebits/error.h>

/* Exit codes (DESIGN section 3). */
enum sb_exit {
    SB_EXIT_OK = 0,
    SB_EXIT_DIVERGED = 1,
    SB_EXIT_ERROR = 2,
    SB_EXIT_SKIPPED = 77,
    SB_EXIT_INTERRUPTED = 130,
};

struct sb_command {
    const char *name;
    const char *summary;               /* NULL: not listed */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an exit code */
};

extern const struct sb_command sb_commands[]; /* ends with a NULL name */

int sb_cmd_run(int argc, char **argv);
int sb_cmd_compare(int argc, char **argv);
int sb_cmd_fingerprint(int argc, char **argv);
int sb_cmd_explain(int argc, char **argv);
int sb_cmd_rerun(int argc, char **argv);
int sb_cmd_report(int argc, char **argv);
int sb_cmd_merge(int argc, char **argv);
int sb_cmd_baseline(int argc, char **argv);
int sb_cmd_diff_manifest(int argc, char **argv);
int sb_cmd_history(int argc, char **argv);
int sb_cmd_list(int argc, char **argv);
int sb_cmd_doctor(int argc, char **argv);
int sb_cmd_init(int argc, char **argv);
int sb_cmd_node(int argc, char **argv);

/* Prints an error as people and editors expect it, and returns SB_EXIT_ERROR. */
int sb_complain(const struct sb_error *err);

#endif
