"""Every command that the documentation shows is run, in the order of its document, and its output compared.

A command is a line of an indented block; what stands below it in the block is its output, all of it. `…` stands for any text,
a line of it for any lines, and measured numbers (MEASURED) may be others. Comments in a document, which no reader sees, set the scene of
the next block:

    <!-- example: train.py is suites/jobs/NAME.py -->     the script of this name from here on
    <!-- example: first COMMAND -->                       run before, as the reader will have done
    <!-- example: exit N -->                              the exit code, where it is not 0
    <!-- example: elsewhere: WHY -->                      not run here
    <!-- example: within FILE -->                         no command: JSON that is in FILE, with numbers of its own
"""
import glob
import json
import math
import os
import re
import shutil
import subprocess

import program
from program import SOURCE

COMMAND = re.compile(r"(?:\$ )?((?:[A-Z_]+=(?:'[^']*'|\S+) )*"
                     r"(?:(?:build/)?samebits [a-z].*|(?:\.samebits/)?ci/\S+.*|(?:make|meson|cc|docker) .*))")
MEASURED = [
    (r"\b\d+(\.\d+)? s\b", "# s"),
    (r"[\d.]+(e[+-]?\d+)? ulp", "# ulp"),
    (r"difference \S+ in (\S+) \((.*), \d+% of", r"difference # in \1 (\2, #% of"),
    (r"\[\d+(,\d+)*\]", "[#]"),
    (r"\d+\.\d+ ± \d+\.\d+ ×", "# ×"),
    (r"(xxh3|sha256)[:-][0-9a-f]+", r"\1:#"),
]


def documents():
    return ["README.md", *sorted(os.path.join("docs", name) for name in os.listdir(os.path.join(SOURCE, "docs"))
                                 if name.endswith(".md"))]


class Block:
    """One indented block of a document, with the comments above it."""

    def __init__(self, name, number, lines, comments):
        self.place = f"{name}:{number}"
        self.comments = comments
        self.examples, self.text = [], "\n".join(lines)
        for line in lines:
            command = COMMAND.fullmatch(line)
            if command:
                self.examples.append((command.group(1), []))
            elif self.examples and line.strip():
                self.examples[-1][1].append(line)

    def said(self, word):
        return [comment[len(word):].strip() for comment in self.comments if comment.startswith(word)]


