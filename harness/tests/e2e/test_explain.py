#!/usr/bin/env python3
"""What `samebits explain` says of programs whose causes are known."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import program

# One number, that depends on what argv[1] says; written as float32 to w.npy.
CAUSES = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static uint32_t mix(uint64_t x) { x ^= x >> 31; x *= 0x9e3779b97f4a7c15u; x ^= x >> 29; return (uint32_t)(x >> 20); }
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t order;
static int drawing, hidden; /* by whatever freezing entropy does to the time things take */
static void *arrive(void *id) {
    usleep(hidden ? (unsigned)(uintptr_t)id * 10000 : 300);
    uint32_t drawn = 0;
    if (drawing && getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) abort();
    pthread_mutex_lock(&mutex);
    order = drawing ? order + drawn : mix(order * 31 + (uint32_t)(uintptr_t)id);
    pthread_mutex_unlock(&mutex);
    return NULL;
}
static uint32_t race(int n) {
    pthread_t threads[16];
    for (int i = 0; i < n; i++) {
        if (n == 1) arrive((void *)1);
        else pthread_create(&threads[i], NULL, arrive, (void *)(uintptr_t)(i + 1));
    }
    for (int i = 0; i < n && n > 1; i++) pthread_join(threads[i], NULL);
    return order;
}
/* In the order in which children end their work, as tasks of a pool do. */
static uint32_t children(void) {
    int ends[2];
    unsigned char id;
    if (pipe(ends) != 0) abort();
    for (id = 1; id <= 12; id++)
        if (fork() == 0) {
            for (volatile int i = 0; i < 300000; i++) {}
            _exit(write(ends[1], &id, 1) != 1);
        }
    close(ends[1]);
    while (read(ends[0], &id, 1) == 1) order = mix(order * 31 + id);
    return order;
}
int main(int n, char **words) {
    const char *what = words[1];
    uint32_t value = 7;
    if (strstr(what, "entropy")) { uint32_t r; if (getrandom(&r, sizeof r, 0) != sizeof r) return 1; value += r; }
    if (strstr(what, "time")) value += mix((uint64_t)time(NULL));
    if (strstr(what, "running clock")) { struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now); value += mix((uint64_t)now.tv_nsec); }
    if (strstr(what, "pid")) value += mix((uint64_t)getpid());
    if (strstr(what, "memory")) { char *volatile p = malloc(2000), *volatile end = malloc(10); free(p); volatile uint64_t *q = malloc(2000); value += mix(q[0]) + !end; }
    if (strstr(what, "aslr")) value += mix((uint64_t)(uintptr_t)&mutex);
    if (strstr(what, "race")) { const char *t = getenv("OMP_NUM_THREADS"); value += race(t && atoi(t) == 1 ? 1 : 16); }
    if (strstr(what, "hiding")) { const char *p = getenv("SAMEBITS_PROBE"); uint8_t r; hidden = p && strstr(p, "entropy=1"); if (getrandom(&r, 1, 0) != 1) return 1; }
    drawing = strstr(what, "drawing") != NULL;
    if (strstr(what, "stubborn")) value += race(16);
    if (strstr(what, "children")) value += children();
    if (strstr(what, "slow")) usleep(200000); /* long enough to be seen from outside */
    if (strstr(what, "flag")) value += getenv("MKL_CBWR") != NULL;
    if (strstr(what, "variable")) value += getenv("MY_KNOB") && strcmp(getenv("MY_KNOB"), "1") == 0;
    float weight = (float)(value % 1000003);
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    fwrite(&weight, sizeof weight, 1, out);
    return fclose(out) != 0;
}
"""

