"""What `meson install` puts beside the program: manual pages, completion and headers, which say what the program does."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile

import program
from program import SAMEBITS, SOURCE

BUILD = os.path.dirname(SAMEBITS)


class Install(program.Program):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="samebits-install-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild"], env={**os.environ, "DESTDIR": cls.root},
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def installed(self, ending):
        found = [os.path.join(folder, name) for folder, _, names in os.walk(self.root) for name in names
                 if os.path.join(folder, name).endswith(ending)]
        self.assertEqual(len(found), 1, f"{ending}: {found}")
        return found[0]

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def commands(self):
        return re.findall(r"(?m)^  ([a-z][a-z-]*) ", self.samebits("--help").stdout.split("\n\n")[2])

    def options(self, command):
        """All that its help lists, however it is laid out."""
        listed = re.findall(r"(?m)^ {2,6}-.*", self.samebits(command, "--help").stdout)
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(line[:37] for line in listed)))

    def page(self, name):
        if not shutil.which("lowdown"):
            self.skipTest("needs lowdown: not found")
        done = subprocess.run(["man", "-l", self.installed("/" + name)], capture_output=True, text=True, check=False,
                              env={**os.environ, "MANWIDTH": "120", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""})
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.sub(".\b", "", done.stdout)

    def test_an_installed_program_finds_what_it_needs(self):
        installed = self.installed("/bin/samebits")
        self.job(name="train.py")
        done = subprocess.run([installed, "run", "--vary", "entropy=live,frozen", "--", "python3", "train.py"], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        listed = subprocess.run([installed, "list", "backends"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(listed, self.samebits("list", "backends").stdout)

    def test_the_manual_has_every_command_and_option(self):
        page = self.page("samebits.1")
        self.assertRegex(page, r"NAME\n +samebits - same code, same data, same seed")
        for command in self.commands():
            self.assertIn(f"   samebits {command}\n", page)
            for option in self.options(command):
                self.assertIn(option, page, command)

    def test_the_manual_of_suites_has_every_key(self):
        page = self.page("samebits-suite.5")
        self.assertIn("samebits-suite - what samebits(1) runs", page)
        self.write("s.yaml", "version: 1\njobs: [{nothing: 1}]\n")
        choices = self.samebits("run", "s.yaml", code=2).stderr.split("may have: ")[1].split(")")[0]
        for key in choices.split(", "):
            self.assertIn(key, page)

    def complete(self, *words):
        script = f"""
            source {self.installed('/completions/samebits')}
            PATH={os.path.dirname(self.installed('/bin/samebits'))}:$PATH
            COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}) COMP_CWORD={len(words) - 1}
            _samebits
            printf '%s\\n' "${{COMPREPLY[@]}}"
            """
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes(self):
        self.assertEqual(set(self.complete("samebits", "")), {*self.commands(), "--help", "--version"})
        self.assertEqual(self.complete("samebits", "expl"), ["explain"])
        for command in self.commands():
            self.assertEqual(set(self.complete("samebits", command, "--")), {*self.options(command), "--help"})
        self.assertEqual(self.complete("samebits", "run", "--vary", "thr"), ["threads"])
        self.assertEqual(self.complete("samebits", "run", "--design", "p"), ["pairwise"])
        self.assertIn("junit", self.complete("samebits", "run", "-r", ""))
        self.assertEqual(self.complete("samebits", "list", "ba"), ["backends"])
        self.write("suite.yaml", "")
        self.assertEqual(self.complete("samebits", "run", "sui"), ["suite.yaml"])
        self.assertEqual(self.complete("samebits", "run", "--", "sui"), ["suite.yaml"])

    def test_fish_completes(self):
        script = f"""
            set PATH {os.path.dirname(self.installed('/bin/samebits'))} $PATH
            source {self.installed('/samebits.fish')}
            complete -C 'samebits '; echo ====; complete -C 'samebits run --exact'; complete -C 'samebits run --vary thr'
            complete -C 'samebits list back'
            """
        done = subprocess.run(["fish", "--no-config", "-c", script], cwd=self.folder, capture_output=True, text=True, check=True)
        first, others = done.stdout.split("====\n")
        self.assertEqual({line.split("\t")[0] for line in first.splitlines()} & set(self.commands()), set(self.commands()))
        self.assertEqual([line.split("\t")[0] for line in others.splitlines()], ["--exact-repeats", "threads", "backends"])

    def test_zsh_completes(self):
        folder = os.path.dirname(self.installed("/_samebits"))
        script = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[samebits]; autoload +X _samebits"
        done = subprocess.run(["zsh", "-f", "-c", script], cwd=self.folder, capture_output=True, text=True, check=True)
        self.assertEqual((done.stdout.strip(), done.stderr), ("_samebits", ""))
        text = self.read(self.installed("/_samebits"))
        for command in self.commands():
            line = re.search(rf"(?m)^ +{command}\) _arguments (.*)$", text).group(1)
            self.assertEqual(set(re.findall(r"'(--[a-z-]+)", line)), {*self.options(command), "--help"})

    def test_headers_are_found_by_pkg_config(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(self.installed("/samebits.pc")),
                       "PKG_CONFIG_SYSROOT_DIR": self.root}
        flags = subprocess.run(["pkg-config", "--cflags", "samebits"], env=environment, capture_output=True, text=True,
                               check=True).stdout.split()
        for header in ("samebits/error.h", "samebits/weights.h", "samebits/trace.h", "samebits/check.h", "samebits/kernels/dispatch.h"):
            self.write("a.c", f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n")
            subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", *flags, "a.c", "-o", "a"], cwd=self.folder, check=True)
        where = subprocess.run(["pkg-config", "--variable=backends", "samebits"], env=environment, capture_output=True,
                               text=True, check=True).stdout.strip()
        self.assertTrue(os.path.exists(os.path.join(where if where.startswith(self.root) else self.root + where,
                                                    "libsamebits-probe.so")))


if __name__ == "__main__":
    program.main()
