"""The HTML page in a real browser."""
import atexit
import copy
import json
import os
import shutil
import tempfile

import browser
import program

# SAMEBITS_SCREENSHOTS names a folder to look at.
SCREENSHOTS = os.environ.get("SAMEBITS_SCREENSHOTS")
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\u202e'\"&<!--"


class Page(program.Program):
    shared = made = None

    def setUp(self):
        super().setUp()
        if not program.works("chromium", "--version") or not program.works("chromedriver", "--version"):
            self.skipTest("needs chromium: ci/install-deps --tests")
        if not Page.shared:  # one for all of them
            Page.shared = browser.Browser()
            atexit.register(Page.shared.close)
        self.browser = Page.shared

    def page(self):
        """A result with a dependence, a race, a crash and a pass, and its page; made once."""
        if not Page.made:
            Page.made = tempfile.mkdtemp(prefix="samebits-e2e-page-")
            atexit.register(shutil.rmtree, Page.made, ignore_errors=True)
            self.make()
            shutil.copytree(self.folder, Page.made, dirs_exist_ok=True, symlinks=True)
        shutil.copytree(Page.made, self.folder, dirs_exist_ok=True, symlinks=True)
        self.browser.open(self.path("page.html"))

    def make(self):
        self.job("train.py", body="""
            import os, random
            kind = sys.argv.pop()
            if kind == "hash": values = [v + hash("x") % 7 * 1e-6 for v in values]
            if kind == "random": values[3] += random.random()
            if kind == "crash": print("what went wrong <b>here</b>"); sys.exit(3)
            """)
        jobs = "".join(f"  - {{name: {json.dumps(name)}, command: [python3, train.py, w.npy, {kind}], weights: w.npy}}\n"
                       for name, kind in (("steady", "none"), ("by-hash", "hash"), ("random", "random"), ("broken", "crash"),
                                          (HOSTILE, "none")))
        self.write("s.yaml", "version: 1\ndefaults: {repeats: 2, axes: {hash_seed: [0, 1], deterministic: [off, on]}}\n"
                             "jobs:\n" + jobs)
        self.samebits("run", "s.yaml", "--out", "out", "--report", "html:page.html", code=2)

    def names(self):
        return [name for name in self.browser.texts("tbody th") if name != HOSTILE]

    def fragment(self):
        return self.browser.run("return decodeURIComponent(location.hash)")

    def snap(self, name):
        if SCREENSHOTS:
            self.browser.screenshot(os.path.join(SCREENSHOTS, name + ".png"))

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])
        self.browser.emulate()
        self.browser.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})

    def test_it_filters_and_sorts_and_the_address_keeps_that(self):
        self.page()
        self.assertEqual(self.names(), ["steady", "by-hash", "random", "broken"])
        self.assertEqual(self.browser.run("return document.title"), "ERROR · s.yaml")
        self.browser.press("/", "h", "a", "s", "h")
        self.assertEqual(self.names(), ["by-hash"])
        self.assertEqual(self.browser.texts("#shown"), ["1 of 5 jobs"])
        self.browser.open(self.path("page.html"), self.fragment())
        self.assertEqual(self.names(), ["by-hash"])
        self.browser.open(self.path("page.html"))
        self.browser.click("[data-outcome=fail]")
        self.browser.click("[data-outcome=error]")
        self.assertEqual(self.names(), ["by-hash", "random", "broken"])
        self.browser.click("thead th:nth-child(2)")
        self.assertEqual(self.names()[0], "broken")
        self.assertEqual(self.fragment(), "#o=fail,error&s=outcome")
        self.browser.click("thead th:nth-child(2)")
        self.assertEqual(self.names()[-1], "broken")
        self.browser.run("const s = document.getElementById('verdict'); s.value = 'nondeterministic'; s.dispatchEvent(new Event('change'))")
        self.assertEqual(self.names(), ["random"])

    def test_a_cell_opens_what_is_known_of_the_job(self):
        self.page()
        self.snap("matrix")
        self.browser.click("tbody tr:nth-child(2) td:nth-child(5)")
        details, = self.browser.texts("#details")
        for text in ("by-hash", "config-dependent", "The weights are a function of hash_seed (0 | 1).", "WITNESS", "samebits compare out/r",
                     "samebits explain out --job by-hash", "max ULP", "ELEMENTS BY DISTANCE IN ULP", "xxh3:", "with 95% confidence"):
            self.assertIn(text, details)
        letters = self.browser.texts(".run")
        self.assertEqual(set(letters), {"A", "B"})
        self.browser.click(".run.wit")
        self.assertIn("samebits rerun out r", self.browser.texts("#run")[0])
        self.assertRegex(self.fragment(), r"^#job=by-hash&run=r\d{5}$")
        self.snap("details")
        where = self.fragment()
        self.browser.open(self.path("page.html"), where)
        self.assertIn("by-hash", self.browser.texts("#details")[0])
        self.assertEqual(len(self.browser.texts("#run")), 1)
        # The end of a failed run's log, as it is.
        self.browser.click("tbody tr:nth-child(4) th")
        self.assertIn("what went wrong <b>here</b>", self.browser.texts("#details")[0])

    def test_the_cause_stands_where_explain_was_asked(self):
        self.make()  # where the runs can be made again
        self.samebits("explain", "-q", "out", "--job", "by-hash", code=0)
        with open(self.path("out", "explain.json"), encoding="utf-8") as file:
            document = json.load(file)
        document["jobs"][0]["causes"][0]["fix"] += HOSTILE
        document["jobs"][0]["causes"][0]["growth"] = [{"step": 1, "max_abs": 1e-7, "max_ulp": 1, "share": 0.5},
                                                      {"step": 9, "max_abs": 1e-5, "max_ulp": 9, "share": 1}]
        self.write("out/explain.json", json.dumps(document))
        self.samebits("report", "-q", "out", "--report", "html:why.html", code=0)
        self.browser.open(self.path("why.html"), "#job=by-hash")
        details, = self.browser.texts("#details")
        for text in ("WHY", "hash_seed (confirmed)", "hash_seed=0: 3 runs, 1 result", "fix: sort the set or dictionary", HOSTILE,
                     "the difference begins at step 1"):
            self.assertIn(text, details)
        self.assertEqual(len(self.browser.texts("#details .plot circle")), 2)
        self.assertIsNone(self.browser.run("return window.hacked"))
        self.snap("why")

    def test_the_growth_of_a_difference_is_drawn(self):
        """Ranks that share a batch add its gradients in another order."""
        self.write("steps.yaml", """
            version: 1
            jobs:
              - {name: growing, train: dense, args: {save_steps: true}, axes: {ranks: [1, 3]}, require: {ranks: ignore}}
            """)
        document = self.run_json("steps.yaml", "--out", "steps", "--report", "html:" + self.path("page.html"), code=0)
        growth = document["jobs"][0]["growth"]
        self.browser.open(self.path("page.html"))
        self.browser.click("tbody tr th")
        self.assertIn("GROWTH: THE LARGEST DIFFERENCE AFTER EACH STEP", self.browser.texts("#details")[0])
        dots = self.browser.run("return [...document.querySelectorAll('#details .plot circle')].map(dot => "
                                "[dot.textContent, +dot.getAttribute('cx'), +dot.getAttribute('cy')])")
        self.assertEqual(len(dots), len(growth))
        self.assertEqual([dot[0].split(":")[0] for dot in dots], [f"step {point['step']}" for point in growth])
        self.assertEqual(sorted(dots, key=lambda dot: dot[1]), dots)
        # The larger a difference, the higher its dot.
        pairs = sorted((point["max_abs"], -dot[2]) for point, dot in zip(growth, dots))
        self.assertEqual([height for _, height in pairs], sorted(height for _, height in pairs))
        self.browser.run("document.querySelector('#details .plot').scrollIntoView()")
        self.snap("growth")

    def test_keys_do_what_the_mouse_does(self):
        self.page()
        self.browser.press("j", "j", "j", "k", "Enter")
        self.assertEqual(self.browser.texts("#details h2"), ["by-hash"])
        self.browser.press("j")
        self.assertEqual(self.browser.texts("#details h2"), ["random"])
        self.browser.press("Escape")
        self.assertEqual(self.browser.texts("#details"), [])
        self.assertEqual(self.fragment(), "")
        self.browser.press("?")
        self.assertEqual(len(self.browser.texts("#keys")), 1)
        self.browser.press("Escape")
        self.assertEqual(self.browser.texts("#keys"), [])

    def test_light_and_dark(self):
        self.page()
        colour = "return getComputedStyle(document.body).backgroundColor"
        for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 27)")):
            self.browser.emulate(prefers_color_scheme=scheme)
            self.browser.open(self.path("page.html"), "#job=by-hash")
            self.assertEqual(self.browser.run(colour), ground)
            self.snap(scheme)
        self.browser.press("t")
        self.assertEqual(self.browser.run(colour), "rgb(255, 255, 255)")
        self.assertIn("theme=light", self.fragment())

    def test_names_are_text_whatever_stands_in_them(self):
        self.page()
        self.browser.run("document.querySelector('tbody tr:nth-child(5) th').click()")
        self.assertEqual(self.browser.run("return document.querySelector('#details h2').textContent"), HOSTILE)
        self.assertIsNone(self.browser.run("return window.hacked"))
        self.assertEqual(self.browser.run("return document.images.length + document.scripts.length"), 2)
        # Nor would a script that came in otherwise be run, or anything be fetched.
        self.browser.run("const s = document.createElement('script'); s.textContent = 'window.hacked = 3'; document.body.append(s)")
        self.assertIsNone(self.browser.run("return window.hacked"))
        self.assertTrue(any("Content Security Policy" in said for said in self.browser.complaints()))

    def test_a_narrow_screen_and_paper(self):
        self.page()
        for job in ("", "#job=by-hash"):
            self.browser.resize(390, 800)
            self.browser.open(self.path("page.html"), job)
            self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)
            self.snap("narrow" + job.replace("#job=", "-"))
        self.browser.emulate(media="print")
        self.assertEqual(self.browser.texts("nav, button"), [])
        self.assertTrue(self.browser.printed().startswith(b"%PDF"))

    def test_a_hundred_thousand_runs(self):
        self.page()
        with open(self.path("out", "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        job = result["jobs"][1]
        run = next(run for run in result["runs"] if run["job_id"] == job["id"])
        jobs, runs = [], []
        for i in range(1000):
            jobs.append({**copy.deepcopy(job), "id": f"suite/part-{i % 7}/job-{i}", "name": f"job-{i}"})
            runs += [{**run, "id": f"r{100 * i + k:05d}", "job": f"job-{i}", "job_id": jobs[i]["id"], "repeat": k + 1} for k in range(100)]
        result.update(jobs=jobs, runs=runs)
        self.write("big/result.json", json.dumps(result))
        self.samebits("report", "big", "--report", "html:big.html", code=0)
        self.assertLess(os.path.getsize(self.path("big.html")), 20e6)
        self.browser.open(self.path("big.html"), "#job=suite/part-5/job-999")
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 1000)
        self.assertEqual(len(self.browser.texts(".run")), 100)
        seconds = self.browser.run("return performance.getEntriesByType('navigation')[0].duration") / 1e3
        print(f"# {os.path.getsize(self.path('big.html')) / 1e6:.1f} MB, opened in {seconds:.2f} s")
        self.browser.press("/", "9", "9", "9")
        self.assertEqual(len(self.names()), 1)
        self.snap("big")

    def test_a_line_shows_that_it_opens_and_closes(self):
        self.page()
        state = """const row = [...document.querySelectorAll('tbody tr')].find(row => row.firstChild.innerText === 'by-hash');
            if (arguments[0]) row.click();
            return [getComputedStyle(row.firstChild, '::before').content, row.firstChild.getAttribute('aria-expanded'),
                    !document.getElementById('details').hidden, document.querySelectorAll('[aria-expanded="true"]').length]"""
        closed, opened = ['"\u25b8"', "false", False, 0], ['"\u25be"', "true", True, 1]
        self.assertEqual(self.browser.run(state, False), closed)  # of several jobs none is open unasked
        self.assertEqual(self.browser.run(state, True), opened)
        self.snap("open")
        self.assertEqual(self.browser.run(state, True), closed)
        self.browser.run(state, True)
        self.browser.press("Escape")
        self.assertEqual(self.browser.run(state, False), closed)

    def test_the_only_job_is_open_where_it_failed(self):
        self.page()
        with open(self.path("out", "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        for name, shown in (("broken", ["broken"]), ("random", ["random"]), ("steady", [])):
            self.write("one/result.json", json.dumps({**result, "jobs": [job for job in result["jobs"] if job["id"] == name]}))
            self.samebits("report", "one", "--report", "html:one.html", code=0)
            self.browser.open(self.path("one.html"))
            self.assertEqual(self.browser.texts("#details h2"), shown)

    def test_commands_call_the_program_as_it_was_called(self):
        self.page()
        self.browser.run("[...document.querySelectorAll('tbody tr')].find(row => row.firstChild.innerText === 'random').click()")
        commands = self.browser.texts(".command code")
        self.assertTrue(commands)
        self.assertTrue(all(command.startswith(program.SAMEBITS + " ") for command in commands), commands)


if __name__ == "__main__":
    program.main()
