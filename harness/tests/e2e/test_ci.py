"""The files for CI services: as their services want them, and their shell steps run with the variables that they would get."""
import glob
import json
import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree

import program
from program import PYTHON, SAMEBITS, SOURCE

# Without levels that differ, and with.
STABLE, DIVERGING = "", "values[3] += float(os.environ.get('KNOB', 0))"


def load(path):
    """As text throughout: YAML 1.1 would make `on` a truth value."""
    code = "import json, sys, yaml; json.dump(yaml.load(sys.stdin, yaml.BaseLoader), sys.stdout)"
    with open(os.path.join(SOURCE, "ci", path), encoding="utf-8") as file:
        done = subprocess.run([PYTHON, "-c", code], stdin=file, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Ci(program.Program):
    def setUp(self):
        super().setUp()
        if not program.works(PYTHON, "-c", "import yaml"):
            self.skipTest("needs yaml: .venv has none")
        os.symlink(SOURCE, self.path(".samebits"))
        self.job(name="train.py", body=STABLE)

    def sh(self, script, code=0, shell=("sh", "-e"), **variables):
        """Runs a step as a service does: in the working copy, with its variables and few others."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "OPENBLAS_CORETYPE", "ASAN_OPTIONS", "UBSAN_OPTIONS")
                       if name in os.environ}
        done = subprocess.run([*shell, "-c", script], cwd=self.folder, env={**environment, "SAMEBITS": SAMEBITS, **variables},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, f"{script}\n{done.stdout}{done.stderr}")
        return done

    def reports(self, folder="samebits-out"):
        for name in ("result.json", "junit.xml", "report.html", "summary.md"):
            self.assertTrue(os.path.getsize(self.path(folder, name)), name)
        return ElementTree.parse(self.path(folder, "junit.xml")).getroot()

    # ---- GitHub

    def github(self):
        files = {name: self.write(name, "") for name in ("summary", "output", "env")}
        return {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": self.folder, "GITHUB_STEP_SUMMARY": files["summary"],
                "GITHUB_OUTPUT": files["output"], "GITHUB_ENV": files["env"], "RUNNER_TEMP": self.folder,
                "GITHUB_ACTION_PATH": os.path.join(SOURCE, "ci", "github")}

    def action(self, code=0, **given):
        """Its steps, one after the other; outputs of the last."""
        action = load("github/action.yml")
        for name in given:
            self.assertIn(name, action["inputs"])
        values = {name: given.get(name, entry["default"]) for name, entry in action["inputs"].items()}
        values["samebits"] = SAMEBITS
        variables = self.github()
        for i, step in enumerate(action["runs"]["steps"]):
            own = {name: re.sub(r"\$\{\{ inputs\.([a-z]+) \}\}", lambda match: values[match.group(1)], text)
                   for name, text in step.get("env", {}).items()}
            last = i + 1 == len(action["runs"]["steps"])
            done = self.sh(step["run"], code if last else 0, ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail"),
                           **variables, **own)
        with open(variables["GITHUB_OUTPUT"], encoding="utf-8") as file:
            outputs = dict(line.rstrip("\n").split("=", 1) for line in file)
        for name, output in action["outputs"].items():
            self.assertEqual(output["value"], f"${{{{ steps.run.outputs.{name} }}}}")
            if code != 2:
                self.assertIn(name, outputs)
        return done, outputs, variables

    def test_the_action_says_what_samebits_says(self):
        done, outputs, variables = self.action(command="python3 train.py", options="--vary\nhash_seed=0,1\n")
        self.assertEqual((outputs["outcome"], outputs["exit-code"], outputs["failed"]), ("pass", "0", "0"))
        self.assertEqual(os.path.realpath(self.path(outputs["result"])), os.path.realpath(self.path("samebits-out/result.json")))
        self.assertNotIn("::error", done.stdout)
        with open(variables["GITHUB_STEP_SUMMARY"], encoding="utf-8") as file:
            self.assertIn("train.py", file.read())
        self.assertEqual(self.reports().get("failures"), "0")

    def test_the_action_ends_as_samebits_does(self):
        self.job(name="train.py", body=DIVERGING)
        done, outputs, _ = self.action(1, command="python3 train.py", options="--vary\nenv:KNOB=0,1", out="one")
        self.assertEqual((outputs["outcome"], outputs["failed"]), ("fail", "1"))
        self.assertIn("::error title=", done.stdout)
        self.assertEqual(self.reports("one").get("failures"), "1")
        self.action(2, command="true && exit 3", out="two")
        self.write("skipped.yaml", "version: 1\njobs: [{name: a, needs: {command: ['false'], install: nothing}, command: ['true']}]\n")
        self.action(77, suite="skipped.yaml", out="three")
        self.action(0, suite="skipped.yaml", out="four", skipped="pass")
        done, _, _ = self.action(2)
        self.assertIn("SAMEBITS_SUITE or SAMEBITS_COMMAND has to be set", done.stderr)

    def test_inputs_of_the_action_are_no_script(self):
        done, _, _ = self.action(2, suite='"; touch pwned; $(touch pwned) `touch pwned` "', options="'; touch pwned\n")
        self.assertFalse(os.path.exists(self.path("pwned")))
        self.assertIn("touch pwned", done.stderr)

    def test_the_action_checks_a_baseline(self):
        self.action(command="python3 train.py", options="--vary\nhash_seed=0,1")
        self.samebits("baseline", "save", "samebits-out", code=0)
        self.action(command="python3 train.py", options="--vary\nhash_seed=0,1", baseline="samebits.baseline", out="again")
        self.job(name="train.py", body="values[3] += 1")
        done, _, _ = self.action(1, command="python3 train.py", options="--vary\nhash_seed=0,1", baseline="samebits.baseline",
                                 out="changed")
        self.assertIn("changed, stable", done.stdout)

    def test_the_action_and_the_workflows_are_as_github_wants_them(self):
        action = load("github/action.yml")
        self.assertLessEqual({"name", "description", "runs", "inputs", "outputs"}, set(action))
        self.assertEqual(action["runs"]["using"], "composite")
        for name, entry in action["inputs"].items():
            self.assertEqual(set(entry), {"description", "default"}, name)
        for step in action["runs"]["steps"]:
            self.assertIn("shell", step)
            self.assertNotIn("${{", step["run"])
        for path in glob.glob(os.path.join(SOURCE, "ci", "github", "workflows", "*.yml")):
            workflow = load(os.path.relpath(path, os.path.join(SOURCE, "ci")))
            self.assertLessEqual({"name", "on", "permissions", "jobs"}, set(workflow))
            for job in workflow["jobs"].values():
                self.assertIn("runs-on", job)
                needs = job.get("needs", [])
                for needed in [needs] if isinstance(needs, str) else needs:
                    self.assertIn(needed, workflow["jobs"])
                for step in job["steps"]:
                    self.assertEqual(("run" in step) + ("uses" in step), 1, step)
                    self.assertNotIn("${{", step.get("run", ""))
                    self.check_use(step, action)

    def check_use(self, step, action):
        used = step.get("uses", "")
        if used.startswith("./.samebits/"):
            self.assertTrue(os.path.exists(os.path.join(SOURCE, used.removeprefix("./.samebits/"), "action.yml")))
            self.assertLessEqual(set(step["with"]), set(action["inputs"]))
        elif used:
            self.assertRegex(used, r"^actions/[a-z-]+@v\d+$")

    def test_the_nightly_joins_what_machines_found_and_makes_a_page(self):
        for part in ("parts/part-a", "parts/part-b"):
            self.sh(".samebits/ci/step run", SAMEBITS_COMMAND="python3 train.py", SAMEBITS_OUT=part,
                    SAMEBITS_OPTIONS="--vary\nhash_seed=0,1\n--shard\n" + ("1/2" if part.endswith("a") else "2/2"))
        steps = load("github/workflows/nightly-gpu.yml")["jobs"]["page"]["steps"]
        for step in steps:
            if "run" in step and "if" not in step:
                self.sh(step["run"], shell=("bash", "-e"), **self.github())
        with open(self.path("samebits-out", "result.json"), encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["runs"]), 6)
        self.assertGreater(os.path.getsize(self.path("site", "index.html")), 10000)
        self.sh(".samebits/ci/step merge", 2, SAMEBITS_PARTS="nothing")

    # ---- GitLab, Jenkins, Buildkite

    def test_gitlab(self):
        job = load("gitlab/samebits.gitlab-ci.yml")[".samebits"]
        self.assertLessEqual(set(job), {"image", "variables", "before_script", "script", "allow_failure", "artifacts"})
        variables = {"CI": "true", "CI_PROJECT_DIR": self.folder, "CI_SERVER_URL": "https://gitlab.example.org",
                     "SAMEBITS_OUT": job["variables"]["SAMEBITS_OUT"]}
        script = "\n".join(job["before_script"] + job["script"])
        self.sh(script, SAMEBITS_COMMAND="python3 train.py", **variables)
        self.reports()
        self.assertEqual(job["artifacts"]["reports"]["junit"], "samebits-out/junit.xml")
        self.write("skipped.yaml", "version: 1\njobs: [{name: a, needs: {command: ['false'], install: nothing}, command: ['true']}]\n")
        self.sh(script, int(job["allow_failure"]["exit_codes"]), SAMEBITS_SUITE="skipped.yaml", **{**variables, "SAMEBITS_OUT": "b"})

    def test_jenkins(self):
        with open(os.path.join(SOURCE, "ci", "jenkins", "Jenkinsfile"), encoding="utf-8") as file:
            text = file.read()
        bare = re.sub(r"//.*|'[^'\n]*'|\"[^\"\n]*\"", "", text)
        for pair in ("{}", "()", "[]"):
            self.assertEqual(bare.count(pair[0]), bare.count(pair[1]), pair)
        for section in ("pipeline {", "agent any", "stages {", "steps {", "post {"):
            self.assertIn(section, text)
        variables = dict(re.findall(r"(?m)^ +([A-Z_]+) = '([^']*)'$", text))
        steps = re.findall(r"sh(?:\(script:)? '([^']+)'", text)
        self.assertEqual(len(steps), 2)
        for step in steps:
            self.sh(step, WORKSPACE=self.folder, **variables)
        self.reports(variables["SAMEBITS_OUT"])
        self.assertIn(f"'{variables['SAMEBITS_OUT']}/junit.xml'", text)

    def test_buildkite(self):
        step, = load("buildkite/pipeline.yml")["steps"]
        self.assertLessEqual({"label", "command", "env", "artifact_paths", "soft_fail"}, set(step))
        # An agent that keeps what it is told.
        self.write("bin/buildkite-agent", "#!/bin/sh\necho \"$@\" >>agent.log\ncat >>agent.log\n", 0o755)
        path = self.path("bin") + os.pathsep + os.environ["PATH"]
        variables = {"BUILDKITE": "true", "PATH": path, **step["env"]}
        for command in step["command"]:
            self.sh(command, **variables)
        self.reports()
        with open(self.path("agent.log"), encoding="utf-8") as file:
            told = file.read()
        self.assertTrue(told.startswith("annotate --style success --context samebits\n"), told[:200])
        self.assertIn("train.py", told)

    def test_the_documentation_shows_what_can_be_run(self):
        with open(os.path.join(SOURCE, "docs", "ci.md"), encoding="utf-8") as file:
            text = file.read()
        shown = re.findall(r"(?m)^    (SAMEBITS_COMMAND=.*)$", text)
        self.assertEqual(len(shown), 1)
        self.sh(shown[0])
        self.reports()
        for path in re.findall(r"\bci/[a-z]+/[\w./-]+\w", text):
            self.assertTrue(os.path.exists(os.path.join(SOURCE, path)), path)
        with open(os.path.join(SOURCE, "ci", "step"), encoding="utf-8") as file:
            self.assertEqual(set(re.findall(r"\bSAMEBITS(?:_[A-Z]+)?\b", file.read())) | {"SAMEBITS_REPOSITORY", "SAMEBITS_REF"},
                             set(re.findall(r"\bSAMEBITS(?:_[A-Z]+)?\b", text)))

    # ---- Docker

    def test_docker(self):
        for name in ("Dockerfile", "Dockerfile.cuda"):
            with open(os.path.join(SOURCE, "ci", "docker", name), encoding="utf-8") as file:
                text = re.sub(r"(?m)^#.*\n", "", file.read()).replace("\\\n", " ")
            for line in text.splitlines():
                if not line:
                    continue
                instruction, rest = line.split(" ", 1)
                self.assertIn(instruction, ("FROM", "COPY", "WORKDIR", "RUN", "ENTRYPOINT"))
                if instruction == "FROM":
                    self.assertRegex(rest, r"^[a-z/]+:[\w.-]*\d[\w.-]*( AS [a-z]+)?$")
                elif instruction == "RUN":
                    self.sh("exit 0; " + rest, shell=("sh", "-n"))
                    for script in re.findall(r"\bci/[a-z-]+", rest):
                        self.assertTrue(os.access(os.path.join(SOURCE, script), os.X_OK), script)
                elif instruction == "COPY" and "--from" not in rest:
                    self.assertTrue(os.path.exists(os.path.join(SOURCE, rest.split()[0])), rest)
        with open(os.path.join(SOURCE, "ci", "docker", "runtime"), encoding="utf-8") as file:
            packages = shlex.split(file.read())
        linked = subprocess.run(["ldd", SAMEBITS], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"lib(yaml|jansson|xxhash|seccomp)", linked):
            self.assertTrue(any(package.startswith("lib" + library) for package in packages), library)


if __name__ == "__main__":
    program.main()
