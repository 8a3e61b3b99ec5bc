/* cli: samebits compare. */
#include "cli/command.h"
#include "cli/compared.h"
#include "cli/options.h"
#include "cli/unmet.h"

#include <samebits/compare.h>

#include "base/cleanup.h"
#include "base/cpus.h"
#include "base/json.h"
#include "report/display.h"
#include "report/table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct compare_request {
    bool json, quiet, match_by_order;
    enum sb_need require;
    struct sb_tolerance tolerance;
    struct sb_strings exclude, include;
};

static int take_need(void *into, const char *value, struct sb_error *err) {
    int need = sb_take_choice(sb_option_needs, value, err);
    if (need < 0)
        return need;
    *(enum sb_need *)into = (enum sb_need)need;
    return 0;
}

static const char *const state_names[] = {[SB_TENSOR_SAME] = "same",
                                          [SB_TENSOR_DIFFERS] = "differs",
                                          [SB_TENSOR_ONLY_A] = "only in A",
                                          [SB_TENSOR_ONLY_B] = "only in B",
                                          [SB_TENSOR_CHANGED_TYPE] = "dtype or shape changed"};

static json_t *tensor_json(const struct sb_tensor_difference *tensor) {
    json_t *json = json_pack("{s:o, s:s, s:s, s:s, s:s}", "name", sb_json_string(tensor->info.name),
                             "dtype", sb_dtype_names[tensor->info.dtype], "state",
                             state_names[tensor->state], "grade", sb_grade_names[tensor->grade],
                             "shape_of_difference", sb_shape_names[tensor->shape]);
    json_object_set_new(json, "dims", sb_json_counts(tensor->info.dims, tensor->info.rank));
    if (tensor->state == SB_TENSOR_CHANGED_TYPE)
        json_object_set_new(json, "changed", sb_json_string(tensor->changed));
    if (tensor->state != SB_TENSOR_DIFFERS)
        return json;
    json_object_set_new(json, "n_different", json_integer((json_int_t)tensor->n_different));
    json_object_set_new(json, "share", sb_json_real(tensor->share));
    json_object_set_new(json, "max_abs", sb_json_real(tensor->max_abs));
    json_object_set_new(json, "max_rel", sb_json_real(tensor->max_rel));
    json_object_set_new(json, "max_ulp", sb_json_real(tensor->max_ulp));
    json_object_set_new(json, "first", sb_json_counts(tensor->first, tensor->info.rank));
    json_object_set_new(json, "index", sb_json_counts(tensor->worst, tensor->info.rank));
    if (tensor->factor != 0)
        json_object_set_new(json, "factor", sb_json_real(tensor->factor));
    if (tensor->offset != 0)
        json_object_set_new(json, "offset", sb_json_real(tensor->offset));
    if (tensor->permuted_axis >= 0)
        json_object_set_new(json, "permuted_axis", json_integer(tensor->permuted_axis));
    json_object_set_new(json, "ulp_histogram",
                        sb_json_histogram(tensor->ulp_histogram, SB_ULP_BUCKETS));
    return json;
}

static json_t *compared_json(const void *comparison, size_t i) {
    struct sb_tensor_difference tensor;
    sb_comparison_tensor(comparison, i, &tensor);
    return tensor_json(&tensor);
}

static void print_json(const struct sb_comparison *comparison, char *const *paths, json_t *unmet,
                       int code) {
    SB_AUTO_JSON json_t *head = json_pack(
        "{s:s, s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:O}", "schema", "samebits.compare/1", "a",
        sb_json_string(paths[0]), "b", sb_json_string(paths[1]), "grade",
        sb_grade_names[comparison->grade], "shape_of_difference", sb_shape_names[comparison->shape],
        "n_tensors", (int)comparison->n_tensors, "n_different", (int)comparison->n_different,
        "exit_code", code, "unmatched", unmet);
    sb_json_print_list(stdout, head, "tensors", comparison->n_tensors, compared_json, comparison);
    putchar('\n');
}

static char *index_text(const struct sb_tensor_info *info, const uint64_t *index) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_putc(&text, '[');
    for (unsigned i = 0; i < info->rank; i++)
        sb_text_printf(&text, "%s%llu", i ? "," : "", (unsigned long long)index[i]);
    sb_text_putc(&text, ']');
    return sb_text_take(&text);
}

