"""Everything works in an ordinary container, too: no privilege, no user namespaces, no mounts."""
import os
import subprocess

import program
from program import effects

# A user namespace in which no further one can be made, and then all capabilities dropped for good.
WITHOUT_PRIVILEGE = [
    "unshare", "--user", "--map-root-user", "sh", "-c",
    'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --securebits +noroot,+noroot_locked '
    '--bounding-set -all --inh-caps -all --no-new-privs "$@"', "sh"]


NO_NAMESPACES = ["sh", "-c", "! unshare -U true && ! unshare -m true"]


def way_down():
    """What comes before a command to take its privilege: nothing, in a container that gives none; None: impossible."""
    return next((way for way in ([], WITHOUT_PRIVILEGE) if program.works(*way, *NO_NAMESPACES)), None)


WAY_DOWN = way_down()


@program.unittest.skipIf(WAY_DOWN is None, "needs user namespaces: to make a container without privilege")
class Unprivileged(program.Program):
    def samebits(self, *arguments, code=None, cwd=None, env=None, timeout=300):
        environment = dict(os.environ)
        environment.update(env or {})
        done = subprocess.run([*WAY_DOWN, program.SAMEBITS, *arguments], cwd=cwd or self.folder,
                              env=environment, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr[-2000:])
        return done

    def test_a_job_is_judged_in_place(self):
        self.job(body="values = [float(hash('x%d' % i) % 1000) for i in range(256)]")
        document = self.adhoc("hash_seed=0,1", "threads=1,2", command=[program.PYTHON, "job.py"], code=1)
        self.assertEqual(document["isolation"]["mode"], "inplace")
        self.assertTrue(document["isolation"]["shared"])
        self.assertEqual(document["jobs"][0]["depends_on"], ["hash_seed"])
        self.assertEqual(sorted(os.listdir(self.folder)), ["job.py", "samebits-results"])

    def test_what_a_run_changed_is_put_back(self):
        self.write("count.txt", "0")
        self.job(body="""
            count = int(open("count.txt").read()) + 1
            open("count.txt", "w").write(str(count))
            values = [float(count)] * 256
            """)
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py"])
        self.assertEqual(document["jobs"][0]["verdict"], "bitwise")
        with open(self.path("count.txt"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "0")

    def test_a_copy_stands_in_the_folders_place(self):
        self.write("work/count.txt", "0")
        self.job("work/job.py", """
            count = int(open("count.txt").read()) + 1
            open("count.txt", "w").write(str(count))
            values = [float(count), *[float(b) for b in os.getcwd().encode()]]
            """)
        document = self.adhoc("threads=1", command=[program.PYTHON, "job.py"], cwd=self.path("work"),
                              options=["--isolate", "copy", "--out", self.path("out")])
        self.assertEqual(document["isolation"]["mode"], "copy")
        self.assertEqual(document["jobs"][0]["verdict"], "bitwise")
        with open(self.path("work/count.txt"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "0")

    def test_overlay_is_refused_with_the_reason(self):
        self.job()
        done = self.samebits("run", "--isolate", "overlay", "--vary", "threads=1", "--", program.PYTHON, "job.py",
                             code=2)
        self.assertIn("overlay: ", done.stdout + done.stderr)

    def test_an_axis_that_needs_privilege_is_unavailable_here(self):
        self.job()
        document = self.adhoc("hostname=a,b", "threads=1,2", command=[program.PYTHON, "job.py"])
        axes = {axis["name"]: axis for axis in document["jobs"][0]["axes"]}
        self.assertIn("unavailable", axes["hostname"])
        self.assertEqual(effects(document["jobs"][0])["threads"], "none")

    def test_a_daemon_does_not_outlive_its_run(self):
        self.job(body="""
            import subprocess
            subprocess.Popen(["setsid", "sh", "-c", "sleep 62.75 & sleep 62.75"])
            """)
        self.adhoc("threads=1", command=[program.PYTHON, "job.py"])
        self.assertEqual(program.processes_with("62.75"), [])


if __name__ == "__main__":
    program.main()
