"""What a user may get wrong is answered by the place, what was wrong and what is allowed, before anything has run."""
import json
import os

import program


class Usage(program.Program):
    def refused(self, *arguments, says):
        done = self.samebits(*arguments, code=2)
        for words in says if isinstance(says, (list, tuple)) else [says]:
            self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertFalse(os.path.exists(self.path("samebits-results")))

    def test_a_mistyped_command(self):
        self.refused("rum", says=["unknown command 'rum'", "did you mean 'run'"])

    def test_a_mistyped_option(self):
        self.refused("run", "--repeat", "3", "--", "true", says=["unknown option '--repeat'", "--repeats"])

    def test_an_option_that_is_like_no_other(self):
        self.refused("compare", "--zzzzzzzzzzz", "a", "b", says=["--zzzzzzzzzzz", "--require", "--rtol"])

    def test_a_value_that_is_none_of_the_choices(self):
        self.refused("run", "--design", "most", "--", "true",
                     says=["--design", "'most'", "full", "one-at-a-time", "pairwise"])

    def test_an_error_names_program_and_option_once(self):
        for arguments in [["--vary", "threads"], ["--report", "junti"], ["--report", "junit:"], ["--require", "ignore"]]:
            with self.subTest(arguments=arguments):
                done = self.samebits("run", *arguments, "--", "true", code=2)
                self.assertEqual((done.stderr.count("samebits"), done.stderr.count(arguments[0])), (1, 1), done.stderr)

    def test_two_kinds_of_tolerance(self):
        for command in (["run", "--rtol", "1", "--ulp", "0", "--", "true"], ["compare", "--ulp", "0", "--atol", "1", "a", "b"]):
            self.refused(*command, says="--ulp takes the place of --rtol and --atol: give one kind")

    def test_a_requirement_that_only_a_suite_may_have(self):
        done = self.samebits("run", "--require", "bits", "--", "true", code=2)
        self.assertIn("bitwise, rounding\n", done.stderr)

    def test_a_program_in_place_of_a_suite(self):
        for name in ["train", "s.yaml"]:
            self.write(name, "version: 1\n")
            os.chmod(self.path(name), 0o755)
        self.refused("run", "./train", says="a command goes after -- (samebits run -- ./train)")
        self.refused("run", "s.yaml", says="s.yaml:1:1: ")

    def test_a_missing_value(self):
        self.refused("run", "--repeats", says=["--repeats", "needs a value"])

    def test_a_mistyped_axis(self):
        self.refused("run", "--vary", "thread=1,2", "--", "true", says=["thread", "threads", "hash_seed"])

    def test_a_mistyped_level(self):
        self.refused("run", "--vary", "isa=sse2,avx3", "--", "true", says=["isa", "avx3", "sse2", "this CPU has"])

    def test_an_unknown_placeholder(self):
        self.refused("run", "--vary", "threads=1,2", "--", "true", "{lr}", says=["{lr}"])

    def test_a_missing_suite(self):
        self.refused("run", "nowhere.yaml", says=["nowhere.yaml", "No such file"])

    def test_an_unknown_key_in_a_suite(self):
        self.write("s.yaml", """\
            version: 1
            jobs:
              - name: a
                command: [./a]
                repeat: 3
            """)
        self.refused("run", "s.yaml", says=["s.yaml:5:5: ", "'repeat'", "repeats"])

    def test_an_unknown_level_in_a_suite(self):
        self.write("s.yaml", """\
            version: 1
            jobs:
              - name: a
                command: [./a]
                axes:
                  isa: [sse2, avx3]
            """)
        self.refused("run", "s.yaml", says=["s.yaml:6:", "axis 'isa'", "unknown level 'avx3'", "this CPU has: sse2"])

    def test_an_unknown_backend_in_a_suite(self):
        self.write("s.yaml", """\
            version: 1
            jobs:
              - {name: a, train: dense, backend: opensblas}
            """)
        self.refused("run", "s.yaml", says=["s.yaml:3:", "opensblas", "openblas", "ref"])

    def test_a_backend_that_is_not_built(self):
        self.write("s.yaml", """\
            version: 1
            jobs:
              - {name: a, kernel: gemm, backend: chaos}
            """)
        done = self.samebits("run", "s.yaml")
        self.assertIn("not built", done.stdout + done.stderr)
        self.assertNotIn("unknown backend", done.stdout + done.stderr)

    def test_only_that_matches_nothing(self):
        self.write("s.yaml", "version: 1\njobs:\n  - {name: a, command: [./a]}\n")
        self.refused("run", "--only", "b", "s.yaml", says=["b", "a"])

    def test_suite_and_command_together(self):
        self.refused("run", "s.yaml", "--", "true", says="not both")

    def test_a_script_without_the_dashes(self):
        self.refused("run", "train.py", says="samebits run -- python3 train.py")

    def test_help_of_each_command_fits_a_screen(self):
        for command in ("run", "compare", "fingerprint", "rerun", "report", "list", "doctor", "init",
                        "merge", "history", "baseline", "diff-manifest"):
            done = self.samebits(command, "--help", code=0)
            lines = done.stdout.splitlines()
            self.assertLess(len(lines), 24, command)
            self.assertLessEqual(max(map(len, lines)), 80, command)
            self.assertTrue(lines[0].startswith(f"samebits {command} [OPTION]…"), lines[0])
            self.assertIn("", lines, command)
        lines = self.samebits("--help", code=0).stdout.splitlines()
        self.assertLess(len(lines), 24)
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_what_is_not_in_this_build_is_known_by_name_and_not_offered(self):
        self.refused("run", "--launcher", "kubernetes", "--", "true", says="'kubernetes' is none of: local, slurm")
        self.refused("run", "--launcher-arg=--time=1h", "--", "true", says="--launcher-arg goes with --launcher slurm")
        for arguments in (["run", "--zzzzzzzzzz"], ["zzzzzzzzz"], ["report", "-r", "zzzz", "r"],
                          ["run", "--vary", "zzzz=1", "--", "true"]):
            done = self.samebits(*arguments, code=2)
            self.assertNotIn("gpu", done.stderr)

    def test_jobs_that_lack_what_they_need_are_skipped_with_what_installs_it(self):
        self.job("job.py")
        for bad, says in (("needs: torch", "'needs' must be a map of command"), ("needs: {install: x}", "must be a map of command"),
                          ("needs: {command: [a], instal: x}", "unknown key 'instal'"), ("needs: {command: []}", "the list is empty")):
            self.write("s.yaml", "version: 1\njobs:\n  - {name: a, command: [b], " + bad + "}\n")
            self.refused("run", "s.yaml", says=["s.yaml:3:", says])
        needs = "needs: {command: [%s], install: 'get it'}"
        suite = ("version: 1\ndefaults: {repeats: 1, weights: w.npy, " + needs % "sh, -c, 'echo x >> asked; exit 3'" + "}\njobs:\n"
                 "  - {name: lacks, command: [python3, job.py]}\n  - {name: too, command: [python3, job.py]}\n"
                 "  - {name: absent, command: [python3, job.py], " + needs % "./none" + "}\n")
        self.write("s.yaml", suite)
        document = self.run_json("s.yaml", code=77)
        self.assertEqual([job["outcome"] for job in document["jobs"]], ["skipped"] * 3)
        self.assertEqual(document["runs"], [])
        self.assertIn("needs sh -c 'echo x >> asked; exit 3', which ends with 3; to install it: get it", document["jobs"][1]["reason"])
        self.assertIn("needs ./none, which is not there; to install it: get it", document["jobs"][2]["reason"])
        with open(self.path("asked"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "x\n")  # once, whoever needs it
        self.write("s.yaml", suite + "  - {name: has, command: [python3, job.py], repeats: 2, " + needs % "'true'" + "}\n")
        self.assertEqual(self.run_json("s.yaml", code=0)["jobs"][3]["outcome"], "pass")

    def test_list_asks_for_a_subject(self):
        self.refused("list", says=["say what to list", "kernels", "launchers"])
        self.refused("list", "axes", "formats", says=["one subject at a time", "kernels"])

    def test_a_report_that_cannot_be_written_is_known_before_the_first_run(self):
        self.job("job.py", body="open('ran', 'w')")
        self.write("file", "")
        for path in ("none/there.xml", "file/there.xml", "."):
            self.refused("run", "--isolate", "inplace", "-r", f"junit:{path}", "--", program.PYTHON, "job.py",
                         says="--report: ")
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_where_a_report_went_is_said_unless_quiet(self):
        self.job()
        command = ["--vary", "threads=1", "--out", "r", "--", program.PYTHON, "job.py"]
        done = self.samebits("run", "-r", "junit", "-r", "tap:t.tap", *command, code=0)
        self.assertEqual(done.stderr, "samebits: wrote r/junit.xml\n" "samebits: wrote t.tap\n")
        self.assertIn("PASS", done.stdout)
        self.assertTrue(os.path.exists(self.path("r", "junit.xml")))
        self.assertEqual(self.samebits("run", "-q", "-r", "junit", "--force", *command, code=0).stderr, "")
        done = self.samebits("report", "-r", "junit", "r/result.json", code=0)
        self.assertEqual((done.stdout, done.stderr), ("", "samebits: wrote r/junit.xml\n"))
        self.assertEqual(self.samebits("report", "-q", "-r", "junit", "r", code=0).stderr, "")

    def test_a_report_may_go_to_stdout(self):
        self.job()
        command = ["--vary", "threads=1", "--out", "r", "--", program.PYTHON, "job.py"]
        first = self.samebits("run", "-q", *command, code=0)
        self.assertEqual(first.stdout, "")
        for name, begins in (("junit", "<?xml"), ("json", "{"), ("tap", "TAP version"), ("markdown", "###")):
            done = self.samebits("report", "-r", name + ":-", "r", code=0)
            self.assertTrue(done.stdout.lstrip().startswith(begins), done.stdout[:80])
            self.assertEqual(done.stderr, "")
            done = self.samebits("run", "-q", "--force", "-r", name + ":-", *command, code=0)
            self.assertTrue(done.stdout.lstrip().startswith(begins), done.stdout[:80])
        self.assertFalse(os.path.exists(self.path("-")))
        done = self.samebits("run", "--json", "--force", "-r", "junit:-", *command, code=2)
        self.assertIn("--json", done.stderr)

    def test_latest_names_a_result_for_reports_as_for_reruns(self):
        self.job()
        self.samebits("run", "-q", "--vary", "threads=1", "--", program.PYTHON, "job.py", code=0)
        self.samebits("rerun", "--print", "latest", "r00001", code=0)
        done = self.samebits("report", "-r", "junit", "latest", code=0)
        self.assertEqual(done.stderr, "samebits: wrote samebits-results/latest/junit.xml\n")
        self.assertTrue(os.path.exists(self.path("samebits-results", "0001", "junit.xml")))

    def test_hints_name_the_program_as_it_was_called(self):
        self.job(body="values[0] = float(sys.argv[2])")
        os.makedirs(self.path("my tools"))
        os.symlink(program.SAMEBITS, self.path("my tools", "samebits"))
        done = program.subprocess.run(
            ["my tools/samebits", "run", "--out", "a result", "--vary", "x=1,2", "--", program.PYTHON, "job.py", "w.npy", "{x}"],
            cwd=self.folder, capture_output=True, text=True, check=False)
        again = next(line for line in done.stdout.splitlines() if "rerun" in line).split(maxsplit=1)[1]
        self.assertTrue(again.startswith("'my tools/samebits' rerun 'a result' r0000"), again)
        done = program.subprocess.run(again, shell=True, cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_quiet_does_not_silence_failures(self):
        self.job(body="values[0] = float(sys.argv[2])")
        done = self.samebits("run", "-q", "--vary", "x=1,2", "--", program.PYTHON, "job.py", "w.npy", "{x}", code=1)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, "samebits: FAIL  job.py  config-dependent: depends on x; x: 1 and 2 differ\n")
        done = self.samebits("run", "-q", "--vary", "x=1", "--", program.PYTHON, "job.py", "w.npy", "{x}", code=0)
        self.assertEqual(done.stderr, "")
        done = self.samebits("run", "-q", "--vary", "x=1", "--", program.PYTHON, "job.py", "w.npy", "no{x}", code=2)
        self.assertTrue(done.stderr.startswith("samebits: ERROR  job.py  "), done.stderr)

    def test_a_command_that_cannot_be_started_is_said_once_and_left(self):
        done = self.samebits("run", "--vary", "hash_seed=0,1,2,3,4,5", "--", "no-such-program", code=2)
        lines = [line for line in done.stderr.splitlines() if "cannot be started" in line]
        self.assertEqual(len(lines), 1, done.stderr)
        for words in ("no-such-program", "No such file", "PATH"):
            self.assertIn(words, lines[0])
        with open(self.path("samebits-results", "latest", "result.json"), encoding="utf-8") as file:
            self.assertLess(json.load(file)["jobs"][0]["runs"], 18)

    def test_a_level_that_cannot_be_started_leaves_the_others(self):
        self.job()
        self.write("here", f"#!/bin/sh\nexec {program.PYTHON} job.py\n", mode=0o755)
        document = self.run_json("--vary", "x=nowhere,here", "--", "./{x}", code=2)
        self.assertEqual({(run["cell"]["x"], run["status"]) for run in document["runs"]},
                         {("here", "ok"), ("nowhere", "spawn-failed")})
        self.assertGreaterEqual(sum(run["status"] == "ok" for run in document["runs"]), 3)

    def test_a_result_is_not_overwritten_unasked(self):
        self.job()
        command = ("run", "--out", "r", "--vary", "threads=1", "--", program.PYTHON, "job.py", "w.npy")
        self.samebits(*command, code=0)
        done = self.samebits(*command, code=2)
        self.assertIn("--resume", done.stderr)
        self.assertIn("--force", done.stderr)
        self.samebits("run", "--force", *command[1:], code=0)

    def test_force_leaves_a_folder_that_is_no_result_alone(self):
        self.write("mine/precious.txt", "keep")
        self.job()
        self.samebits("run", "--force", "--out", "mine", "--vary", "threads=1", "--", program.PYTHON, "job.py", code=2)
        self.assertTrue(os.path.exists(self.path("mine/precious.txt")))

    def test_list_prints_the_plan_and_runs_nothing(self):
        done = self.samebits("run", "--list", "--json", "--vary", "threads=1,2", "--vary", "hash_seed=0,1", "--",
                             "python3", "job.py", code=0)
        jobs = json.loads(done.stdout)["jobs"]
        self.assertEqual(jobs[0]["cells"], 4)
        self.assertFalse(os.path.exists(self.path("samebits-results")))

    def test_init_writes_a_suite_that_runs_as_it_is(self):
        self.job()
        self.samebits("init", "--", program.PYTHON, "job.py", "w.npy", code=0)
        done = self.samebits("run", "samebits.yaml", "--json")
        document = json.loads(done.stdout)
        self.assertEqual(document["jobs"][0]["verdict"], "bitwise", done.stderr)

    def test_files_may_be_named_by_links(self):
        self.job()
        program.subprocess.run([program.PYTHON, "job.py", "a.npy"], cwd=self.folder, check=True)
        os.symlink("a.npy", self.path("b.npy"))
        self.samebits("compare", "a.npy", "b.npy", code=0)
        prints = [self.samebits("fingerprint", name, code=0).stdout.split()[0] for name in ("a.npy", "b.npy")]
        self.assertEqual(prints[0], prints[1])

    def test_a_suite_that_is_named_by_a_link_runs_where_the_link_is(self):
        self.job("job.py")
        self.write("suites/s.yaml", f"""\
            version: 1
            jobs:
              - {{name: a, command: [{program.PYTHON}, job.py], axes: {{threads: [1]}}}}
            """)
        os.symlink("suites/s.yaml", self.path("here.yaml"))
        os.symlink(".", self.path("around"))
        self.samebits("run", "-q", "here.yaml", code=0)
        self.samebits("run", "-q", "around/here.yaml", code=0)
        self.samebits("run", "-q", "suites/s.yaml", code=2)  # no job.py there

    def test_inputs_that_change_while_runs_are_under_way_spoil_the_answer(self):
        for given in ("../data/*.csv", self.path("data/*.csv"), self.path("data/a.csv")):
            for changed in ("a.csv", "b.csv") if "*" in given else ("a.csv",):
                with self.subTest(given=given, changed=changed):
                    self.write("data/a.csv", "1")
                    self.write("data/c.txt", "1")
                    self.job("work/job.py", body=f"open({self.path('data', changed)!r}, 'w').write('2')")
                    self.write("work/s.yaml", f"""\
                        version: 1
                        jobs:
                          - {{name: a, command: [{program.PYTHON}, job.py], inputs: "{given}", axes: {{threads: [1]}}}}
                          - {{name: b, command: [{program.PYTHON}, job.py], inputs: ../data/c.txt, axes: {{threads: [1]}}}}
                        """)
                    job, other = self.run_json("s.yaml", cwd=self.path("work"), code=2)["jobs"]
                    self.assertEqual(job["outcome"], "error")
                    self.assertIn("inputs changed while the runs were under way", job["reason"])
                    self.assertIn("data/" + changed, job["reason"])
                    self.assertEqual(other["outcome"], "pass")
                    if changed != "a.csv":
                        os.unlink(self.path("data", changed))

    def test_doctor_and_list_answer(self):
        self.assertIn("isa", self.samebits("doctor", code=0).stdout)
        for what in ("kernels", "backends", "axes", "formats", "reports", "launchers"):
            self.assertTrue(self.samebits("list", what, code=0).stdout.strip(), what)
        self.refused("list", "kernel", says=["'kernel'", "kernels", "backends"])


if __name__ == "__main__":
    program.main()
