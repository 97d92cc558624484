"""Reads every configuration and recipe as bitbake does, and says what is wrong with them, all at once.

usage: parse.py <yocto folder> <build folder>      exit status 1 if something is wrong
"""

import os
import pathlib
import re
import sys

import bake
import bb.data
import bb.data_smart
import bb.fetch2
import bb.utils

# Expanded to nothing that is left over: a name in them that nobody has set is a slip of the pen.
WHOLE = ("SRC_URI", "S", "B", "LICENSE", "LIC_FILES_CHKSUM", "DEPENDS", "IMAGE_INSTALL", "IMAGE_FSTYPES", "WKS_FILE", "CARGO_SRC_DIR")
LICENCES = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "GPL-2.0-only", "GPL-2.0-or-later", "LGPL-2.1-or-later"}
# What every recipe has of its own accord.
OF_ITSELF = re.compile(r"(-src|-dbg|-staticdev|-dev|-doc|-locale|-lic)$")


def listed(name):
    """The names in one of the doubles' lists."""
    lines = (bake.GATE / "doubles" / name).read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def words(data, name):
    """The words of a variable."""
    return (data.getVar(name) or "").split()


def expansion(data):
    """Every variable can be expanded: a mistake in ${@...} shows only when it is asked for."""
    for name in sorted(data.keys()):
        if data.getVarFlag(name, "func", False) and data.getVarFlag(name, "python", False):
            continue
        try:
            data.getVar(name)
        except bb.data_smart.ExpansionError as problem:
            yield f"{name} cannot be expanded: {str(problem).splitlines()[0]}"
    for name in WHOLE:
        left = re.findall(r"\$\{[^}@]+\}", data.getVar(name) or "")
        if left:
            yield f"{name} names {', '.join(left)}, which nobody sets"


def functions(data):
    """Shell and Python functions can be read to their end."""
    try:
        bb.data.generate_dependencies(data, set())
    except Exception as problem:  # the parsers raise what they like
        yield f"a function cannot be read: {problem or ' '.join(bake.HEARD.take())}"


def sources(data):
    """Every file is there, and everything that is downloaded has a checksum."""
    urls = words(data, "SRC_URI")
    try:
        fetch = bb.fetch2.Fetch(urls, data) if urls else None
    except bb.fetch2.BBFetchException as problem:
        yield f"SRC_URI cannot be fetched: {problem}"
        return
    for url, source in fetch.ud.items() if fetch else ():
        if source.type == "file":
            source.setup_localpath(data)
            if not os.path.exists(source.localpath):
                yield f"{url} is not there; it is looked for in {data.getVar('FILESPATH')}"
        elif source.type in ("crate", "https", "http", "wget") and not source.sha256_expected:
            yield f"{url} has no checksum; write SRC_URI[{source.parm.get('name', '') + '.' if source.parm.get('name') else ''}sha256sum]"
        elif source.type == "git" and not re.fullmatch("[0-9a-f]{40}", data.getVar("SRCREV") or ""):
            yield f"{url} has no revision; set SRCREV to 40 digits"


def dependencies(data, provided):
    """What a recipe depends on exists: in our layers, or in oe-core."""
    for name in words(data, "DEPENDS"):
        if name not in provided:
            yield f"DEPENDS names {name}, which no recipe provides; oe-core's names are listed in gate/doubles/recipes.txt"
    for task in data.getVar("__BBTASKS", False) or []:
        for word in (data.getVarFlag(task, "depends") or "").split():
            recipe, _, other = word.rpartition(":")
            if recipe not in provided or not other.startswith("do_"):
                yield f"{task}[depends] names {word}, which no recipe provides"


def tasks(data):
    """A task comes after tasks that exist."""
    known = set(data.getVar("__BBTASKS", False) or [])
    for task in sorted(known):
        for other in data.getVarFlag(task, "deps", False) or []:
            if other not in known:
                yield f"{task} comes after {other}, which is no task of this recipe"


