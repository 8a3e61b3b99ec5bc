"""samebits history: when verdicts and bits changed over many results, and what differed then."""
import html.parser
import json
import os
import sys

import program

FINGERPRINTS = {letter: "xxh3:" + letter.lower() * 32 for letter in "ABCDEF"}


class History(program.Program):
    def samebits(self, *arguments, **more):
        return super().samebits(*arguments, **{"env": {"LC_ALL": "C.UTF-8"}, **more})

    def result(self, day, jobs, where="nightly", host="alpha", commit="c1", versions=None, **more):
        """The result of a night: `jobs` says of each job its verdict and its different bits, "bitwise A"."""
        entries = []
        for name, said in jobs.items():
            verdict, _, bits = said.partition(" ")
            outcome = {"bitwise": "pass", "config-dependent": "pass", "skipped": "skipped"}.get(verdict, "fail")
            entries.append({"name": name, "id": name, "verdict": verdict, "outcome": outcome, "runs": 6,
                            "groups": [{"fingerprint": FINGERPRINTS[bit], "runs": ["r00001"]} for bit in bits]})
        document = {"schema": "samebits.result/1", "suite": "s.yaml", "started": f"2025-01-{day:02}T02:00:00Z",
                    "outcome": "pass",
                    "manifest": {"versions": versions or {"libc": "2.36"}, "host": host, "cpu": {"model": "CPU A"},
                                 "gpu": None, "git": {"commit": commit, "dirty": False}},
                    "jobs": entries, "runs": [{"log": "\\\"]}" * 3, "x": [[]]}], "lists": {"a": ["}"]}}
        document.update(more)
        return self.write(f"{where}/{day:04}/result.json", json.dumps(document))

    def history(self, *arguments, code=0):
        return json.loads(self.samebits("history", "--json", *(arguments or ["nightly"]), code=code).stdout)

    def strip(self, *arguments, job="job"):
        lines = self.samebits("history", *(arguments or ["nightly"]), code=0).stdout.splitlines()
        return [line.split()[-3] for line in lines if line.startswith(f"  {job} ") and "changes" not in line]

    def changes(self, *arguments):
        return [(change["kind"], change["since"], change["result"], change["was"], change["is"])
                for change in self.history(*arguments)["changes"]]

    def test_bits_that_change_are_told_with_what_differed(self):
        for day, bits, commit, libc in ((1, "A", "c1", "2.36"), (2, "A", "c2", "2.36"), (3, "B", "c3", "2.37"),
                                        (4, "B", "c3", "2.37"), (5, "A", "c4", "2.36")):
            self.result(day, {"job": f"bitwise {bits}"}, commit=commit, versions={"libc": libc})
        document = self.history()
        self.assertEqual(document["schema"], "samebits.history/1")
        self.assertEqual([result["path"] for result in document["results"]], [f"nightly/{day:04}" for day in range(1, 6)])
        self.assertEqual([entry["bits"] for entry in document["jobs"][0]["entries"]], [1, 1, 2, 2, 1])
        first, second = document["changes"]
        self.assertEqual((first["kind"], first["since"], first["result"]), ("bits", 1, 2))
        self.assertEqual((first["was"], first["is"]), (FINGERPRINTS["A"], FINGERPRINTS["B"]))
        self.assertEqual(first["differences"], [{"what": "git.commit", "was": "c2", "is": "c3"},
                                                {"what": "versions.libc", "was": "2.36", "is": "2.37"}])
        self.assertEqual((second["since"], second["result"]), (3, 4))
        text = self.samebits("history", "nightly", code=0).stdout
        self.assertEqual(self.strip(), ["AABBA"])
        self.assertIn("2025-01-03T02:00:00Z  job: bits xxh3:aaaaaaaaaaaaaaaa → xxh3:bbbbbbbbbbbbbbbb", text)
        self.assertIn("commit c2 → c3; libc 2.36 → 2.37", text)

    def test_a_verdict_that_changes_is_told(self):
        for day, said in enumerate(("bitwise A", "nondeterministic ABC", "nondeterministic DE", "config-dependent AB",
                                    "inconclusive AB", "error", "skipped", "bitwise A"), 1):
            self.result(day, {"job": said})
        self.assertEqual(self.strip(), ["A~~b?!.A"])
        self.assertEqual(self.changes(), [
            ("verdict", 0, 1, "bitwise", "nondeterministic"), ("verdict", 2, 3, "nondeterministic", "config-dependent"),
            ("groups", 0, 3, None, None), ("verdict", 3, 4, "config-dependent", "inconclusive"),
            ("verdict", 4, 5, "inconclusive", "error"), ("verdict", 5, 7, "error", "bitwise"),
            ("groups", 4, 7, None, None)])

    def test_why_a_verdict_is_another_is_said(self):
        self.result(1, {"job": "bitwise A"})
        path = self.result(2, {"job": "error"})
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        document["jobs"][0]["reason"] = "6 of 6 runs failed: r00001 <crashed>\n"
        self.write(path, json.dumps(document))
        told = self.history()
        self.assertEqual(told["changes"][0]["reason"], document["jobs"][0]["reason"])
        self.assertEqual([entry["reason"] for entry in told["jobs"][0]["entries"]], [None, document["jobs"][0]["reason"]])
        text = self.samebits("history", "--report", "html:h.html", "nightly", code=0).stdout
        self.assertIn("\n      because 6 of 6 runs failed: r00001 <crashed>", text)
        with open(self.path("h.html"), encoding="utf-8") as file:
            self.assertIn("because 6 of 6 runs failed: r00001 &lt;crashed&gt;", file.read())

    def test_nothing_that_changed_is_said_too(self):
        for day in (1, 2, 3):
            self.result(day, {"job": "bitwise A"}, commit=f"c{day}")
        self.assertEqual(self.changes(), [])
        self.assertIn("no verdict and no bits changed", self.samebits("history", "nightly", code=0).stdout)

    def test_other_bits_beside_the_same_reference(self):
        self.result(1, {"job": "config-dependent AB"})
        self.result(2, {"job": "config-dependent AC"})
        self.assertEqual(self.changes(), [("groups", 0, 1, None, None)])
        self.assertIn("other bits beside the reference's", self.samebits("history", "nightly", code=0).stdout)

    def test_machines_are_strips_of_their_own(self):
        for day in (1, 2, 3, 4):
            self.result(day, {"job": "bitwise " + "AB"[day % 2]}, host="host" + "ab"[day % 2])
        self.assertEqual(self.changes(), [])
        self.assertEqual(self.strip(), ["AA", "AA"])
        self.assertIn("hosta", self.samebits("history", "nightly", code=0).stdout)
        self.assertEqual(len(self.changes("--machine", "cpu", "nightly")), 3)
        self.assertEqual(self.strip("--machine", "none", "nightly"), ["ABAB"])

    def test_a_job_that_was_not_run_leaves_a_gap(self):
        self.result(1, {"job": "bitwise A", "other": "bitwise C"})
        self.result(2, {"other": "bitwise C"})
        self.result(3, {"job": "bitwise B", "other": "bitwise C"})
        self.assertEqual((self.strip(), self.strip(job="other")), (["A.B"], ["AAA"]))
        self.assertEqual([change[:3] for change in self.changes()], [("bits", 0, 2)])
        self.assertEqual([job["job"] for job in self.history("--only", "oth*", "nightly")["jobs"]], ["other"])

    def test_time_decides_and_not_the_order_of_names(self):
        self.result(1, {"job": "bitwise B"}, started="2025-06-01T00:00:00Z")
        self.result(2, {"job": "bitwise A"}, started="2025-05-01T00:00:00Z")
        self.assertEqual(self.changes(), [("bits", 0, 1, FINGERPRINTS["A"], FINGERPRINTS["B"])])

    def test_results_may_be_named_in_any_way_and_count_once(self):
        for day in (1, 2):
            self.result(day, {"job": "bitwise A"})
            self.result(day, {"job": "bitwise A"}, where="deep/er/x", started=f"2025-02-0{day}T00:00:00Z")
        os.symlink("0002", self.path("nightly", "latest"))
        document = self.history("nightly", "nightly/0001", "nightly/0002/result.json", "nightly/latest", "deep")
        self.assertEqual(len(document["results"]), 4)

    def test_real_results_are_read(self):
        self.job("job.py", "values[0] = float(open('x').read())")
        for value in ("1", "1", "2"):
            self.write("x", value)
            self.samebits("run", "-q", "--vary", "hash_seed=0,1", "--weights", "w.npy", "--", sys.executable, "job.py",
                          code=0)
        document = self.history("samebits-results")
        self.assertEqual([entry["bits"] for entry in document["jobs"][0]["entries"]], [1, 1, 2])
        self.assertEqual([(change["kind"], change["differences"]) for change in document["changes"]], [("bits", [])])
        self.assertEqual(len(self.history("latest")["results"]), 1)

    def test_what_cannot_be_read_is_named_and_the_rest_is_shown(self):
        self.result(1, {"job": "bitwise A"})
        text = self.result(2, {"job": "bitwise A"})
        with open(text, encoding="utf-8") as file:
            whole = file.read()
        self.write("nightly/0003/result.json", whole[:len(whole) // 2])
        self.write("nightly/0004/result.json", whole.replace("result/1", "result/9"))
        done = self.samebits("history", "nightly", "none", code=2)
        for name in ("nightly/0003", "samebits.result/9", "none: "):
            self.assertIn(name, done.stderr)
        self.assertIn("2 results", done.stdout)
        self.assertEqual(self.samebits("history", "nightly/0003", code=2).stdout, "")

    def test_hostile_names_move_no_cursor(self):
        self.result(1, {"a\u001b[2Jb": "bitwise A"})
        self.result(2, {"a\u001b[2Jb": "bitwise B"})
        self.assertNotIn("\u001b", self.samebits("history", "nightly", code=0).stdout)

    def test_many_changes_are_cut_and_many_results_too(self):
        for day in range(1, 80):
            self.result(day, {"job": "bitwise " + "ABCDEF"[day % 6]}, started=f"2025-01-01T00:{day:02}:00Z")
        text = self.samebits("history", "nightly", code=0).stdout
        self.assertIn("58 earlier changes are left out", text)
        self.assertEqual(text.count(": bits "), 20)
        self.assertEqual(self.samebits("history", "-v", "nightly", code=0).stdout.count(": bits "), 78)
        strip = self.strip()[0]
        self.assertEqual((strip[0], len(strip)), ("…", 60))

    def test_a_page_has_a_strip_for_each_job_and_nothing_from_elsewhere(self):
        for day in range(1, 31):
            verdict = "bitwise " + "AB"[day > 10] if day < 20 else "nondeterministic AB"
            self.result(day, {"job": verdict, "<script>&\"x\u202e": "bitwise A"})
        done = self.samebits("history", "nightly", "--report", "html:page.html", "--json", code=0)
        self.assertEqual(len(json.loads(done.stdout)["changes"]), 2)
        with open(self.path("page.html"), encoding="utf-8") as file:
            text = file.read()

        class Page(html.parser.HTMLParser):
            def __init__(self):
                super().__init__()
                self.open, self.spans, self.cells, self.heads = [], [], [], []

            def handle_starttag(self, tag, attributes):
                self.open.append(tag)
                if tag == "span":
                    self.spans.append((dict(attributes)["style"], dict(attributes)["title"]))

            def handle_endtag(self, tag):
                while self.open and self.open.pop() != tag:
                    pass

            def handle_data(self, data):
                if self.open[-1:] == ["span"]:
                    self.cells.append(data)
                if self.open[-1:] == ["th"]:
                    self.heads.append(data)
        page = Page()
        page.feed(text)
        self.assertEqual(page.cells, ["A", "B", "~", "A"])
        self.assertEqual([style for style, _ in page.spans], [f"flex-grow:{n}" for n in (10, 9, 11, 30)])
        self.assertIn("10 results, 2025-01-01T02:00:00Z to 2025-01-10T02:00:00Z: nightly/0010", page.spans[0][1])
        self.assertEqual(page.heads[5:], ["job", "<script>&\"x\\u202e"])
        self.assertNotRegex(text, "<script|https?:|src=|url\\(")
        self.assertEqual(text.count("<li>"), 2)
        self.samebits("history", "nightly", "-r", "html", code=0)
        self.assertTrue(os.path.exists(self.path("history.html")))

    def test_usage(self):
        self.result(1, {"job": "bitwise A"})
        os.mkdir(self.path("deep"))
        for arguments, text in (([], "give results"), (["none"], "none"), (["--machine", "x", "."], "host"), (["-r", "xml", "."], "html"),
                                (["-r", "html:none/x.html", "nightly"], "none"),
                                (["deep"], "holds no result")):
            self.assertIn(text, self.samebits("history", *arguments, code=2).stderr)
        text = self.samebits("history", "--help", code=0).stdout
        self.assertLess(len(text.splitlines()), 25)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)


if __name__ == "__main__":
    program.main()
