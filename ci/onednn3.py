"""Takes oneDNN's library and headers out of the packages in FOLDER/packages, into FOLDER/lib and FOLDER/include."""
import glob
import os
import shutil
import sys
import zipfile

LIBRARY = "paddle/libs/libdnnl.so.3"


def place(name):
    """Where a member of a package belongs, or None."""
    if name == LIBRARY:
        return "lib/libdnnl.so.3"
    before, found, after = name.partition(".data/data/include/")
    return f"include/{after}" if found and before and not name.endswith("/") else None


def main(folder):
    for package in glob.glob(os.path.join(folder, "packages", "*.whl")):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                target = place(name) and os.path.join(folder, place(name))
                if target:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with archive.open(name) as source, open(target, "wb") as copy:
                        shutil.copyfileobj(source, copy)
    os.symlink("libdnnl.so.3", os.path.join(folder, "lib", "libdnnl.so"))  # the name that a linker looks for
    return 0 if os.path.exists(os.path.join(folder, "include", "oneapi", "dnnl", "dnnl.h")) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
