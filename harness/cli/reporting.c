/* cli: which reports go where. See cli/reporting.h. */
#include "cli/reporting.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include "report/display.h"
#include "report/sentences.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* *path is NULL where none was given, "-" for stdout. */
static int find_report(const char *written, const struct sb_report **report, const char **path,
                       struct sb_error *err) {
    SB_AUTO_FREE char *name = strndup(written, strcspn(written, ":"));
    if (!name)
        return sb_error_errno(err, -ENOMEM, "--report");
    *path = written[strlen(name)] == ':' ? written + strlen(name) + 1 : NULL;
    *report = sb_report_find(name);
    SB_AUTO_TEXT struct sb_text names = {0};
    for (size_t i = 0; sb_reports[i]; i++) {
        if (!sb_reports[i]->planned)
            sb_text_printf(&names, "%s%s", names.length ? ", " : "", sb_reports[i]->name);
    }
    if (!*report)
        return sb_error_set(err, -EINVAL, "--report: '%s' is none of: %s", name, names.data);
    if ((*report)->planned)
        return sb_error_set(err, -EINVAL, "--report: '%s' is %s (there are: %s)", name,
                            (*report)->planned, names.data);
    if (*path && !**path)
        return sb_error_set(err, -EINVAL, "--report: '%s': no path after the colon", written);
    return 0;
}

static bool goes_to_stdout(const struct sb_report *report, const char *path) {
    return path ? strcmp(path, "-") == 0 : !report->file_name;
}

/* Is it the results folder, which is made once all is well? */
static bool is_results(const char *folder, const char *out) {
    char cwd[PATH_MAX];
    if (!out || !getcwd(cwd, sizeof cwd))
        return false;
    SB_AUTO_FREE char *one = sb_path_join(cwd, folder), *other = sb_path_join(cwd, out);
    if (!one || !other)
        return false;
    for (size_t n = strlen(other); n > 1 && other[n - 1] == '/'; n--)
        other[n - 1] = '\0';
    return strcmp(one, other) == 0;
}

/* Before the first run: afterwards it is late for a path that was mistyped. */
static int check_path(const char *path, const char *out, struct sb_error *err) {
    SB_AUTO_FREE char *copy = strdup(path);
    struct stat st;
    if (!copy)
        return sb_error_errno(err, -ENOMEM, "--report");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return sb_error_errno(err, -EISDIR, "--report: %s", path);
    const char *folder = dirname(copy);
    bool exists = stat(folder, &st) == 0;
    if (!exists && is_results(folder, out))
        return 0;
    bool is_folder = exists && S_ISDIR(st.st_mode);
    if (exists && !is_folder)
        errno = ENOTDIR;
    if (!is_folder || access(folder, W_OK | X_OK) < 0)
        return sb_error_errno(err, -errno, "--report: no file can be made in %s", folder);
    return 0;
}

