"""Runs do not see each other, and the harness is no axis itself: odd paths, nested mounts, foreign owners."""
import os

import program

COUNTING = """
    count = int(open("count.txt").read()) + 1
    open("count.txt", "w").write(str(count))
    open("new-%d.txt" % count, "w").write("x")
    values = [float(count), float(len(os.listdir(".")))]
    """


ODD = "with space,comma:colon\\back\"quote'\u00fc"
ANYWHERE = ("copy", "inplace")


class Isolation(program.Program):
    def need_namespaces(self):
        if not any(program.works("unshare", flags, "true") for flags in ("-m", "-Urm")):
            self.skipTest("needs mount namespaces: a view of the run's own")

    def judge(self, folder, mode, code=0, **more):
        return self.adhoc("threads=1", command=[program.PYTHON, "job.py", "w.npy"], cwd=folder, code=code,
                          options=["--isolate", mode, "--force", "--out", self.path("out")], **more)

    def each_mode(self, folder, modes):
        for mode in modes:
            with self.subTest(mode=mode):
                before = sorted(os.listdir(folder))
                document = self.judge(folder, mode)
                self.assertEqual(document["isolation"]["mode"], mode)
                self.assertEqual((document["jobs"][0]["verdict"], document["jobs"][0]["distinct"]), ("bitwise", 1))
                self.assertEqual(sorted(os.listdir(folder)), before)
                with open(os.path.join(folder, "count.txt"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), "0")

    def make(self, name, body=COUNTING):
        self.write(os.path.join(name, "count.txt"), "0")
        self.job(os.path.join(name, "job.py"), body)
        return self.path(name)

    def test_an_ordinary_folder(self):
        self.each_mode(self.make("plain"), ANYWHERE)

    def test_an_ordinary_folder_under_overlay(self):
        self.need_namespaces()
        self.each_mode(self.make("plain"), ["overlay"])

    def test_a_path_with_odd_characters(self):
        self.each_mode(self.make(ODD), ANYWHERE)

    def test_a_path_with_odd_characters_under_overlay(self):
        self.need_namespaces()
        self.each_mode(self.make(ODD), ["overlay"])

    def test_a_bind_mount_inside(self):
        folder = self.make("mounted")
        self.write("elsewhere/data.txt", "data")
        inside = os.path.join(folder, "in side")
        os.mkdir(inside)
        self.mount("--bind", self.path("elsewhere"), inside)
        self.job("mounted/job.py", "values = [float(b) for b in open('in side/data.txt', 'rb').read()]")
        self.assertEqual(self.judge(folder, "overlay")["jobs"][0]["verdict"], "bitwise")

    def test_the_results_folder_is_no_axis(self):
        self.need_namespaces()
        folder = self.make("seen", "values = [1.0 + len(files) for _, _, files in os.walk('.')]")
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py", "w.npy"], cwd=folder,
                              options=["--repeats", "4"])
        self.assertEqual(document["jobs"][0]["verdict"], "bitwise")

    def depends_on(self, folder, vary, **more):
        document = self.adhoc(vary, command=[program.PYTHON, "job.py", "w.npy"], cwd=folder, code=1,
                              options=["--out", self.path("out")], **more)
        return document["jobs"][0]["depends_on"], document["jobs"][0]

    def test_the_path_axis_moves_the_working_directory(self):
        self.need_namespaces()
        folder = self.make("moved", "values = [float(b) for b in os.getcwd().encode()]")
        self.assertEqual(self.depends_on(folder, "path=usual,other place")[0], ["path"])

    def test_the_host_name_axis(self):
        self.need_namespaces()
        folder = self.make("named", "import socket; values = [float(b) for b in socket.gethostname().encode()]")
        depends_on, job = self.depends_on(folder, "hostname=alpha,beta")
        self.assertEqual((depends_on, job["axes"][0]["observed"]), (["hostname"], ["alpha", "beta"]))

    def test_the_address_space_axis(self):
        if not program.works("setarch", "-R", "true"):
            self.skipTest("needs personality: this container forbids it")
        folder = self.make("addresses", "values = [float(id(object()) >> 12 & 0xffffff)]")
        _, job = self.depends_on(folder, "aslr=on,off", env={"PYTHONHASHSEED": "0"})
        self.assertEqual((job["verdict"], job["unstable_when"]), ("nondeterministic", {"aslr": ["on"]}))


if __name__ == "__main__":
    program.main()