def blocks(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        lines = file.read().splitlines()
    comments, fenced, number = [], False, 0
    while number < len(lines):
        line = lines[number]
        number += 1
        fenced ^= line.startswith("```")
        comment = re.fullmatch(r"<!-- example: (.*) -->", line)
        if comment:
            comments.append(comment.group(1))
        elif line.startswith("    ") and not fenced and not lines[number - 2].strip():
            first = number
            found = [line[4:]]
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                found.append(lines[number][4:])
                number += 1
            yield Block(name, first, found, comments)
            comments = []


def plain(line):
    """A line without what is measured, and one space for many."""
    for pattern, instead in MEASURED:
        line = re.sub(pattern, instead, line)
    return " ".join(line.split())


def pattern_of(line):
    return ".*".join(map(re.escape, plain(line).split("…")))


def agrees(shown, printed):
    """Are the lines that were printed those that are shown?"""
    lines = [pattern_of(line) if line.strip() != "…" else "(?:.*\n)*?.*" for line in shown]
    return re.fullmatch("\n".join(lines), "\n".join(plain(line) for line in printed if line.strip())) is not None


def json_agrees(shown, found, numbers=True):
    """Is all that is shown there too? A fraction is shown rounded; with `numbers` false a number stands for any."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(key in found and json_agrees(value, found[key], numbers)
                                               for key, value in shown.items())
    if isinstance(shown, list):
        return isinstance(found, list) and len(shown) == len(found) and all(
            json_agrees(one, other, numbers) for one, other in zip(shown, found))
    if isinstance(shown, str):
        return isinstance(found, str) and re.fullmatch(".*".join(map(re.escape, shown.split("…"))), found) is not None
    if isinstance(shown, float) and isinstance(found, float) and numbers:
        return math.isclose(shown, found, rel_tol=0.01)
    if not numbers and isinstance(shown, (int, float)) and not isinstance(shown, bool):
        return isinstance(found, (int, float)) and not isinstance(found, bool)
    return shown == found


def parts(value):
    """A document of JSON and everything in it."""
    yield value
    if isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from parts(part)


class Documents(program.Program):
    def setUp(self):
        super().setUp()
        shutil.copy(os.path.join(SOURCE, "harness/tests/e2e/train.py"), self.path("train.py"))
        shutil.copytree(os.path.join(SOURCE, "suites"), self.path("suites"))
        os.symlink(os.path.dirname(program.SAMEBITS), self.path("build"))
        os.symlink(os.path.join(SOURCE, "ci"), self.path("ci"))
        os.symlink(SOURCE, self.path(".samebits"))
        tools = self.path("tools")
        os.mkdir(tools)
        os.symlink(program.SAMEBITS, os.path.join(tools, "samebits"))
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", PATH=os.pathsep.join(
            (tools, os.path.dirname(program.PYTHON), os.environ["PATH"])))

    def shell(self, command, code=0):
        # A part of a name that is left out is whatever it is here.
        done = subprocess.run(["sh", "-c", command.replace("…", "*")], cwd=self.folder, env=self.environment, check=False,
                              timeout=300, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        self.assertEqual(done.returncode, code, f"{command}\n{done.stdout}")
        return done.stdout

    def follow(self, block):
        for name in block.said("train.py is "):
            shutil.copy(os.path.join(SOURCE, name), self.path("train.py"))
        for command in block.said("first "):
            self.shell(command)
        for name in block.said("within "):
            self.find(block, name)
        code = int((block.said("exit ") or ["0"])[0])
        for command, shown in block.examples:
            printed = self.shell(command, code)
            if shown and shown[0].startswith("{"):
                self.assertTrue(json_agrees(json.loads("\n".join(shown)), json.loads(printed)), f"{command}\n{printed}")
            elif shown:
                self.assertTrue(agrees(shown, printed.splitlines()), f"{command}\n{printed}")

    def find(self, block, name):
        text = block.text.strip()
        shown = json.loads(text if text.startswith("{") else "{" + text + "}")
        for path in glob.glob(self.path(name)):
            with open(path, encoding="utf-8") as file:
                if any(json_agrees(shown, part, numbers=False) for part in parts(json.load(file))):
                    return
        self.fail(f"not in {name}: {block.text}")

    def test_a_difference_in_an_output_is_seen(self):
        self.assertTrue(agrees(["a   1.5 s", "…", "b [1,2] = …"], ["a 2 s", "", "more", "more", "b [7]  = c"]))
        self.assertTrue(agrees(["a", "…"], ["a"]) or agrees(["a", "…"], ["a", "b"]))
        for shown in (["a 1.5 s"], ["a 1.5 s", "…", "c"], ["a 1.5 ms", "…"], ["…", "more"]):
            self.assertFalse(agrees(shown, ["a 2 s", "more", "b"]), shown)
        self.assertTrue(json_agrees({"a": ["x…"]}, {"a": ["xy"], "b": 1}))
        for shown in ({"a": ["x"]}, {"a": []}, {"c": 1}, {"b": 2}):
            self.assertFalse(json_agrees(shown, {"a": ["xy"], "b": 1}), shown)

    def test_a_command_is_told_from_what_it_prints(self):
        for line in ("samebits list axes", "$ samebits run -- a", "ci/gpu-check", "A='b c' D=e build/samebits run s.yaml"):
            self.assertTrue(COMMAND.fullmatch(line), line)
        for line in ("samebits 0.1.0: 1 job", "witness   r00001", "samebits-results/0001/   a folder", "make_shard(1)"):
            self.assertFalse(COMMAND.fullmatch(line), line)


def uses(script, module):
    with open(os.path.join(SOURCE, script), encoding="utf-8") as file:
        return f"import {module}\n" in file.read()


def follows(name):
    def test(self):
        found = [block for block in blocks(name) if not block.said("elsewhere: ")]
        for module in ("h5py", "torch"):
            if (any(uses(script, module) for block in found for script in block.said("train.py is "))
                    and not program.works(program.PYTHON, "-c", "import " + module)):
                self.skipTest(f"needs {module}: .venv has none")
        for block in found:
            with self.subTest(block=block.place):
                self.follow(block)
    return test


for _name in documents():
    if any(block.examples or block.comments for block in blocks(_name)):
        setattr(Documents, "test_the_examples_of_" + re.sub(r"\W", "_", _name), follows(_name))

if __name__ == "__main__":
    program.main()
