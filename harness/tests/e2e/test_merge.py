"""samebits merge: results of shards and of machines, joined in any order to the same bytes."""
import itertools
import json
import os
import random
import shutil
import sys

import program

JOB = '''
    mode = sys.argv[2]
    if mode == "threads":
        values[3] += 8e-7 * int(os.environ["OMP_NUM_THREADS"])
    if mode == "random":
        values[5] = struct.unpack("<I", os.urandom(4))[0] / 2.0**33
    if mode == "machine" and os.path.exists("other"):
        values[7] += 0.25
    if mode == "crash":
        sys.exit(3)
    '''

SUITE = '''
    version: 1
    defaults:
      repeats: 3
      axes: {{threads: [1, 2], hash_seed: [0, 1]}}
    jobs:
    '''


def load(*path):
    with open(os.path.join(*path, "result.json"), encoding="utf-8") as file:
        return json.load(file)


def raw(*path):
    with open(os.path.join(*path, "result.json"), "rb") as file:
        return file.read()


class Merge(program.Program):
    def suite(self, *modes, folder="", more=""):
        self.job(os.path.join(folder, "job.py"), JOB)
        lines = [f"  - {{name: {mode}, command: [{sys.executable}, job.py, w.npy, {mode}], weights: w.npy{more}}}"
                 for mode in modes]
        return self.write(os.path.join(folder, "s.yaml"), program.textwrap.dedent(SUITE).replace("{{", "{").replace(
            "}}", "}") + "\n".join(lines) + "\n")

    def run_suite(self, out, *options, cwd="", code=None):
        self.samebits("run", "s.yaml", "--exact-repeats", "--out", self.path(out), "-q", *options,
                      cwd=self.path(cwd) if cwd else None, code=code)
        return self.path(out)

    def shards(self, n, **more):
        return [self.run_suite(f"shard{i}", "--shard", f"{i}/{n}", **more) for i in range(1, n + 1)]

    def merge(self, out, *results, code=0, options=()):
        done = self.samebits("merge", *[self.path(result) for result in results], "--out", self.path(out), "-q",
                             *options, code=code)
        return load(self.path(out)) if code != 2 or os.path.exists(self.path(out, "result.json")) else done

    def refused(self, *results, options=()):
        done = self.samebits("merge", *[self.path(result) for result in results], "--out", self.path("refused"),
                             *options, code=2)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def edit(self, result, change, weights=True):
        """A result as another machine, or a liar, would have made it."""
        document = load(self.path(result))
        change(document)
        if not weights:
            shutil.rmtree(self.path(result, "weights"))
        with open(self.path(result, "result.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        return self.path(result)

    def machine(self, name, host, cpu="CPU A", gpu=None, other=False, modes=("machine",), more="", code=None):
        """A whole result of the suite, made on a machine of that host, whose bits may be others."""
        self.suite(*modes, folder=name, more=more)
        if other:
            self.write(os.path.join(name, "other"), "")
        self.run_suite(name + "/out", cwd=name, code=code)
        self.edit(name + "/out", lambda d: d["manifest"].update(host=host, cpu={"model": cpu}, gpu=gpu))
        return name + "/out"

    # ---- Shards

    def test_shards_make_what_the_whole_would_have_been(self):
        self.suite("plain", "threads", "random", more="")
        whole = load(self.run_suite("whole", code=1))
        self.shards(3)
        merged = self.merge("merged", "shard3", "shard1", "shard2", code=1)
        self.assertEqual([run["id"] for run in merged["runs"]], [run["id"] for run in whole["runs"]])
        self.assertEqual([run["cell"] for run in merged["runs"]], [run["cell"] for run in whole["runs"]])
        self.assertEqual((merged["exit_code"], merged["outcome"]), (whole["exit_code"], whole["outcome"]))
        keys = ("id", "outcome", "reason", "verdict", "depends_on", "explanations", "conditions", "unstable_when",
                "axes", "runs", "failed", "distinct", "confidence", "grade", "asked")
        for one, other in zip(merged["jobs"], whole["jobs"]):
            self.assertEqual({key: one[key] for key in keys}, {key: other[key] for key in keys})
        for one, other in zip(merged["jobs"][:2], whole["jobs"][:2]):  # the third's are random
            for key in ("worst", "witness", "groups"):
                self.assertEqual(one[key], other[key])
        self.assertEqual([job["verdict"] for job in merged["jobs"]], ["bitwise", "config-dependent", "nondeterministic"])

    def test_order_and_repetition_make_no_difference(self):
        self.suite("threads", "random")
        self.shards(3)
        names = ["shard1", "shard2", "shard3"]
        self.merge("first", *names, code=1)
        for i, order in enumerate(itertools.permutations(names)):
            self.merge(f"order{i}", *order, order[0], code=1)
            self.assertEqual(raw(self.path(f"order{i}")), raw(self.path("first")), order)
        self.merge("pair", "shard3", "shard1", code=1)
        for i, more in enumerate((["pair", "shard2"], ["shard2", "first", "pair"], ["first"])):
            self.merge(f"again{i}", *more, code=1)
            self.assertEqual(raw(self.path(f"again{i}")), raw(self.path("first")), more)

    def test_a_missing_shard_leaves_what_it_would_have_shown_open(self):
        self.suite("threads")
        self.shards(4)
        partial = self.merge("partial", "shard1", "shard2")
        self.assertEqual(partial["jobs"][0]["scope"], "cells run")
        self.assertEqual(partial["jobs"][0]["runs"], 6)
        self.assertEqual(self.merge("merged", "partial", "shard3", "shard4", code=0)["jobs"][0]["runs"], 12)

    def test_weights_are_kept_once_and_logs_with_their_runs(self):
        self.suite("plain", "threads")
        self.shards(2)
        merged = self.merge("merged", "shard1", "shard2")
        kept = {group["fingerprint"].replace(":", "-") for job in merged["jobs"] for group in job["groups"]}
        self.assertEqual(set(os.listdir(self.path("merged", "weights"))), kept)
        a, b = merged["jobs"][1]["witness"]["a"], merged["jobs"][1]["witness"]["b"]
        self.samebits("compare", self.path("merged", a), self.path("merged", b), code=1)
        self.samebits("rerun", self.path("merged"), b, code=0)
        self.samebits("explain", self.path("merged"), "-q", code=0)
        self.assertIn("config-dependent", self.samebits("report", self.path("merged"), code=0).stdout)

    def test_thousands_of_runs_share_their_lists(self):
        self.suite("plain")
        self.run_suite("a")
        document = load(self.path("a"))
        template, runs = document["runs"][0], []
        for i in range(1500):
            runs.append({**template, "id": f"r{i + 1:05}", "repeat": i + 1, "log": f"logs/r{i + 1:05}.log"})
        for name, part in (("part1", runs[:900]), ("part2", runs[700:])):
            self.write(f"{name}/result.json", json.dumps({**document, "runs": part}))
        merged = self.merge("merged", "part1", "part2")
        self.assertEqual((len(merged["runs"]), merged["jobs"][0]["runs"]), (1500, 1500))
        self.assertEqual(len({run["observed"]["libraries"] for run in merged["runs"]}), 1)
        self.assertEqual(merged["lists"][merged["runs"][0]["observed"]["libraries"]],
                         template["observed"]["libraries"])
        for i, results in enumerate((("merged",), ("part2", "merged"), ("part2", "part1"))):
            self.merge(f"again{i}", *results)
            self.assertEqual(raw(self.path(f"again{i}")), raw(self.path("merged")), results)

    def test_a_run_that_was_interrupted_gives_way_to_the_one_that_was_done(self):
        self.suite("plain")
        self.run_suite("a")
        shutil.copytree(self.path("a"), self.path("b"))
        self.edit("b", lambda d: d["runs"][2].update(status="interrupted", fingerprint=None, sum=None, wall_s=0.5))
        self.merge("done", "a")
        for i, results in enumerate((("a", "b"), ("b", "a"))):
            self.merge(f"merged{i}", *results)
            self.assertEqual(raw(self.path(f"merged{i}")), raw(self.path("done")))

    def test_a_merged_result_is_not_gone_on_with(self):
        self.suite("plain")
        self.shards(2)
        self.merge("merged", "shard1", "shard2")
        done = self.samebits("run", "s.yaml", "--exact-repeats", "--resume", "--out", self.path("merged"), code=2)
        self.assertIn("shard", done.stderr)

    def test_logs_follow_their_runs_to_new_numbers(self):
        self.machine("a", "alpha", modes=("crash",), code=2)
        self.machine("b", "beta", modes=("crash",), code=2)
        self.write("b/out/logs/r00001.log", "of beta")
        merged = self.merge("merged", "a/out", "b/out", code=2)
        run = next(run for run in merged["runs"] if run["origin"] == "r00001" and run["machine"] == 1)
        with open(self.path("merged", run["log"]), encoding="utf-8") as file:
            self.assertEqual(file.read(), "of beta")

    # ---- Machines

    def test_hosts_that_agree_are_an_axis_without_effect(self):
        for name, host in (("a", "alpha"), ("b", "beta")):
            self.machine(name, host, code=0)
        merged = self.merge("merged", "a/out", "b/out")
        job = merged["jobs"][0]
        self.assertEqual((job["verdict"], job["runs"], merged["exit_code"]), ("bitwise", 24, 0))
        self.assertEqual([axis["name"] for axis in job["axes"]], ["threads", "hash_seed", "host"])  # one CPU: no axis
        self.assertEqual(job["axes"][2]["levels"], ["alpha", "beta"])
        self.assertTrue(job["axes"][2]["machine"])
        self.assertEqual([axis["name"] for axis in job["asked"]["axes"]], ["threads", "hash_seed"])
        self.assertEqual(len({run["id"] for run in merged["runs"]}), 24)
        self.merge("again", "merged", "b/out", "a/out")
        self.assertEqual(raw(self.path("again")), raw(self.path("merged")))

    def test_a_host_of_the_same_cpu_that_differs_is_the_cause(self):
        self.machine("a", "alpha")
        self.machine("b", "beta", other=True)
        job = self.merge("merged", "a/out", "b/out", code=1)["jobs"][0]
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", ["host"]))
        self.assertIn("host: alpha and beta differ", job["reason"])
        self.assertEqual(job["witness"]["differs_in"], ["host"])
        self.assertEqual(job["grade"], "divergent")
        done = self.samebits("explain", self.path("merged"), "-q", code=2)
        self.assertIn("the bits depend on host, which tells machines apart", " ".join(done.stdout.split()))
        self.samebits("rerun", self.path("merged"), job["witness"]["b"], "--print", code=0)

    def test_host_and_cpu_that_go_together_are_two_explanations(self):
        self.machine("a", "alpha", cpu="CPU A")
        self.machine("b", "beta", cpu="CPU B", other=True)
        merged = self.merge("merged", "a/out", "b/out", code=2)
        job = merged["jobs"][0]
        self.assertEqual((job["verdict"], job["depends_on"]), ("inconclusive", None))
        self.assertEqual(job["explanations"], [["host"], ["cpu"]])
        chosen = self.merge("chosen", "merged", code=1, options=("--machine", "cpu"))["jobs"][0]
        self.assertEqual((chosen["verdict"], chosen["depends_on"]), ("config-dependent", ["cpu"]))
        self.merge("back", "chosen", code=2)
        self.assertEqual(raw(self.path("back")), raw(self.path("merged")))

    def test_a_cpu_that_explains_leaves_nothing_to_its_hosts(self):
        self.machine("a", "alpha", cpu="CPU A")
        self.machine("b", "beta", cpu="CPU A")
        self.machine("c", "gamma", cpu="CPU B", gpu=["GPU X"], other=True)
        job = self.merge("merged", "a/out", "c/out", "b/out", options=("--machine", "host,cpu"), code=1)["jobs"][0]
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", ["cpu"]))
        self.assertEqual({axis["name"]: axis["effect"] for axis in job["axes"]}["host"], "none")
        self.assertIn("cpu: CPU A and CPU B differ", job["reason"])

    def test_a_requirement_may_name_the_gpu(self):
        more = ", require: {gpu: ignore}"
        self.machine("a", "alpha", gpu=["GPU X"], more=more)
        self.machine("b", "beta", gpu=["GPU Y"], more=more, other=True)
        job = self.merge("merged", "a/out", "b/out", options=("--machine", "gpu"))["jobs"][0]
        self.assertEqual((job["verdict"], job["depends_on"], job["outcome"]), ("config-dependent", ["gpu"], "pass"))

    def test_machines_may_have_different_levels(self):
        self.machine("a", "alpha")
        self.machine("b", "beta")

        def eight(document):  # as if `2` had been `all` of eight CPUs
            for entry in document["jobs"]:
                entry["axes"][0]["levels"][1] = "8"
            for run in document["runs"]:
                if run["cell"]["threads"] == "2":
                    run["cell"]["threads"] = "8"
        self.edit("b/out", eight)
        merged = self.merge("merged", "a/out", "b/out")
        self.assertEqual(merged["jobs"][0]["axes"][0]["levels"], ["1", "2", "8"])
        self.assertEqual(merged["jobs"][0]["asked"]["axes"][0]["from"], [0, 1, 1])
        self.merge("again", "b/out", "merged")
        self.assertEqual(raw(self.path("again")), raw(self.path("merged")))

    def test_the_manifest_says_what_differs(self):
        self.machine("a", "alpha")
        self.machine("b", "beta")
        self.edit("b/out", lambda d: d["manifest"]["versions"].update(libc="9.99"))
        manifest = self.merge("merged", "a/out", "b/out")["manifest"]
        self.assertEqual(manifest["host"], "alpha or beta")
        self.assertRegex(manifest["versions"]["libc"], r"^2\.\d+ or 9\.99$")
        self.assertEqual(manifest["versions"]["samebits"], "0.1.0")
        self.assertEqual([machine["host"] for machine in manifest["machines"]], ["alpha", "beta"])
        self.assertEqual(sorted(source["host"] for source in manifest["sources"]), ["alpha", "beta"])

    def test_shards_of_several_hosts_leave_open_what_goes_with_the_host(self):
        self.suite("plain", "threads")
        names = [os.path.basename(path) for path in self.shards(4)]
        for name in names[2:]:  # the cells of threads=2
            self.edit(name, lambda d: d["manifest"].update(host="elsewhere"))
        plain, threads = self.merge("merged", *names, code=2)["jobs"]
        self.assertEqual((plain["verdict"], plain["scope"]), ("bitwise", "cells run"))
        self.assertEqual((threads["verdict"], threads["depends_on"]), ("inconclusive", None))
        self.assertEqual(threads["explanations"], [["threads"], ["host"]])
        plain, threads = self.merge("one", *names, options=("--machine", "none"))["jobs"]
        self.assertEqual((threads["verdict"], threads["depends_on"]), ("config-dependent", ["threads"]))

    # ---- What is not there

    def test_without_weights_the_verdict_holds_and_the_size_is_unknown(self):
        self.suite("plain", "threads")
        self.run_suite("all")
        shutil.copytree(self.path("all"), self.path("bare"))
        for name in os.listdir(self.path("bare")):
            if name != "result.json":
                path = self.path("bare", name)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        merged = self.merge("merged", "bare/result.json", code=2)
        job = merged["jobs"][1]
        self.assertEqual((job["verdict"], job["depends_on"]), ("config-dependent", ["threads"]))
        self.assertEqual((job["grade"], job["worst"], job["outcome"]), (None, None, "error"))
        self.assertIn("whether differences are rounding cannot be judged", job["reason"])
        self.assertTrue(any("are not there" in limit for limit in job["limits"]), job["limits"])
        self.assertEqual(merged["jobs"][0]["outcome"], "pass")
        full = self.merge("full", "bare", "all")
        self.merge("alone", "all")
        self.assertEqual(raw(self.path("full")), raw(self.path("alone")))
        self.assertEqual(full["jobs"][1]["grade"], "rounding")

    def test_a_bitwise_requirement_fails_without_weights_too(self):
        self.suite("threads", more=", require: {threads: bitwise}")
        self.run_suite("all", code=1)
        shutil.rmtree(self.path("all", "weights"))
        self.assertEqual(self.merge("merged", "all", code=1)["jobs"][0]["outcome"], "fail")

    def test_a_job_that_a_machine_skipped_is_judged_by_the_others(self):
        self.machine("a", "alpha")
        self.machine("b", "beta")

        def skip(document):
            document["runs"] = []
            document["jobs"][0].update(verdict="skipped", outcome="skipped", reason="no GPU here", runs=0, groups=[])
        self.edit("b/out", skip)
        job = self.merge("merged", "a/out", "b/out")["jobs"][0]
        self.assertEqual((job["verdict"], job["runs"]), ("bitwise", 12))
        self.assertIn("not run everywhere: no GPU here", job["limits"])
        alone = self.merge("alone", "b/out", code=77)["jobs"][0]
        self.assertEqual((alone["outcome"], alone["reason"]), ("skipped", "no GPU here"))

    def test_changed_inputs_spoil_the_merged_result_too(self):
        self.suite("plain")
        self.run_suite("all")
        self.edit("all", lambda d: d["jobs"][0].update(inputs_changed="inputs changed while …: x"))
        job = self.merge("merged", "all", code=2)["jobs"][0]
        self.assertEqual((job["outcome"], job["verdict"]), ("error", "bitwise"))
        self.assertIn("inputs changed", job["reason"])
        self.merge("again", "merged", code=2)
        self.assertEqual(raw(self.path("again")), raw(self.path("merged")))

    # ---- What does not fit

    def test_what_does_not_fit_is_refused_by_name(self):
        self.suite("plain", "threads")
        self.run_suite("a")
        for what, change in (
                ("the suite", lambda d: d.update(suite="t.yaml")),
                ("the commit", lambda d: d["manifest"].update(git={"commit": "bbbb", "dirty": False})),
                ("the input x.csv", lambda d: d["manifest"]["inputs"].update({"x.csv": "xxh3:00"})),
                ("job 'plain': command", lambda d: d["jobs"][0]["asked"].update(command=["true"])),
                ("job 'threads': require", lambda d: d["jobs"][1]["asked"]["require"].update(threads="ignore")),
                ("job 'plain': axis 'threads'", lambda d: d["jobs"][0]["asked"]["axes"][0].update(written=["1", "4"])),
                ("r00001 of job 'plain'", lambda d: d["runs"][0].update(fingerprint="xxh3:00"))):
            self.edit("a", lambda d: (d["manifest"].update(git={"commit": "aaaa", "dirty": False}),
                                      d["manifest"]["inputs"].update({"x.csv": "xxh3:11"})))
            shutil.rmtree(self.path("b"), ignore_errors=True)
            shutil.copytree(self.path("a"), self.path("b"))
            self.edit("b", change)
            error = self.refused("a", "b")
            for part in (what, self.path("a"), self.path("b")):
                self.assertIn(part, error)
            self.assertFalse(os.path.exists(self.path("refused")))

    def test_damaged_results_are_refused(self):
        self.suite("plain")
        self.run_suite("a")
        text = raw(self.path("a"))
        for name, content in (("cut", text[:len(text) // 2]), ("empty", b""), ("list", b"[]"), ("other", b"{}"),
                              ("newer", text.replace(b"samebits.result/1", b"samebits.result/9"))):
            self.write(f"{name}/result.json", content.decode())
            self.assertIn(name, self.refused("a", name))
        for change in (lambda d: d["runs"][0].update(id="../../x"), lambda d: d["runs"][0].update(status="fine"),
                       lambda d: d["runs"][0].update(origin="r1/../../x"), lambda d: d["runs"][0].update(job_id="none"),
                       lambda d: d["runs"][0].update(cell={"threads": "99", "hash_seed": "0"}),
                       lambda d: d["runs"][0].update(cell=[]), lambda d: d["runs"][0].update(repeat=0),
                       lambda d: d["runs"][0].update(fingerprint=None), lambda d: d["runs"][0].update(observed=3),
                       lambda d: d["runs"][0].update(fingerprint=7), lambda d: d["jobs"][0].pop("asked"),
                       lambda d: d["jobs"][0]["asked"].update(axes=3), lambda d: d["jobs"][0].update(axes=[1]),
                       lambda d: d["jobs"][0]["asked"]["axes"][0].update({"from": [0, 9]}),
                       lambda d: d["jobs"][0]["asked"]["repeats"].update(min=-1),
                       lambda d: d["jobs"][0]["asked"]["require"].update(threads="maybe"),
                       lambda d: d["jobs"].append(d["jobs"][0]), lambda d: d.update(manifest=[]),
                       lambda d: d["manifest"].update(machines=[])):
            shutil.rmtree(self.path("b"), ignore_errors=True)
            shutil.copytree(self.path("a"), self.path("b"))
            self.edit("b", change)
            self.assertIn(self.path("b"), self.refused("b"))

    def test_wrong_types_anywhere_crash_nothing(self):
        self.suite("plain")
        self.run_suite("a")
        self.merge("merged", "a")
        chance = random.Random(1)
        for i in range(60):
            shutil.rmtree(self.path("b"), ignore_errors=True)
            document = load(self.path(chance.choice(("a", "merged"))))
            places = []

            def walk(node, places=places):
                for key in node if isinstance(node, dict) else range(len(node)):
                    places.append((node, key))
                    if isinstance(node[key], (dict, list)) and key != "libraries":
                        walk(node[key])
            walk(document)
            node, key = chance.choice(places)
            node[key] = chance.choice((None, True, -1, 1e300, "", "x", [], {}, [1], {"a": 1}, ["a"]))
            self.write("b/result.json", json.dumps(document))
            done = self.samebits("merge", "b", "--out", "c", "--force", "-q")
            self.assertIn(done.returncode, (0, 1, 2, 77), (i, key, node[key], done.stderr))
            self.assertIn(self.samebits("history", "a", "b").returncode, (0, 2), (i, key, node[key]))

    def test_weights_never_come_from_outside_the_store(self):
        self.suite("plain")
        self.run_suite("a")
        self.edit("a", lambda d: d["runs"][0].update(fingerprint="xxh3:../../../etc"))
        self.assertIn("no fingerprint", self.refused("a"))

    def test_out_is_new_and_none_of_the_results(self):
        self.suite("plain")
        self.run_suite("a")
        self.merge("merged", "a")
        self.assertIn("holds a result", self.samebits("merge", "a", "--out", "merged", code=2).stderr)
        self.samebits("merge", "a", "--out", "merged", "--force", "-q", code=0)
        self.assertIn("is one of the results", self.samebits("merge", "a", "--out", "a", "--force", code=2).stderr)
        self.assertTrue(os.path.exists(self.path("a", "result.json")))

    def test_usage(self):
        for arguments, text in (([], "give results and --out"), (["a"], "--out"), (["--out", "x"], "give results"),
                                (["none", "--out", "x"], "none"), (["a", "--out", "x", "--machine", "cpus"], "host"),
                                (["a", "--out", "x", "--report", "xml"], "xml")):
            self.assertIn(text, self.samebits("merge", *arguments, code=2).stderr)
        text = self.samebits("merge", "--help", code=0).stdout
        self.assertLess(len(text.splitlines()), 25)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_json_and_reports(self):
        self.suite("plain")
        self.run_suite("a")
        done = self.samebits("merge", "a", "--out", "m", "--json", "--report", f"junit:{self.path('x.xml')}", code=0)
        self.assertEqual(json.loads(done.stdout), load(self.path("m")))
        with open(self.path("x.xml"), encoding="utf-8") as file:
            self.assertIn("testsuite", file.read())


if __name__ == "__main__":
    program.main()
