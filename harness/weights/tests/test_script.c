/* weights: the script in docs/fingerprint.md computes the same fingerprints, of files that h5py and
 * we wrote. */
#include "weights/tests/files.h"

#include <sys/wait.h>

/* What h5py makes of every kind of tensor, and of things that are none. */
static const char writer[] =
    "import sys, h5py, numpy as n\n"
    "r = n.random.RandomState(7)\n"
    "f = h5py.File(sys.argv[1], 'w')\n"
    "for t in '? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16 >i2 >u8 >f2 >f4 >f8 >c8 >c16'.split():\n"
    "    a = (r.rand(23, 11) * 100 - 20).astype(t)\n"
    "    g = f.create_group('of/' + t.replace('?', 'bool'))\n"
    "    g['plain'] = a\n"
    "    g['scalar'] = a[0, 0]\n"
    "    g.create_dataset('gzip', data=a, chunks=(5, 4), compression='gzip', shuffle=True)\n"
    "    g.create_dataset('lzf', data=a, chunks=(23, 2), compression='lzf', fletcher32=True)\n"
    "    g.create_dataset('grown', data=a, maxshape=(None, None))\n"
    "    g.create_dataset('empty', shape=(0, 3), dtype=t)\n"
    "    g.create_dataset('untouched', shape=(4, 3), dtype=t)\n"
    "d = f.create_dataset('bf16', data=n.frombuffer(r.bytes(60), 'V2').reshape(10, 3))\n"
    "d.attrs['dtype'] = 'bfloat16'\n"
    "f['opaque'] = n.frombuffer(b'abcd', 'V2')\n"
    "f['text'] = 'hello'\n"
    "f['texts'] = ['a', 'b']\n"
    "f['nothing'] = h5py.Empty('f4')\n"
    "f['pairs'] = n.zeros(2, [('x', 'f4'), ('y', 'i4')])\n"
    "f['odd\\tname\\\\'] = 1.5\n"
    "f['soft'] = h5py.SoftLink('/bf16')\n"
    "f['away'] = h5py.ExternalLink('other.h5', '/x')\n"
    "f['of'].attrs['note'] = 'not part of it'\n";

static const char *interpreter; /* set by main, before any test */

/* Does the interpreter have h5py? */
static bool has_h5py(const char *python) {
    SB_AUTO_FREE char *command = sb_format("'%s' -c 'import h5py, numpy' 2>/dev/null", python);
    return command && system(command) == 0;
}

static const char *find_interpreter(void) {
    const char *const candidates[] = {getenv("SAMEBITS_PYTHON"), "python3", "/usr/bin/python3"};
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (candidates[i] && *candidates[i] && has_h5py(candidates[i]))
            return candidates[i];
    }
    return NULL;
}

/* The first Python block of the page, as a file. */
static void write_script(const char *path) {
    const char *source = getenv("SAMEBITS_SOURCE");
    SB_AUTO_FREE char *page = sb_format("%s/docs/fingerprint.md", source ? source : ".");
    SB_AUTO_FREE char *text = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_file_read(page, 1 << 20, &text, NULL, &err) == 0, "%s", err.text);
    char *begin = strstr(text, "```python\n");
    ck_assert_ptr_nonnull(begin);
    begin += strlen("```python\n");
    char *end = strstr(begin, "```");
    ck_assert_ptr_nonnull(end);
    ck_assert_int_eq(sb_file_write(path, begin, (size_t)(end - begin), NULL), 0);
}

/* What `python script file` prints, without the newline. */
static void run_python(const char *script, const char *file, char *line, size_t n) {
    SB_AUTO_FREE char *command = sb_format("'%s' '%s' '%s'", interpreter, script, file);
    FILE *output = popen(command, "r");
    ck_assert_ptr_nonnull(output);
    line[0] = '\0';
    if (fgets(line, (int)n, output))
        line[strcspn(line, "\n")] = '\0';
    ck_assert_int_eq(pclose(output), 0);
}

static void expect_the_same(const char *folder, char *path, size_t n_tensors) {
    SB_AUTO_FREE char *script = sb_path_join(folder, "fingerprint.py");
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    const struct sb_weights_options options = {.digest = SB_DIGEST_SHA256};
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    char printed[200];
    write_script(script);
    run_python(script, path, printed, sizeof printed);
    ck_assert_msg(sb_weights_fingerprint(&files, &options, &fingerprint, &err) == 0, "%s",
                  err.text);
    ck_assert_uint_eq(fingerprint.n_tensors, n_tensors);
    ck_assert_str_eq(fingerprint.text, printed);
    sb_fingerprint_clear(&fingerprint);
}

START_TEST(files_of_h5py_have_the_fingerprint_that_the_page_computes)
{
    enum { N_TYPES = 21, N_EACH = 7, OTHERS = 2 };
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    SB_AUTO_FREE char *script = sb_path_join(folder, "writer.py");
    char nothing[8];
    ck_assert_int_eq(sb_file_write(script, writer, strlen(writer), NULL), 0);
    run_python(script, path, nothing, sizeof nothing);
    expect_the_same(folder, path, N_TYPES * N_EACH + OTHERS);
    remove_folder(folder);
}
END_TEST

START_TEST(our_own_files_have_the_fingerprint_that_the_page_computes)
{
    static const uint64_t dims[] = {2, 3};
    static unsigned char data[96];
    char names[SB_N_DTYPES][32];
    struct sb_tensor tensors[SB_N_DTYPES];
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i % 3 == 0;
    for (int i = 0; i < SB_N_DTYPES; i++) {
        snprintf(names[i], sizeof names[i], "layers/dense_%d/vars/0", i);
        tensors[i] = (struct sb_tensor){names[i], (enum sb_dtype)i, 2, dims, data};
    }
    ck_assert_int_eq(sb_weights_write_hdf5(path, tensors, SB_N_DTYPES, NULL), 0);
    expect_the_same(folder, path, SB_N_DTYPES);
    remove_folder(folder);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {files_of_h5py_have_the_fingerprint_that_the_page_computes,
                                  our_own_files_have_the_fingerprint_that_the_page_computes};
    interpreter = find_interpreter();
    if (!interpreter)
        return sb_tests_skip("needs h5py: no Python has it (SAMEBITS_PYTHON may name one)");
    return sb_tests_run("weights-script", tests, 2);
}
