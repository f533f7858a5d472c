#!/usr/bin/env python3
"""How good the untuned and the tuned plans are: three models at three sizes, held against every plan of the pruned space, and what every
fixed size of a chunk would lose. Prints two tables in Markdown. `--examples gla,deltanet --seconds 30` and the like choose less.

Every plan is measured by `rondo tune --exhaustive`, then a search with the usual limits starts from nothing. The chosen plan's time is that
of the exhaustive measurement, so that both columns have one scale.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
EXAMPLES = {"gla": ["K=64,V=64", "K=128,V=128", "K=32,V=32"], "gated_delta_net": ["K=64,V=64", "K=128,V=128", "K=32,V=32"],
            "retnet": ["K=64,V=64", "K=128,V=128", "K=32,V=32"]}
CALLS = ["1,B=1,T=2048,H=4", "1,B=1,T=512,H=2", "1,B=4,T=256,H=4"]


def tune(rondo, example, dims, call, threads, records, *more):
    command = [str(rondo), "tune", example, "--dim", dims, "--random", call, "--threads", str(threads), "--json", "--fresh", *more]
    env = dict(os.environ, RONDO_RECORDS=records)
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def short(plan):
    parts = []
    for part in plan.split("; "):
        form, chunk = re.search(r"form = (\w+)", part)[1], re.search(r"chunk = (\d+)", part)[1]
        parts.append(form if form == "step" else chunk)
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rondo", default=SOURCE / "build" / "bin" / "rondo")
    parser.add_argument("--examples", default=",".join(EXAMPLES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    rows, losses, chunks = [], [], []
    for example in options.examples.split(","):
        for dims, call in zip(EXAMPLES.get(example, EXAMPLES["gla"]), CALLS):
            with tempfile.TemporaryDirectory() as folder:
                whole = tune(options.rondo, example, dims, call, options.threads, f"{folder}/a", "--exhaustive", "--seconds", "120")
                found = tune(options.rondo, example, dims, call, options.threads, f"{folder}/b", "--seconds", str(options.seconds))
            times = {short(p["plan"]): p for p in whole["plans"]}
            best = whole["plans"][0]
            where = f"{example} {dims.replace(',', ' ')}, {call[2:].replace(',', ' ')}"
            rows.append(f"| {where} | {whole['space']} | {short(best['plan'])} | {best['ms']:.3g} ± {best['noise_ms']:.1g} | "
                        f"{short(whole['default'])}: {times[short(whole['default'])]['ms'] / best['ms']:.2f} | "
                        f"{short(found['chosen'])}: {times[short(found['chosen'])]['ms'] / best['ms']:.2f} | "
                        f"{found['compiled']} | {found['seconds']:.1f} |")
            chunks = chunks or sorted(times, key=lambda name: (name != "step", int(name) if name.isdigit() else 0))
            losses.append(f"| {where} | " + " | ".join(f"{times[c]['ms'] / best['ms']:.2f}" if c in times else "-" for c in chunks) +
                          f" | {best['noise_ms'] / best['ms']:.2f} |")
            print(rows[-1], file=sys.stderr, flush=True)
    print("| model and call | plans | best | ms | default, to the best | tuned, to the best | compiled | search, s |")
    print("|---|--:|---|--:|---|---|--:|--:|")
    print("\n".join(rows))
    print("\n| model and call | " + " | ".join(chunks) + " | noise |")
    print("|---|" + "--:|" * (len(chunks) + 1))
    print("\n".join(losses))


if __name__ == "__main__":
    main()