static char *shape_text(const struct sb_tensor_difference *tensor) {
    if (tensor->permuted_axis >= 0)
        return sb_format("same values in another order along axis %d: iteration order",
                         tensor->permuted_axis);
    if (tensor->factor != 0)
        return sb_format("one factor explains all: A is %.6g times B", tensor->factor);
    if (tensor->offset != 0)
        return sb_format("one offset explains all: A is B and %.6g", tensor->offset);
    return strdup(sb_shape_text(tensor->shape, tensor->grade, tensor->max_ulp));
}

static void add_tensor_row(struct sb_table *table, const struct sb_tensor_difference *tensor) {
    sb_table_add(table, strdup(tensor->info.name), 0, SB_TONE_PLAIN);
    if (tensor->state != SB_TENSOR_DIFFERS) {
        const char *what =
            tensor->state == SB_TENSOR_CHANGED_TYPE ? tensor->changed : state_names[tensor->state];
        sb_table_add(table, strdup(what), 0, SB_TONE_PLAIN);
        for (int i = 0; i < 6; i++)
            sb_table_add(table, strdup(""), 0, SB_TONE_PLAIN);
        return;
    }
    sb_table_add(table, strdup(sb_grade_names[tensor->grade]), 0, SB_TONE_PLAIN);
    sb_table_add(table, sb_format("%.0f", tensor->max_ulp), 0, SB_TONE_PLAIN);
    sb_table_add(table, sb_format("%.3g", tensor->max_abs), 0, SB_TONE_PLAIN);
    sb_table_add(table, sb_format("%.3g", tensor->max_rel), 0, SB_TONE_PLAIN);
    sb_table_add(table, sb_format("%.3g%%", 100 * tensor->share), 0, SB_TONE_PLAIN);
    sb_table_add(table, index_text(&tensor->info, tensor->first), 0, SB_TONE_PLAIN);
    sb_table_add(table, shape_text(tensor), 0, SB_TONE_PLAIN);
}

/* ULP distances of the worst tensor that has any, by powers of two: how a difference is spread says
 * more than its maximum. */
static void print_histogram(const struct sb_comparison *comparison) {
    size_t worst = 0;
    while (worst < comparison->n_tensors && comparison->tensors[worst].state != SB_TENSOR_DIFFERS)
        worst++;
    if (worst == comparison->n_tensors)
        return;
    struct sb_tensor_difference tensor;
    sb_comparison_tensor(comparison, worst, &tensor);
    bool unicode = sb_unicode_wanted();
    SB_AUTO_FREE char *name = sb_text_shown(tensor.info.name, unicode);
    printf("  ulp of %s: ", name ? name : "it");
    const char *separator = "";
    for (size_t i = 0; i < SB_ULP_BUCKETS; i++) {
        if (!tensor.ulp_histogram[i])
            continue;
        if (i <= 1)
            printf("%s%zu", separator, i);
        else
            printf("%s%.0f%s%.0f", separator, ldexp(1, (int)i - 1), unicode ? "…" : "..",
                   ldexp(1, (int)i) - 1);
        printf(" %s %llu", unicode ? "×" : "x", (unsigned long long)tensor.ulp_histogram[i]);
        separator = ", ";
    }
    putchar('\n');
}

enum { MOST_ROWS = 20 };

static void print_text(const struct sb_comparison *comparison) {
    printf("%s: %zu of %zu tensors differ\n", sb_grade_names[comparison->grade],
           comparison->n_different, comparison->n_tensors);
    if (!comparison->n_different)
        return;
    static const char *const headings[] = {"tensor",           "grade",     "max ulp",
                                           "max abs",          "max rel",   "differing",
                                           "first difference", "looks like"};
    struct sb_table table = {.n_columns = sizeof headings / sizeof *headings,
                             .indent = "  ",
                             .colour = sb_colour_wanted(),
                             .unicode = sb_unicode_wanted()};
    for (size_t i = 0; i < table.n_columns; i++)
        sb_table_add(&table, strdup(headings[i]), 0, SB_TONE_BOLD);
    size_t shown = 0;
    for (size_t i = 0; i < comparison->n_tensors && shown < MOST_ROWS; i++) {
        if (comparison->tensors[i].state != SB_TENSOR_SAME) {
            struct sb_tensor_difference tensor;
            sb_comparison_tensor(comparison, i, &tensor);
            add_tensor_row(&table, &tensor);
            shown++;
        }
    }
    sb_table_print(&table, stdout);
    sb_table_clear(&table);
    if (comparison->n_different > shown)
        printf("  … and %zu more (--json lists all)\n", comparison->n_different - shown);
    print_histogram(comparison);
}

