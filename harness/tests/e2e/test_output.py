"""What is printed arrives, or it is said that it did not: full disks, closed pipes, devices; and what some of it says."""
import os
import stat
import subprocess

import program


class Output(program.Program):
    def full_disk(self):
        """A path that takes no byte: a device of its own, as a program that replaced the machine's would harm others."""
        path = self.path("full")
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
            with open(path, "wb"):
                return path
        except OSError:
            if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
                self.skipTest("needs a device like /dev/full")
            return "/dev/full"

    def result(self, body=""):
        self.job(body=body)
        return self.adhoc("hash_seed=0,1", command=["python3", "job.py"], options=["--out", "r"], code=None)

    def into(self, path, *arguments):
        with open(path, "wb") as out:
            return subprocess.run([program.SAMEBITS, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=300)

    def test_output_that_is_lost_is_an_error(self):
        self.result()
        full = self.full_disk()
        for arguments in (["report", "r"], ["report", "r", "--report", "json:-"], ["report", "r", "--report", "html:-"], ["history", "r"],
                          ["history", "--json", "r"], ["list", "axes"], ["--help"], ["run", "--help"], ["--version"],
                          ["compare", "--json", "r/r00001", "r/r00002"],
                          ["run", "--json", "--vary", "threads=1", "--repeats", "2", "--", "python3", "job.py"],
                          ["run", "--list", "--vary", "threads=1", "--", "python3", "job.py"], ["doctor"]):
            with self.subTest(arguments=arguments):
                done = self.into(full, *arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr.count("samebits: standard output: No space left on device\n"), 1, done.stderr)

    def test_a_reader_that_has_enough_is_no_error(self):
        self.result()
        for arguments in (["report", "r"], ["report", "r", "--report", "html:-"], ["list", "axes"], ["history", "--json", "r"], ["--help"]):
            with self.subTest(arguments=arguments):
                reading, writing = os.pipe()
                os.close(reading)
                done = subprocess.run([program.SAMEBITS, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=writing,
                                      stderr=subprocess.PIPE, text=True, check=False)
                os.close(writing)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_report_to_a_device_is_written_to_it_and_the_device_stays(self):
        self.result()
        full = self.full_disk()
        done = self.samebits("report", "r", "--report", "junit:" + full, code=2)
        self.assertIn(full + ": No space left on device", done.stderr)
        self.assertNotIn("wrote", done.stderr)
        self.assertTrue(stat.S_ISCHR(os.stat(full).st_mode))
        self.assertIn("<testsuite", self.samebits("report", "r", "--report", "junit:/dev/stdout", code=0).stdout)
        self.assertEqual(self.into(self.path("kept"), "report", "r", "--report", "junit:/dev/stdout").returncode, 0)
        self.assertTrue(os.path.islink("/dev/stdout"))
        with open(self.path("kept"), encoding="utf-8") as file:
            self.assertIn("<testsuite", file.read())

    def test_a_sum_that_is_no_number_is_printed_as_one(self):
        self.result(body="values[0] = float('nan'); values[1] = float('inf')")
        self.assertRegex(self.samebits("report", "-v", "r").stdout, r"sum nan   6 runs")
        self.job(body="values[0] = float('inf')")
        self.adhoc("hash_seed=0,1", command=["python3", "job.py"], options=["--out", "r", "--force"], code=None)
        self.assertRegex(self.samebits("report", "-v", "r").stdout, r"sum inf   6 runs")

    def test_a_plan_counts_in_words_and_refuses_what_a_run_refuses(self):
        self.job()
        shown = self.samebits("run", "--list", "--vary", "threads=1", "--repeats", "1", "--", "python3", "job.py", code=0).stdout
        self.assertIn(" 1 cell × 1 repeat = 1 run, ", shown)
        self.assertIn(" 2 cells × 3 repeats = 6 runs, ",
                      self.samebits("run", "--list", "--vary", "hash_seed=0,1", "--", "python3", "job.py", code=0).stdout)
        suite = "version: 1\njobs:\n  - {name: j, command: [python3, job.py], weights: w.npy, inputs: [%s]}\n"
        self.write("s.yaml", suite % "nope.csv")
        said = [self.samebits("run", *options, "s.yaml", code=2).stderr for options in ([], ["--list"])]
        self.assertIn("s.yaml:3:5: job 'j': inputs: 'nope.csv' matches no file in ", said[0])
        self.assertEqual(said[0], said[1])
        self.write("s.yaml", suite % "job.py")
        self.samebits("run", "--list", "s.yaml", code=0)

    def test_an_empty_result_is_called_empty_and_made_again_of_its_journal(self):
        self.result()
        self.write("r/result.json", "")
        for command in ("report", "history"):
            self.assertIn("r/result.json: is empty; its runs are in the journal beside it: the command that made it, with "
                          "--resume --out r, makes it again\n", self.samebits(command, "r", code=2).stderr)
        self.adhoc("hash_seed=0,1", command=["python3", "job.py"], options=["--resume", "--out", "r"], code=None)
        self.samebits("report", "r", code=0)
        os.remove(self.path("r/journal"))
        self.write("r/result.json", "")
        self.assertIn("r/result.json: is empty\n", self.samebits("report", "r", code=2).stderr)


if __name__ == "__main__":
    program.main()
