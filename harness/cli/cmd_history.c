/* cli: samebits history. */
#include "cli/command.h"
#include "cli/history.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Folders within folders that are looked through. */
enum { MOST_DEPTH = 8 };

static bool holds_result(const char *path) {
    SB_AUTO_FREE char *file = sb_path_join(path, "result.json");
    return file && access(file, F_OK) == 0;
}

/* Links are passed by: `latest` is one of its neighbours. */
static int find_below(const char *path, int depth, struct sb_strings *found, struct sb_error *err) {
    if (holds_result(path))
        return sb_strings_add(found, path) < 0 ? sb_error_errno(err, -ENOMEM, "%s", path) : 0;
    SB_AUTO_DIR DIR *folder = opendir(path);
    if (!folder)
        return sb_error_errno(err, -errno, "%s", path);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && depth && (entry = readdir(folder));) {
        struct stat st;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(st.st_mode))
            continue;
        SB_AUTO_FREE char *below = sb_path_join(path, entry->d_name);
        rc = below ? find_below(below, depth - 1, found, err)
                   : sb_error_errno(err, -ENOMEM, "%s", path);
    }
    return rc;
}

/* What was named: a result, its result.json, or a folder with results in it. */
static int find_given(const char *given, struct sb_strings *found, struct sb_error *err) {
    struct stat st;
    SB_AUTO_FREE char *folder = sb_reporting_folder(given);
    if (!folder)
        return sb_error_errno(err, -ENOMEM, "%s", given);
    if (stat(given, &st) == 0 && S_ISREG(st.st_mode))
        return sb_strings_add(found, given) < 0 ? sb_error_errno(err, -ENOMEM, "%s", given) : 0;
    size_t before = found->n;
    int rc = find_below(folder, MOST_DEPTH, found, err);
    if (rc == 0 && found->n == before)
        rc = sb_error_set(err, -ENOENT, "%s: holds no result, nor does a folder in it", given);
    return rc;
}

/* Each result once, however often it was named. */
static int drop_repeated(struct sb_strings *found, struct sb_error *err) {
    SB_CLEANUP(sb_groups_clear) struct sb_groups met = {.room = 0};
    size_t kept = 0, number;
    for (size_t i = 0; i < found->n; i++) {
        SB_AUTO_FREE char *inside = sb_path_join(found->items[i], "result.json");
        SB_AUTO_FREE char *real = inside ? realpath(inside, NULL) : NULL;
        if (!real)
            real = realpath(found->items[i], NULL);
        size_t before = met.names.n;
        if (sb_groups_find(&met, real ? real : found->items[i], &number) < 0)
            return sb_error_errno(err, -ENOMEM, "%s", found->items[i]);
        if (number == before)
            found->items[kept++] = found->items[i];
        else
            free(found->items[i]);
    }
    found->n = kept;
    if (found->items)
        found->items[kept] = NULL;
    return 0;
}

/* One that cannot be read is named, and the others are shown: a night that broke off hides no other
 * one. */
static int read_results(const struct sb_strings *given, struct sb_history *history, int *code,
                        struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings found = {0};
    for (size_t i = 0; i < given->n; i++) {
        if (find_given(given->items[i], &found, err) < 0)
            *code = sb_complain(err);
    }
    sb_strings_sort(&found);
    int rc = drop_repeated(&found, err);
    for (size_t i = 0; rc == 0 && i < found.n; i++) {
        rc = sb_history_add(history, found.items[i], err);
        if (rc == -ENOMEM)
            return rc;
        if (rc < 0)
            *code = sb_complain(err);
        rc = 0;
    }
    if (rc == 0 && sb_history_sort(history) < 0)
        rc = sb_error_errno(err, -ENOMEM, "samebits history");
    return rc;
}

struct command {
    struct sb_arguments arguments;
    struct sb_history_view view;
    const char *marks, *only, *page;
    bool json;
};

/* "html" or "html:PATH" to its path; NULL: another format. */
static const char *page_path(const char *report) {
    if (strcmp(report, "html") == 0)
        return "history.html";
    return strncmp(report, "html:", 5) == 0 && report[5] ? report + 5 : NULL;
}

static int write_page(const struct sb_history *history, const json_t *changes, const char *report,
                      struct sb_error *err) {
    SB_AUTO_FREE char *page = sb_history_html(history, changes);
    return page ? sb_file_write(page_path(report), page, strlen(page), err)
                : sb_error_errno(err, -ENOMEM, "samebits history");
}

static int show(struct sb_history *history, const struct command *command, struct sb_error *err) {
    SB_AUTO_JSON json_t *changes = sb_history_changes(history);
    if (!changes)
        return sb_error_errno(err, -ENOMEM, "samebits history");
    int rc = command->page ? write_page(history, changes, command->page, err) : 0;
    if (rc < 0)
        return rc;
    if (!command->json) {
        sb_history_print(history, changes, &command->view);
        return 0;
    }
    SB_AUTO_JSON json_t *document = sb_history_json(history, changes);
    SB_AUTO_FREE char *text = document ? sb_json_text(document) : NULL;
    if (!text)
        return sb_error_errno(err, -ENOMEM, "samebits history");
    fputs(text, stdout);
    return 0;
}

static int tell_history(struct command *command, struct sb_error *err) {
    SB_CLEANUP(sb_history_clear) struct sb_history history = {0};
    struct winsize size;
    int code = SB_EXIT_OK;
    if (!command->arguments.positional.n)
        return sb_error_set(err, -EINVAL,
                            "samebits history: give results, or folders with results in them "
                            "(samebits history samebits-results)");
    if (command->page && !page_path(command->page))
        return sb_error_set(err, -EINVAL,
                            "samebits history: --report: '%s' is not html or html:PATH",
                            command->page);
    command->view.colour = sb_colour_wanted();
    command->view.unicode = sb_unicode_wanted();
    command->view.width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    history.only = command->only;
    int rc = sb_marks_parse("samebits history", command->marks, &history.marks, err);
    if (rc == 0)
        rc = read_results(&command->arguments.positional, &history, &code, err);
    if (rc == 0 && history.n_results)
        rc = show(&history, command, err);
    return rc < 0 ? rc : code;
}

int sb_cmd_history(int argc, char **argv) {
    struct command command = {.marks = NULL};
    const struct sb_option table[] = {
        {"only", 0, "GLOB", "these jobs alone", sb_take_text, &command.only},
        {"machine", 0, "MARKS", "apart by host,cpu,gpu (default), none", sb_take_text,
         &command.marks},
        {"report", 'r', "html[:PATH]", "a page as well (history.html)", sb_take_text,
         &command.page},
        {"json", 0, NULL, "JSON alone on stdout", sb_take_flag, &command.json},
        {"verbose", 'v', NULL, "every change, not the last 20", sb_take_flag,
         &command.view.verbose},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    if (sb_options_parse("samebits history", table, n_table, argc, argv, &command.arguments, &err) <
        0)
        return sb_complain(&err);
    int code = SB_EXIT_OK;
    if (command.arguments.help) {
        puts(
            "samebits history [OPTION]… DIR…\n"
            "When did a job's verdict or bits change, and what differed then? DIR is a\n"
            "result, or a folder with results in it: samebits history nightly/\n");
        sb_options_print(table, n_table);
        puts("\nExit: 0 whatever changed, 2 a result could not be read.");
    } else {
        code = tell_history(&command, &err);
        if (code < 0)
            code = sb_complain(&err);
    }
    sb_arguments_clear(&command.arguments);
    return code;
}