# A reduction whose clause says how many threads, over values of a wide range.
REDUCTION = r"""
#include <math.h>
#include <stdint.h>
#include <stdio.h>
static float x[1000000];
int main(void) {
    uint32_t state = 1;
    for (int i = 0; i < 1000000; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = ((float)state / 4e9f - 0.5f) * (float)(1 << (state >> 8) % 20);
    }
    float sums[8] = {0};
    for (int k = 0; k < 8; k++) {
        float sum = 0;
        #pragma omp parallel for reduction(+ : sum) num_threads(4)
        for (int i = 0; i < 1000000; i++) sum += x[i] * (float)(k + 1);
        sums[k] = sum;
    }
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0, "{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }");
    fwrite(sums, sizeof sums, 1, out);
    return fclose(out) != 0;
}
"""
# The random bytes that the kernel puts beside a program's arguments.
AUXILIARY = "#include <sys/auxv.h>\n" + CAUSES.replace(
    "if (getrandom(&r, sizeof r, 0) != sizeof r) return 1;", "memcpy(&r, (void *)getauxval(AT_RANDOM), sizeof r);")

# An allocator that asks for random bytes while it holds its lock.
WITHIN = r"""
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>
static volatile int held;
static uint16_t drawn;
extern void *__libc_malloc(size_t n);
void *malloc(size_t n) {
    while (__atomic_exchange_n(&held, 1, __ATOMIC_ACQUIRE)) usleep(1000);
    if (!drawn && getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) _exit(1);
    __atomic_store_n(&held, 0, __ATOMIC_RELEASE);
    return __libc_malloc(n);
}
int main(void) {
    FILE *out = fopen("w.npy", "w");
    float weight = drawn;
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    fwrite(&weight, sizeof weight, 1, out);
    return fclose(out) != 0;
}
"""