def packages(data, packaged):
    """What is installed exists."""
    wanted = {"IMAGE_INSTALL": words(data, "IMAGE_INSTALL")}
    for package in words(data, "PACKAGES"):
        wanted[f"RDEPENDS:{package}"] = words(data, f"RDEPENDS:{package}")
    for variable, names in wanted.items():
        for name in names:
            if name not in packaged and not name.startswith("("):
                yield f"{variable} names {name}, which no recipe packages; oe-core's packages are listed in gate/doubles/packages.txt"


def licence(data):
    """A licence is written as SPDX has it."""
    for name in re.split(r"[\s&|()]+", data.getVar("LICENSE") or "none"):
        if name and name not in LICENCES:
            yield f"LICENSE has {name!r}, which is none of {', '.join(sorted(LICENCES))}"


def disk(data):
    """An image's disk is laid out by a file that exists where wic's class looks for it."""
    name = data.getVar("WKS_FILE")
    if "wic" in words(data, "IMAGE_FSTYPES"):
        path = ":".join(folder + "/files/wic" for folder in data.getVar("BBPATH").split(":"))
        if not bb.utils.which(path, name or "none"):
            yield f"WKS_FILE {name} is in no layer's files/wic; run `cargo xtask yocto layout`"


def recipe_problems(data, provided, packaged):
    """What is wrong with one variant of a recipe."""
    yield from expansion(data)
    yield from functions(data)
    yield from sources(data)
    yield from dependencies(data, provided)
    yield from tasks(data)
    yield from packages(data, packaged)
    yield from licence(data)
    yield from disk(data)


def read(box, problems):
    """All recipes of a machine, each variant with its data; and the names of those that cannot be read."""
    variants, unread = [], set()
    for file in box.recipes:
        try:
            read_variants = box.recipe(file)
        except Exception as problem:  # noqa: BLE001
            problems.append(f"{box.name(file)}: {' '.join(bake.HEARD.take()) or problem}")
            unread.add(pathlib.Path(file).name.split("_")[0])
            continue
        for variant, data in read_variants.items():
            skipped = data.getVar("__SKIPPED", False)
            if skipped and box.ours(file):
                problems.append(f"{box.name(file)}: skipped: {skipped}")
            variants.append((file, variant, data))
        problems.extend(f"{box.name(file)}: {line}" for line in bake.HEARD.take())
    return variants, unread


def machine_problems(yocto, build, machine):
    """What is wrong as this machine sees it."""
    problems = []
    try:
        box = bake.Bake(yocto, build, machine)
    except BaseException as problem:  # noqa: BLE001  bb.fatal leaves by SystemExit or BBHandledException
        return [f"configuration: {' '.join(bake.HEARD.take()) or problem}"], 0
    problems.extend(f"configuration: {line}" for line in bake.HEARD.take())
    variants, unread = read(box, problems)
    # What depends on a recipe that cannot be read is not wrong for that.
    provided = listed("recipes.txt") | unread | {name for _, _, data in variants for name in words(data, "PROVIDES")}
    packaged = listed("packages.txt") | unread | {name for _, _, data in variants for name in words(data, "PACKAGES") if not OF_ITSELF.search(name)}
    for file, variant, data in variants:
        if box.ours(file):
            found = [f"{box.name(file)}: {problem}" for problem in recipe_problems(data, provided, packaged)]
            problems.extend(found)
    for append, file in box.files.bbappends:
        if not any(pathlib.Path(recipe).name.startswith(append.split("%")[0]) for recipe in box.recipes):
            problems.append(f"{box.name(file)}: there is no recipe that it adds to")
    return problems, len(variants)


def main():
    yocto, build = map(pathlib.Path, sys.argv[1:3])
    said = {}
    read_in_all = 0
    machines = bake.machines(yocto.resolve())
    for machine in machines:
        problems, variants = machine_problems(yocto, build, machine)
        read_in_all += variants
        for problem in problems:
            said.setdefault(problem, []).append(machine)
    for problem, where in said.items():
        print(f"{problem}" if len(where) == len(machines) else f"{problem} ({', '.join(where)})")
    if said:
        return 1
    print(f"{len(machines)} machines, {read_in_all} recipes read")
    return 0


if __name__ == "__main__":
    sys.exit(main())
