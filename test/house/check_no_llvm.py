#!/usr/bin/env python3
"""The part of the runtime that loads and runs a kernel carries no LLVM: no symbol of llvm or mlir in libRondoRuntime.a or in a
program that links it alone, and no LLVM library beside that program."""
import os
import re
import subprocess
import sys
from pathlib import Path

BUILD = Path(os.environ.get("RONDO_BUILD", "build"))
LLVM_SYMBOL = re.compile(r"\b(_ZN?K?\w*?(4llvm|4mlir)\w*|LLVM\w+|mlir[A-Z]\w*)")


def output(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def offences(symbols):
    return sorted({match[0] for match in LLVM_SYMBOL.finditer(symbols)})


def main():
    # The pattern is worth nothing unless it sees what it looks for.
    assert offences("U _ZN4llvm11raw_ostreamE\nT _ZNK4mlir9Operation3fooEv\nU LLVMShutdown\nT _ZN5rondo6KernelE") != []
    assert offences("T _ZNK5rondo6Kernel3runEv\nU _ZSt4cout") == []

    archive, loader = BUILD / "lib" / "libRondoRuntime.a", BUILD / "bin" / "rondo-tiny-loader"
    found = [f"{archive.name}: {s}" for s in offences(output("nm", archive))]
    found += [f"{loader.name}: {s}" for s in offences(output("nm", loader))]
    libraries = output("ldd", loader)
    found += [f"{loader.name} needs {line.split()[0]}" for line in libraries.splitlines() if re.search(r"lib(LLVM|MLIR)", line)]
    tune = BUILD / "lib" / "libRondoTune.a"
    found += [f"{tune.name}: {s}" for s in offences(output("nm", tune))]
    measure = BUILD / "bin" / "rondo-measure"
    found += [f"{measure.name}: {s}" for s in offences(output("nm", measure))]
    found += [f"{measure.name} needs {line.split()[0]}" for line in output("ldd", measure).splitlines()
              if re.search(r"lib(LLVM|MLIR)", line)]
    for line in found:
        print(line)
    print(output(loader), end="")
    # It runs what the compiler made ahead of time.
    made = BUILD / "test" / "ahead"
    output(BUILD / "bin" / "rondo", "compile", "gla", "--dim", "K=7,V=5", "--target", "cpu:x86-64,cpu:x86-64-v3", "--out", made)
    print(output(loader, made / "gla.artifact"), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
