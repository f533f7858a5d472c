"""Runs rondo-opt on every ```mlir example of a TableGen file: op_examples.py FILE.td, with rondo-opt on the PATH."""
import re
import subprocess
import sys


def main(path):
    text = open(path).read()
    examples = re.findall(r"^( *)```mlir\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    ops = len(re.findall(r"^def Recur_\w+Op ", text, re.MULTILINE))
    failed = 0
    for number, (_, example) in enumerate(examples, 1):
        run = subprocess.run(["rondo-opt", "--verify-roundtrip", "-"], input=example, capture_output=True, text=True)
        if run.returncode:
            failed += 1
            print(f"example {number}:\n{example}{run.stderr}")
    print(f"{len(examples)} examples for {ops} ops, {failed} failed")
    return failed or len(examples) < ops


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1]) else 0)
