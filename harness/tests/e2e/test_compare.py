"""What `samebits compare` says of a difference is what was planted, in every type and from format to format."""
import json
import math
import os
import random
import struct
import subprocess
import unittest
import zipfile

import program

# Exponent bits, mantissa bits, safetensors' name, NumPy's name or None. f8_e4m3 has no infinities and one NaN.
FLOATS = {"f16": (5, 10, "F16", "<f2"), "bf16": (8, 7, "BF16", None), "f32": (8, 23, "F32", "<f4"),
          "f64": (11, 52, "F64", "<f8"), "f8_e4m3": (4, 3, "F8_E4M3", None), "f8_e5m2": (5, 2, "F8_E5M2", None)}
INTEGERS = {"i8": (1, "I8"), "i32": (4, "I32"), "u64": (8, "U64")}


def width(dtype):
    return INTEGERS[dtype][0] if dtype in INTEGERS else (1 + sum(FLOATS[dtype][:2])) // 8


# ---- Floats, from their definition -----------------------------------------------------------------------------------


def value(dtype, bits):
    """What the bits stand for."""
    exponent_bits, mantissa_bits = FLOATS[dtype][:2]
    sign = -1.0 if bits >> (exponent_bits + mantissa_bits) else 1.0
    exponent, mantissa = bits >> mantissa_bits & (1 << exponent_bits) - 1, bits & (1 << mantissa_bits) - 1
    bias = (1 << (exponent_bits - 1)) - 1
    if dtype == "f8_e4m3":
        if exponent == 15 and mantissa == 7:
            return math.nan
    elif exponent == (1 << exponent_bits) - 1:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(mantissa, 1 - bias - mantissa_bits)
    return sign * math.ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits)


def rank(dtype, bits):
    """Place among all numbers of the type, -0 just below +0."""
    top = 1 << 8 * width(dtype) - 1
    return bits if bits < top else -(bits - top) - 1


def nearest(dtype, number):
    """The bits of the number of the type that is nearest to a Python float; by bisection, ties anywhere."""
    top = 1 << 8 * width(dtype) - 1
    low, high = 0, top - 1
    while not math.isfinite(value(dtype, high)):
        high -= 1 if width(dtype) == 1 else (high & (1 << FLOATS[dtype][1]) - 1) + 1
    size = abs(number)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if value(dtype, middle) <= size else (low, middle)
    best = low if size - value(dtype, low) <= value(dtype, high) - size else high
    return best | top if math.copysign(1, number) < 0 else best


def distance(dtype, a, b):
    if a == b:
        return 0
    x, y = value(dtype, a), value(dtype, b)
    if math.isnan(x) != math.isnan(y) or math.isinf(x) or math.isinf(y):
        return math.inf
    return abs(rank(dtype, a) - rank(dtype, b))


# ---- Files -----------------------------------------------------------------------------------------------------------


def packed(dtype, elements):
    """Elements are bits of floats, or integers."""
    if dtype in INTEGERS:
        return b"".join(e.to_bytes(width(dtype), "little", signed=dtype[0] == "i") for e in elements)
    return b"".join(bits.to_bytes(width(dtype), "little") for bits in elements)


def product(dims):
    return math.prod(dims)


def safetensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, dims, elements) in tensors.items():
        more = packed(dtype, elements)
        kind = INTEGERS[dtype][1] if dtype in INTEGERS else FLOATS[dtype][2]
        header[name] = {"dtype": kind, "shape": dims, "data_offsets": [len(data), len(data) + len(more)]}
        data += more
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def npz(path, tensors):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (dtype, dims, elements) in tensors.items():
            descr = "<" + dtype[0] + str(width(dtype)) if dtype in INTEGERS else FLOATS[dtype][3]
            header = repr({"descr": descr, "fortran_order": False, "shape": tuple(dims)}).encode() + b"\n"
            archive.writestr(name + ".npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
                             + packed(dtype, elements))


