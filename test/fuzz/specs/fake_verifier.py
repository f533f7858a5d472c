#!/usr/bin/env python3
"""Stands in for `rondo verify` in the tests of the driver: fake_verifier.py HOW PATTERN FILE [ARGUMENTS].

A model whose text matches PATTERN fails in the way HOW: mismatch, compile (an error of the compiler), crash (the process dies at it),
silence (the process leaves out the model and says nothing). All others pass, in the lines that `rondo verify` prints.
"""
import os
import re
import signal
import sys


def models(text):
    """Name and text of each model; functions belong to the model behind them."""
    start = 0
    for match in re.finditer(r"^model (\w+).*?^}$", text, re.M | re.S):
        yield match[1], text[start:match.end()]
        start = match.end()


def main():
    how, pattern, path = sys.argv[1:4]
    with open(path, encoding="ascii") as file:
        text = file.read()
    count = failures = 0
    for name, part in models(text):
        bad = re.search(pattern, part)
        if bad and how == "crash":
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGABRT)
        if bad and how == "silence":
            continue
        count += 1
        failures += bool(bad)
        print(f"{name} ({path})")
        if bad and how == "compile":
            print("  f64 FAILED")
            print(f"error: cannot compile '{name}'", file=sys.stderr)
            continue
        error, verdict = ("2.5e-03", "FAILED") if bad else ("2.5e-16", "ok")
        print(f"  f64   step   error {error}  tolerance 1.0e-12  max {error}  tolerance 1.0e-11 rms  {verdict}  B=3 T=1")
    print(f"{count} models, {count} checks, 0 draws redrawn: {f'{failures} FAILED' if failures else 'all within tolerance'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
