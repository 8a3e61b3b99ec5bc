#!/usr/bin/env python3
"""The probe in runs: what consulted sources it notes, what it freezes, and what it says it does not cover."""
import os
import shutil
import subprocess
import sys
import unittest

import program

THREE = ("--repeats", "3", "--exact-repeats")

# Every way in which a program starts another thread or process, each taking random bytes.
STARTS = r"""
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static unsigned char early;
__attribute__((constructor)) static void before_main(void) { getentropy(&early, 1); }
static int byte(void) { unsigned char c; return getrandom(&c, 1, 0) == 1 ? c : 256; }
static void *in_thread(void *at) { *(int *)at = byte(); return NULL; }
static int ended(pid_t pid) { int status; return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 256; }
int main(int n, char **words) {
    if (n > 2) return byte();
    pthread_t threads[2];
    char *child[] = {words[0], (char *)"x", (char *)"y", NULL};
    int found[8] = {early, byte()};
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, in_thread, &found[2 + i]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(byte());
    found[4] = ended(pid);
    pid = vfork();
    if (pid == 0) { execv(words[0], child); _exit(255); }
    found[5] = ended(pid);
    if (posix_spawn(&pid, words[0], NULL, NULL, child, environ) == 0) found[6] = ended(pid);
    FILE *device = fopen("/dev/urandom", "r");
    found[7] = fgetc(device);
    fclose(device);
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
            "{'descr': '<i4', 'fortran_order': False, 'shape': (8,), }");
    fwrite(found, sizeof *found, 8, out);
    return fclose(out) != 0;
}
"""

# A wait of 0.2 s until a point in time of the calendar, measured by a clock that only runs.
WAITS = r"""
#include <pthread.h>
#include <stdio.h>
#include <time.h>
int main(void) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec until, before, after;
    clock_gettime(CLOCK_REALTIME, &until);
    clock_gettime(CLOCK_MONOTONIC, &before);
    until.tv_nsec += 200000000;
    if (until.tv_nsec >= 1000000000) { until.tv_sec++; until.tv_nsec -= 1000000000; }
    pthread_mutex_lock(&mutex);
    while (pthread_cond_timedwait(&condition, &mutex, &until) == 0) ;
    clock_gettime(CLOCK_MONOTONIC, &after);
    int waited = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 190000000L;
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
            "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }");
    fwrite(&waited, sizeof waited, 1, out);
    return fclose(out) != 0 || !waited;
}
"""

# Every way to wait for a time on a clock that only runs, and what that clock says afterwards. They last as long as they
# would, which the kernel's own clock tells.
RUNS = r"""
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
enum { N = 8, WAIT = 20000000 };
static struct timespec now, until;
static long raw(void) { struct timespec t; syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
static int before(void) { clock_gettime(CLOCK_MONOTONIC, &now); return now.tv_sec < until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec < until.tv_nsec); }
int main(void) {
    long found[N][2] = {{0}};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_t on_clock;
    pthread_cond_t usual = PTHREAD_COND_INITIALIZER, running;
    pthread_condattr_init(&on_clock);
    pthread_condattr_setclock(&on_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&running, &on_clock);
    pthread_mutex_lock(&mutex);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    int events = epoll_create1(0);
    for (int way = 0; way < N; way++) {
        long start = raw();
        clock_gettime(CLOCK_MONOTONIC, &until);
        if ((until.tv_nsec += WAIT) >= 1000000000) { until.tv_sec++; until.tv_nsec -= 1000000000; }
        struct timeval length = {0, WAIT / 1000};
        struct epoll_event event;
        switch (way) {
        case 0: while (before()) poll(NULL, 0, 5); break;
        case 1: while (before()) select(0, NULL, NULL, NULL, &length); break;
        case 2: while (before()) epoll_wait(events, &event, 1, 5); break;
        case 3: while (before()) pthread_cond_timedwait(&running, &mutex, &until); break;
        case 4: while (before()) pthread_cond_clockwait(&usual, &mutex, CLOCK_MONOTONIC, &until); break;
        case 5: while (before()) sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until); break;
        case 6: while (before()) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); break;
        case 7: while (before()) ; break;
        }
        long took = raw() - start;
        if (way < 7 && (took < WAIT * 9L / 10 || took > 5000000000L)) return 10 + way;
        found[way][0] = now.tv_sec;
        found[way][1] = now.tv_nsec;
    }
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
            "{'descr': '<i8', 'fortran_order': False, 'shape': (16,), }");
    fwrite(found, sizeof found, 1, out);
    return fclose(out) != 0;
}
"""