static int compare_files(const struct compare_request *request, char **paths) {
    const struct sb_weights_options options = {.exclude = request->exclude.items,
                                               .n_exclude = request->exclude.n,
                                               .include = request->include.items,
                                               .n_include = request->include.n,
                                               .match_by_order = request->match_by_order,
                                               .threads = sb_count_allowed_cpus()};
    SB_CLEANUP(sb_compared_clear) struct sb_compared a = {0};
    SB_CLEANUP(sb_compared_clear) struct sb_compared b = {0};
    SB_CLEANUP(sb_comparison_clear) struct sb_comparison comparison = {0};
    struct sb_error err;
    if (sb_compared_open(paths[0], &a, &err) < 0 || sb_compared_open(paths[1], &b, &err) < 0 ||
        sb_compare_files(&a.files, &b.files, &options, &request->tolerance, &comparison, &err) < 0)
        return sb_complain(&err);
    enum sb_grade allowed = request->require == SB_NEED_BITWISE    ? SB_GRADE_IDENTICAL
                            : request->require == SB_NEED_ROUNDING ? SB_GRADE_ROUNDING
                                                                   : SB_GRADE_DIVERGENT;
    int code = comparison.grade <= allowed ? SB_EXIT_OK : SB_EXIT_DIVERGED;
    SB_AUTO_JSON json_t *unmet = sb_warn_unmet(&options, &comparison.met);
    if (request->json)
        print_json(&comparison, paths, unmet, code);
    else if (!request->quiet)
        print_text(&comparison);
    return code;
}

int sb_cmd_compare(int argc, char **argv) {
    enum { NOT_GIVEN = -1 };
    struct compare_request request = {.require = (enum sb_need)NOT_GIVEN,
                                      .tolerance = {-1, -1, -1}};
    const struct sb_option table[] = {
        {"require", 0, "bitwise|rounding", "bitwise; rounding with a tolerance", take_need,
         &request.require},
        {"rtol", 0, "X", "relative tolerance (default by dtype)", sb_take_number,
         &request.tolerance.rtol},
        {"atol", 0, "X", "absolute tolerance (default by dtype)", sb_take_number,
         &request.tolerance.atol},
        {"ulp", 0, "N", "instead: units in the last place", sb_take_number, &request.tolerance.ulp},
        {"include", 0, "GLOB", "these tensors alone", sb_take_list, &request.include},
        {"exclude", 0, "GLOB", "leave these tensors out", sb_take_list, &request.exclude},
        {"match-by", 0, "name|order", "order: Keras's layers count anew", sb_take_match,
         &request.match_by_order},
        {"json", 0, NULL, "JSON on stdout", sb_take_flag, &request.json},
        {"quiet", 'q', NULL, "the exit code says it all", sb_take_flag, &request.quiet},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err;
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    int code = SB_EXIT_ERROR;
    if (sb_options_parse("samebits compare", table, n_table, argc, argv, &arguments, &err) < 0) {
        code = sb_complain(&err);
    } else if (arguments.help) {
        puts(
            "samebits compare [OPTION]… A B\n"
            "Two weights files, tensor by tensor, the worst first. What a run saved is\n"
            "RESULT/RUN: samebits compare latest/r00002 latest/r00005\n");
        sb_options_print(table, n_table);
        puts("\nExit: 0 equal as required, 1 not, 2 a file cannot be read.");
        code = SB_EXIT_OK;
    } else {
        for (size_t i = 0; i < arguments.n_rest; i++)
            sb_strings_add(&arguments.positional, arguments.rest[i]);
        const struct sb_tolerance *tolerance = &request.tolerance;
        bool tolerant = tolerance->rtol >= 0 || tolerance->atol >= 0 || tolerance->ulp >= 0;
        if ((int)request.require == NOT_GIVEN)
            request.require = tolerant ? SB_NEED_ROUNDING : SB_NEED_BITWISE;
        if (sb_check_tolerance("samebits compare", tolerance, &err) < 0) {
            code = sb_complain(&err);
        } else if (arguments.positional.n != 2) {
            sb_error_set(&err, 0, "samebits compare: two files are needed, %zu given",
                         arguments.positional.n);
            code = sb_complain(&err);
        } else {
            code = compare_files(&request, arguments.positional.items);
        }
    }
    sb_strings_clear(&request.exclude);
    sb_strings_clear(&request.include);
    return code;
}
