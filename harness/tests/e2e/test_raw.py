#!/usr/bin/env python3
"""Raw system calls: statically linked programs, and others that pass the preloaded probe by."""
import json
import os
import shutil
import signal
import subprocess
import time

import program
import traced
from test_probe import STARTS, THREE, sources

SAVE = r"""
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
""" + traced.SAVE + r"""
static long get(void *bytes, size_t n) { return syscall(SYS_getrandom, bytes, n, 0); }
"""

# Threads that ask, threads that are gone before anybody looked, forked children that ask, and their orphans.
CROWD = SAVE + r"""
enum { N = 12 };
static unsigned char out[3][N][64];
static void ask(unsigned char *to) { for (int i = 0; i < 64; i += 8) get(to + i, 8); }
static void *in_thread(void *to) { ask(to); return NULL; }
static void *quick(void *to) { return to; }
int main(void) {
    pthread_t threads[N];
    int pipes[N][2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) pthread_create(&threads[i], NULL, i % 3 == 1 ? quick : in_thread, out[round][i]);
        for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < N; i++) {
        unsigned char bytes[64];
        if (pipe(pipes[i])) return 1;
        if (fork()) continue;
        if (i % 4 == 1) _exit(0);
        if (i % 4 == 2 && fork()) _exit(0);
        if (i % 4 == 2) usleep(2000);
        ask(bytes);
        _exit(write(pipes[i][1], bytes, 64) != 64);
    }
    for (int i = 0; i < N; i++) {
        close(pipes[i][1]);
        if (read(pipes[i][0], out[2][i], 64) != (i % 4 == 1 ? 0 : 64)) return 1;
    }
    return save(out, sizeof out);
}
"""

# What getrandom(2) and the devices promise, however many bytes are asked for.
PROMISES = SAVE + r"""
static unsigned char out[1 << 20], again[1 << 20];
static int all(const char *path, int way) {
    struct { uint64_t flags, mode, resolve; } how = {O_RDONLY | O_CLOEXEC, 0, 0};
    int fd = way == 0 ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC)
           : way == 1 ? syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how)
                      : syscall(SYS_open, path, O_RDONLY);
    if (fd < 0 || !!(fcntl(fd, F_GETFD) & FD_CLOEXEC) != (way != 2)) return -1;
    for (int done = 0, n = 1; done < 100000; n = n * 3 + 1) {
        ssize_t got = read(fd, again + done, n < 100000 - done ? n : 100000 - done);
        if (got <= 0) return -1;
        done += got;
    }
    for (int i = 0; i < 100000; i++) out[i] ^= again[i];
    return close(fd);
}
int main(void) {
    struct stat; char path[] = "/dev/null";
    if (get(out, sizeof out) != (long)sizeof out || get(again, sizeof again) != (long)sizeof again) return 1;
    if (!memcmp(out, again, sizeof out)) return 2;
    if (get((void *)8, 16) != -1 || errno != EFAULT) return 3;
    if (syscall(SYS_getrandom, again, 16, 0x100) != -1 || errno != EINVAL) return 4;
    if (get(again, 0) != 0) return 5;
    if (all("/dev/urandom", 0) || all("/dev/urandom", 1) || all("/dev/random", 2)) return 6;
    if (syscall(SYS_openat, AT_FDCWD, (char *)8, O_RDONLY) != -1 || errno != EFAULT) return 7;
    if (syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY) != -1 || errno != ENOENT) return 8;
    char *edge = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096 - sizeof path;
    munmap(edge + sizeof path, 4096);
    if (open(memcpy(edge, path, sizeof path), O_RDONLY) < 0) return 9;
    return save(out, sizeof out);
}
"""

# A dynamic program that takes bytes by the library's call, and (with an argument) some by the kernel's in between.
BOTH = SAVE + r"""
int main(int n, char **words) {
    unsigned char out[64], other[32];
    getrandom(out, 32, 0);
    if (words[1][0] == 'r' && get(other, 32) != 32) return 1;
    getrandom(out + 32, 32, 0);
    if (words[1][0] == 'r' && (!memcmp(other, out, 32) || !memcmp(other, out + 32, 32))) return 2;
    return save(words[2] ? (void *)other : (void *)out, words[2] ? 32 : 64);
}
"""

# A signal every half millisecond, and calls all the while: none may fail, nor get bytes twice.
SIGNALS = SAVE + r"""
static volatile int signals;
static void count(int signal) { signals += signal == SIGALRM; }
int main(void) {
    static unsigned char out[3000][4];
    const struct itimerval often = {{0, 500}, {0, 500}};
    signal(SIGALRM, count);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3000; i++) if (get(out[i], 4) != 4) return 1;
    while (!signals) ;
    return save(out, sizeof out);
}
"""