# Three numbers are added in the order in which threads come.
ARRIVAL = r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static float sum;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nobody = PTHREAD_COND_INITIALIZER;
static void *add(void *value) {
    pthread_mutex_lock(&mutex);
    sum += *(float *)value;
    pthread_cond_signal(&nobody);
    pthread_mutex_unlock(&mutex);
    return NULL;
}
int main(void) {
    float values[] = {1e8f, -1e8f, 1};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, add, &values[i]);
        usleep(50);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
    fwrite(&sum, sizeof sum, 1, out);
    return fclose(out) != 0;
}
"""

OPENMP = r"""
#include <stdio.h>
int main(void) {
    int arrived = 0;
    _Pragma("omp parallel num_threads(3)") {
        _Pragma("omp critical") arrived++;
        _Pragma("omp barrier")
    }
    FILE *out = fopen("w.npy", "w");
    fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
            "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }");
    fwrite(&arrived, sizeof arrived, 1, out);
    return fclose(out) != 0 || arrived != 3;
}
"""


def sources(run):
    return {entry["source"] for entry in run["observed"]["probe"]["sources"]}


class Probe(program.Program):
    def compile(self, text, *flags):
        compiler = shutil.which("cc")
        if not compiler:
            self.skipTest("needs a C compiler")
        self.write("job.c", text)
        done = subprocess.run([compiler, "-D_GNU_SOURCE", "job.c", "-o", "job", "-pthread", *flags], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        if done.returncode and "-static" in flags:
            self.skipTest("needs a static C library")
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.path("job")

    def python(self, body, *vary, code=1, env=None):
        self.job(body=body)
        environment = {"PYTHONHASHSEED": "0", **(env or {})}
        # -S: what a site's folders hold is none of these tests' concern.
        return self.adhoc(*vary, command=(sys.executable, "-S", "job.py"), options=THREE, code=code, env=environment)

    def test_frozen_entropy_is_the_same_in_threads_and_every_kind_of_child(self):
        job = self.compile(STARTS)
        result = self.adhoc("entropy=live,frozen", command=(job,), options=THREE, code=1)
        self.assertEqual(result["jobs"][0]["unstable_when"], {"entropy": ["live"]})
        calls = {(entry["call"], entry["frozen"]) for run in result["runs"] if run["cell"]["entropy"] == "frozen"
                 for entry in run["observed"]["probe"]["sources"] if entry["source"] == "entropy"}
        self.assertEqual(calls, {("getrandom", True), ("getentropy", True), ("/dev/urandom", True)})

    def test_random_modules_of_python_follow_the_frozen_stream(self):
        result = self.python("import random; values[0] = random.random(); values[1] = os.urandom(1)[0]",
                             "entropy=live,frozen")
        self.assertEqual(result["jobs"][0]["unstable_when"], {"entropy": ["live"]})

    def test_std_random_device_is_frozen_too(self):
        compiler = shutil.which("c++")
        if not compiler:
            self.skipTest("needs a C++ compiler")
        self.write("job.cc", r'''
            #include <cstdio>
            #include <random>
            int main() {
                std::random_device device;
                unsigned word = device();
                FILE *out = fopen("w.npy", "w");
                fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
                        "{'descr': '<u4', 'fortran_order': False, 'shape': (1,), }");
                fwrite(&word, 4, 1, out);
                return fclose(out) != 0;
            }''')
        subprocess.run([compiler, "job.cc", "-o", "job"], cwd=self.folder, check=True)
        result = self.adhoc("entropy=live,frozen", command=(self.path("job"),), options=THREE, code=1)
        self.assertEqual(result["jobs"][0]["unstable_when"], {"entropy": ["live"]})

    def test_what_asks_for_no_random_bytes_makes_the_axis_inert(self):
        result = self.python("", "entropy=live,frozen", code=77)
        self.assertEqual(result["jobs"][0]["axes"][0]["observed"], ["not consulted", "not consulted"])
        self.assertEqual(result["jobs"][0]["axes"][0]["effect"], "inert")

    def test_pythons_hash_seed_is_told_from_entropy_and_not_frozen_with_it(self):
        body = "values[0] = float(hash('a') % 1000003)"
        result = self.python(body, "entropy=live,frozen", env={"PYTHONHASHSEED": "random"})
        self.assertEqual(result["jobs"][0]["verdict"], "nondeterministic")
        self.assertEqual(result["jobs"][0]["unstable_when"], {})
        for run in result["runs"]:
            self.assertIn("hash_seed", sources(run))
            self.assertNotIn("entropy", sources(run))

    def test_frozen_calendar_is_the_same_and_waits_still_end(self):
        body = """
            import time
            time.sleep(0.02)
            values[0], values[1] = float(time.time_ns() % 10**12), float(os.path.getsize(__file__))
            until = time.monotonic() + 0.02
            while time.monotonic() < until: pass
            """
        result = self.python(body, "clock=live,frozen")
        self.assertEqual(result["jobs"][0]["unstable_when"], {"clock": ["live"]})

    def test_waits_until_a_time_of_the_frozen_calendar_are_as_long(self):
        job = self.compile(WAITS)
        result = self.adhoc("clock=live,frozen", command=(job,), options=THREE)
        self.assertEqual(result["jobs"][0]["verdict"], "bitwise")

    def test_clocks_that_only_run_are_frozen_where_that_is_asked_for_and_waits_still_end(self):
        result = self.adhoc("clock=live,frozen,frozen+monotonic", command=(self.compile(RUNS),), options=THREE, code=1)
        self.assertEqual(result["jobs"][0]["unstable_when"], {"clock": ["live", "frozen"]})
        self.assertEqual({run["status"] for run in result["runs"]}, {"ok"})
        observed = {run["cell"]["clock"]: run["observed"]["axes"]["clock"] for run in result["runs"]}
        self.assertEqual(observed["frozen+monotonic"], "frozen+monotonic")

    def test_timers_of_python_are_the_same_on_such_a_clock(self):
        body = """
            import asyncio, threading, time
            values[0], values[1] = time.monotonic_ns() % 10**9, time.perf_counter_ns() % 10**9
            time.sleep(0.01)
            threading.Event().wait(0.01)
            asyncio.run(asyncio.sleep(0.01))
            threading.Lock().acquire(timeout=0.01)
            values[2] = float(time.monotonic_ns() % 10**9)
            """
        result = self.python(body, "clock=frozen,frozen+monotonic")
        self.assertEqual(result["jobs"][0]["unstable_when"], {"clock": ["frozen"]})
        self.assertLess(max(run["wall_s"] for run in result["runs"]), 30)

    def test_a_condition_variable_of_cpp_times_out_on_every_frozen_clock(self):
        compiler = shutil.which("c++")
        if not compiler:
            self.skipTest("needs a C++ compiler")
        self.write("job.cc", r'''
            #include <chrono>
            #include <condition_variable>
            #include <cstdio>
            int main() {
                std::mutex mutex;
                std::condition_variable condition;
                std::unique_lock<std::mutex> lock(mutex);
                const auto wait = std::chrono::milliseconds(50);
                int came = 7 + condition.wait_for(lock, wait, [] { return false; }) +
                           condition.wait_until(lock, std::chrono::system_clock::now() + wait, [] { return false; });
                FILE *out = fopen("w.npy", "w");
                fprintf(out, "%cNUMPY%c%c%c%c%-117s\n", 0x93, 1, 0, 118, 0,
                        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }");
                fwrite(&came, 4, 1, out);
                return fclose(out) != 0;
            }''')
        subprocess.run([compiler, "-std=c++17", "job.cc", "-o", "job", "-pthread"], cwd=self.folder, check=True)
        result = self.adhoc("clock=live,frozen,frozen+monotonic", command=(self.path("job"),),
                            options=(*THREE, "--timeout", "20s"))
        self.assertEqual({run["status"] for run in result["runs"]}, {"ok"})

    def test_order_of_folders_is_that_of_the_level(self):
        for name in "bdac":
            self.write("files/" + name, "")
        body = "values = [float(ord(name)) for name in os.listdir('files')]"
        result = self.python(body, "readdir=sorted,reversed,live", "hash_seed=0")
        first, second = result["jobs"][0]["axes"][0]["classes"][:2]
        self.assertIn("sorted", first)
        self.assertIn("reversed", second)
        self.assertEqual(result["jobs"][0]["axes"][0]["effect"], "bits")

    def test_no_listing_shows_the_probes_own_file(self):
        body = "values[0] = float(len(os.listdir(os.environ['TMPDIR'])))\nassert values[0] == 0"
        for level in ("live", "sorted"):
            result = self.python(body, "readdir=" + level, code=0)
            self.assertEqual(result["runs"][0]["status"], "ok")

    def test_frozen_process_ids_are_counted_from_one(self):
        self.job(body="""
            child = os.fork()
            if child == 0: os._exit(0)
            os.waitpid(child, 0)
            values[0], values[1] = float(os.getpid()), float(child)
            if 'frozen' in sys.argv: assert (os.getpid(), child) == (1, 2)
            """)
        for isolate in ("overlay", "copy", "inplace"):
            result = self.adhoc("pid=live,frozen", code=1, options=(*THREE, "--isolate", isolate, "--out", isolate),
                                command=(sys.executable, "-S", "job.py", "w.npy", "{pid}"))
            if result["jobs"][0]["axes"][0].get("unavailable"):
                self.skipTest("needs pid namespaces")
            self.assertEqual(result["jobs"][0]["unstable_when"], {"pid": ["live"]}, isolate)
            self.assertEqual({run["status"] for run in result["runs"]}, {"ok"})

    def test_a_run_with_frozen_ids_that_hangs_is_ended_with_what_it_started(self):
        self.job(body="import subprocess, time; subprocess.Popen(['sleep', '4711.0815']); time.sleep(600)")
        result = self.adhoc("pid=frozen", code=2, options=("--repeats", "1", "--exact-repeats", "--timeout", "1s"),
                            command=(sys.executable, "-S", "job.py"))
        self.assertEqual(result["runs"][0]["status"], "timeout")
        self.assertEqual(program.processes_with("4711.0815"), [])

    def test_a_busy_neighbour_is_on_the_runs_cpu_and_no_part_of_the_run(self):
        self.job(body="""
            def cpus(task):
                return [line for line in open(f'/proc/{task}/status') if line.startswith('Cpus_allowed_list')]
            beside = [task for task in os.listdir(f'/proc/{os.getppid()}/task') if int(task) != os.getppid()]
            assert len(beside) == (sys.argv[2] == 'on'), beside
            assert all(cpus(f'{os.getppid()}/task/{task}') == cpus('self') for task in beside)
            """)
        result = self.adhoc("load=off,on", "threads=1", options=THREE,
                            command=(sys.executable, "-S", "job.py", "w.npy", "{load}"))
        self.assertEqual(result["jobs"][0]["verdict"], "bitwise")
        self.assertEqual({run["observed"]["threads"] for run in result["runs"]} - {None}, {1})
        self.assertEqual({run["observed"]["axes"]["load"] for run in result["runs"]}, {"off", "on"})

    def test_delays_show_a_race_in_few_runs(self):
        job = self.compile(ARRIVAL)
        result = self.adhoc("schedule=random", command=(job,), code=1,
                            options=("--repeats", "40", "--exact-repeats"))
        self.assertEqual(result["jobs"][0]["verdict"], "nondeterministic")
        self.assertIn("threads", sources(result["runs"][0]))

    def test_delays_change_nothing_that_is_no_race(self):
        self.compile(OPENMP, "-fopenmp")
        result = self.adhoc("schedule=off,random,7", command=(self.path("job"),), options=THREE)
        self.assertEqual(result["jobs"][0]["verdict"], "bitwise")
        self.assertEqual(result["jobs"][0]["axes"][0]["effect"], "none")

    def test_a_frozen_schedule_leaves_a_race_one_result(self):
        job = self.compile(ARRIVAL)
        if self.run_json("--list", "--vary", "schedule=frozen", "--", job)["jobs"][0]["axes"][0]["unavailable"]:
            self.skipTest("needs real-time scheduling")
        result = self.adhoc("schedule=random,frozen", command=(job,), code=1, options=("--repeats", "20"))
        self.assertEqual(result["jobs"][0]["unstable_when"], {"schedule": ["random"]})
        self.job(body="""
            assert os.sched_getscheduler(0) == (os.SCHED_FIFO if sys.argv[2] == 'frozen' else os.SCHED_OTHER)
            assert sys.argv[2] == 'off' or len(os.sched_getaffinity(0)) == 1
            """)
        self.adhoc("schedule=off,frozen", "threads=2", options=THREE, command=(sys.executable, "-S", "job.py", "w.npy", "{schedule}"))

    def test_one_thread_has_no_schedule(self):
        result = self.python("", "schedule=off,random", code=77)
        self.assertEqual(result["jobs"][0]["axes"][0]["effect"], "inert")

    def test_nothing_is_preloaded_that_no_axis_asks_for(self):
        body = "assert 'LD_PRELOAD' not in os.environ and 'SAMEBITS_PROBE' not in os.environ"
        result = self.python(body, "hash_seed=0,1", code=0)
        self.assertIsNone(result["runs"][0]["observed"]["probe"])

    def test_what_a_user_preloads_stays(self):
        body = "assert os.environ['LD_PRELOAD'].endswith(':libm.so.6'), os.environ['LD_PRELOAD']"
        result = self.python(body, "entropy=frozen", code=0,
                             env={"LD_PRELOAD": "libm.so.6", "ASAN_OPTIONS": "verify_asan_link_order=0"})
        self.assertEqual(result["runs"][0]["status"], "ok")

    def test_the_same_without_a_mount_namespace(self):
        self.job(body="values[0] = os.urandom(1)[0]; values[1] = float(len(os.listdir(os.environ['TMPDIR'])))")
        result = self.adhoc("entropy=live,frozen", command=(sys.executable, "-S", "job.py"), code=1,
                            options=(*THREE, "--isolate", "inplace"), env={"PYTHONHASHSEED": "0"})
        self.assertIn("entropy", sources(result["runs"][0]))
        self.assertEqual(result["jobs"][0]["unstable_when"], {"entropy": ["live"]})


if __name__ == "__main__":
    program.main()