class Compare(program.Program):
    def compare(self, a, b, *options, code=1, writers=(safetensors, safetensors)):
        """The document about two sets of tensors, {name: (dtype, dims, elements)}."""
        names = ["a", "b"]
        for name, tensors, writer in zip(names, (a, b), writers):
            writer(self.path(name), tensors)
        return json.loads(self.samebits("compare", "--json", *options, *names, code=code).stdout)

    def only(self, dtype, a, b, dims=None, **more):
        dims = dims or [len(a)]
        return self.compare({"w": (dtype, dims, a)}, {"w": (dtype, dims, b)}, **more)["tensors"][0]

    def noise(self, dtype, n, seed=1, scale=1.0):
        source = random.Random(seed)
        return [nearest(dtype, source.gauss(0, scale)) for _ in range(n)]

    # ---- Measures ----------------------------------------------------------------------------------------------------

    def measured(self, dtype, pairs):
        """What the definitions say, of finite elements."""
        a, b = [value(dtype, x) for x, _ in pairs], [value(dtype, y) for _, y in pairs]
        ulps = [distance(dtype, x, y) for x, y in pairs]
        differing = [i for i, (x, y) in enumerate(pairs) if x != y]
        gaps = [abs(x - y) for x, y in zip(a, b)]
        histogram = [0] * 66
        for ulp in ulps:
            histogram[ulp.bit_length()] += 1
        while histogram[-1] == 0:
            histogram.pop()
        return {"n_different": len(differing), "share": len(differing) / len(pairs), "max_ulp": max(ulps),
                "max_abs": max(gaps), "first": [differing[0]],
                "index": [next(i for i in differing if gaps[i] == max(gaps[j] for j in differing))],
                "max_rel": max((gap / abs(y) if y else (math.inf if gap else 0)) for gap, y in zip(gaps, b)),
                "ulp_histogram": histogram}

    def test_measures_are_those_of_the_definitions_in_every_float(self):
        for dtype in FLOATS:
            with self.subTest(dtype=dtype):
                source, pairs = random.Random(dtype), []
                while len(pairs) < 700:
                    a = source.getrandbits(8 * width(dtype))
                    b = a if source.random() < 0.3 else a ^ source.getrandbits(source.randint(1, width(dtype) * 4))
                    # |b| = 0 makes max_rel infinite, and the extremes of f64 have a difference that is.
                    if all(math.isfinite(value(dtype, x)) and 1e-300 < abs(value(dtype, x)) < 1e300 for x in (a, b)):
                        pairs.append((a, b))
                found = self.only(dtype, [a for a, _ in pairs], [b for _, b in pairs])
                for name, wanted in self.measured(dtype, pairs).items():
                    if name == "max_rel":
                        self.assertAlmostEqual(found[name] / wanted, 1, places=12, msg=dtype)
                    else:
                        self.assertEqual(found[name], wanted, (dtype, name))

    def test_every_pair_of_special_values_has_its_distance(self):
        for dtype in FLOATS:
            with self.subTest(dtype=dtype):
                top, mantissa = 1 << 8 * width(dtype) - 1, 1 << FLOATS[dtype][1]
                infinity = (1 << sum(FLOATS[dtype][:2])) - mantissa
                halves = [0, 1, mantissa - 1, mantissa, infinity - 1, infinity, infinity + 1, top - 1]
                special = [bits | sign for bits in halves for sign in (0, top)]
                for a in special:
                    others = [b for b in special if b != a]
                    tensors = [{f"{i:02}": (dtype, [], [x]) for i, x in enumerate(side)}
                               for side in ([a] * len(others), others)]
                    found = {t["name"]: t for t in self.compare(*tensors)["tensors"]}
                    for i, b in enumerate(others):
                        ulp = found[f"{i:02}"]["max_ulp"]
                        self.assertEqual(float(ulp), float(distance(dtype, a, b)), (dtype, hex(a), hex(b)))

    # ---- Shapes ------------------------------------------------------------------------------------------------------

    def is_shape(self, found, shape, grade=None):
        self.assertEqual(found["shape_of_difference"], shape, found)
        if grade:
            self.assertEqual(found["grade"], grade, found)

    def test_scattered_ulps_are_rounding(self):
        for dtype in ("f16", "bf16", "f32", "f64"):
            with self.subTest(dtype=dtype):
                a, source = self.noise(dtype, 600), random.Random(2)
                b = [bits + source.choice((0, 0, 1, 2)) for bits in a]
                self.is_shape(self.only(dtype, a, b), "rounding")

    def test_a_permutation_names_its_axis(self):
        for dtype in ("f16", "bf16", "f8_e5m2", "f32", "f64", "i32"):
            for axis in (0, 1, 2):
                with self.subTest(dtype=dtype, axis=axis):
                    dims = [6, 8, 10]
                    a = list(range(480)) if dtype == "i32" else self.noise(dtype, 480, scale=100)
                    order = list(range(dims[axis]))
                    random.Random(3).shuffle(order)
                    b = []
                    for i in range(480):
                        index = [i // 80, i // 10 % 8, i % 10]
                        index[axis] = order[index[axis]]
                        b.append(a[index[0] * 80 + index[1] * 10 + index[2]])
                    found = self.only(dtype, a, b, dims)
                    self.is_shape(found, "permutation", "permutation")
                    self.assertEqual(found["permuted_axis"], axis)

    def test_a_permutation_along_no_axis_names_none(self):
        a = self.noise("f32", 480)
        b = random.Random(4).sample(a, len(a))
        found = self.only("f32", a, b, [6, 8, 10])
        self.is_shape(found, "permutation", "permutation")
        self.assertNotIn("permuted_axis", found)

    def test_signs_of_zero_and_payloads_of_nan(self):
        for dtype in ("f16", "bf16", "f8_e5m2", "f32", "f64"):
            with self.subTest(dtype=dtype):
                top, nan = 1 << 8 * width(dtype) - 1, (1 << sum(FLOATS[dtype][:2])) - 1
                a = self.noise(dtype, 100) + [0, top, nan]
                self.is_shape(self.only(dtype, a, a[:100] + [top, 0, nan]), "sign")
                self.is_shape(self.only(dtype, a, a[:100] + [0, top, nan - 1]), "sign", "divergent")

    def test_other_random_numbers_are_unrelated(self):
        for dtype in FLOATS:
            with self.subTest(dtype=dtype):
                self.is_shape(self.only(dtype, self.noise(dtype, 600, 5), self.noise(dtype, 600, 6)), "unrelated", "divergent")

    def test_memory_read_before_it_was_written_is_garbage(self):
        for dtype in FLOATS:
            with self.subTest(dtype=dtype):
                source, a = random.Random(7), self.noise(dtype, 600)
                b = a[:300] + [source.getrandbits(8 * width(dtype)) for _ in range(300)]
                nan = (1 << sum(FLOATS[dtype][:2])) - 1
                self.is_shape(self.only(dtype, a, b), "garbage", "divergent")
                self.is_shape(self.only(dtype, a, a[:-1] + [nan]), "garbage", "divergent")
                self.is_shape(self.only(dtype, a[:-1] + [nan], a), "garbage", "divergent")

    def test_one_factor_or_one_offset(self):
        for dtype in ("f16", "bf16", "f32", "f64"):
            with self.subTest(dtype=dtype):
                b = self.noise(dtype, 300)
                scaled = [nearest(dtype, 1.5 * value(dtype, bits)) for bits in b]
                moved = [nearest(dtype, 4 + value(dtype, bits)) for bits in b]
                found = self.only(dtype, scaled, b)
                self.is_shape(found, "scale", "divergent")
                self.assertAlmostEqual(found["factor"], 1.5, places=1)
                self.assertNotIn("offset", found)
                found = self.only(dtype, moved, b)
                self.is_shape(found, "scale", "divergent")
                self.assertAlmostEqual(found["offset"] / 4, 1, places=1)
                self.assertNotIn("factor", found)

    def test_a_difference_that_grew_is_related(self):
        a, source = self.noise("f32", 600), random.Random(8)
        b = [nearest("f32", value("f32", bits) + source.gauss(0, 0.05)) for bits in a]
        self.is_shape(self.only("f32", a, b), "grown", "divergent")

    # ---- Whole files -------------------------------------------------------------------------------------------------

    def planted(self):
        """Two sets of tensors, and what is to be said of each in the order of severity."""
        kernel = self.noise("f32", 60)
        a = {"gone": ("f32", [2], [0, 0]), "kernel": ("f32", [6, 10], kernel), "lost": ("f32", [60], kernel),
             "reshaped": ("f32", [6, 10], kernel), "retyped": ("i32", [2], [1, 2]), "same": ("f64", [], [7]),
             "turned": ("f32", [6, 10], kernel)}
        b = {"kernel": ("f32", [6, 10], [bits + 1 for bits in kernel]), "lost": ("f32", [60], self.noise("f32", 60, 9)),
             "new": ("u64", [1], [1]), "reshaped": ("f32", [10, 6], kernel), "retyped": ("f32", [2], [1, 2]),
             "same": ("f64", [], [7]), "turned": ("f32", [6, 10], kernel[10:] + kernel[:10])}
        said = [("reshaped", "dtype or shape changed", "divergent"), ("retyped", "dtype or shape changed", "divergent"),
                ("new", "only in B", "divergent"), ("gone", "only in A", "divergent"), ("lost", "differs", "divergent"),
                ("turned", "differs", "permutation"), ("kernel", "differs", "rounding"), ("same", "same", "identical")]
        return a, b, said

    def test_the_worst_comes_first_and_formats_do_not_matter(self):
        a, b, said = self.planted()
        documents = []
        for writers in ((safetensors, safetensors), (npz, safetensors), (safetensors, npz), (npz, npz)):
            found = self.compare(a, b, writers=writers)
            self.assertEqual([(t["name"], t["state"], t["grade"]) for t in found["tensors"]], said)
            self.assertEqual((found["n_tensors"], found["n_different"], found["exit_code"]), (8, 7, 1))
            documents.append(found)
        for found in documents[1:]:
            self.assertEqual(found, documents[0])
        by_name = {t["name"]: t for t in documents[0]["tensors"]}
        self.assertEqual(by_name["reshaped"]["changed"], "f32 6x10 | f32 10x6")
        self.assertEqual(by_name["retyped"]["changed"], "i32 2 | f32 2")
        self.assertEqual(by_name["kernel"]["ulp_histogram"], [0, 60])
        self.assertEqual(by_name["turned"]["permuted_axis"], 0)

    def test_hdf5_and_pytorch_say_the_same(self):
        wanted = self.compare(*self.planted()[:2])
        writer = """
            import json, struct, sys
            import numpy
            raw = open(sys.argv[1], "rb").read()
            n = struct.unpack("<Q", raw[:8])[0]
            types = {"F32": "f4", "F64": "f8", "I32": "i4", "U64": "u8"}
            tensors = {}
            for name, entry in json.loads(raw[8:8 + n]).items():
                begin, end = entry["data_offsets"]
                values = numpy.frombuffer(raw[8 + n + begin:8 + n + end], types[entry["dtype"]])
                tensors[name] = values.reshape(entry["shape"])
            if sys.argv[2].endswith(".h5"):
                import h5py
                with h5py.File(sys.argv[2], "w") as file:
                    for name, values in tensors.items():
                        file.create_dataset(name, data=values, chunks=True if values.ndim else None)
            else:
                import torch
                torch.save({k: torch.tensor(v.astype("i8") if v.dtype == "u8" else v) for k, v in tensors.items()}, sys.argv[2])
            """
        self.write("writer.py", writer)
        for module, ending in (("h5py", ".h5"), ("torch", ".pt")):
            if not program.works(program.PYTHON, "-c", f"import {module}, numpy"):
                raise unittest.SkipTest(f"needs {module}")
            for name in ("a", "b"):
                subprocess.run([program.PYTHON, "writer.py", name, name + ending], cwd=self.folder, check=True)
            for first, second in (("a" + ending, "b" + ending), ("a" + ending, "b"), ("a", "b" + ending)):
                found = json.loads(self.samebits("compare", "--json", first, second, code=1).stdout)
                for one, other in zip(found["tensors"], wanted["tensors"]):
                    if one["name"] != "new":  # PyTorch 1 has no u64
                        self.assertEqual(one, other)

    def test_people_are_told_the_axis_the_factor_and_the_histogram(self):
        a, b, _ = self.planted()
        b["scaled"] = ("f64", [60], self.noise("f64", 60))
        a["scaled"] = ("f64", [60], [nearest("f64", 3 * value("f64", bits)) for bits in b["scaled"][2]])
        self.compare(a, b)
        said = self.samebits("compare", "a", "b", code=1).stdout
        for words in ("along axis 0", "A is 3 times B", "only in A", "only in B", "f32 6x10 | f32 10x6", "  ulp of "):
            self.assertIn(words, said)
        said = self.samebits("compare", "--include", "kernel", "a", "b", code=1).stdout
        self.assertIn("  ulp of kernel: 1 × 60\n", said)

    def test_hostile_names_move_no_cursor(self):
        name = "a\u009b2J\u202eb\x7f\u00e9"  # a C1 control, a change of direction, DEL, and a letter
        tensors = {name: ("f32", [1], [0])}
        self.compare(tensors, {name: ("f32", [1], [nearest("f32", 8)])})
        for locale, shown in (("C.UTF-8", "a\\u009b2J\\u202eb\\x7f\u00e9"), ("C", "a\\u009b2J\\u202eb\\x7f\\u00e9")):
            said = self.samebits("compare", "a", "b", code=1, env={"LC_ALL": locale}).stdout
            self.assertEqual(said.count(shown), 2, said)
            self.assertEqual(locale == "C", said.isascii())
        said = self.samebits("fingerprint", "--tensors", "a", code=0).stdout
        self.assertIn("a\\u009b2J\\u202eb\\x7f\u00e9\tf32\t1\t", said)
        safetensors(self.path("broken"), {name: ("f32", [2], [0])})
        said = self.samebits("fingerprint", "broken", code=2).stderr
        self.assertIn("'a\\u009b2J\\u202eb\\x7f\u00e9' has other bytes", said)

    def test_two_runs_are_compared_as_files_are(self):
        self.job(body="values[3] += float(sys.argv[2]); sys.argv[1:2] = ['w.npy']")
        for globs in (["--weights", "w.npy"], ["--weights", "*.npy"]):
            self.samebits("run", "--force", "--out", "r", "--repeats", "1", "--exact-repeats", *globs, "--vary", "x=0,1", "--",
                          program.PYTHON, "job.py", "w.npy", "{x}", code=2)
            done = json.loads(self.samebits("compare", "--json", "r/r00001", "r/r00002", code=1).stdout)
            self.assertEqual((done["n_different"], done["tensors"][0]["first"], done["tensors"][0]["max_abs"]), (1, [3], 1.0))
            self.assertEqual((done["a"], done["b"]), ("r/r00001", "r/r00002"))
            self.samebits("compare", "r/r00001", "r/r00001", code=0)
        said = self.samebits("compare", "r/r00001", "r/r00077", code=2).stderr
        self.assertIn("r/r00077: no such run (runs: r00001 to r00002)", said)
        self.samebits("compare", "r/r00001", "nowhere/r00001", code=2)
        self.assertTrue(os.path.isfile(self.path("r", "result.json")))

    def test_runs_that_save_several_files_are_paired_by_name(self):
        self.job(body="""
            for name in ("b", "c"):
                with open(name + ".npy", "wb") as file:
                    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\\n"
                    file.write(b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header.encode()
                               + struct.pack("<f", float(sys.argv[2]) * (name == "c")))
            """)
        self.samebits("run", "--out", "r", "--repeats", "1", "--exact-repeats", "--weights", "[bc].npy", "--vary", "x=0,1",
                      "--", program.PYTHON, "job.py", "w.npy", "{x}", code=2)
        done = json.loads(self.samebits("compare", "--json", "r/r00001", "r/r00002", code=1).stdout)
        self.assertEqual([(t["name"], t["state"]) for t in done["tensors"]],
                         [("c.npy:arr_0", "differs"), ("b.npy:arr_0", "same")])

    def test_exit_codes_follow_what_is_required(self):
        a, b, _ = self.planted()
        self.compare(a, b)
        for code, options in ((0, ["--include", "same"]), (1, ["--include", "kernel"]),
                              (0, ["--include", "kernel", "--require", "rounding"]), (0, ["--include", "kernel", "--ulp", "1"]),
                              (1, ["--include", "kernel", "--ulp", "0"]), (1, ["--include", "turned", "--require", "rounding"]),
                              (1, ["--include", "gone", "--include", "same", "--rtol", "1"]),
                              (2, ["--include", "nothing"]), (2, ["--exclude", "**"]),
                              (2, ["--require", "ignore"]), (2, ["--ulp", "1", "--atol", "1"])):
            with self.subTest(options=options):
                self.samebits("compare", *options, "a", "b", code=code)
        self.samebits("compare", "a", "nowhere", code=2)
        self.write("broken", "\x10")
        self.samebits("compare", "a", "broken", code=2)

    def test_globs_that_match_no_tensor_are_warned_of(self):
        a, b, _ = self.planted()
        found = self.compare(a, b, "--exclude", "optimizer/**", "--include", "k*", "--include", "kernle")
        self.assertEqual(found["unmatched"], ["include kernle", "exclude optimizer/**"])
        done = self.samebits("compare", "--exclude", "gone", "--exclude", "optimizer/**", "a", "b", code=1)
        self.assertEqual(done.stderr, "samebits: warning: --exclude optimizer/**: matches no tensor\n")
        done = self.samebits("fingerprint", "--json", "--exclude", "gone", "--exclude", "\x1b", "a", "b", code=0)
        self.assertEqual(json.loads(done.stdout)["unmatched"], ["exclude \x1b"])
        self.assertIn("matches no tensor", done.stderr)
        self.assertNotIn("\x1b", done.stderr)
        self.assertEqual(self.samebits("fingerprint", "--exclude", "gone", "a", "b", code=0).stderr, "")

    def test_a_run_notes_a_glob_that_matches_no_tensor(self):
        self.job()
        options = ["--exclude", "optimizer/**", "--exclude", "arr_1"]
        document = self.adhoc("hash_seed=0,1", command=[program.PYTHON, "job.py"], options=options)
        self.assertEqual({run["message"] for run in document["runs"]},
                         {"exclude optimizer/**, exclude arr_1: matches no tensor"})
        done = self.samebits("run", "--vary", "hash_seed=0,1", *options, "--", program.PYTHON, "job.py", code=0)
        self.assertEqual(done.stderr.count("matches no tensor"), 1)


if __name__ == "__main__":
    program.main()
