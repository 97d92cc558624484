"""Holds each kas file against kas's own schema, and each pinned revision against what a revision looks like.

usage: kas_files.py <folder>      exit status 1 if something is wrong
"""

import importlib.resources
import json
import pathlib
import re
import sys

import jsonschema
import yaml


def problems(path, schema):
    """What is wrong with a file."""
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as problem:
        yield f"{path.name}: is no YAML: {' '.join(str(problem).split())}"
        return
    for problem in jsonschema.Draft7Validator(schema).iter_errors(content):
        if problem.context:
            # Of several ways to write it, the one that was meant: what is wrong within it, not that it is another.
            problem = min(problem.context, key=lambda way: way.validator == "type")
        where = ".".join(map(str, problem.absolute_path)) or "the file"
        yield f"{path.name}: {where}: {problem.message}"
    for include in (content.get("header") or {}).get("includes", []):
        if isinstance(include, str) and not (path.parents[2] / include).is_file():
            yield f"{path.name}: includes {include}, which is not there"
    for name, repository in (content.get("repos") or {}).items():
        commit = (repository or {}).get("commit", "")
        if (repository or {}).get("url") and not re.fullmatch("[0-9a-f]{12,40}", commit):
            yield f"{path.name}: repos.{name} has no revision; pin it by commit"


def main():
    schema = json.loads(importlib.resources.files("kas").joinpath("schema-kas.json").read_text())
    files = sorted(pathlib.Path(sys.argv[1]).resolve().glob("*.yml"))
    said = [problem for path in files for problem in problems(path, schema)]
    if said or not files:
        print("\n".join(said or ["there is no kas file"]))
        return 1
    print(f"{len(files)} kas files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
