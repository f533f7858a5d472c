"""Kernels on matrix instructions of every example that has them, with rondo on the PATH: tiles.py FOLDER ARCH TYPE. Where there is a
ptxas, they are assembled, and a table says registers and spills; more than SPILLS bytes spilled by a thread is a failure."""
import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER, ARCH, TYPE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
SIZE = 64
SPILLS = 1024  # rwkv7 spills 852 on sm_80, whose blocks have little shared memory: to be brought down, not up


def dims(spec):
    """The dimensions of the last model of a file."""
    heads = re.findall(r"^model \w+(?:<([^>]*)>)?", spec.read_text(), re.MULTILINE)
    return [name.strip() for name in heads[-1].split(",")] if heads[-1] else []


def explain(spec):
    command = ["rondo", "explain", str(spec), "--target", f"cuda:{ARCH}", "--dtype", TYPE]
    for name in dims(spec):
        command += ["--dim", f"{name}={SIZE}"]
    return spec.stem, subprocess.run(command, capture_output=True, text=True)


specs = [spec for spec in sorted(FOLDER.glob("*.rondo")) if dims(spec)]
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    explained = list(pool.map(explain, specs))
failed, kernels, assembled = 0, 0, False
for name, run in explained:
    if run.returncode:
        failed += 1
        print(f"{name}: {run.stderr}")
    if not re.search(r": chunk of \d+, on matrix instructions", run.stdout):
        continue
    lines = re.findall(r"^    (\S+_(?:chunks|ends|link\d+|within)): (.*)$", run.stdout, re.MULTILINE)
    kernels += 1
    for kernel, text in lines:
        found = re.search(r"(\d+) bytes spilled", text)
        assembled |= found is not None
        failed += bool(found and int(found[1]) > SPILLS)
        print(f"{ARCH} {TYPE} {kernel}: {text}")
    if not lines and "no ptxas" not in run.stdout:
        failed += 1
        print(f"{name}: no kernels: {run.stdout}")
print(f"{kernels} of {len(specs)} specs have kernels on matrix instructions of {ARCH} in {TYPE}; "
      + ("assembled" if assembled else "NOT assembled: there is no ptxas here"))
sys.exit(bool(failed) or not kernels)
