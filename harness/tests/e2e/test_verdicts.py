"""Programs with known answers, run as a user runs them."""
import os

import program
from program import effects


class Verdicts(program.Program):
    def only_job(self, document):
        self.assertEqual(len(document["jobs"]), 1)
        return document["jobs"][0]

    def test_a_seeded_job_is_bitwise_and_says_how_much_that_proves(self):
        self.job()
        job = self.only_job(self.adhoc("hash_seed=0,1", "threads=1,2", command=[program.PYTHON, "job.py"]))
        self.assertEqual((job["verdict"], job["outcome"], job["depends_on"]), ("bitwise", "pass", []))
        n = job["confidence"]["replays"]
        self.assertGreaterEqual(n, 8)
        self.assertAlmostEqual(job["confidence"]["max_mismatch_rate_95"], 1 - 0.05 ** (1 / n))

    def test_hash_seed_is_found_and_threads_are_not(self):
        self.job(body="values = [float(hash('x%d' % i) % 1000) for i in range(256)]")
        job = self.only_job(self.adhoc("hash_seed=0,1,2", "threads=1,2", command=[program.PYTHON, "job.py"], code=1))
        self.assertEqual(job["depends_on"], ["hash_seed"])
        self.assertEqual(effects(job), {"hash_seed": "bits", "threads": "none"})
        self.assertEqual(job["witness"]["differs_in"], ["hash_seed"])
        self.assertLessEqual(job["confidence"]["dependence_p"], 0.05)

    def test_a_hash_seed_that_isolated_python_ignores_is_inert(self):
        self.job()
        document = self.adhoc("hash_seed=0,1", command=[program.PYTHON, "-I", "job.py"], code=77)
        self.assertEqual(effects(self.only_job(document)), {"hash_seed": "inert"})

    def test_an_axis_that_arrives_and_changes_nothing_is_evidence_and_never_inert(self):
        """A job that asks for everything, uses none of it, and lasts long enough to be looked at."""
        self.job(body="""import random, socket, time
values = [1.0]
os.urandom(8), time.time(), os.getpid(), socket.gethostname(), os.listdir("."), random.random(), {"a", "b"}
time.sleep(0.3)""")
        axes = {"hash_seed": "0,1", "aslr": "on,off", "memory": "off,zero,0xaa", "path": "usual,other", "hostname": "a,b",
                "entropy": "live,frozen", "clock": "live,frozen", "pid": "live,frozen", "readdir": "live,sorted,reversed"}
        job = self.only_job(self.adhoc(*(f"{name}={levels}" for name, levels in axes.items()), command=[program.PYTHON, "job.py"],
                                       options=["--design", "one-at-a-time", "--repeats", "2"]))
        named = {axis["name"]: axis for axis in job["axes"]}
        # These need namespaces.
        lacking = {name for name in ("path", "hostname", "pid") if named[name].get("unavailable")}
        self.assertEqual({name: axis["effect"] for name, axis in named.items() if name not in lacking},
                         {name: "none" for name in axes if name not in lacking})
        self.assertEqual(named["memory"]["observed"], ["off", "zero", "0xaa"])

    def test_entropy_is_nondeterministic_in_every_cell(self):
        self.job(body="values = [float(x) for x in os.urandom(256)]")
        job = self.only_job(self.adhoc("hash_seed=0,1", command=[program.PYTHON, "job.py"], code=1))
        self.assertEqual((job["verdict"], job["unstable_when"], job["grade"]), ("nondeterministic", {}, "divergent"))
        self.assertEqual(job["witness"]["differs_in"], [])

    C_PROGRAM = r"""
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static float values[64];
        static void save(const char *path) {
            char head[128];
            const char *text = "{'descr': '<f4', 'fortran_order': False, 'shape': (64,), }";
            memset(head, ' ', sizeof head);
            memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
            memcpy(head + 10, text, strlen(text));
            head[127] = '\n';
            FILE *file = fopen(path, "wb");
            fwrite(head, 1, sizeof head, file);
            fwrite(values, 4, 64, file);
            fclose(file);
        }
        """

    def compile(self, name, body, *flags):
        self.write(name + ".c", self.C_PROGRAM + body)
        program.subprocess.run(["cc", "-O1", "-o", name, name + ".c", *flags], cwd=self.folder, check=True)

    def test_a_sum_over_openmp_threads_depends_on_their_number(self):
        self.compile("train", """
            int main(int n, char **arguments) {
                float sum = 0;
                #pragma omp parallel for schedule(static) reduction(+ : sum)
                for (int i = 0; i < 200000; i++)
                    sum += 1.0f / (i + 1.0f);
                for (int i = 0; i < 64; i++)
                    values[i] = sum;
                save(arguments[1]);
            }
            """, "-fopenmp")
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two CPUs: to add in another order")
        job = self.only_job(self.adhoc("threads=1,2", "hash_seed=0,1", command=["./train", "w.npy"], code=1))
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", ["threads"]))
        self.assertEqual(effects(job)["hash_seed"], "unknown")  # no Python: nothing shows who reads it

    def test_a_race_of_pthreads_is_found_where_there_are_several(self):
        self.compile("train", """
            static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
            static int arrived;
            static void *work(void *id) {
                for (int i = 0; i < 32; i++) {
                    usleep(50);
                    pthread_mutex_lock(&lock);
                    values[arrived++ % 64] += (long)id; /* in order of arrival */
                    pthread_mutex_unlock(&lock);
                }
                return NULL;
            }
            int main(int n, char **arguments) {
                pthread_t threads[8];
                int count = atoi(getenv("OMP_NUM_THREADS"));
                for (long i = 0; i < count; i++)
                    pthread_create(&threads[i], NULL, work, (void *)(i + 1));
                for (int i = 0; i < count; i++)
                    pthread_join(threads[i], NULL);
                save(arguments[1]);
            }
            """, "-pthread")
        job = self.only_job(self.adhoc("threads=1,4", command=["./train", "w.npy"], code=1))
        self.assertEqual((job["verdict"], job["unstable_when"]), ("nondeterministic", {"threads": ["4"]}))
        document = self.adhoc("threads=4", command=["./train", "w.npy"], code=1,
                              options=["--stop-after", "first-divergence", "--repeats", "40", "-j", "1"])
        self.assertEqual(self.only_job(document)["verdict"], "nondeterministic")
        stopped = self.only_job(document)
        self.assertLess(stopped["runs"], 40)
        self.assertEqual(stopped["limits"],
                         [f"stopped after the first difference, as asked: {stopped['runs']} of 40 runs"])

    def test_nothing_is_started_once_bits_are_known_to_differ(self):
        self.job(body="values = [float(x) for x in os.urandom(8)]")
        document = self.adhoc("env:X=1", command=[program.PYTHON, "job.py"], code=1,
                              options=["--stop-after", "first-divergence", "--repeats", "10", "-j", "1"])
        self.assertEqual(len(document["runs"]), 2)

    def test_a_seed_out_of_the_second_is_another_one_in_the_last_repeat(self):
        self.job(body="import time; values = [float(int(time.time()) % 1000)]")
        job = self.only_job(self.adhoc("env:X=1", command=[program.PYTHON, "job.py"], code=1, options=["--spread", "1"]))
        self.assertEqual((job["verdict"], job["runs"]), ("nondeterministic", 3))
        self.job(body="import time; values = [float(int(time.time()) % 1000)]")
        job = self.only_job(self.adhoc("env:X=1,2", command=[program.PYTHON, "job.py"], code=1, options=["--spread", "1"]))
        self.assertEqual((job["verdict"], job["unstable_when"]), ("nondeterministic", {}))

    def test_instability_at_one_level_alone(self):
        self.job(body="""
            if sys.argv[2] == "fast":
                values[3] += float(os.urandom(1)[0])
            """)
        job = self.only_job(self.adhoc("mode=safe,fast", "hash_seed=0,1", code=1,
                                       command=[program.PYTHON, "job.py", "w.npy", "{mode}"]))
        self.assertEqual(job["verdict"], "nondeterministic")
        self.assertEqual(job["unstable_when"], {"mode": ["fast"]})
        self.assertEqual(job["depends_on"], [])

    def test_a_permutation_is_graded_as_one(self):
        self.job(body="""
            values = [float(i) for i in range(256)]
            if sys.argv[2] == "b":
                values.reverse()
            """)
        job = self.only_job(self.adhoc("order=a,b", code=1, command=[program.PYTHON, "job.py", "w.npy", "{order}"]))
        self.assertEqual((job["grade"], job["depends_on"]), ("permutation", ["order"]))

    def test_rounding_is_allowed_where_the_suite_says_so(self):
        self.job(body="values[5] *= 1 + (1e-7 if sys.argv[2] == 'b' else 0)")
        self.write("s.yaml", """\
            version: 1
            jobs:
              - name: a
                command: [python3, job.py, "{weights}", "{order}"]
                weights: w.npy
                axes: {order: [a, b]}
                require: {order: rounding}
            """)
        job = self.only_job(self.run_json("s.yaml"))
        self.assertEqual((job["verdict"], job["grade"], job["outcome"]), ("config-dependent", "rounding", "pass"))
        self.assertEqual(job["worst"]["index"], [5])
        self.assertEqual(job["worst"]["max_ulp"], 1)

    def test_sign_of_zero_is_a_difference(self):
        self.job(body="values[0] = -0.0 if sys.argv[2] == 'b' else 0.0")
        job = self.only_job(self.adhoc("sign=a,b", code=1, command=[program.PYTHON, "job.py", "w.npy", "{sign}"]))
        self.assertEqual(job["depends_on"], ["sign"])

    def test_weights_that_are_all_zero_prove_nothing(self):
        self.job(body="values = [0.0] * 256")
        job = self.only_job(self.adhoc("threads=1,2", command=[program.PYTHON, "job.py"], code=2))
        self.assertEqual((job["verdict"], job["outcome"]), ("inconclusive", "error"))
        self.assertIn("zero", job["reason"])

    def test_one_run_of_each_cell_proves_nothing(self):
        self.job()
        job = self.only_job(self.adhoc("threads=1,2", command=[program.PYTHON, "job.py"], code=2,
                                       options=["--repeats", "1", "--exact-repeats"]))
        self.assertEqual(job["verdict"], "inconclusive")

    def test_controls_fire_or_are_said_not_to(self):
        self.job("fires.py", "values = [float(x) for x in os.urandom(256)]")
        self.job("silent.py")
        self.write("s.yaml", """\
            version: 1
            defaults: {axes: {hash_seed: [0, 1]}, expect: nondeterministic}
            jobs:
              - {name: fires, command: [python3, fires.py]}
              - {name: silent, command: [python3, silent.py]}
            """)
        document = self.run_json("s.yaml")
        self.assertEqual([job["outcome"] for job in document["jobs"]], ["xfail", "xpass"])
        self.assertEqual((document["outcome"], document["exit_code"]), ("pass", 0))

    def test_leftover_weights_are_no_weights(self):
        self.job()
        self.samebits("run", "--vary", "threads=1", "--", program.PYTHON, "job.py", code=0)
        program.subprocess.run([program.PYTHON, "job.py", "w.npy"], cwd=self.folder, check=True)
        document = self.adhoc("threads=1", options=["--weights", "w.npy"], command=["true"], code=2)
        self.assertEqual({run["status"] for run in document["runs"]}, {"no-weights"})

    def test_threads_are_really_limited(self):
        self.job(body="values = [float(len(os.sched_getaffinity(0)))] * 256")
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two CPUs: to limit them")
        document = self.adhoc("threads=1,2", command=[program.PYTHON, "job.py"], code=1)
        job = self.only_job(document)
        self.assertEqual(job["depends_on"], ["threads"])
        self.assertEqual({run["cell"]["threads"]: run["observed"]["cpus"] for run in document["runs"]},
                         {"1": 1, "2": 2})

    def test_every_variable_has_one_value_in_every_run(self):
        self.job(body="""
            import hashlib
            text = repr(sorted(os.environ.items())) + os.getcwd()
            values = [float(x) for x in hashlib.sha256(text.encode()).digest()]
            """)
        job = self.only_job(self.adhoc("threads=1", command=[program.PYTHON, "job.py"], options=["--repeats", "4"]))
        self.assertEqual(job["verdict"], "bitwise")


if __name__ == "__main__":
    program.main()
