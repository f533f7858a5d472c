#!/usr/bin/env python3
"""clang-tidy-22 over our sources, by the compile commands of a build tree. Without --all: only the plain C++ (no MLIR header) and
without the static analyzer, which takes seconds a file; with it, and for the MLIR sources, it is up to a minute each.

The sources are recognised by their compile command: what uses MLIR is compiled with its include folder.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(os.environ.get("RONDO_SOURCE", Path(__file__).resolve().parents[2]))
ROOMS = ("compiler", "dialects", "frontend", "runtime")


def sources(build, everything):
    """Compile commands of our own files, one per file, without the precompiled header (clang-tidy reads none)."""
    chosen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if not path.is_relative_to(SOURCE) or path.relative_to(SOURCE).parts[0] not in ROOMS or path in chosen:
            continue
        if not everything and re.search(r"-isystem \S*llvm", entry["command"]):
            continue
        words, command = entry["command"].split(), []
        while words:
            word = words.pop(0)
            if word == "-Xclang" and words[:1] in (["-include-pch"], ["-include"]):
                del words[:3]
                continue
            command.append(word)
        compiler = next(i for i, word in enumerate(command) if "clang++" in word)
        chosen[path] = dict(entry, command=" ".join(command[compiler:]))
    return chosen


def tidy(path, database, checks):
    done = subprocess.run(["clang-tidy-22", "--quiet", f"--checks={checks}", "-p", database, str(path)], capture_output=True, text=True)
    return path, done.returncode, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("RONDO_BUILD", "build"))
    parser.add_argument("--all", action="store_true", help="the MLIR sources and the static analyzer too")
    options = parser.parse_args()
    chosen = sources(Path(options.build).resolve(), options.all)
    checks = "" if options.all else "-clang-analyzer-*"
    failed = 0
    with tempfile.TemporaryDirectory() as database:
        (Path(database) / "compile_commands.json").write_text(json.dumps(list(chosen.values())))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, status, log in pool.map(lambda p: tidy(p, database, checks), sorted(chosen)):
                if status:
                    failed += 1
                    print(f"{path.relative_to(SOURCE)}\n{log}")
    print(f"{len(chosen)} files, {failed} with findings")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
