"""PTX of every example, with rondo on the PATH: ptx.py FOLDER ARCH TYPE. Where there is a ptxas, it is assembled, and must not spill
beyond SPILLS bytes."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER, ARCH, TYPE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
SIZES = [7, 5, 3, 9, 11, 13, 15]
SPILLS = 512


def dims(spec):
    """The dimensions of the last model of a file."""
    heads = re.findall(r"^model \w+(?:<([^>]*)>)?", spec.read_text(), re.MULTILINE)
    return [name.strip() for name in heads[-1].split(",")] if heads[-1] else []


def check(spec):
    sizes = [f"{name}={SIZES[min(i, len(SIZES) - 1)]}" for i, name in enumerate(dims(spec))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.ptx"
        command = ["rondo", "compile", str(spec), "--target", f"cuda:{ARCH}", "--emit", "ptx", "--dtype", TYPE, "-o", str(path)]
        for size in sizes:
            command += ["--dim", size]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            return run.stderr
        if ".visible .entry" not in path.read_text():
            return "no kernel in the PTX"
        if not PTXAS:
            return ""
        run = subprocess.run([PTXAS, "-v", f"-arch={ARCH}", str(path), "-o", str(path) + ".cubin"], capture_output=True, text=True)
        spilled = max([int(n) for n in re.findall(r"(\d+) bytes spill stores", run.stderr)], default=0)
        return run.stderr if run.returncode else f"{spilled} bytes spilled" if spilled > SPILLS else ""


specs = sorted(FOLDER.glob("*.rondo"))
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    wrong = [(spec, text) for spec, text in zip(specs, pool.map(check, specs)) if text]
for spec, text in wrong:
    print(f"{spec.name}: {text}")
print(f"{len(specs) - len(wrong)} of {len(specs)} specs have PTX for {ARCH} in {TYPE}; "
      + (f"assembled by {PTXAS}" if PTXAS else "NOT assembled: there is no ptxas here"))
sys.exit(bool(wrong) or not specs)
