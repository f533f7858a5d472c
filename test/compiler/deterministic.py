"""deterministic.py COMMAND...: fails where five runs of a command do not print the same."""
import subprocess
import sys

printed = {subprocess.run(sys.argv[1:], capture_output=True, check=True).stdout for _ in range(5)}
if len(printed) > 1 or not printed.pop():
    sys.exit(f"{len(printed) + 1} different outputs, or nothing, of {' '.join(sys.argv[1:])}")