# The random bytes of the vDSO, as Go and newer C libraries take them; the system call where their state cannot be had.
VDSO = SAVE + r"""
#include <elf.h>
typedef ssize_t vgetrandom(void *, size_t, unsigned, void *, size_t);
static vgetrandom *find(void) {
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR), *names = NULL;
    const Elf64_Ehdr *file = (const void *)base;
    const Elf64_Phdr *part = (const void *)(base + file->e_phoff);
    const Elf64_Sym *symbols = NULL;
    const uint32_t *hash = NULL;
    for (int i = 0; base && i < file->e_phnum; i++) {
        const Elf64_Dyn *entry = (const void *)(base + part[i].p_offset);
        for (; part[i].p_type == PT_DYNAMIC && entry->d_tag; entry++) {
            const void *at = base + entry->d_un.d_ptr;
            if (entry->d_tag == DT_SYMTAB) symbols = at;
            if (entry->d_tag == DT_STRTAB) names = at;
            if (entry->d_tag == DT_HASH) hash = at;
        }
    }
    for (uint32_t i = 0; hash && i < hash[1]; i++)
        if (!strcmp(names + symbols[i].st_name, "__vdso_getrandom")) return (vgetrandom *)(base + symbols[i].st_value);
    return NULL;
}
int main(void) {
    struct { uint32_t size, prot, flags, reserved[13]; } wanted;
    unsigned char out[64];
    vgetrandom *vdso = find();
    if (!vdso || vdso(NULL, 0, 0, &wanted, ~0UL)) return 3;
    void *state = mmap(NULL, 4096, wanted.prot, wanted.flags, -1, 0);
    for (int i = 0; i < 64; i += 8)
        if ((state == MAP_FAILED ? get(out + i, 8) : vdso(out + i, 8, 0, state, wanted.size)) != 8) return 1;
    return save(out, sizeof out);
}
"""

# Two clocks of the calendar, by the kernel's own calls.
TIMES = SAVE + r"""
int main(void) {
    struct { struct timespec now, coarse; struct timeval day; time_t seconds[2]; } out;
    struct timespec live[2];
    memset(&out, 0, sizeof out);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &out.now);
    syscall(SYS_clock_gettime, CLOCK_REALTIME_COARSE, &out.coarse);
    syscall(SYS_gettimeofday, &out.day, NULL);
    out.seconds[0] = syscall(SYS_time, &out.seconds[1]);
    /* Its seconds are the coarse clock's, which goes on with the timer's ticks. */
    if (out.seconds[0] != out.seconds[1] || out.coarse.tv_sec > out.seconds[0]) return 1;
    if (syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8) != -1 || errno != EFAULT) return 2;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &live[0]);
    usleep(2000);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &live[1]);
    if ((live[1].tv_sec - live[0].tv_sec) * 1000000000L + live[1].tv_nsec - live[0].tv_nsec < 1900000) return 3;
    return save(&out, sizeof out);
}
"""

ASKS = SAVE + r"""
int main(int n, char **words) {
    unsigned char out[32];
    memset(out, 0, sizeof out);
    if (n > 1 && !strcmp(words[1], "secret")) prctl(PR_SET_DUMPABLE, 0);
    if (n > 1 && !strcmp(words[1], "python")) return syscall(SYS_getrandom, out, 24, GRND_NONBLOCK) != 24 || save(out, 24);
    if (get(out, sizeof out) != sizeof out) return 1;
    if (n > 1 && !strcmp(words[1], "hang")) for (;;) get(out, 1);
    if (n > 1 && !strcmp(words[1], "print")) { for (int i = 0; i < 32; i++) printf("%02x", out[i]); return 0; }
    return save(out, sizeof out);
}
"""

# Through the gate of 32-bit programs, which any program may take.
GATE = SAVE + r"""
int main(void) {
    unsigned char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long n = 355;
    __asm__ volatile("int $0x80" : "+a"(n) : "b"(low), "c"(32), "d"(0) : "memory", "r8", "r9", "r10", "r11");
    return n != 32 || save(low, 32);
}
"""

# Starts a command that cannot have a listener of its own: seccomp(2) fails, or there is one already.
FORBIDS = r"""
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int n, char **words) {
    struct sock_filter refuse[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
                                   {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_seccomp},
                                   {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
                                   {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    int listens = words[1][0] == 'l';
    struct sock_fprog code = {listens ? 1 : 4, listens ? refuse + 3 : refuse};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listens ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &code);
    if (fd < 0) return 99;
    if (listens) fcntl(fd, F_SETFD, 0);
    execvp(words[2], words + 2);
    return 98;
}
"""