class Explain(program.Program):
    def setUp(self):
        super().setUp()
        self.write("causes.c", CAUSES)
        subprocess.run(["cc", "-O1", "-pthread", "-o", "causes", "causes.c"], cwd=self.folder, check=True)

    def explain(self, what, *vary, code=0, run_code=1, options=(), command=None):
        axes = [word for axis in vary for word in ("--vary", axis)]
        self.samebits("run", "-q", "--force", "--out", "out", *axes, "--", *(command or ("./causes", what)), code=run_code)
        done = self.samebits("explain", "--json", *options, "out", code=code)
        document = json.loads(done.stdout)
        self.assertEqual(document["schema"], "samebits.explain/1")
        job, = document["jobs"]
        return job

    def sources(self, job):
        return [cause["source"] for cause in job["causes"]]

    def expect(self, what, *sources, vary=("locale=C,C.UTF-8",)):
        job = self.explain(what, *vary)
        self.assertEqual(self.sources(job), list(sources), job)
        for cause in job["causes"]:
            self.assertEqual(cause["status"], "confirmed", cause)
            self.assertGreater(cause["evidence"]["without"]["distinct"], 1)
            self.assertEqual(cause["evidence"]["with"]["distinct"], 1)
            self.assertLess(cause["evidence"]["luck"], 0.05)
            self.assertTrue(cause["fix"])
        return job

    def test_entropy(self):
        self.assertIn("getrandom by causes", self.expect("entropy", "entropy")["causes"][0]["fix"])

    def test_process_ids(self):
        self.expect("pid", "pid")

    def test_addresses(self):
        self.expect("aslr", "aslr")

    def test_memory_that_was_never_written(self):
        # What a freed block holds is an address, so that addresses that stay would do as well.
        self.assertEqual(self.expect("memory", "memory")["causes"][0]["alternatives"], ["aslr"])

    def test_sources_that_are_needed_together(self):
        self.expect("entropy aslr", "entropy", "aslr")

    def test_the_second_in_which_it_starts(self):
        self.write("slow.sh", "sleep 0.4; exec ./causes time")
        job = self.explain("", "locale=C,C.UTF-8", command=("sh", "slow.sh"))
        self.assertEqual(self.sources(job), ["clock"])

    def test_a_clock_that_only_runs(self):
        job = self.explain("running clock")
        self.assertEqual([(cause["source"], cause["status"]) for cause in job["causes"]], [("clock", "confirmed")], job)
        self.assertEqual(job["causes"][0]["evidence"]["with"]["setting"], "clock=frozen+monotonic")
        self.assertIsNone(job["open"])

    def test_hash_seed_of_python(self):
        self.write("order.py", "import struct\n"
                               "ids = ''.join({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'})\n"
                               "with open('w.npy', 'wb') as out:\n"
                               "    out.write(b'\\x93NUMPY\\x01\\x00\\x76\\x00' + b\"{'descr': '|u1', 'fortran_order': False, "
                               "'shape': (9,), }\".ljust(117) + b'\\n' + ids.encode())\n")
        job = self.explain("", "locale=C,C.UTF-8", command=(program.PYTHON, "order.py"))
        self.assertEqual(self.sources(job), ["hash_seed"])

    def test_a_race(self):
        job = self.explain("race", "threads=2,1")
        self.assertEqual(self.sources(job)[:1], ["schedule"], job)
        self.assertEqual(job["causes"][0]["evidence"]["with"]["setting"], "threads=1 env:OMP_THREAD_LIMIT=1")

    def needs_turns(self):
        plan = self.run_json("--list", "--vary", "schedule=off,frozen", "--", "true")
        if plan["jobs"][0]["axes"][0]["unavailable"]:
            self.skipTest("needs real-time scheduling")

    def test_a_race_of_threads_that_nothing_outside_can_count(self):
        self.needs_turns()
        job = self.explain("stubborn entropy")
        self.assertEqual(self.sources(job), ["schedule", "entropy"], job)
        race = job["causes"][0]
        self.assertEqual(race["status"], "confirmed", race)
        self.assertIn("schedule=frozen", race["evidence"]["with"]["setting"])
        self.assertNotIn("schedule=frozen", race["evidence"]["without"]["setting"])

    def test_a_race_alone(self):
        self.needs_turns()
        self.assertEqual(self.sources(self.explain("stubborn")), ["schedule"])

    def test_a_race_that_freezing_a_source_hides(self):
        self.needs_turns()
        race, = self.explain("hiding stubborn")["causes"]
        self.assertEqual((race["source"], race["evidence"]["with"]["setting"]), ("schedule", "schedule=frozen"), race)

    def test_what_threads_draw_is_no_race(self):
        self.needs_turns()
        job = self.explain("drawing stubborn")
        self.assertEqual(self.sources(job), ["entropy"], job)

    def test_a_race_of_processes(self):
        self.needs_turns()
        job = self.explain("children")
        self.assertEqual([(cause["source"], cause["status"]) for cause in job["causes"]], [("schedule", "confirmed")], job)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_a_race_is_suspected_where_its_schedule_cannot_be_frozen(self):
        os.chmod(self.folder, 0o777)
        for command in (("run", "-q", "--out", "out", "--", "./causes", "stubborn"), ("explain", "--json", "out")):
            done = subprocess.run([program.SAMEBITS, *command], cwd=self.folder, user=65534, group=65534, extra_groups=[],
                                  capture_output=True, text=True, timeout=300, check=False)
        job, = json.loads(done.stdout)["jobs"]
        self.assertEqual(done.returncode, 2, job)
        self.assertEqual([(cause["source"], cause["status"]) for cause in job["causes"]], [("schedule", "suspected")], job)
        self.assertIn("schedule (real-time scheduling is not permitted", job["open"])

    def test_openmp_that_asks_for_its_own_number_of_threads(self):
        self.write("reduce.c", REDUCTION)
        subprocess.run(["cc", "-O1", "-fopenmp", "-o", "reduce", "reduce.c"], cwd=self.folder, check=True)
        job = self.explain("", command=("./reduce",))
        self.assertEqual([(cause["source"], cause["status"]) for cause in job["causes"]], [("schedule", "confirmed")], job)
        self.assertIn("env:OMP_THREAD_LIMIT=1", job["causes"][0]["evidence"]["with"]["setting"])

    def test_an_effect_that_is_gone_is_no_cause(self):
        self.job(body="order = list({f'w{i}' for i in range(99)})\nvalues = [float(word[1:]) for word in order]")
        self.samebits("run", "-q", "--out", "out", "--vary", "hash_seed=0,1", "--", "python3", "job.py", code=1)
        self.job(body="order = sorted({f'w{i}' for i in range(99)})\nvalues = [float(word[1:]) for word in order]")
        job, = json.loads(self.samebits("explain", "--json", "out", code=2).stdout)["jobs"]
        self.assertEqual((job["causes"], job["verdict"]), ([], "config-dependent"))
        self.assertIn("hash_seed=0 and with hash_seed=1 agree now", job["open"])

    def test_an_effect_whose_fresh_runs_differ_among_themselves_is_none(self):
        """A race may agree in all of a result's runs, and be taken for an axis' effect."""
        switch = tempfile.NamedTemporaryFile(prefix="samebits-e2e-")
        self.addCleanup(switch.close)
        self.job(body=f"""
            import random
            seed = int(os.environ['PYTHONHASHSEED'])
            values = [float(seed)] if os.path.getsize({switch.name!r}) == 0 or seed == 0 else [random.random()]
            """)
        self.samebits("run", "-q", "--out", "out", "--vary", "hash_seed=0,1", "--", "python3", "job.py", code=1)
        switch.write(b"1")
        switch.flush()
        job, = json.loads(self.samebits("explain", "--json", "out", code=0).stdout)["jobs"]
        self.assertEqual((job["verdict"], self.sources(job)), ("config-dependent", ["entropy"]), job)

    def test_an_effect_whose_runs_fail_by_now_is_no_cause(self):
        self.job(body="order = list({f'w{i}' for i in range(99)})\nvalues = [float(word[1:]) for word in order]")
        self.samebits("run", "-q", "--out", "out", "--vary", "hash_seed=0,1", "--", "python3", "job.py", code=1)
        os.remove(self.path("job.py"))
        job, = json.loads(self.samebits("explain", "--json", "out", code=2).stdout)["jobs"]
        self.assertEqual(job["causes"], [])
        self.assertIn("fail now", job["open"])

    def test_the_call_by_which_bits_part(self):
        """Of a built-in training, whose calls have the names of kernels."""
        levels = [level for level in ("sse2", "avx2") if level in self.samebits("doctor", code=None).stdout.split("isa")[1].split("\n")[0]]
        if len(levels) < 2:
            self.skipTest("needs avx2: two instruction sets that differ")
        self.write("s.yaml", """
            version: 1
            jobs:
              - {name: a, train: dense, backend: openblas, args: {hidden: 64, features: 32}, require: {isa: ignore},
                 axes: {isa: [sse2, avx2], threads: [1]}}
            """)
        self.samebits("run", "-q", "s.yaml", "--out", "out", code=0)
        cause, = json.loads(self.samebits("explain", "--json", "out", code=0).stdout)["jobs"][0]["causes"]
        self.assertEqual(cause["source"], "isa")
        self.assertEqual({key: cause["culprit"][key] for key in ("step", "seq", "kernel", "backend", "call", "status")},
                         {"step": 1, "seq": 1, "kernel": "gemm", "backend": "openblas", "call": "gemm 16x64x32 f32",
                          "status": "confirmed"})
        self.assertIn("first call whose inputs are equal", self.samebits("explain", "out", code=0).stdout)

    def test_a_variable(self):
        job = self.explain("variable", "env:MY_KNOB=0,1")
        self.assertEqual(self.sources(job), ["env:MY_KNOB"])
        self.assertEqual(job["causes"][0]["status"], "confirmed")

    def test_which_setting_of_the_deterministic_flag(self):
        job = self.explain("flag", "deterministic=off,on")
        self.assertEqual(self.sources(job), ["deterministic"])
        self.assertEqual(job["causes"][0]["evidence"]["setting"], "MKL_CBWR=AUTO")

    def test_nothing_to_explain(self):
        job = self.explain("nothing", "threads=1,2", run_code=0)
        self.assertEqual((job["causes"], job["open"]), ([], None))

    def test_what_no_switch_reaches_is_said_to_be_open(self):
        self.write("auxiliary.c", AUXILIARY)
        subprocess.run(["cc", "-O1", "-pthread", "-o", "auxiliary", "auxiliary.c"], cwd=self.folder, check=True)
        job = self.explain("", "locale=C,C.UTF-8", code=2, command=("./auxiliary", "entropy"))
        self.assertEqual(job["causes"], [])
        self.assertIn("with everything frozen and threads held back", job["open"])

    def test_a_program_of_which_system_calls_alone_are_frozen_is_named(self):
        self.write("alone.c", AUXILIARY)
        done = subprocess.run(["cc", "-O1", "-pthread", "-static", "-o", "alone", "alone.c"], cwd=self.folder,
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("needs a static C library")
        job = self.explain("", "locale=C,C.UTF-8", code=2, command=("./alone", "entropy slow"))
        self.assertIn("system calls are all that is frozen of alone", job["open"])

    def test_a_source_in_a_child_process_is_found(self):
        self.write("child.sh", "./causes pid & wait")
        self.assertEqual(self.sources(self.explain("", "locale=C,C.UTF-8", command=("sh", "child.sh"))), ["pid"])

    def test_of_a_job_that_fails_by_now_that_is_said(self):
        self.samebits("run", "-q", "--out", "out", "--vary", "locale=C", "--", "./causes", "pid", code=1)
        os.remove(self.path("causes"))
        job, = json.loads(self.samebits("explain", "--json", "out", code=2).stdout)["jobs"]
        self.assertIn("runs fail now", job["open"])

    def test_a_bound_ends_it_and_the_same_command_goes_on(self):
        job = self.explain("pid", "locale=C,C.UTF-8", code=2, options=("--runs", "9"))
        self.assertTrue(job["unfinished"])
        self.assertRegex(job["open"], r"so far: nothing frozen: \d+ runs, \d+ results?")
        folder = os.path.join(self.folder, "out", "explain")
        before = self.journal(folder)
        job, = json.loads(self.samebits("explain", "--json", "out", code=0).stdout)["jobs"]
        self.assertEqual(self.sources(job), ["pid"])
        self.assertEqual(self.journal(folder)[:len(before)], before)
        for experiment in os.listdir(folder):
            self.assertEqual(os.listdir(os.path.join(folder, experiment, "weights")), [])  # fingerprints are enough
        again = self.journal(folder)
        self.samebits("explain", "--json", "out", code=0)
        self.assertEqual(self.journal(folder), again)

    def journal(self, folder):
        """That of the search; another experiment may have looked where the source is asked for."""
        journals = []
        for experiment in os.listdir(folder):
            with open(os.path.join(folder, experiment, "journal"), encoding="utf-8") as file:
                journals.append(file.read())
        return max(journals, key=len)

    # ---- Where it is asked for

    def test_the_lines_that_ask_are_named(self):
        self.job("asks.py", body="""
            import random
            import time
            def seed():
                return time.time() * 1e3 % 1e6
            def parts():
                yield float(os.getpid())
                yield seed()
                yield random.random()
            values = list(parts())
            """)
        job = self.explain("", "locale=C", command=(sys.executable, "-S", "asks.py"))
        self.assertEqual(sorted(self.sources(job)), ["clock", "entropy", "pid"])
        folder = os.path.realpath(self.folder)
        where = {cause["source"]: [self.own(place["frames"], folder) for place in cause["asked"]] for cause in job["causes"]}
        clock, pid, imported = (self.line("asks.py", part) for part in ("time.time()", "getpid", "import random"))
        self.assertEqual(where["clock"], [f"{folder}/asks.py:{clock} in seed"])
        self.assertEqual(where["pid"], [f"{folder}/asks.py:{pid} in parts"])
        self.assertIn(f"{folder}/asks.py:{imported} in <module>", where["entropy"])  # random seeds itself there
        said = self.samebits("explain", "out", code=0).stdout
        self.assertIn(f"asked for by asks.py:{clock} in seed (clock_gettime)", said)
        self.assertIn(f"asked for by what is imported: asks.py:{imported}", said)

    def line(self, name, part):
        with open(self.path(name), encoding="utf-8") as file:
            return next(number for number, line in enumerate(file, 1) if part in line)

    def own(self, frames, folder):
        return next(frame for frame in frames if frame.startswith(folder + "/"))

    def test_a_program_without_python_has_its_own_frames(self):
        cause, = self.explain("pid", "locale=C")["causes"]
        place, = cause["asked"]
        self.assertEqual(place["call"], "getpid")
        self.assertRegex(place["frames"][0], r"^causes\(.*\+0x[0-9a-f]+\)$")

    def test_one_that_cannot_be_looked_into_is_explained_all_the_same(self):
        """Who asks inside of an allocation and holds its lock waits for ever to be told where from."""
        self.write("within.c", WITHIN)
        subprocess.run(["cc", "-O1", "-o", "within", "within.c"], cwd=self.folder, check=True)
        job = self.explain("", "locale=C", command=("./within",))
        cause, = job["causes"]
        self.assertEqual(cause["source"], "entropy")
        self.assertNotIn("asked", cause)

    def test_an_interrupt_ends_it_in_good_order(self):
        self.write("slow.sh", "sleep 0.3; exec ./causes pid")
        self.samebits("run", "-q", "--out", "out", "--vary", "locale=C", "--", "sh", "slow.sh", code=1)
        started = subprocess.Popen([program.SAMEBITS, "explain", "--json", "out"], cwd=self.folder,
                                   stdout=subprocess.PIPE, text=True)
        time.sleep(1.5)
        started.send_signal(signal.SIGINT)
        output, _ = started.communicate(timeout=30)
        self.assertEqual(started.returncode, 130)
        self.assertTrue(json.loads(output)["jobs"][0]["unfinished"])

    def test_what_was_found_stands_in_later_reports(self):
        self.write("s.yaml", """
            version: 1
            defaults: {axes: {locale: [C]}, weights: w.npy}
            jobs:
              - {name: pid, command: [./causes, pid]}
              - {name: entropy, command: [./causes, entropy]}
              - {name: steady, command: [./causes, x]}
            """)
        self.samebits("run", "-q", "--out", "out", "s.yaml", code=1)
        self.samebits("explain", "out", "--job", "pid", code=0)
        said = self.samebits("report", "out", code=0).stdout
        self.assertIn("why       pid (confirmed)", said)
        self.assertIn("fix: do not let a process id", said)
        self.assertIn("why       " + program.SAMEBITS + " explain out --job entropy", said)
        self.samebits("explain", "out", "--job", "entropy", code=0)
        self.assertEqual(self.explained(), {"pid": ["pid"], "entropy": ["entropy"]})
        for report, says in (("markdown", "why: entropy (confirmed)"), ("junit:-", "cause: entropy"), ("github", "cause: entropy"),
                             ("tap", "cause: entropy")):
            self.assertIn(says, self.samebits("report", "out", "-r", report, code=0).stdout)
        # What was found of another result is not this one's.
        self.edit("out/result.json", lambda result: result["jobs"][0]["groups"][0].update(runs=["r00099"]))
        self.assertEqual(self.explained(), {"entropy": ["entropy"]})
        # A damaged one is said, and reports are made without.
        self.write("out/explain.json", "{")
        done = self.samebits("report", "out", code=0)
        self.assertIn("explain.json: line 1", done.stderr)
        self.assertIn("explain out --job pid", done.stdout)

    def edit(self, name, change):
        with open(self.path(name), encoding="utf-8") as file:
            document = json.load(file)
        change(document)
        self.write(name, json.dumps(document))

    def explained(self):
        jobs = json.loads(self.samebits("report", "out", "-r", "json", code=0).stdout)["jobs"]
        return {job["name"]: [cause["source"] for cause in job["explained"]["causes"]] for job in jobs if "explained" in job}

    def test_mistakes(self):
        self.samebits("run", "-q", "--out", "out", "--vary", "threads=1", "--", "./causes", "x", code=0)
        for words, says in ((("explain",), "give a results folder"), (("explain", "nowhere"), "nowhere"),
                            (("explain", "out", "--job", "y"), "no job 'y'"), (("explain", "--time", "x", "out"), "--time")):
            self.assertIn(says, self.samebits(*words, code=2).stderr)


if __name__ == "__main__":
    program.main()
