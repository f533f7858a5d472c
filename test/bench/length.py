#!/usr/bin/env python3
"""Time and memory against the length of a sequence, one model of each family; `--write FILE` puts the table and a plot into FILE.

Each point is one process of `rondo bench`, on one thread, one sequence and one head. Memory is the growth of the largest
resident memory of the process from the shortest to the longest sequence. Python's standard library only.
"""
import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
# Family, spec, sizes, numbers of f32 that a step reads and writes.
MODELS = [("expand, vector decay", "gla", {"K": 16, "V": 16}, 5 * 16), ("expand, scalar decay", "retnet", {"K": 16, "V": 16}, 4 * 16),
          ("delta", "deltanet", {"K": 16, "V": 16}, 4 * 16 + 1), ("linear", "hgrn", {"D": 16}, 0),
          ("max-plus, then expand", "mlstm", {"K": 16, "V": 16}, 4 * 16 + 2), ("cell", "gru", {"D": 16, "H": 16}, 2 * 16)]
LENGTHS = [1 << n for n in range(10, 21, 2)]


def point(program, spec, dims, steps):
    """Median milliseconds and the peak of resident memory in MiB of one process."""
    command = [str(program), "bench", spec, "--dim", *(f"{n}={s}" for n, s in dims.items()), "--random",
               f"1,B=1,T={steps},H=1", "--threads", "1", "--json", "--seconds", "0.3"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"error: {' '.join(command)} failed")
    return json.loads(text)["median_ms"], used.ru_maxrss / 1024


def plot(rows):
    """The table's times as SVG, both axes logarithmic, with a line of slope one."""
    width, height, left, low = 640, 400, 60, 360
    times = [ms for _, points in rows for ms, _ in points]
    top, bottom = math.ceil(math.log10(max(times))), math.floor(math.log10(min(times)))
    x = lambda steps: left + (math.log2(steps) - 10) * (width - left - 150) / 10
    y = lambda ms: low - (math.log10(ms) - bottom) * (low - 20) / (top - bottom)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">']
    for power in range(bottom, top + 1):
        parts.append(f'<path d="M{left} {y(10**power):.0f}H{width - 150}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(10**power) + 4:.0f}" text-anchor="end">{10.0**power:g} ms</text>')
    for steps in LENGTHS:
        parts.append(f'<text x="{x(steps):.0f}" y="{low + 18}" text-anchor="middle">{steps}</text>')
    first = min(points[0][0] for _, points in rows) / 2
    parts.append(f'<path d="M{x(1024):.0f} {y(max(first, 10**bottom)):.0f}L{x(1 << 20):.0f} '
                 f'{y(max(first, 10**bottom) * 1024):.0f}" stroke="#999" stroke-dasharray="4"/>')
    for i, (name, points) in enumerate(rows):
        colour = f"hsl({60 * i},70%,40%)"
        path = "L".join(f"{x(s):.1f} {y(ms):.1f}" for s, (ms, _) in zip(LENGTHS, points))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{width - 144}" y="{y(points[-1][0]) + 4:.0f}" fill="{colour}">{name}</text>')
    return "\n".join(parts + [f'<text x="{x(32768):.0f}" y="{low + 36}" text-anchor="middle">steps (dashed: slope one)</text></svg>'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown file; the plot lies beside it as .svg")
    arguments = parser.parse_args()
    program, rows = arguments.build / "bin" / "rondo", []
    for family, spec, dims, _ in MODELS:
        rows.append((f"{spec}", [point(program, spec, dims, steps) for steps in LENGTHS]))
        print(family, spec, rows[-1][1], file=sys.stderr, flush=True)
    head = "| family | spec | " + " | ".join(f"T = {s}" for s in LENGTHS) + " | ms per step, last / first | process grew, MiB per 1 M steps |"
    lines = ["# Cost against the length of a sequence", "", "Made by `python3 test/bench/length.py --write test/bench/LENGTH.md`: one sequence, "
             "one head, one thread, every size 16; milliseconds per call. Memory is how much the process grew from the shortest to the "
             "longest sequence, per step: the tensors, what the program needs to draw and hold them, and what a run needs beside them (a "
             "cell's projections of its inputs are stored for every step).", "", head,
             "|---|---|" + "--:|" * (len(LENGTHS) + 2)]
    for (family, spec, dims, numbers), (_, points) in zip(MODELS, rows):
        ratio = points[-1][0] / points[0][0] / (LENGTHS[-1] / LENGTHS[0])
        grown = (points[-1][1] - points[0][1]) / (LENGTHS[-1] - LENGTHS[0]) * (1 << 20)
        tensors = f" (tensors {numbers * 4:.0f})" if numbers else ""
        lines.append(f"| {family} | {spec} | " + " | ".join(f"{ms:.3g}" for ms, _ in points) + f" | {ratio:.2f} | {grown:.0f}{tensors} |")
    text = "\n".join(lines + ["", "![time against length](length.svg)", ""])
    if arguments.write:
        arguments.write.write_text(text)
        arguments.write.with_name("length.svg").write_text(plot(rows) + "\n")
    print(text)


if __name__ == "__main__":
    main()