int sb_reporting_check(const struct sb_request *request, struct sb_error *err) {
    for (size_t i = 0; i < request->reports.n; i++) {
        const struct sb_report *report;
        const char *path;
        int rc = find_report(request->reports.items[i], &report, &path, err);
        if (rc < 0)
            return rc;
        if (request->json && goes_to_stdout(report, path))
            return sb_error_set(err, -EINVAL,
                                "samebits run: --report %s would mix with --json on stdout; give "
                                "it a path (%s:FILE)",
                                report->name, report->name);
        rc = path && !goes_to_stdout(report, path) ? check_path(path, request->out, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static unsigned terminal_width(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

const char *sb_reporting_shown_folder(const char *folder_path, char *buffer, size_t n) {
    char cwd[PATH_MAX];
    size_t length = getcwd(cwd, sizeof cwd) ? strlen(cwd) : 0;
    if (length && strncmp(folder_path, cwd, length) == 0 && folder_path[length] == '/')
        snprintf(buffer, n, "%s", folder_path + length + 1);
    else
        snprintf(buffer, n, "%s", folder_path);
    return buffer;
}

int sb_reporting_load(const char *given, json_t **result, struct sb_error *err) {
    SB_AUTO_FREE char *folder = sb_reporting_folder(given);
    if (!folder)
        return sb_error_errno(err, -ENOMEM, "%s", given);
    return sb_result_load(access(given, F_OK) == 0 ? given : folder, result, err);
}

char *sb_reporting_folder(const char *given) {
    struct stat found;
    if (stat(given, &found) < 0 && !strchr(given, '/')) {
        SB_AUTO_FREE char *numbered = sb_format("samebits-results/%s", given);
        if (numbered && access(numbered, F_OK) == 0)
            return sb_steal_pointer(&numbered);
    } else if (S_ISREG(found.st_mode)) {
        const char *slash = strrchr(given, '/');
        return slash ? strndup(given, (size_t)(slash - given) + (slash == given)) : strdup(".");
    }
    return strdup(given);
}

/* A report without a path lands among the results, where nobody would look for it unasked. */
static int write_file(const char *file, const char *content, size_t n, bool silent,
                      struct sb_error *err) {
    int rc = sb_file_write(file, content, n, err);
    if (rc < 0 || silent)
        return rc;
    char shown[PATH_MAX];
    SB_AUTO_FREE char *printable =
        sb_text_printable(sb_reporting_shown_folder(file, shown, sizeof shown));
    fprintf(stderr, "samebits: wrote %s\n", printable ? printable : file);
    return 0;
}

/* What `write` prints, in memory. *content is malloc'd. */
static int render(const char *name,
                  int (*write)(const json_t *, const struct sb_report_options *, FILE *,
                               struct sb_error *),
                  const json_t *result, const struct sb_report_options *options, char **content,
                  size_t *n, struct sb_error *err) {
    FILE *memory = open_memstream(content, n);
    if (!memory)
        return sb_error_errno(err, -ENOMEM, "%s report", name);
    int rc = write(result, options, memory, err);
    if (fclose(memory) != 0 && rc == 0)
        rc = sb_error_errno(err, -ENOMEM, "%s report", name);
    return rc;
}

static int append(const struct sb_report_appendix *appendix, const char *name, const json_t *result,
                  const struct sb_report_options *options, struct sb_error *err) {
    const char *path = getenv(appendix->variable);
    SB_AUTO_FREE char *content = NULL;
    size_t n = 0;
    if (!path || !*path)
        return 0;
    int rc = render(name, appendix->write, result, options, &content, &n, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FILE FILE *file = fopen(path, "a");
    if (!file || fwrite(content, 1, n, file) != n || fflush(file) != 0)
        return sb_error_errno(err, -errno, "%s: %s", appendix->variable, path);
    return 0;
}

int sb_reporting_write_one(const char *written, const json_t *result, const char *folder_path,
                           struct sb_reporting_manner manner, struct sb_error *err) {
    const struct sb_report *report;
    const char *path;
    char shown[PATH_MAX];
    int rc = find_report(written, &report, &path, err);
    if (rc < 0)
        return rc;
    bool to_stdout = goes_to_stdout(report, path);
    SB_AUTO_FREE char *in_folder =
        !path && report->file_name ? sb_path_join(folder_path, report->file_name) : NULL;
    const char *file = path ? path : in_folder;
    SB_AUTO_FREE char *content = NULL;
    size_t n = 0;
    if (!to_stdout && !file)
        return sb_error_errno(err, -ENOMEM, "%s report", report->name);
    bool screen = to_stdout && isatty(STDOUT_FILENO);
    const struct sb_report_options options = {
        .colour = to_stdout && sb_colour_wanted(),
        .width = screen ? terminal_width() : 0,
        .unicode = sb_unicode_wanted(),
        .verbose = manner.verbose,
        .program = program_invocation_name,
        .directory = sb_reporting_shown_folder(folder_path, shown, sizeof shown),
    };
    rc = render(report->name, report->write, result, &options, &content, &n, err);
    for (const struct sb_report_appendix *one = report->appendices; rc == 0 && one && one->variable;
         one++)
        rc = append(one, report->name, result, &options, err);
    if (rc < 0)
        return rc;
    if (!to_stdout)
        return write_file(file, content, n, manner.silent, err);
    if (fwrite(content, 1, n, stdout) == n && fflush(stdout) == 0)
        return 0;
    rc = -errno;
    clearerr(stdout); /* it is said here, and not once more at the end */
    return rc == -EPIPE ? 0 : sb_error_errno(err, rc, "standard output");
}

/* Errors are not silenced by -q: a line for each job that is not as required. */
static void say_failures(const json_t *result) {
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        bool error = sb_text_is(job, "outcome", "error");
        SB_AUTO_TEXT struct sb_text text = {0};
        if (!error && !sb_text_is(job, "outcome", "fail"))
            continue;
        sb_text_printf(&text, "%s  %s  ", error ? "ERROR" : "FAIL", sb_job_title(job));
        sb_say_message(&text, job);
        SB_AUTO_FREE char *shown = text.data ? sb_text_shown(text.data, sb_unicode_wanted()) : NULL;
        fprintf(stderr, "samebits: %s\n", shown ? shown : "a job failed");
    }
}

int sb_reporting_save(struct sb_folder *folder, const json_t *result, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_folder_file(folder, "result.json");
    SB_AUTO_FREE char *text = sb_json_text(result);
    if (!path || !text)
        return sb_error_errno(err, -ENOMEM, "result.json");
    return sb_file_write(path, text, strlen(text), err);
}

int sb_reporting_write(const struct sb_request *request, const json_t *result,
                       const struct sb_folder *folder, struct sb_error *err) {
    const char *path = sb_folder_path(folder);
    const struct sb_reporting_manner manner = {.verbose = request->verbose,
                                               .silent = request->quiet || request->json};
    bool on_stdout = request->quiet;
    /* Beside every result, whatever else was asked for. */
    int rc = sb_reporting_write_one("experiment", result, path,
                                    (struct sb_reporting_manner){.silent = true}, err);
    for (size_t i = 0; i < request->reports.n && rc == 0; i++) {
        const struct sb_report *report;
        const char *file;
        find_report(request->reports.items[i], &report, &file, NULL);
        on_stdout |= goes_to_stdout(report, file);
        rc = sb_reporting_write_one(request->reports.items[i], result, path, manner, err);
    }
    if (rc == 0 && request->json)
        rc = sb_reporting_write_one("json", result, path, manner, err);
    else if (rc == 0 && !on_stdout)
        rc = sb_reporting_write_one("terminal", result, path, manner, err);
    if (rc == 0 && request->quiet && !request->json)
        say_failures(result);
    return rc;
}
