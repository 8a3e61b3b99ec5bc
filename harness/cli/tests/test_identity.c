/* What a plan's jobs are made of, and what of it is not as it was. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/identity.h"
#include "cli/inputs.h"
#include "cli/program.h"
#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *read_json(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json, "%s", text);
    return json;
}

START_TEST(what_differs_is_listed_by_name)
{
    static const char one[] = "xxh3:0123456789abcdef0123456789abcdef";
    static const struct {
        const char *then, *now, *difference;
    } cases[] = {
        {"{}", "{\"program\": {\"a\": \"1\"}, \"inputs\": {\"b\": \"1\"}}", NULL},
        {"{\"inputs\": null}", "{\"inputs\": {\"b\": \"1\"}}", NULL},
        {"{\"program\": {\"a\": \"1\"}}", "{\"program\": {\"a\": \"1\"}}", NULL},
        {"{\"program\": {\"a\": \"1\", \"b\": \"1\"}}",
         "{\"program\": {\"a\": \"2\", \"c\": \"1\"}}", "a"}, /* the others may be outputs */
        {"{\"program\": {\"a.py\": \"1\"}}", "{\"program\": {\"c.py\": \"1\"}}",
         "a.py (gone), c.py (new)"},
        {"{\"inputs\": {\"a\": \"1\"}}", "{\"inputs\": {\"c\": \"1\"}}", "a (gone), c (new)"},
        {"{\"program\": {\"a\": \"1\"}, \"inputs\": {\"b\": \"1\"}}",
         "{\"program\": {\"a\": \"2\"}, \"inputs\": {\"b\": \"2\"}}", "a, b"},
        {"{\"git\": {\"commit\": \"aaaaaaaaaaaaaaaa\"}}",
         "{\"git\": {\"commit\": \"bbbbbbbbbbbbbbbb\"}}",
         "the commit (aaaaaaaaaaaa → bbbbbbbbbbbb)"},
        {"{\"git\": {\"commit\": \"a\"}}", "{\"git\": null}", NULL},
        {"{\"git\": {\"commit\": \"a\", \"dirty\": true}}",
         "{\"git\": {\"commit\": \"a\", \"dirty\": false, "
         "\"changes\": null}}",
         NULL},
        {"{\"git\": {\"commit\": \"a\", \"dirty\": true, \"changes\": \"%s\"}}",
         "{\"git\": {\"commit\": \"a\", \"dirty\": false, \"changes\": null}}",
         "what is not committed"},
        {"{\"git\": {\"commit\": \"a\", \"dirty\": true, \"changes\": \"%s\"}}",
         "{\"git\": {\"commit\": \"a\", \"dirty\": true, \"changes\": \"not hashed: b is too "
         "large\"}}",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *digest = strstr(cases[i].then, "%s");
        SB_AUTO_FREE char *text = digest ? sb_format("%.*s%s%s", (int)(digest - cases[i].then),
                                                     cases[i].then, one, digest + 2)
                                         : strdup(cases[i].then);
        SB_AUTO_JSON json_t *then = read_json(text), *now = read_json(cases[i].now);
        SB_AUTO_FREE char *difference = sb_identity_difference(then, now);
        if (!cases[i].difference)
            ck_assert_msg(!difference, "case %zu: %s", i, difference);
        else
            ck_assert_msg(difference && strcmp(difference, cases[i].difference) == 0,
                          "case %zu: %s", i, difference ? difference : "none");
    }
}
END_TEST

static char folder[64];

static void write_file(const char *name, const char *text) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    ck_assert_int_eq(sb_file_write(path, text, strlen(text), NULL), 0);
}

/* A job of one cell that runs `command`, which ends with NULL. */
static json_t *digests_of(char **command, const char *weights) {
    struct sb_job job = {
        .name = (char *)"a", .directory = folder, .command = command, .weights = (char *)weights};
    struct sb_cell cell = {0};
    struct sb_job_plan planned = {.job = &job, .cells = &cell, .n_cells = 1};
    const struct sb_plan plan = {.jobs = &planned, .n_jobs = 1};
    SB_AUTO_JSON json_t *jobs = NULL;
    while (command[job.n_command])
        job.n_command++;
    ck_assert_int_eq(sb_program_digest_all(&plan, &jobs, NULL), 0);
    return json_incref(json_array_get(jobs, 0));
}

static void names(const char *command, const char *weights, const char *expected) {
    SB_AUTO_FREE char *text = strdup(command);
    SB_AUTO_TEXT struct sb_text found = {0};
    char *words[16] = {0}, *at = text;
    for (size_t n = 0; n < 15 && at; n++)
        words[n] = strsep(&at, " ");
    SB_AUTO_JSON json_t *digests = digests_of(words, weights);
    const char *path;
    json_t *digest;
    json_object_foreach(digests, path, digest) sb_text_printf(&found, "%s ", path);
    ck_assert_msg(strcmp(found.data ? found.data : "", expected) == 0, "%s: %s", command,
                  found.data);
}

