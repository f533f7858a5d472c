"""Checks of the phase table, with rondo on the PATH.

phases.py resume 'MODEL --dim K=4'...   after every phase, the printed IR resumes to the assembly of the direct way
phases.py page README.md                the page's table of phases is the compiler's
"""
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path


def rondo(*arguments):
    run = subprocess.run(["rondo", "compile", *arguments], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"rondo compile {shlex.join(arguments)}\n{run.stderr}")
    return run.stdout


def phases():
    """Name and description of each phase; the first and the last two are texts that no compile can start from."""
    lines = re.findall(r"^ *([\w-]+) {2,}(.+?) *$", rondo("--list-phases"), re.MULTILINE)
    return [(name, description) for name, description in lines if name not in ("ast", "llvm", "asm")]


def resume(commands):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for command in commands:
            model, *options = shlex.split(command)
            direct = rondo(model, *options, "--emit", "asm")
            for name, _ in phases():
                path = Path(folder) / f"{name}.mlir"
                rondo(model, *options, "--emit", name, "-o", str(path))
                same = rondo(str(path), "--from", name, *options, "--emit", "asm") == direct
                failed += not same
                print(f"{command}, from {name}: {'same' if same else 'DIFFERS'}")
    return failed


def page(path):
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \|", Path(path).read_text(), re.MULTILINE)
    if rows == phases():
        return 0
    print(f"{path} should have")
    for name, description in phases():
        print(f"| `{name}` | {description} |")
    return 1


if __name__ == "__main__":
    failures = resume(sys.argv[2:]) if sys.argv[1] == "resume" else page(sys.argv[2])
    sys.exit(1 if failures else 0)
