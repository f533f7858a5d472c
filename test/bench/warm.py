#!/usr/bin/env python3
"""Warm starts: a process that has compiled nothing takes a kernel from the cache and runs it once, on one step of one head. Prints a table
in Markdown, and fails where a median passes what is wanted: 10 ms from the text to the end of the first run, 1 ms for a kernel that is loaded.
--write puts the table into WARM.md.
"""
import argparse
import fcntl
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
SPECS = [("gla", ["K=64", "V=64"]), ("gla", ["K=128", "V=128"]), ("gated_delta_net", ["K=64", "V=64"]), ("mlstm", ["K=64", "V=64"]),
         ("gru", ["D=256", "H=256"]), ("lstm_no_peepholes", ["D=512", "H=512"])]
MOST = {"first_result": 10.0, "launch": 1.0}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build")
    parser.add_argument("--processes", type=int, default=25)
    parser.add_argument("--lock", default=os.devnull, help="a file to hold while times are taken")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = ["| spec | sizes | cold, ms | kernel from the cache, ms | first result, ms | least | most | loaded kernel, ms |",
             "|---|---|--:|--:|--:|--:|--:|--:|"]
    late = []
    with tempfile.TemporaryDirectory() as cache, open(options.lock, "w") as lock:
        env = dict(os.environ, RONDO_CACHE_DIR=cache, RONDO_CACHE_LIMIT="1024")
        fcntl.flock(lock, fcntl.LOCK_EX)
        for spec, dims in SPECS:
            command = [options.build / "bin" / "rondo-bench-cold", SOURCE / "examples" / f"{spec}.rondo", *dims, "--cached"]

            def start():
                return json.loads(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
            cold = start()
            samples = [start() for _ in range(options.processes)]
            if cold["cached"] or not all(s["cached"] for s in samples):
                sys.exit(f"{spec}: a first start came from the cache, or a later one did not")
            middle = {key: statistics.median(s[key] for s in samples) for key in ("compiled", "first_result", "launch")}
            late += [f"{spec}: {key} {middle[key]:.2f} ms" for key, most in MOST.items() if middle[key] >= most]
            results = [s["first_result"] for s in samples]
            lines.append(f"| {spec} | {' '.join(dims)} | {cold['first_result']:.0f} | {middle['compiled']:.2f} | {middle['first_result']:.2f} | "
                         f"{min(results):.2f} | {max(results):.2f} | {middle['launch']:.4f} |")
    print("\n".join(lines))
    if options.write:
        page = SOURCE / "test" / "bench" / "WARM.md"
        page.write_text(re.sub(r"(<!-- table -->\n).*(<!-- end of table -->)", lambda m: m[1] + "\n".join(lines) + "\n" + m[2],
                               page.read_text(), flags=re.S))
    for line in late:
        print("too slow:", line)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