FROZEN_ALONE = {"entropy": ["live"]}
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def raw_calls(run):
    return {(entry["call"], entry["program"], entry["frozen"]) for entry in run["observed"]["probe"]["sources"]
            if entry["source"] == "entropy"}


def seccomp_mode(pid="self"):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(line.split()[1] for line in file if line.startswith("Seccomp:"))


class Raw(program.Program):
    def compile(self, text, *flags, name="job"):
        compiler = shutil.which("cc")
        if not compiler:
            self.skipTest("needs a C compiler")
        self.write(name + ".c", text)
        done = subprocess.run([compiler, "-D_GNU_SOURCE", "-O1", name + ".c", "-o", name, "-pthread", *flags],
                              cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode and "-static" in flags:
            self.skipTest("needs a static C library")
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.path(name)

    def samebits(self, *arguments, under=(), **more):
        if not under:
            return super().samebits(*arguments, **more)
        code, env = more.get("code"), {**os.environ, **(more.get("env") or {})}
        done = subprocess.run([*under, program.SAMEBITS, *arguments], cwd=self.folder, env=env, timeout=300,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-2000:])
        return done

    def entropy(self, *command, options=THREE, code=1, **more):
        return self.adhoc("entropy=live,frozen", command=command, options=options, code=code, **more)

    def assert_frozen(self, result, calls=None, note=None):
        """Frozen it is one result, live others; and the frozen runs say what was asked, and what was watched."""
        self.assertEqual(result["jobs"][0]["unstable_when"], FROZEN_ALONE, note)
        for run in result["runs"]:
            probe = run["observed"]["probe"]
            self.assertEqual(run["status"], "ok", note)
            if run["cell"]["entropy"] == "live":
                self.assertIsNone(probe["raw"])
                continue
            self.assertEqual((probe["raw"]["frozen"], probe["raw"]["refused"]), (["entropy"], None), note)
            self.assertEqual(probe["not_covered"], [], note)
            self.assertEqual(run["observed"]["axes"]["entropy"], "frozen", note)
            if calls is not None:
                self.assertEqual(raw_calls(run), calls, note)

    def test_a_statically_linked_program_and_its_children_are_frozen_under_every_isolation(self):
        job = self.compile(STARTS, "-static")
        for isolate in ("overlay", "copy", "inplace"):
            if isolate == "overlay" and not program.works("unshare", "-m", "true"):
                continue
            result = self.entropy(job, options=(*THREE, "--isolate", isolate, "--out", isolate))
            self.assert_frozen(result, {("raw getrandom", "job", True), ("raw /dev/urandom", "job", True)}, isolate)
            frozen = [run for run in result["runs"] if run["cell"]["entropy"] == "frozen"]
            self.assertEqual({tuple(run["observed"]["probe"]["raw"]["programs"]) for run in frozen}, {("job",)})

    def test_threads_children_and_orphans_have_streams_by_their_place(self):
        for name, flags in (("job", ["-static"]), ("dynamic", [])):
            job = self.compile(CROWD, *flags, name=name)
            result = self.entropy(job, options=("--repeats", "12", "--exact-repeats", "--out", "r" + name))
            self.assert_frozen(result, {("raw getrandom", name, True)}, name)

    def test_places_hold_where_the_run_has_process_ids_of_its_own(self):
        job = self.compile(CROWD, "-static")
        result = self.adhoc("entropy=live,frozen", "pid=frozen", command=(job,), code=1,
                            options=("--repeats", "8", "--exact-repeats"))
        if any(axis.get("unavailable") for axis in result["jobs"][0]["axes"]):
            self.skipTest("needs pid namespaces")
        self.assert_frozen(result, {("raw getrandom", "job", True)})

    def test_any_number_of_bytes_and_every_error_is_as_the_kernel_has_it(self):
        job = self.compile(PROMISES, "-static")
        self.assert_frozen(self.entropy(job), {("raw getrandom", "job", True), ("raw /dev/urandom", "job", True),
                                               ("raw /dev/random", "job", True)})

    def test_raw_calls_of_a_dynamic_program_are_frozen(self):
        self.assert_frozen(self.entropy(self.compile(BOTH), "raw", "other"))

    def test_raw_calls_do_not_change_what_the_library_gives(self):
        job = self.compile(BOTH)
        forbids = self.compile(FORBIDS, name="forbids")
        prints = [self.entropy(job, level, code=1, options=(*THREE, "--out", str(i)), under=under)["jobs"][0]["groups"]
                  for i, (level, under) in enumerate((("lib", ()), ("raw", ()), ("raw", (forbids, "refuse"))))]
        same = set.intersection(*({group["fingerprint"] for group in groups if len(group["runs"]) == 3}
                                  for groups in prints[1:]))
        self.assertEqual(len(same), 1, prints)
        self.assertEqual([len(groups) for groups in prints], [4, 4, 4])

    def test_a_script_and_the_static_programs_that_it_starts(self):
        self.compile(ASKS, "-static", name="child")
        script = self.write("job.sh", """\
            #!/bin/sh
            ./child print >one; ./child print again >two; (exec ./child print third) >three
            cmp -s one two && exit 1
            printf "\\223NUMPY\\001\\000\\166\\000%-117s\\n" "{'descr': '|u1', 'fortran_order': False, 'shape': (192,), }" >w.npy
            cat one two three >>w.npy
            """, mode=0o755)
        self.assert_frozen(self.entropy(script), {("raw getrandom", "child", True)})

    def test_signals_neither_fail_a_call_nor_repeat_it(self):
        self.assert_frozen(self.entropy(self.compile(SIGNALS, "-static")))

    def test_random_bytes_of_the_vdso_are_frozen(self):
        job = self.compile(VDSO, "-static")
        if subprocess.run([job], cwd=self.folder, check=False).returncode == 3:
            self.skipTest("needs a vDSO with random bytes: Linux 6.11")
        os.remove(self.path("w.npy"))
        self.assert_frozen(self.entropy(job))

    def test_the_gate_of_32_bit_programs_is_watched_too(self):
        if os.uname().machine != "x86_64":
            self.skipTest("needs x86-64")
        job = self.compile(GATE, "-static")
        if subprocess.run([job], cwd=self.folder, check=False).returncode:
            self.skipTest("needs a kernel that runs 32-bit programs")
        os.remove(self.path("w.npy"))
        self.assert_frozen(self.entropy(job))

    def test_an_ordinary_user_has_it_too(self):
        job = self.compile(CROWD, "-static")
        if not program.works(*AS_NOBODY, program.SAMEBITS, "--version"):
            self.skipTest("needs another user")
        os.chmod(self.folder, 0o777)
        for isolate in ("auto", "inplace"):
            self.assert_frozen(self.entropy(job, options=(*THREE, "--isolate", isolate, "--out", "r" + isolate),
                                            under=AS_NOBODY), note=isolate)

    def test_where_it_is_forbidden_the_program_is_not_covered_and_the_reason_said(self):
        job = self.compile(STARTS.replace("int main(int n, char **words) {",
                                          "int main(int n, char **words) { usleep(300000);"), "-static")
        forbids = self.compile(FORBIDS, name="forbids")
        for way, reason in (("refuse", os.strerror(1)), ("listen", os.strerror(16))):
            result = self.entropy(job, options=(*THREE, "--out", way), under=(forbids, way))
            self.assertEqual(result["jobs"][0]["unstable_when"], {})
            for run in result["runs"]:
                probe = run["observed"]["probe"]
                self.assertEqual(run["status"], "ok")
                self.assertEqual(probe["not_covered"], ["job"])
                self.assertEqual(run["observed"]["axes"]["entropy"], "unknown")
                if run["cell"]["entropy"] == "frozen":
                    self.assertEqual((probe["raw"]["frozen"], probe["raw"]["programs"]), ([], []))
                    self.assertIn(reason, probe["raw"]["refused"])

    def test_a_program_whose_memory_is_closed_is_not_covered(self):
        job = self.compile(ASKS, "-static")
        if not program.works(*AS_NOBODY, program.SAMEBITS, "--version"):
            self.skipTest("needs another user")
        os.chmod(self.folder, 0o777)
        result = self.entropy(job, "secret", under=AS_NOBODY, options=(*THREE, "--isolate", "inplace"))
        self.assertEqual(result["jobs"][0]["unstable_when"], {})
        for run in result["runs"]:
            if run["cell"]["entropy"] == "frozen":
                self.assertEqual(run["observed"]["probe"]["not_covered"], ["job"])
                self.assertEqual(run["observed"]["axes"]["entropy"], "unknown")

    def test_a_hash_seed_of_python_stays_live(self):
        job = self.compile(ASKS, "-static", name="python-alike")
        result = self.entropy(job, "python")
        self.assertEqual(result["jobs"][0]["unstable_when"], {})
        for run in result["runs"]:
            if run["cell"]["entropy"] == "frozen":
                self.assertIn("hash_seed", sources(run))
                self.assertNotIn("entropy", sources(run))

    def test_nothing_is_installed_where_nothing_is_frozen(self):
        self.job(body=f"""
            mode = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp:'))
            assert mode == ('2' if sys.argv[2] == 'frozen' else '{seccomp_mode()}'), (mode, sys.argv)
            """)
        for axis in ("entropy", "clock"):
            result = self.adhoc(axis + "=live,frozen", code=(0, 77), options=(*THREE, "--out", axis),
                                command=("python3", "-S", "job.py", "w.npy", "{%s}" % axis))
            self.assertEqual({run["status"] for run in result["runs"]}, {"ok"}, axis)
        result = self.adhoc("schedule=off,random", code=(0, 77), options=THREE,
                            command=("python3", "-S", "job.py", "w.npy", "live"))
        self.assertEqual({run["status"] for run in result["runs"]}, {"ok"})

    def run_json(self, *arguments, code=0, **more):
        codes = code if isinstance(code, tuple) else (code,)
        done = self.samebits("run", "--json", *arguments, **more)
        self.assertIn(done.returncode, codes, done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(done.stdout)

    def test_a_calendar_read_by_raw_calls_is_frozen_and_clocks_that_run_are_live(self):
        for name, flags in (("job", ["-static"]), ("dynamic", [])):
            job = self.compile(TIMES, *flags, name=name)
            result = self.adhoc("clock=live,frozen", command=(job,), code=1, options=(*THREE, "--out", "r" + name))
            self.assertEqual(result["jobs"][0]["unstable_when"], {"clock": ["live"]}, name)
            for run in result["runs"]:
                if run["cell"]["clock"] == "frozen":
                    self.assertIn("clock", sources(run))
                    # A static program may also read the vDSO's clock, which nobody sees.
                    self.assertEqual(run["observed"]["axes"]["clock"], "frozen" if name == "dynamic" else "unknown")

    def test_a_run_that_asks_all_the_time_ends_with_its_timeout(self):
        job = self.compile(ASKS, "-static")
        result = self.adhoc("entropy=frozen", command=(job, "hang", "4712.0916"), code=2,
                            options=("--repeats", "1", "--exact-repeats", "--timeout", "1s"))
        self.assertEqual(result["runs"][0]["status"], "timeout")
        self.assertEqual(program.processes_with("4712.0916"), [])

    def test_a_kill_of_samebits_ends_a_run_that_asks_all_the_time(self):
        job = self.compile(ASKS, "-static")
        samebits = subprocess.Popen([program.SAMEBITS, "run", "--vary", "entropy=frozen", "--weights", "w.npy", "--",
                                     job, "hang", "4713.0916"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not any(pid != samebits.pid for pid in program.processes_with("4713.0916")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        samebits.send_signal(signal.SIGKILL)
        samebits.wait()
        while program.processes_with("4713.0916") and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(program.processes_with("4713.0916"), [])

    def test_a_command_that_cannot_be_started_is_an_error_of_the_run(self):
        self.write("job", "no program", mode=0o644)
        for command in ("./job", "./missing"):
            result = self.adhoc("entropy=frozen", command=(command,), code=2,
                                options=("--repeats", "1", "--exact-repeats", "--out", "o" + command[2:]))
            self.assertEqual(result["runs"][0]["status"], "spawn-failed")

    def test_explain_names_entropy_for_a_static_program(self):
        job = self.compile(ASKS, "-static")
        self.samebits("run", "--vary", "threads=1", "--weights", "w.npy", "--out", "r", "--", job, code=1)
        explained = json.loads(self.samebits("explain", "--json", "r", code=0).stdout)["jobs"][0]
        self.assertEqual([(cause["source"], cause["status"]) for cause in explained["causes"]], [("entropy", "confirmed")])
        self.assertIn("raw getrandom", explained["causes"][0]["fix"])

    def test_explain_names_a_program_that_nothing_is_frozen_of(self):
        self.compile(ASKS.replace("unsigned char out[32];", "unsigned char out[32]; usleep(200000);"), "-static")
        forbids = self.compile(FORBIDS, name="forbids")
        self.samebits("run", "--vary", "threads=1", "--weights", "w.npy", "--out", "r", "--", "./job", code=1)
        done = self.samebits("explain", "--json", "r", under=(forbids, "refuse"), code=2)
        self.assertIn("is not in job", json.loads(done.stdout)["jobs"][0]["open"])


if __name__ == "__main__":
    program.main()
