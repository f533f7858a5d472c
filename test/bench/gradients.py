#!/usr/bin/env python3
"""Rates of products of gradients beside those of the models; `--write FILE` puts the table into a Markdown file.

A second table has times alone, for all families. Each row is one process of `rondo bench --grad`, which measures the model and its
gradient. Python's standard library only.
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
MATRIX = {"K": 128, "V": 128, "N": 128, "P": 128}
# Spec, sizes, call.
MODELS = [("retnet", MATRIX, "B=1,T=2048,H=4"), ("gla", MATRIX, "B=1,T=2048,H=4"), ("hgrn2", MATRIX, "B=1,T=2048,H=4"),
          ("mamba2", MATRIX, "B=1,T=2048,H=4"), ("deltanet", MATRIX, "B=1,T=2048,H=4"),
          ("gated_delta_net", MATRIX, "B=1,T=2048,H=4"), ("lstm", {"D": 256, "H": 256}, "B=16,T=128,H=1")]

# One or two of each family, and what several families make together; every dimension is 64, and a call has two rows of 512 steps and two heads.
FAMILIES = [("cell", ["lstm", "gru", "slstm", "tanh_rnn", "indrnn"]), ("cell, both directions", ["bidirectional_lstm"]),
            ("linear", ["min_gru", "hawk_rglru", "rwkv4"]), ("complex linear", ["hgrn", "lru", "s5"]), ("dense linear", ["lssl"]),
            ("linear, matrix states", ["mega_ema"]), ("max-plus", ["aaren"]), ("log-plus", ["min_gru_log"]),
            ("expand", ["retnet", "mamba2", "gla", "rwkv6", "mlstm", "abc", "gsa", "linear_attention"]), ("complex expand", ["gateloop"]),
            ("expand, decay elementwise", ["selective_scan", "longhorn"]),
            ("delta", ["deltanet", "gated_delta_net", "kda", "rwkv7", "delta_product", "ttt_linear", "titans_memory"]),
            ("delay", ["short_convolution"]), ("blocks", ["mamba_block", "hawk_block", "lightnet"])]
FAMILY_CALL = "B=2,T=512,H=2"
FAMILY_LIMIT = 6


def row(arguments, spec, dims, call):
    """What `rondo bench --grad --json` prints."""
    program = arguments.build / "bin" / "rondo"
    names = json_dims(program, spec)
    sizes = [f"--dim={name}={dims.get(name, 64)}" for name in names]
    command = [str(program), "bench", spec, "--grad", "--json", *sizes, "--random", f"1,{call}", "--threads",
               str(arguments.threads), "--seconds", str(arguments.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
    return json.loads(done.stdout)


def middle(arguments, spec, dims, call, rounds):
    """The round whose ratio of times is the median: other work of a shared machine slows both sides of one, or one side of it."""
    taken = [row(arguments, spec, dims, call) for _ in range(rounds)]
    return sorted(taken, key=lambda got: got["min_ms"] / got["forward"]["min_ms"])[rounds // 2]


def json_dims(program, spec):
    """Names of a spec's dimensions, as explain has them: model gla<K, V>."""
    text = subprocess.run([str(program), "explain", spec], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]
    return [name.strip() for name in text.partition("<")[2].rstrip(">").split(",")] if "<" in text else []


def families(arguments):
    """The second table's lines, and the specs whose gradient takes longest."""
    rows, slow = [], []
    for family, specs in FAMILIES:
        for spec in specs:
            if arguments.specs and spec not in arguments.specs.split(","):
                continue
            got = row(arguments, spec, {}, FAMILY_CALL)
            forward, back = got["forward"]["min_ms"], got["min_ms"]
            rows.append(f"| {family} | {spec} | {forward:.2f} | {back:.2f} | {back / forward:.1f} |")
            print(rows[-1], file=sys.stderr, flush=True)
            if back > FAMILY_LIMIT * forward:
                slow.append(f"{spec} ({back / forward:.1f})")
    text = [f"By families: every dimension is 64, {FAMILY_CALL.replace(',', ' ')}; times of the forward kernel, which keeps nothing, and of the "
            "whole gradient, which computes it again.", "",
            "| family | spec | forward ms | gradient ms | by |", "|---|---|--:|--:|--:|", *rows, "",
            f"More than {FAMILY_LIMIT} times as long as forward: {', '.join(slow) or 'none'}.", ""]
    return text if rows else []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of the first table's rows")
    parser.add_argument("--specs", help="only these, by comma")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown file")
    arguments = parser.parse_args()
    rows, ratios = [], {}
    for spec, dims, call in MODELS:
        if arguments.specs and spec not in arguments.specs.split(","):
            continue
        got = middle(arguments, spec, dims, call, arguments.rounds)
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
        f"the least times of both in a process that measures one after the other, of {arguments.rounds} processes (the second table: of one) "
        "the one with the median ratio. Products are multiply-adds in products of matrices and in "
        "scores, applications and solves of chunks, by the compiler's count (`compiler/Driver/ProductCount.h`); what a gradient "
        "computes again of the way there is in its products. Elementwise work is in the times, and in no count.", "",
        "| spec | sizes | forward ms | gradient ms | by | G products forward | gradient | G/s forward | gradient | of the rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows, "",
        f"At least {LIMIT:.0%} of the forward's rate: {'all' if not below else 'not ' + ', '.join(below)}.", "", *families(arguments)])
    if arguments.write:
        arguments.write.write_text(text)
    print(text)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