START_TEST(a_command_names_the_files_that_are_there)
{
    strcpy(folder, "/tmp/samebits-identity-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_file("train.py", "1");
    write_file("python3", "a file of that name is not the program");
    write_file("a.yaml", "1");
    write_file("w.npz", "1");
    names("python3 train.py", NULL, "train.py ");
    names("./train.py train.py", NULL, "./train.py train.py ");
    names("python3 -m train", NULL, "train.py ");
    names("prog -m train", NULL, "");
    names("mpirun -n 2 /bin/python3 -m train --config=a.yaml", NULL, "train.py a.yaml ");
    names("prog train.py none.py .. a.yaml/x =", NULL, "train.py ");
    names("prog w.npz", NULL, "w.npz ");
    names("prog w.npz --out=./w.npz", "*.npz", "");
    names("prog {weights} --out={weights}", "w.npz", "");
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}
END_TEST

START_TEST(of_files_elsewhere_only_what_is_no_output_is_named)
{
    SB_AUTO_FREE char *outer = strdup("/tmp/samebits-identity-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(outer));
    strcpy(folder, outer);
    write_file("train.py", "1");
    write_file("a.toml", "1");
    write_file("log.txt", "1");
    write_file("prog", "1");
    strcat(folder, "/in");
    ck_assert_int_eq(sb_make_folders(folder, 0777, NULL), 0);
    SB_AUTO_FREE char *link = sb_path_join(folder, "log.txt");
    ck_assert_int_eq(symlink("../log.txt", link), 0);
    names("../prog ../train.py ../a.toml ../log.txt log.txt ../prog", NULL,
          "../prog ../train.py ../a.toml ");
    ck_assert_int_eq(sb_remove_tree(outer, NULL), 0);
}
END_TEST

START_TEST(in_place_what_runs_write_is_not_taken_for_an_edit)
{
    static const struct {
        const char *then, *now, *spoiled; /* of the job; NULL: not */
        bool in_place;
    } cases[] = {
        {"{\"w.npy\": \"1\"}", "{\"w.npy\": \"2\"}", "changed while the runs were under way: w.npy",
         false},
        {"{\"w.npy\": \"1\"}", "{\"w.npy\": \"2\"}", NULL, true},
        {"{}", "{\"w.npy\": \"2\"}", NULL, false},
        {"{\"a.py\": \"1\"}", "{\"a.py\": \"2\"}", "changed while the runs were under way: a.py",
         true},
        {"{\"./prog\": \"1\"}", "{\"./prog\": \"2\"}",
         "changed while the runs were under way: ./prog", true},
    };
    char *command[] = {(char *)"./prog", NULL};
    const struct sb_job job = {.name = (char *)"a", .command = command, .n_command = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SB_AUTO_JSON json_t *program = json_pack("[o]", read_json(cases[i].then));
        SB_AUTO_JSON json_t *after = json_pack("[o]", read_json(cases[i].now));
        SB_AUTO_JSON json_t *inputs = json_pack("[{}]");
        const struct sb_identity before = {program, inputs};
        SB_AUTO_FREE char *spoiled =
            sb_identity_spoiled(&before, after, &job, 0, cases[i].in_place);
        ck_assert_msg(cases[i].spoiled ? spoiled && strcmp(spoiled, cases[i].spoiled) == 0
                                       : !spoiled,
                      "case %zu: %s", i, spoiled ? spoiled : "none");
    }
}
END_TEST

START_TEST(large_files_are_named_with_their_size_and_the_rest_is_hashed)
{
    strcpy(folder, "/tmp/samebits-identity-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_file("big", "1");
    write_file("small", "1");
    SB_AUTO_FREE char *big = sb_path_join(folder, "big");
    ck_assert_int_eq(truncate(big, (off_t)1 << 40), 0);
    char *command[] = {(char *)"prog", (char *)"big", (char *)"small", NULL};
    SB_AUTO_JSON json_t *digests = digests_of(command, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(digests, "big")),
                     "not hashed: 1099511627776 bytes");
    ck_assert_str_eq(json_string_value(json_object_get(digests, "small")),
                     "xxh3:df3ce784d856334d65cd25028f98f158"); /* as xxhsum -H2 has it */
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}
END_TEST

SB_TEST_MAIN("cli-identity", what_differs_is_listed_by_name,
             a_command_names_the_files_that_are_there,
             in_place_what_runs_write_is_not_taken_for_an_edit,
             of_files_elsewhere_only_what_is_no_output_is_named,
             large_files_are_named_with_their_size_and_the_rest_is_hashed)
