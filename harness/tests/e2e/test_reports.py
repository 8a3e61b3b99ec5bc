"""Reports for other programs: GitHub's annotations, summary and outputs; Prometheus's metrics."""
import json
import os
import re

import program

HOSTILE = "a,b:c%d\r\n::error::e \"f\" \\g\u202e<h>|`i` \u00e9"


class Reports(program.Program):
    def result(self, n_failed, name="job"):
        """A result with so many jobs that fail, made of one that did."""
        self.job("job.py", body="import random; values[0] = random.random()")
        self.write("s.yaml", "version: 1\njobs:\n  - {name: j, command: [python3, job.py], weights: w.npy, repeats: 2, axes: {threads: [1]}}\n")
        result = self.run_json("s.yaml", "--out", "out", code=1)
        job = result["jobs"][0]
        result["jobs"] = [{**job, "id": f"{name} {i}", "worst": {**job["worst"], "max_ulp": i}} for i in range(n_failed)]
        self.write("many/result.json", json.dumps(result))

    def report(self, name, **environment):
        done = self.samebits("report", "many", "--report", name, code=0, env=environment)
        return done.stdout.splitlines()

    def test_github_gets_the_worst_ten_a_summary_and_outputs(self):
        self.result(25)
        self.write("summary", "before\n")
        lines = self.report("github", GITHUB_STEP_SUMMARY=self.path("summary"), GITHUB_OUTPUT=self.path("output"))
        errors = [line for line in lines if line.startswith("::error ")]
        self.assertEqual(len(errors), 10)
        self.assertTrue(errors[0].startswith("::error title=job 24,file=s.yaml::nondeterministic"), errors[0])
        self.assertIn("16 more jobs are not as required", errors[-1])
        with open(self.path("summary"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"^before\n### samebits: FAIL s\.yaml")
        with open(self.path("output"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "outcome=fail\nexit-code=1\njobs=25\nfailed=25\nresult=many/result.json\n")
        done = self.samebits("report", "many", "--report", "github", code=2, env={"GITHUB_OUTPUT": self.path("none/there")})
        self.assertIn("GITHUB_OUTPUT", done.stderr)

    def test_names_end_no_command_and_no_label(self):
        self.result(2, HOSTILE)
        for line in self.report("github"):
            self.assertRegex(line, r"^::(error|notice) title=[^:,\r\n]*,file=s\.yaml::[^\r\n]*$")
        metric = re.compile(r'^samebits_[a-z_]+\{[a-z]+="(\\["\\n]|[^"\\\n])*"(,[a-z]+="(\\["\\n]|[^"\\\n])*")*\} (\S+)$')
        typed = set()
        for line in "\n".join(self.report("prometheus:-")).split("\n"):
            if line.startswith("# TYPE "):
                self.assertNotIn(line, typed)  # the lines of a metric stand together
                typed.add(line)
            elif not line.startswith("# HELP "):
                found = metric.match(line)
                self.assertTrue(found, line)
                float(found.group(4).replace("Inf", "inf"))
        self.assertGreaterEqual(len(typed), 8)

    def test_a_summary_of_a_thousand_jobs_fits(self):
        self.result(1000, HOSTILE * 40)
        self.report("github", GITHUB_STEP_SUMMARY=self.path("summary"))
        self.assertLess(os.path.getsize(self.path("summary")), 1 << 20)


if __name__ == "__main__":
    program.main()
