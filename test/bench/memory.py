#!/usr/bin/env python3
"""Memory of forward and gradient beside the tensors, against the length of a sequence; `--write FILE` puts the table and a plot into FILE.

Each point is two processes of `rondo bench`, one of the model and one of its gradient: one sequence, 16 heads, one thread. Workspace is
what the process grows by during a run, after all tensors have been written once: the larger of the two runs, since the gradient takes
nothing from the forward run but its inputs. Python's standard library only.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
LENGTHS = [1 << n for n in range(10, 17)]
LIMIT = 0.10
HEADS = 16


def point(program, spec, size, steps, grad):
    """Bytes that one run of one process needs."""
    command = [str(program), "bench", spec, "--dim", f"K={size}", f"V={size}", "--random", f"1,B=1,T={steps},H={HEADS}", "--threads", "1",
               "--json", "--repeats", "1", *["--grad"] * grad]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
    return json.loads(done.stdout)["memory"]


def plot(points):
    """Workspace by tensors, over the length, with the limit as a line."""
    width, height, left, low, top = 560, 300, 60, 250, 0.12
    x = lambda i: left + i * (width - left - 30) / (len(LENGTHS) - 1)
    y = lambda share: low - share / top * (low - 20)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">']
    for percent in range(0, 13, 2):
        parts.append(f'<path d="M{left} {y(percent / 100):.0f}H{width - 30}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(percent / 100) + 4:.0f}" text-anchor="end">{percent} %</text>')
    parts += [f'<text x="{x(i):.0f}" y="{low + 18}" text-anchor="middle">{steps}</text>' for i, steps in enumerate(LENGTHS)]
    parts.append(f'<path d="M{left} {y(LIMIT):.0f}H{width - 30}" stroke="#c00" stroke-dasharray="4"/>')
    line = "L".join(f"{x(i):.1f} {y(min(share, top)):.1f}" for i, share in enumerate(points))
    parts.append(f'<path d="M{line}" fill="none" stroke="#06c" stroke-width="2"/>')
    return "\n".join(parts + [f'<text x="{width / 2:.0f}" y="{low + 38}" text-anchor="middle">steps (dashed: the limit)</text></svg>'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build")
    parser.add_argument("--spec", default="gla")
    parser.add_argument("--size", type=int, default=128, help="K and V")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown file; the plot lies beside it as .svg")
    arguments = parser.parse_args()
    program = arguments.build / "bin" / "rondo"
    rows, shares, mib, alone = [], [], 1 << 20, 0
    for steps in LENGTHS:
        forward, back = (point(program, arguments.spec, arguments.size, steps, grad) for grad in (False, True))
        workspace = max(forward["measured"], back["measured"])
        shares.append(workspace / back["tensors"])
        alone = alone or back["scratch"] / (back["tensors"] / HEADS)
        rows.append(f"| {steps} | {back['tensors'] / mib:.1f} | {back['kept'] / mib:.1f} | {back['between'] / mib:.1f} | "
                    f"{back['scratch'] / mib:.1f} | {forward['measured'] / mib:.1f} | {back['measured'] / mib:.1f} | {100 * shares[-1]:.1f} % |")
        print(rows[-1], file=sys.stderr, flush=True)
    worst = max(shares)
    text = "\n".join([
        "# Memory of forward and gradient", "",
        f"Made by `python3 test/bench/memory.py --write test/bench/MEMORY.md`: {arguments.spec}, K = V = {arguments.size}, f32, one sequence, "
        f"{HEADS} heads, one thread; MiB. Tensors are inputs, outputs, cotangents and gradients. What the program says that it needs beside "
        "them: states that are kept for the way back, what one kernel hands to the next, scratch. Measured is what the process grew by "
        "during a run of the forward kernel, and of the gradient. Scratch is per thread, and does not grow with heads or steps.", "",
        "| T | tensors | kept states | between kernels | scratch | measured, forward | measured, gradient | of the tensors |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|", *rows, "",
        f"Limit {100 * LIMIT:.0f} %: {'kept' if worst < LIMIT else 'NOT kept'}, at most {100 * worst:.1f} %. One head "
        f"alone has a {HEADS}th of the tensors and the same scratch, {100 * alone:.0f} % of them at {LENGTHS[0]} steps.", "",
        "![workspace against length](memory.svg)", ""])
    if arguments.write:
        arguments.write.write_text(text)
        arguments.write.with_name("memory.svg").write_text(plot(shares) + "\n")
    print(text)
    return 0 if worst < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
