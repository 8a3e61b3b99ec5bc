/* cli: samebits init. */
#include "cli/command.h"
#include "cli/options.h"

#include <samebits/suite.h>

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int write_suite(const struct sb_arguments *arguments, const char *weights, const char *out,
                       bool force, struct sb_error *err) {
    SB_AUTO_FREE char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory)
        return sb_error_errno(err, -ENOMEM, "samebits init");
    int rc = sb_suite_write_template(arguments->rest, arguments->n_rest, weights, memory, err);
    if (fclose(memory) != 0 && rc == 0)
        rc = sb_error_errno(err, -ENOMEM, "samebits init");
    if (rc < 0)
        return rc;
    if (strcmp(out, "-") == 0)
        return fwrite(text, 1, n, stdout) == n ? 0 : sb_error_errno(err, -errno, "standard output");
    if (!force && access(out, F_OK) == 0)
        return sb_error_set(err, -EEXIST,
                            "samebits init: %s exists; give --force to replace it, or --out FILE",
                            out);
    rc = sb_file_write(out, text, n, err);
    if (rc < 0)
        return rc;
    SB_AUTO_TEXT struct sb_text next = {0};
    sb_text_quote(&next, program_invocation_name);
    sb_text_puts(&next, " run ");
    sb_text_quote(&next, out);
    printf("wrote %s; now: %s\n", out, next.data ? next.data : "samebits run");
    return 0;
}

int sb_cmd_init(int argc, char **argv) {
    const char *out = "samebits.yaml", *weights = NULL;
    bool force = false;
    const struct sb_option table[] = {
        {"out", 'o', "FILE", "default samebits.yaml; - is stdout", sb_take_text, &out},
        {"weights", 0, "GLOB", "the files that the command writes", sb_take_text, &weights},
        {"force", 0, NULL, "replace a file that is there", sb_take_flag, &force},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits init", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits init [OPTION]… -- COMMAND ARG…\n"
            "Writes a commented suite that runs as it is.\n");
        sb_options_print(table, n_table);
        return SB_EXIT_OK;
    }
    if (!arguments.n_rest || arguments.positional.n) {
        sb_error_set(
            &err, 0,
            "samebits init: give the command after -- (samebits init -- python3 train.py)");
        return sb_complain(&err);
    }
    return write_suite(&arguments, weights, out, force, &err) < 0 ? sb_complain(&err) : SB_EXIT_OK;
}
