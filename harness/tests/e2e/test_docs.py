"""What the documentation lists is what this build has."""
import json
import os
import re
import shlex

import program
from program import SOURCE


class Docs(program.Program):
    def test_the_suite_of_the_kernels_page_runs(self):
        with open(os.path.join(SOURCE, "docs", "kernels.md"), encoding="utf-8") as file:
            suite = re.search(r"```yaml\n(version: 1\n.*?)```", file.read(), re.S).group(1)
        self.write("kernels.yaml", suite)
        done = self.samebits("run", "kernels.yaml", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        jobs = {job["id"]: job for job in json.loads(done.stdout)["jobs"]}
        self.assertEqual(jobs["gemm/ref"]["verdict"], "bitwise")
        self.assertEqual(jobs["gemm/ref"]["calls"]["distinct"], 1)
        self.assertFalse(jobs["gemm/ref"]["accuracy"]["inaccurate"])

    def test_every_document_that_is_linked_exists(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            for target in re.findall(r"\]\(([^)]+)\)", file.read()):
                self.assertTrue(os.path.exists(os.path.join(SOURCE, target)), target)

    def table(self, name, heading):
        """Cells of the rows of the table in docs/NAME whose first line begins with `heading`."""
        with open(os.path.join(SOURCE, "docs", name), encoding="utf-8") as file:
            lines = file.read().split("\n" + heading)[1].splitlines()[2:]
        rows = []
        for line in lines:
            if not line.startswith("|"):
                break
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        self.assertTrue(rows)
        return rows

    def test_the_axes_of_the_documents_are_those_of_this_build(self):
        documented = [row[0].strip("`") for row in self.table("axes.md", "| axis | levels |")]
        axes = json.loads(self.samebits("list", "axes", "--json", code=0).stdout)["axes"]
        self.assertEqual(documented, [axis["name"] for axis in axes if "in this build" not in axis["levels"]])

    def variables_set_by(self, axis, level, around):
        """What an axis changes in the environment of a run, and what of `around` it takes away."""
        seen = {}
        os.makedirs(self.path("work"), exist_ok=True)
        for name, value in (("env:UNVARIED", "1"), (axis, level)):
            out = self.path("environment")
            self.samebits("run", "-q", "--vary", f"{name}={value}", "--repeats", "1", "--exact-repeats", "--", "sh", "-c",
                          f"env > {shlex.quote(out)}", env=around, cwd=self.path("work"), code=2)
            with open(out, encoding="utf-8") as file:
                seen[name] = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        before, after = seen["env:UNVARIED"], seen[axis]
        self.assertEqual({name: before.get(name) for name in around}, around)
        return {name for name in {*before, *after} - {"UNVARIED"} if before.get(name) != after.get(name)}

    def test_the_variables_of_the_documents_are_those_that_runs_get(self):
        levels = {"hash_seed": "7", "threads": "2", "deterministic": "on", "isa": "sse2", "memory": "0x55", "locale": "C"}
        documented = {row[0].strip("`"): set(re.findall(r"`([A-Za-z_]+)`", row[1]))
                      for row in self.table("axes.md", "| axis | variables |")}
        self.assertEqual(set(documented), set(levels))
        around = {"memory": {"MALLOC_PERTURB_": "1"}, "locale": {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "LANGUAGE": "de"}}
        for axis, level in levels.items():
            with self.subTest(axis=axis):
                documented[axis].discard("LC_")
                found = self.variables_set_by(axis, level, around.get(axis, {}))
                found.discard("LC_CTYPE")  # one of LC_*, which this Python adds where the locale is C (PEP 538)
                self.assertEqual(found, documented[axis])

    def test_every_option_of_run_is_documented_and_no_other(self):
        known = set(re.findall(r"--[a-z-]+", self.samebits("run", "--help", code=0).stdout.split("\n\n", 1)[1]))
        documented = set()
        for row in self.table("suite.md", "| option | effect |"):
            documented |= set(re.findall(r"--[a-z-]+", row[0]))
        with open(os.path.join(SOURCE, "docs", "suite.md"), encoding="utf-8") as file:
            tables = file.read().split("| option | effect |")[1:]
        for table in tables:
            for line in table.splitlines()[2:]:
                if not line.startswith("|"):
                    break
                documented |= set(re.findall(r"--[a-z-]+", re.split(r"(?<!\\)\|", line)[1]))
        self.assertEqual(documented, known)


if __name__ == "__main__":
    program.main()
