#!/usr/bin/env python3
"""suites/causes.yaml: small programs with one known source of nondeterminism each; `explain` names it, and nothing else."""
import json
import os
import shutil
import subprocess

import program

KNOWN = {
    "unseeded_shuffle": ["entropy"],
    "random_file_names": ["entropy"],
    "time_seed": ["clock"],
    "process_seed": ["pid"],
    "time_and_process_seed": ["clock", "pid"],
    "set_of_words": ["hash_seed"],
    "set_of_objects": ["aslr"],
    "entropy": ["entropy"],
    "random_device": ["entropy"],
    "static_entropy": ["entropy"],
    "static_device": ["entropy"],
    "microseconds": ["clock"],
    "process_id": ["pid"],
    "pointer_keys": ["aslr"],
    "unwritten": ["memory"],
    "arrival": ["schedule"],
    "folder_order": ["readdir"],
    "host_seed": ["hostname"],
    "path_seed": ["path"],
    "batch_variable": ["env:BATCH_SIZE"],
    "letters": ["locale"],
    "consults_all_and_uses_none": [],
    "steady": [],
}


class Causes(program.Program):
    def test_each_cause_is_named_and_no_other(self):
        os.mkdir(self.path("jobs"))
        for name in ("causes.yaml", "jobs/cause.py", "jobs/cause.c"):
            shutil.copy(os.path.join(program.SOURCE, "suites", name), self.path(name))
        for options in (["-o", "jobs/cause"], ["-static", "-o", "jobs/cause_static"]):
            subprocess.run(["cc", "-O1", "-pthread", *options, "jobs/cause.c"], cwd=self.folder, check=True)
        done = self.samebits("run", "--json", "--out", "r", "causes.yaml")
        result = json.loads(done.stdout)
        verdicts = {job["id"]: job for job in result["jobs"]}
        self.assertEqual(set(verdicts), set(KNOWN))
        cannot = self.unavailable(verdicts)
        explained = json.loads(self.samebits("explain", "--json", "r", timeout=1000).stdout)["jobs"]
        self.assertEqual([job["id"] for job in explained], list(verdicts))
        for job in explained:
            expected = KNOWN[job["id"]]
            if cannot.intersection(expected):
                continue
            with self.subTest(job=job["id"]):
                said = verdicts[job["id"]]
                runs = [(run["cell"], run["status"], run["fingerprint"]) for run in result["runs"] if run["job_id"] == job["id"]]
                # A control that showed nothing leaves nothing to explain: then this is what went wrong, and not `explain`.
                self.assertEqual(said["outcome"], "xfail" if expected else "pass",
                                 f"{said['verdict']}: {said['reason']}; runs: {runs}; load: {os.getloadavg()}")
                self.assertEqual([cause["source"] for cause in job["causes"]], expected, job)
                self.assertIsNone(job["open"], job)
                for cause in job["causes"]:
                    self.assertEqual(cause["status"], "confirmed", cause)
                    self.assertTrue(cause["fix"], cause)

    def unavailable(self, verdicts):
        """Axes that this machine cannot vary, as a run says it."""
        cannot = {axis["name"] for job in verdicts.values() for axis in job["axes"] if axis.get("unavailable")}
        for axis, levels in (("pid", "live,frozen"), ("aslr", "on,off"), ("memory", "off,zero")):
            plan = self.run_json("--list", "--vary", f"{axis}={levels}", "--", "true")
            if plan["jobs"][0]["axes"][0]["unavailable"]:
                cannot.add(axis)
        return cannot


if __name__ == "__main__":
    program.main()
