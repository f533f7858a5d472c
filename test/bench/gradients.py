#!/usr/bin/env python3
"""Rates of products of gradients beside those of the models; `--write FILE` puts the table into a Markdown file.

Each row is one process of `rondo bench --grad`, which measures the model and its gradient. Python's standard library only.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
LIMIT = 0.8
MATRIX = {"K": 128, "V": 128}
# Spec, sizes, call.
MODELS = [("retnet", MATRIX, "B=1,T=2048,H=4"), ("gla", MATRIX, "B=1,T=2048,H=4"), ("hgrn2", MATRIX, "B=1,T=2048,H=4"),
          ("mamba2", MATRIX, "B=1,T=2048,H=4"), ("deltanet", MATRIX, "B=1,T=2048,H=4"),
          ("gated_delta_net", MATRIX, "B=1,T=2048,H=4"), ("lstm", {"D": 256, "H": 256}, "B=16,T=128,H=1")]


def row(arguments, spec, dims, call):
    """What `rondo bench --grad --json` prints."""
    program = arguments.build / "bin" / "rondo"
    names = json_dims(program, spec)
    sizes = [f"{name}={dims.get(name, 128)}" for name in names]
    command = [str(program), "bench", spec, "--grad", "--json", "--dim", *sizes, "--random", f"1,{call}", "--threads",
               str(arguments.threads), "--seconds", str(arguments.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
    return json.loads(done.stdout)


def json_dims(program, spec):
    """Names of a spec's dimensions, as explain has them: model gla<K, V>."""
    text = subprocess.run([str(program), "explain", spec], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]
    return [name.strip() for name in text.partition("<")[2].rstrip(">").split(",")] if "<" in text else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--specs", help="only these, by comma")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown file")
    arguments = parser.parse_args()
    rows, ratios = [], {}
    for spec, dims, call in MODELS:
        if arguments.specs and spec not in arguments.specs.split(","):
            continue
        got = row(arguments, spec, dims, call)
        forward = got["forward"]
        rates = forward["products"] / forward["min_ms"] / 1e6, got["products"] / got["min_ms"] / 1e6
        ratios[spec] = rates[1] / rates[0]
        sizes = " ".join(f"{name}={size}" for name, size in got["dims"].items())
        rows.append(f"| {spec} | {sizes} {call.replace(',', ' ')} | {forward['min_ms']:.1f} | {got['min_ms']:.1f} | "
                    f"{got['min_ms'] / forward['min_ms']:.2f} | {forward['products'] / 1e9:.2f} | {got['products'] / 1e9:.2f} | "
                    f"{rates[0]:.1f} | {rates[1]:.1f} | {ratios[spec]:.2f} |")
        print(rows[-1], file=sys.stderr, flush=True)
    below = [spec for spec, ratio in ratios.items() if ratio < LIMIT]
    text = "\n".join([
        "# Gradients beside their models", "",
        f"Made by `python3 test/bench/gradients.py --write test/bench/GRADIENTS.md` on {platform.machine()}, {arguments.threads} threads, f32; "
        "the least times of both, measured one after another in one process. Products are multiply-adds in products of matrices and in "
        "scores, applications and solves of chunks, by the compiler's count (`compiler/Driver/ProductCount.h`); what a gradient "
        "computes again of the way there is in its products. Elementwise work is in the times, and in no count.", "",
        "| spec | sizes | forward ms | gradient ms | by | G products forward | gradient | G/s forward | gradient | of the rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows, "",
        f"At least {LIMIT:.0%} of the forward's rate: {'all' if not below else 'not ' + ', '.join(below)}.", ""])
    if arguments.write:
        arguments.write.write_text(text)
    print(text)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
