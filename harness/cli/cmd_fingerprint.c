/* cli: samebits fingerprint. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/unmet.h"

#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "base/json.h"
#include "report/display.h"
#include "weights/tensors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const digest_names[] = {"xxh3", "sha256", NULL};

static int take_digest(void *into, const char *value, struct sb_error *err) {
    int digest = sb_take_choice(digest_names, value, err);
    if (digest < 0)
        return digest;
    *(enum sb_digest_kind *)into = (enum sb_digest_kind)digest;
    return 0;
}

static void print_text(const char *path, const struct sb_fingerprint *fingerprint, bool tensors) {
    printf("%s  %s\n", fingerprint->text, path);
    for (size_t i = 0; tensors && i < fingerprint->n_tensors; i++) {
        const struct sb_tensor_digest *tensor = &fingerprint->tensors[i];
        SB_AUTO_FREE char *name = sb_text_printable(tensor->info.name);
        SB_AUTO_TEXT struct sb_text dims = {0};
        sb_dims_print(&dims, tensor->info.dims, tensor->info.rank);
        printf("  %s  %s\t%s\t%s\tsum %.17g\n", tensor->digest, name ? name : "",
               sb_dtype_names[tensor->info.dtype], dims.length ? dims.data : "", tensor->sum);
    }
    for (size_t i = 0; tensors && i < fingerprint->n_ignored; i++) {
        SB_AUTO_FREE char *ignored = sb_text_printable(fingerprint->ignored[i]);
        printf("  ignored  %s\n", ignored ? ignored : "");
    }
}

static json_t *tensor_json(const void *fingerprint, size_t i) {
    const struct sb_tensor_digest *tensor =
        &((const struct sb_fingerprint *)fingerprint)->tensors[i];
    return json_pack("{s:o, s:s, s:o, s:s, s:o}", "name", sb_json_string(tensor->info.name),
                     "dtype", sb_dtype_names[tensor->info.dtype], "dims",
                     sb_json_counts(tensor->info.dims, tensor->info.rank), "digest", tensor->digest,
                     "sum", sb_json_real(tensor->sum));
}

static void print_file_json(const char *path, const struct sb_fingerprint *fingerprint) {
    SB_AUTO_JSON json_t *file =
        json_pack("{s:o, s:s, s:o, s:o}", "file", sb_json_string(path), "fingerprint",
                  fingerprint->text, "sum", sb_json_real(fingerprint->sum), "ignored",
                  sb_json_strings((const char *const *)fingerprint->ignored));
    sb_json_print_list(stdout, file, "tensors", fingerprint->n_tensors, tensor_json, fingerprint);
}

/* What is printed, and what was seen meanwhile. */
struct output {
    bool tensors, json;
    const char *separator; /* before the next file's JSON */
    bool any;              /* some file had a tensor */
    struct sb_globs_met met;
};

static int fingerprint_file(struct output *output, char *path,
                            const struct sb_weights_options *options, struct sb_error *err) {
    SB_AUTO_FREE char *opened = sb_weights_path(path);
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    const struct sb_weights_files files = {.paths = &opened, .n = 1};
    SB_CLEANUP(sb_fingerprint_clear) struct sb_fingerprint fingerprint = {0};
    int r = sb_weights_fingerprint(&files, options, &fingerprint, err);
    if (r == 0 && output->json) {
        fputs(output->separator, stdout);
        output->separator = ",\n";
        print_file_json(path, &fingerprint);
    } else if (r == 0) {
        print_text(path, &fingerprint, output->tensors);
    }
    output->any |= fingerprint.n_tensors > 0;
    output->met.include |= fingerprint.met.include;
    output->met.exclude |= fingerprint.met.exclude;
    return r;
}

int sb_cmd_fingerprint(int argc, char **argv) {
    bool tensors = false, json = false;
    struct sb_weights_options options = {0};
    SB_AUTO_STRINGS struct sb_strings exclude = {0}, include = {0};
    const struct sb_option table[] = {
        {"tensors", 0, NULL, "each tensor's digest, name, dims and sum", sb_take_flag, &tensors},
        {"digest", 0, "xxh3|sha256", "the hash (default xxh3)", take_digest, &options.digest},
        {"exclude", 0, "GLOB", "leave these tensors out", sb_take_list, &exclude},
        {"include", 0, "GLOB", "these tensors alone", sb_take_list, &include},
        {"match-by", 0, "name|order", "order: Keras's layers count anew", sb_take_match,
         &options.match_by_order},
        {"json", 0, NULL, "JSON on stdout", sb_take_flag, &json},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err;
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits fingerprint", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits fingerprint [OPTION]… FILE…\n"
            "The fingerprint of each weights file.\n");
        sb_options_print(table, n_table);
        return SB_EXIT_OK;
    }
    for (size_t i = 0; i < arguments.n_rest; i++)
        sb_strings_add(&arguments.positional, arguments.rest[i]);
    if (!arguments.positional.n) {
        sb_error_set(&err, 0, "samebits fingerprint: no file given");
        return sb_complain(&err);
    }
    options.exclude = exclude.items, options.n_exclude = exclude.n;
    options.include = include.items, options.n_include = include.n;
    options.threads = sb_count_allowed_cpus();
    int code = SB_EXIT_OK;
    struct output output = {.tensors = tensors, .json = json, .separator = "\n"};
    if (json)
        fputs("{\"schema\": \"samebits.fingerprint/1\", \"files\": [", stdout);
    for (size_t i = 0; i < arguments.positional.n; i++) {
        if (fingerprint_file(&output, arguments.positional.items[i], &options, &err) < 0)
            code = sb_complain(&err);
    }
    /* Where no file could be read, nothing is known of them. */
    SB_AUTO_JSON json_t *unmet = output.any ? sb_warn_unmet(&options, &output.met) : json_array();
    if (json) {
        fputs("\n], \"unmatched\": ", stdout);
        json_dumpf(unmet, stdout, 0);
        puts("}");
    }
    return code;
}
