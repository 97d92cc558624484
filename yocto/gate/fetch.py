"""Fetches the sources of every recipe with bitbake's own fetchers, checks each checksum, unpacks them, and checks the licence files.

usage: fetch.py <yocto folder> <build folder> <downloads> <repository of our sources> [part of an address ...]

Our programs have their sources in common, so only those of one are unpacked; where to, is written to <build folder>/unpacked.txt.
With parts of addresses only those sources are fetched, and nothing is unpacked. What was never fetched where this was written is
listed in unfetched.txt, each with the reason; it is left out, and said. Exit status 1 if something is wrong.
"""

import concurrent.futures
import hashlib
import multiprocessing
import pathlib
import shutil
import sys

import bake
import bb.fetch2

MACHINE = "qemu-x86_64"
AT_ONCE = 4
# The program of ours that is built from what was unpacked: the smallest.
BUILT = "gantry-init"


def unfetched():
    """Beginnings of addresses that are left out, with the reason."""
    lines = (bake.GATE / "unfetched.txt").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


def urls(data):
    """What a recipe is made of."""
    return (data.getVar("SRC_URI") or "").split()


def reason(data, left_out):
    """Why a recipe's sources are not fetched, if they are not."""
    for url in urls(data):
        for start, why in left_out.items():
            if url.startswith(start):
                return url, why
    return None


# Each recipe with its data; the processes that fetch are forks of this one, so they have it too.
READ = {}


def download(job):
    """Fetches some sources; returns what went wrong."""
    file, some = job
    data = READ[file]
    problems = []
    for url in some:
        try:
            bb.fetch2.Fetch([url], data).download()
        except Exception as problem:  # noqa: BLE001
            # Why is said in the log; the error itself says only that it failed.
            problems.append(f"{url}: {' '.join(' '.join([*bake.HEARD.take(), str(problem)]).split())}")
    return problems


def licence_problems(data):
    """Licence files whose text is not the one that the recipe was written for."""
    for entry in (data.getVar("LIC_FILES_CHKSUM") or "").split():
        path, _, sum_wanted = entry.removeprefix("file://").partition(";md5=")
        file = pathlib.Path(data.getVar("S")) / path
        if not file.is_file():
            yield f"LIC_FILES_CHKSUM names {path}, which is not in the source"
            continue
        found = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        if found != sum_wanted:
            yield f"{path} has md5 {found}, LIC_FILES_CHKSUM has {sum_wanted}; read what changed in it"


def unpack(data):
    """Unpacks a recipe's sources into its UNPACKDIR, which begins empty."""
    folder = pathlib.Path(data.getVar("UNPACKDIR"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bb.fetch2.Fetch(urls(data), data).unpack(str(folder))
    return licence_problems(data)


def shares(recipes, only):
    """What is to be fetched, each address once, in even shares."""
    seen = set()
    wanted = []
    for file, data in recipes:
        for url in urls(data):
            if url not in seen and (not only or any(part in url for part in only)):
                seen.add(url)
                wanted.append((file, url))
    jobs = []
    for file in {file for file, _ in wanted}:
        of_file = [url for other, url in wanted if other == file]
        jobs += [(file, share) for share in (of_file[start::AT_ONCE] for start in range(AT_ONCE)) if share]
    return len(wanted), jobs


def main():
    yocto, build, downloads, repository = (pathlib.Path(path).resolve() for path in sys.argv[1:5])
    only = sys.argv[5:]
    settings = (("DL_DIR", downloads), ("GANTRY_REPOSITORY", repository))
    downloads.mkdir(parents=True, exist_ok=True)
    box = bake.Bake(yocto, build, MACHINE, settings)
    left_out = unfetched()
    recipes, skipped, problems = [], [], []
    for file in box.recipes:
        data = box.recipe(file)[""]
        why = reason(data, left_out)
        if why:
            skipped.append(why)
        elif urls(data) and not box.files.get_file_appends(file):
            recipes.append((file, data))
    READ.update(recipes)
    (build / "unpacked.txt").unlink(missing_ok=True)
    count, jobs = shares(recipes, only)
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("fork")) as pool:
        for (file, _), said in zip(jobs, pool.map(download, jobs)):
            problems += [f"{box.name(file)}: {line}" for line in said]
    for file, data in [] if only or problems else recipes:
        if data.getVar("PN") == BUILT or not any(url.startswith("crate://") for url in urls(data)):
            problems += [f"{box.name(file)}: {line}" for line in unpack(data)]
        if data.getVar("PN") == BUILT:
            (build / "unpacked.txt").write_text("\n".join(data.getVar(name) for name in ("CARGO_HOME", "CARGO_MANIFEST_PATH")) + "\n")
    if problems:
        print("\n".join(problems))
        return 1
    for url, why in skipped:
        print(f"not fetched: {url}: {why}")
    print(f"{count} sources fetched, {len(skipped)} not fetched")
    return 0


if __name__ == "__main__":
    sys.exit(main())
