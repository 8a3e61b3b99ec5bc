"""Baselines: bits of before, as text, and what later results are beside them."""
import json
import os

import program

# What a job does is in files that a test rewrites: the same command, other bits.
BODY = """
    import os, random
    def asked(name): return os.path.exists(sys.argv[2] + name)
    if asked(".random"): values[0] += random.random()
    if asked(".shifted"): values[1] += 1
    if asked(".hash"): values[2] += hash("x") % 5
    if asked(".threads"): values[3] += int(os.environ["SAMEBITS_THREADS"])
    """


class Baseline(program.Program):
    def setUp(self):
        super().setUp()
        self.job("job.py", body=BODY)
        self.levels = "threads: [1, 2]"

    def does(self, job, *what):
        """From now on this job differs so."""
        for name in (".random", ".shifted", ".hash", ".threads"):
            if os.path.exists(self.path(job + name)):
                os.remove(self.path(job + name))
        for name in what:
            self.write(job + name, "")

    def suite(self, *jobs):
        text = "".join(f"  - {{name: {json.dumps(job)}, command: [python3, job.py, w.npy, {json.dumps(job.replace('{', '{{'))}], weights: w.npy, "
                       "require: {repeats: ignore, hash_seed: ignore, threads: ignore}}\n" for job in jobs)
        self.write("s.yaml", f"version: 1\ndefaults: {{repeats: 2, axes: {{hash_seed: [0, 1], {self.levels}}}}}\njobs:\n{text}")

    def result(self, *options, code=None):
        return self.run_json("s.yaml", "--out", self.path("out"), "--force", *options, code=code)

    def check(self, code, *options):
        check = json.loads(self.samebits("baseline", "check", "out", "--json", *options, code=code).stdout)
        self.assertEqual(check["exit_code"], code)
        return {job["job"]: job for job in check["jobs"]}, check

    def answers(self, code, *options):
        return {name: job["answer"] for name, job in self.check(code, *options)[0].items()}

    def test_bits_that_stay_that_change_and_that_race(self):
        jobs = ["steady", "by-hash", "shifts", "starts", "stops", "races", "breaks", "goes"]
        self.does("by-hash", ".hash")
        for job in ("stops", "races"):
            self.does(job, ".random")
        self.suite(*jobs)
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.assertEqual(set(self.answers(0).values()), {"same bits", "still nondeterministic"})
        self.does("shifts", ".shifted")
        self.does("starts", ".random")
        self.does("stops")
        self.suite(*jobs[:-2], "comes")
        document = self.result("--baseline", "samebits.baseline", "--report", "junit:j.xml", "--report", "markdown:m.md", code=1)
        known = {"steady": "same bits", "by-hash": "same bits", "shifts": "changed, stable", "starts": "newly nondeterministic",
                 "stops": "no longer nondeterministic", "races": "still nondeterministic", "breaks": "gone", "goes": "gone",
                 "comes": "new"}
        self.assertEqual(self.answers(1), known)
        self.assertEqual({job["job"]: job["answer"] for job in document["baseline"]["jobs"]}, known)
        self.assertEqual((document["outcome"], document["exit_code"]), ("fail", 1))
        job, = [job for job in document["baseline"]["jobs"] if job["job"] == "shifts"]
        self.assertEqual((job["compared"], job["changed"], job["outside"]), (4, 4, 0))
        self.assertNotEqual(job["example"]["was"], job["example"]["is"])
        with open(self.path("j.xml"), encoding="utf-8") as file:
            xml = file.read()
        self.assertIn('failures="2"', xml)
        self.assertIn('<failure message="changed, stable" type="baseline">', xml)
        with open(self.path("m.md"), encoding="utf-8") as file:
            self.assertIn("changed, stable", file.read())
        shown = self.samebits("report", "out", code=0).stdout
        self.assertIn("changed, stable            shifts", shown)
        self.assertNotIn("same bits                  steady", shown)

    def test_a_changed_dependence_and_other_arguments_are_said(self):
        self.does("a", ".threads")
        self.suite("a", "b")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.does("a")
        self.suite("a", "b")
        with open(self.path("s.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("s.yaml", text.replace('w.npy, "b"', 'w.npy, "b", more'))
        self.result()
        jobs, _ = self.check(1)
        self.assertIn("depends on nothing now, threads before", jobs["a"]["notes"])
        self.assertEqual(jobs["b"]["answer"], "same bits")
        self.assertIn("asked for 'python3 job.py w.npy b more' now, 'python3 job.py w.npy b' before", jobs["b"]["notes"])

    def test_levels_that_the_baseline_has_not_are_not_compared(self):
        self.suite("a")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.levels = "threads: [2, 3]"
        self.suite("a")
        self.result()
        job = self.check(0)[0]["a"]
        self.assertEqual((job["answer"], job["compared"], job["outside"]), ("same bits", 2, 2))
        for levels in ("threads: [3]", "locale: [C]"):
            self.levels = levels
            self.suite("a")
            self.result()
            self.assertEqual(self.answers(77), {"a": "not comparable"})

    def test_jobs_without_an_answer(self):
        self.suite("a", "b")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.write("job.py", "import sys; sys.exit(sys.argv[2] == 'b')\n")
        self.result(code=2)
        self.assertEqual(self.answers(2), {"a": "no answer", "b": "no answer"})
        done = self.samebits("baseline", "save", "out", "-f", "other", code=2)
        self.assertIn("left out: b, which has no answer", done.stderr)
        self.assertIn("no job of this result has an answer to keep", done.stderr)
        self.assertFalse(os.path.exists(self.path("other")))

    def test_cells_that_always_crash_have_no_bits_to_keep(self):
        self.job("crashes.py", body="if os.environ['PYTHONHASHSEED'] == '1' and not os.path.exists('repaired'): sys.exit(3)\n"
                                    "values[0] += int(os.environ['PYTHONHASHSEED'])")
        command = ("--out", "out", "--force", "--vary", "hash_seed=0,1", "--", "python3", "crashes.py")
        job, = self.run_json(*command, code=2)["jobs"]
        self.assertEqual((job["outcome"], job["verdict"]), ("error", "bitwise"))
        self.assertEqual(job["missing"], {"cells": 1, "of": 2, "levels": {"hash_seed": ["1"]}})
        said = "no run of hash_seed=1 did"
        for report in ("terminal", "markdown", "html:-"):
            shown = self.samebits("report", "out", "--report", report, code=0).stdout
            self.assertIn(said, shown)
            self.assertIn("bitwise (1 of 2 cells)", shown)
            self.assertNotRegex(shown, r"[ |]bitwise[ |](?!\()")
        self.assertIn("bitwise (1 of 2 cells)", self.samebits("report", "out", "--report", "junit:-", code=0).stdout)
        done = self.samebits("baseline", "save", "out", code=2)
        self.assertIn("left out: crashes.py, which has no answer: 3 of 6 runs failed", done.stderr)
        self.assertFalse(os.path.exists(self.path("samebits.baseline")))
        explained = json.loads(self.samebits("explain", "out", "--json", code=2).stdout)["jobs"][0]
        self.assertIn("3 of 6 runs failed", explained["open"])
        strip = [line.split()[-3] for line in self.samebits("history", "out", code=0).stdout.splitlines() if line.startswith("  crashes.py ")]
        self.assertEqual(strip, ["!"])

    def test_cells_that_a_shard_left_out_are_new(self):
        self.job("job.py", body="values[0] += int(os.environ['PYTHONHASHSEED'])")
        command = ("--out", "out", "--force", "--vary", "hash_seed=0,1", "--", "python3", "job.py")
        self.run_json("--shard", "1/2", *command)
        self.samebits("baseline", "save", "out", code=0)
        self.run_json(*command, code=1)
        job = self.check(0)[0]["job.py"]
        self.assertEqual((job["answer"], job["compared"], job["changed"], job["outside"]), ("same bits", 1, 0, 1))
        self.assertIn("1 of 2 cells are new: the baseline has no bits of their levels", job["notes"])

    def test_updating_shows_what_changes_and_keeps_the_rest(self):
        self.suite("a", "b")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.assertIn("--update shows what changes", self.samebits("baseline", "save", "out", code=2).stderr)
        self.does("a", ".shifted")
        self.suite("a")
        self.result()
        shown = self.samebits("baseline", "save", "out", "--update", code=0).stdout
        self.assertIn("changed, stable            a  xxh3:", shown)
        self.assertEqual(self.answers(0), {"a": "same bits", "b": "gone"})
        self.samebits("baseline", "save", "out", "--update", "--prune", code=0)
        self.assertEqual(self.answers(0), {"a": "same bits"})
        with open(self.path("samebits.baseline"), encoding="utf-8") as file:
            before = file.read()
        self.result()  # once more: not a byte is another one
        self.samebits("baseline", "save", "out", "--update", code=0)
        with open(self.path("samebits.baseline"), encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_another_machine_has_an_entry_of_its_own(self):
        self.suite("a")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        with open(self.path("out", "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        result["manifest"]["cpu"]["model"] = "Other"
        os.mkdir(self.path("other"))
        self.write("other/result.json", json.dumps(result))
        done = self.samebits("baseline", "check", "other", code=77)
        self.assertIn("has nothing of this machine (cpu: Other)", done.stdout)
        self.samebits("baseline", "save", "other", "--update", code=0)
        for folder in ("out", "other"):
            self.samebits("baseline", "check", folder, code=0)
        done = self.samebits("diff-manifest", "out", "other", code=1)
        self.assertRegex(done.stdout, r"^cpu\.model .* → Other\n$")
        self.assertEqual(self.samebits("diff-manifest", "out", "out", code=0).stdout, "the same\n")
        document = json.loads(self.samebits("diff-manifest", "--json", "out", "other", code=1).stdout)
        self.assertEqual(document["differences"][0]["is"], "Other")

    def test_names_may_be_anything(self):
        names = ["a: b # c", "null", "- x", "\u00e9\u202e'\"", "{}", "~"]
        self.suite(*names)
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        self.assertEqual(self.answers(0), {name: "same bits" for name in names})

    def test_a_file_that_is_no_baseline_is_refused_with_the_place(self):
        self.suite("a")
        self.result()
        self.samebits("baseline", "save", "out", code=0)
        with open(self.path("samebits.baseline"), encoding="utf-8") as file:
            good = file.read()
        for bad, says in (("", ":1:1: nothing in it"), ("version: 2\nmachines: []\n", "'version' must be 1"),
                          ("version: 1\n", "has no 'machines'"), (good.replace("verdict:", "verdikt:"), ": unknown key 'verdikt' (a job may have: "),
                          (good.replace("by: []", "by: none"), ": by must be a list, not text"),
                          (good.replace("\n  gpu: null\n", "\n"), "a machine has no 'gpu'"), ("\t", ":1:1: "), ("[1", ":2:1: "),
                          (good.replace("machines:", "machines: 3\nother:"), "machines must be a list")):
            with self.subTest(says=says):
                self.write("bad", "")
                with open(self.path("bad"), "w", encoding="utf-8") as file:
                    file.write(bad)
                for command in (("baseline", "check", "out", "-f", "bad"), ("run", "s.yaml", "--out", "new", "--baseline", "bad")):
                    done = self.samebits(*command, code=2)
                    self.assertIn("bad:", done.stderr)
                    self.assertIn(says, done.stderr)
                self.assertFalse(os.path.exists(self.path("new")))
        for arguments, says in ((["baseline"], "say save or check"), (["baseline", "sav", "out"], "not 'sav'"),
                                (["baseline", "check"], "give one result"), (["diff-manifest", "out"], "two results"),
                                (["baseline", "check", "none"], "none"), (["baseline", "check", "out", "-f", "none"], "none")):
            self.assertIn(says, self.samebits(*arguments, code=2).stderr)


if __name__ == "__main__":
    program.main()
