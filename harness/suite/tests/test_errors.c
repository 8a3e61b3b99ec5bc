/* Stage 1, suite: what a wrong suite is answered, to the letter. */
#include "suite/tests/suites.h"

#include <errno.h>

#define JOB "version: 1\njobs:\n  - name: j\n    command: [a]\n"
#define DEFAULT_KEYS                                                                               \
    "backend, dtype, args, weights, exclude, include, inputs, needs, axes, repeats, timeout, "     \
    "design, "                                                                                     \
    "require, rtol, atol, ulp, expect"
#define JOB_KEYS                                                                                   \
    "name, command, train, kernel, backend, dtype, algorithm, shape, shapes, args, weights, "      \
    "exclude, "                                                                                    \
    "include, inputs, needs, axes, repeats, timeout, design, require, rtol, atol, ulp, expect"
#define GEMM "version: 1\njobs:\n  - name: g\n    kernel: gemm\n"

static const struct {
    const char *text, *message;
} cases[] = {
    /* YAML */
    {"", "a.yaml:1:1: nothing in it"},
    {"version: 1\njobs: [",
     "a.yaml:3:1: did not find expected node content (while parsing a flow node that began at "
     "3:1)"},
    {"version: 1\njobs:\n  - name: \"a\n",
     "a.yaml:4:1: found unexpected end of stream (while scanning a quoted scalar that began at "
     "3:11)"},
    {"version: 1\njobs:\n\t- {name: a, command: [a]}\n",
     "a.yaml:3:1: found a tab, where only spaces may stand (while scanning for the next token that "
     "began at 3:1)"},
    {"version: 1\n\tjobs: 1\n",
     "a.yaml:2:1: found a tab, where only spaces may stand (while scanning a plain scalar "
     "that began at 1:10)"},
    {"version: 1\njobs:\n  - name: gr\xfc\xdf\n",
     "a.yaml:3:13: not UTF-8 text: invalid leading UTF-8 octet"},
    {"version: 1\njobs:\n  - name: \xc3\xa9\xed\xa0\x80\n",
     "a.yaml:3:12: not UTF-8 text: invalid Unicode character"},
    {"version: 1\n# \x01\n", "a.yaml:2:3: not UTF-8 text: control characters are not allowed"},
    {JOB "---\nversion: 1\n", "a.yaml:5:1: a second YAML document: a suite is one"},
    {JOB "    timeout: 1m\n    timeout: 2m\n",
     "a.yaml:6:5: key 'timeout' stands twice in this map (first at 5:5)"},
    {JOB "    [a]: 2m\n", "a.yaml:5:5: a key must be text, not a list"},
    {"version: 1\njobs:\n  - name: \"a\\0b\"\n", "a.yaml:3:11: a NUL byte in text"},
    {"version: 1\njobs: !!set {a, b}\n",
     "a.yaml:2:7: tag 'tag:yaml.org,2002:set' has no meaning here"},
    {"version: 1\njobs: *nothing\n",
     "a.yaml:2:7: alias '*nothing': no anchor '&nothing' before it"},
    {"version: 1\njobs: &a [*a]\n", "a.yaml:2:11: alias '*a' stands inside what it repeats"},
    {"version: 1\njobs:\n  - <<: [1]\n",
     "a.yaml:3:10: '<<' merges a map or a list of maps, not text"},
    {"a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
     "a.yaml:1:27: nested more than 24 deep"},
    /* The root */
    {"[]", "a.yaml:1:1: a suite must be a map, not a list"},
    {"jobs: []\n", "a.yaml:1:1: no version: a suite begins with 'version: 1'"},
    {"version: 2\njobs: []\n",
     "a.yaml:1:10: 'version' must be 1, the one that this samebits reads"},
    {"version: [1]\njobs: []\n",
     "a.yaml:1:10: 'version' must be 1, the one that this samebits reads"},
    {"version: 1\n", "a.yaml:1:1: no jobs"},
    {"version: 1\njobs: []\n",
     "a.yaml:2:7: 'jobs' must be a list of at least one job, not an empty one"},
    {"version: 1\njobs: {}\n", "a.yaml:2:7: 'jobs' must be a list of at least one job, not a map"},
    {"version: 1\njob:\n  - name: a\n",
     "a.yaml:2:1: unknown key 'job' (a suite may have: version, defaults, jobs); did you mean "
     "'jobs'?"},
    {"version: 1\ndefaults: []\njobs: []\n", "a.yaml:2:11: 'defaults' must be a map, not a list"},
    {"version: 1\ndefaults:\n  name: a\njobs: []\n",
     "a.yaml:3:3: unknown key 'name' (defaults may have: " DEFAULT_KEYS ")"},
    {"version: 1\ndefaults: {timeouts: 1}\njobs: []\n",
     "a.yaml:2:12: unknown key 'timeouts' (defaults may have: " DEFAULT_KEYS
     "); did you mean 'timeout'?"},
    {"version: 1\ndefaults: {axes: {threads: []}}\njobs: []\n",
     "a.yaml:2:28: axis 'threads': the list is empty"},
    {"version: 1\ndefaults: {weights: ../x}\njobs: []\n",
     "a.yaml:2:21: 'weights': '../x' leaves the run's directory by '..'"},
    /* Jobs */
    {"version: 1\njobs: [a]\n", "a.yaml:2:8: a job must be a map, not text"},
    {"version: 1\njobs:\n  - command: [a]\n", "a.yaml:3:5: a job needs a name"},
    {"version: 1\njobs:\n  - name: a\n", "a.yaml:3:5: a job needs one of: command, train, kernel"},
    {"version: 1\njobs:\n  - name: a\n    comand: [a]\n",
     "a.yaml:4:5: unknown key 'comand' (a job may have: " JOB_KEYS "); did you mean 'command'?"},
    {JOB "    train: dense\n",
     "a.yaml:5:5: a job is one of command, train and kernel: 'command' was given at 4:5 already"},
    {JOB "    repeat: 3\n",
     "a.yaml:5:5: unknown key 'repeat' (a job may have: " JOB_KEYS "); did you mean 'repeats'?"},
    {JOB "    \"a\\nb\\x1b\": 3\n",
     "a.yaml:5:5: unknown key 'a\\x0ab\\x1b' (a job may have: " JOB_KEYS ")"},
    {JOB "    shapes: [[1]]\n", "a.yaml:5:5: key 'shapes' has no meaning for a command"},
    {JOB "    args: {seed: 1}\n", "a.yaml:5:5: key 'args' has no meaning for a command"},
    {JOB "    backend: ref\n", "a.yaml:5:5: key 'backend' has no meaning for a command"},
    {"version: 1\njobs:\n  - {name: t, train: dense, dtype: f32}\n",
     "a.yaml:3:29: key 'dtype' has no meaning for a built-in training"},
    {JOB "  - name: j\n    command: [b]\n", "a.yaml:5:11: job 'j' is there already (first at 3:5)"},
    {GEMM "    backend: [ref, openblas]\n  - {name: g/ref, command: [a]}\n",
     "a.yaml:6:12: job 'g/ref' is there already (first at 3:5)"},
    {"version: 1\njobs:\n  - {name: \"\", command: [a]}\n",
     "a.yaml:3:12: 'name' must have from 1 to 200 bytes"},
    {"version: 1\njobs:\n  - {name: , command: [a]}\n",
     "a.yaml:3:12: 'name' must be text, not nothing"},
    {"version: 1\njobs:\n  - {name: [a], command: [a]}\n",
     "a.yaml:3:12: 'name' must be text, not a list"},
    {"version: 1\njobs:\n  - {name: \"a\\tb\", command: [a]}\n",
     "a.yaml:3:12: 'name': a control character in 'a\\x09b'"},
    /* Commands */
    {"version: 1\njobs:\n  - name: j\n    command: python3 train.py\n",
     "a.yaml:4:14: 'command' must be a list of arguments, such as [python3, train.py]; a line for "
     "the shell is written [sh, -c, \"…\"]"},
    {"version: 1\njobs:\n  - name: j\n    command: []\n",
     "a.yaml:4:14: 'command': the list is empty"},
    {"version: 1\njobs:\n  - name: j\n    command:\n",
     "a.yaml:4:13: 'command' must be a list, not nothing"},
    {"version: 1\njobs:\n  - name: j\n    command: [\"\", a]\n",
     "a.yaml:4:15: 'command': the program's name is empty"},
    {"version: 1\njobs:\n  - name: j\n    command: [a, [b]]\n",
     "a.yaml:4:18: 'command': each item must be text, not a list"},
    {"version: 1\njobs:\n  - name: j\n    command:\n      - a\n      -\n",
     "a.yaml:6:8: 'command': an item with nothing in it (empty text is written \"\")"},
    {"version: 1\njobs:\n  - name: j\n    command: [a, \"{weights}\"]\n",
     "a.yaml:4:18: {weights} stands for the path of the weights, and none is given (for a literal "
     "brace write '{{')"},
    {"version: 1\njobs:\n  - name: j\n    weights: \"*.h5\"\n    command: [a, \"-o{weights}\"]\n",
     "a.yaml:5:18: {weights} stands for one path, and weights is the glob '*.h5'"},
    /* Weights, globs, inputs */
    {JOB "    weights: /tmp/w.h5\n",
     "a.yaml:5:14: 'weights': '/tmp/w.h5' is an absolute path; a run writes its weights below its "
     "own directory, and the path must be relative to it"},
    {JOB "    weights: a/../../w.h5\n",
     "a.yaml:5:14: 'weights': 'a/../../w.h5' leaves the run's directory by '..'"},
    {JOB "    weights: \"\"\n", "a.yaml:5:14: 'weights': '' is empty"},
    {JOB "    weights: out/\n",
     "a.yaml:5:14: 'weights': 'out/' is a folder; 'folder/**' takes every file below it"},
    {JOB "    weights: [a.h5]\n", "a.yaml:5:14: 'weights' must be text, not a list"},
    {GEMM "    weights: \"*.h5\"\n",
     "a.yaml:5:14: 'weights': a built-in job writes one file, and '*.h5' is a glob"},
    {JOB "    exclude: []\n", "a.yaml:5:14: 'exclude': the list is empty"},
    {JOB "    exclude: {a: b}\n", "a.yaml:5:14: 'exclude' must be text or a list, not a map"},
    {JOB "    include: [a, \"\"]\n", "a.yaml:5:18: 'include': empty text"},
    {JOB "    inputs: [[a]]\n", "a.yaml:5:14: 'inputs': each item must be text, not a list"},
    /* Axes */
    {JOB "    axes: [threads]\n", "a.yaml:5:11: 'axes' must be a map, not a list"},
    {JOB "    axes: {threads: [1, 2, 1]}\n",
     "a.yaml:5:28: axis 'threads': level '1' is given twice"},
    {JOB "    axes: {threads: []}\n",
     "a.yaml:5:21: axis 'threads': no levels, and no default to take away"},
    {JOB "    axes: {threads: }\n",
     "a.yaml:5:21: axis 'threads': no levels, and no default to take away"},
    {JOB "    axes: {threads: [[1]]}\n",
     "a.yaml:5:22: axis 'threads': each item must be text, not a list"},
    {JOB "    axes: {threads: {min: 1}}\n",
     "a.yaml:5:21: axis 'threads' must be text or a list, not a map"},
    {JOB "    axes: {\"a b\": 1}\n",
     "a.yaml:5:12: axis 'a b': an axis is named by a letter and then letters, digits, _ and -"},
    {JOB "    axes: {\"env:\": 1}\n",
     "a.yaml:5:12: axis 'env:': env: needs the name of an environment variable"},
    {JOB "    axes: {repeats: [1]}\n",
     "a.yaml:5:12: axis 'repeats': repeats are no axis: 'repeats' is a key of the job, and "
     "--repeats an option"},
    {JOB "    axes: {weights: [1]}\n",
     "a.yaml:5:12: axis 'weights': {weights} stands for the path of the weights, so no axis may "
     "have that name"},
    {JOB "    axes:\n      threads:\n        - 1\n        -\n",
     "a.yaml:8:10: axis 'threads': an item with nothing in it (empty text is written \"\")"},
    /* Repeats, timeout, design, require, tolerance, expect */
    {JOB "    repeats: 0\n",
     "a.yaml:5:14: repeats '0': neither a number from 1 to 1000000, such as 3, nor a range, such "
     "as 3..50"},
    {JOB "    repeats: -3\n",
     "a.yaml:5:14: repeats '-3': neither a number from 1 to 1000000, such as 3, nor a range, such "
     "as 3..50"},
    {JOB "    repeats: 3.5\n",
     "a.yaml:5:14: repeats '3.5': neither a number from 1 to 1000000, such as 3, nor a range, such "
     "as 3..50"},
    {JOB "    repeats: 99999999999999999999999\n",
     "a.yaml:5:14: repeats '99999999999999999999999': neither a number from 1 to 1000000, such as "
     "3, nor a range, such as 3..50"},
    {JOB "    repeats: 5..3\n", "a.yaml:5:14: repeats '5..3': the maximum is below the minimum"},
    {JOB "    repeats: [3]\n",
     "a.yaml:5:14: 'repeats' must be a number or a map of min, max, stop, exact, not a list"},
    {JOB "    repeats: {}\n", "a.yaml:5:14: 'repeats': the map is empty"},
    {JOB "    repeats: {mim: 3}\n",
     "a.yaml:5:15: unknown key 'mim' (repeats may have: min, max, stop, exact); did you mean "
     "'min'?"},
    {JOB "    repeats: {min: 0}\n",
     "a.yaml:5:20: 'repeats': 'min': '0' is not a whole number from 1"},
    {JOB "    repeats: {min: 3, max: 2}\n", "a.yaml:5:14: 'repeats': max 2 is below min 3"},
    {JOB "    repeats: {max: 2}\n", "a.yaml:5:14: 'repeats': max 2 is below min 3"},
    {JOB "    repeats: {max: 2000000}\n", "a.yaml:5:20: 'repeats': 'max': at most 1000000"},
    {JOB "    repeats: {stop: divergence}\n",
     "a.yaml:5:21: 'repeats': 'stop': unknown value 'divergence' (choose from: diverged); did you "
     "mean 'diverged'?"},
    {JOB "    repeats: {exact: yes}\n",
     "a.yaml:5:22: 'repeats': 'exact': unknown value 'yes' (choose from: false, true)"},
    {JOB "    repeats: {max: 5, exact: true}\n",
     "a.yaml:5:14: 'repeats': exact is exactly min, and goes with no max and no stop"},
    {JOB "    timeout: 10 minutes\n",
     "a.yaml:5:14: 'timeout': duration '10 minutes': not a number with ms, s, m, h or d after it, "
     "such as 10m"},
    {JOB "    timeout: -1\n",
     "a.yaml:5:14: 'timeout': duration '-1': not a number with ms, s, m, h or d after it, such as "
     "10m"},
    {JOB "    timeout: [1]\n",
     "a.yaml:5:14: 'timeout' must be a duration, such as 10m, not a list"},
    {JOB "    design: pairwize\n",
     "a.yaml:5:13: 'design': unknown value 'pairwize' (choose from: full, one-at-a-time, "
     "pairwise); did you mean 'pairwise'?"},
    {JOB "    require: exact\n",
     "a.yaml:5:14: 'require': unknown value 'exact' (choose from: bitwise, rounding, ignore)"},
    {JOB "    require: [bitwise]\n", "a.yaml:5:14: 'require' must be text, not a list"},
    {JOB "    require: {threads: roundin}\n",
     "a.yaml:5:24: 'require': 'threads': unknown value 'roundin' (choose from: bitwise, rounding, "
     "ignore); did you mean 'rounding'?"},
    {JOB "    require: {\"\": bitwise}\n", "a.yaml:5:15: 'require': axis '': an axis needs a name"},
    {JOB "    rtol: -1\n", "a.yaml:5:11: 'rtol': '-1' is not a number from 0, such as 1e-6"},
    {JOB "    atol: nan\n", "a.yaml:5:11: 'atol': 'nan' is not a number from 0, such as 1e-6"},
    {JOB "    rtol: 0x10\n", "a.yaml:5:11: 'rtol': '0x10' is not a number from 0, such as 1e-6"},
    {JOB "    ulp: 4\n    rtol: 1e-6\n",
     "a.yaml:6:11: 'ulp' takes the place of 'rtol' and 'atol': give one kind"},
    {JOB "    expect: divergence\n",
     "a.yaml:5:13: 'expect': unknown value 'divergence' (choose from: nondeterministic, "
     "config-dependent, bitwise)"},
    {JOB "    expect: \"\"\n",
     "a.yaml:5:13: 'expect': unknown value '' (choose from: nondeterministic, config-dependent, "
     "bitwise)"},
    /* Kernels */
    {GEMM "    backend: []\n", "a.yaml:5:14: 'backend': the list is empty"},
    {GEMM "    backend: [ref, ref]\n", "a.yaml:5:20: 'backend': 'ref' stands twice"},
    {GEMM "    dtype: [f32, f64, f32]\n", "a.yaml:5:23: 'dtype': 'f32' stands twice"},
    {GEMM "    shapes: []\n",
     "a.yaml:5:13: 'shapes' must be a list of shapes, such as [[512, 512, 512]]"},
    {GEMM "    shapes: [512, 512]\n",
     "a.yaml:5:14: 'shapes': a shape is a list of 1 to 32 sizes, such as [512, 512, 512]"},
    {GEMM "    shapes: [[512, 0]]\n", "a.yaml:5:20: 'shapes': '0' is not a whole number from 1"},
    {GEMM "    shapes: [[512, -1]]\n", "a.yaml:5:20: 'shapes': '-1' is not a whole number from 1"},
    {GEMM "    shapes: [[512, 99999999999999999999]]\n",
     "a.yaml:5:20: 'shapes': '99999999999999999999' is not a whole number from 1"},
    {GEMM "    shapes: [[1, 2], [1, 2]]\n", "a.yaml:5:22: 'shapes': this shape stands twice"},
    {GEMM "    shape: [1]\n    shapes: [[2]]\n",
     "a.yaml:6:13: 'shape' and 'shapes' are one thing: give one of them"},
    {GEMM "    shape: 512\n",
     "a.yaml:5:12: 'shape': a shape is a list of 1 to 32 sizes, such as [512, 512, 512]"},
    {GEMM "    args: [seed]\n", "a.yaml:5:11: 'args' must be a map, not a list"},
    {GEMM "    args: {seed: [1]}\n", "a.yaml:5:18: 'args': 'seed' must be text, not a list"},
    {GEMM "    args: {seed: }\n", "a.yaml:5:18: 'args': 'seed' must be text, not nothing"},
    {GEMM "    args: {\"\": 1}\n", "a.yaml:5:12: 'args': a name is empty"},
};

START_TEST(every_mistake_is_answered_by_place_fault_and_choice)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_suite *suite = (void *)cases;
        struct sb_error err = {0};
        int rc = sb_suite_parse(cases[i].text, strlen(cases[i].text), "a.yaml", NULL, &suite, &err);
        ck_assert_int_eq(rc, -EINVAL);
        ck_assert_str_eq(err.text, cases[i].message);
        ck_assert_ptr_eq(suite, (void *)cases);
    }
}
END_TEST

SB_TEST_MAIN("suite-errors", every_mistake_is_answered_by_place_fault_and_choice)
