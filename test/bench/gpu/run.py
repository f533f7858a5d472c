#!/usr/bin/env python3
"""Rondo beside its peers on a GPU, in one run: forward, and forward with gradients, shape by shape, with the distance from the floor.

    run.py [--only REGEX] [--shapes A,S2] [--no-peers] [--compile-jobs 16] [--data FILE] [--write test/bench/GPU.md]

Needs a GPU and `rondo`; peers are Python packages (peers.py), and where one is not there the table says so. `--write` puts the tables
between the file's marks. `--compile-jobs` processes compile the peers' autotuned kernels beforehand, which takes minutes one by one.
With `--data` a run that was cut off goes on where it was: the file gets a line of JSON for each measurement, and what stands there is not
measured again. One file is for one GPU and one build of rondo.
"""
import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from cases import BANDWIDTH, DECODED, MODELS, PRODUCTS, SHAPES, exps_ms

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- tables: made by gpu/run.py -->", "<!-- end of tables -->"


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


def bench(options, model, shape, half=""):
    """What `rondo bench --json` says of the model, or of half a training step; {'error': ...} where it fails."""
    sizes = SHAPES[shape]
    spec = str(HERE.parent / "specs" / model.spec) if model.spec.endswith(".rondo") else model.spec
    command = [options.rondo, "bench", spec, "--target", "cuda", "--json", "--dtype", options.dtype, "--seconds", str(options.seconds),
               "--dim", *(f"{name}={sizes[size]}" for name, size in model.dims.items()),
               "--random", "1,B={B},T={T},H={H}".format(**sizes)]
    command += ["--grad", "--half", half, *(["--wrt", *model.wrt] if model.wrt else [])] if half else []
    command += ["--graph=32" if sizes["B"] == 1 else "--graph=4"] if shape in DECODED else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"longer than {options.limit} s"}
    return json.loads(done.stdout) if done.returncode == 0 else {"error": last_line(done.stderr)}


class Data:
    """What has been measured, by what it is of; in a file, if there is one."""

    def __init__(self, path):
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        self.known = {tuple(entry["of"]): entry["found"] for entry in map(json.loads, lines)}

    def put(self, of, found):
        self.known[of] = found
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"of": of, "found": found}) + "\n")

    def get(self, of, measure):
        """What is known, or what measure() gives."""
        if of not in self.known:
            self.put(of, measure())
        return self.known[of]


class Peers:
    """Measures peers in a process of their own; one that dies takes only the peer that it was measuring with it."""

    def __init__(self, wanted, options, data):
        self.data = data
        wanted = [case for case in wanted if self.key(case) not in data.known]
        if options.compile_jobs and wanted:
            deadline = time.monotonic() + options.compile_seconds
            jobs = [self.start("--compile", wanted, subprocess.DEVNULL) for _ in range(options.compile_jobs)]
            for job in jobs:
                self.finish(job, deadline)
        deadline = time.monotonic() + options.peer_seconds
        while wanted and time.monotonic() < deadline:
            process = self.start("--measure", wanted, subprocess.PIPE)
            for line in self.finish(process, deadline).splitlines():
                if line.startswith("{"):
                    self.take(json.loads(line))
            left = [case for case in wanted if self.key(case) not in data.known]
            if left and process.returncode and time.monotonic() < deadline:
                data.put(self.key(left[0]), {"error": f"the process ended with status {process.returncode}"})
                left = left[1:]
            wanted = left if process.returncode else []

    @staticmethod
    def finish(process, deadline):
        """What the process prints until its end, or until the deadline."""
        try:
            return process.communicate(timeout=max(1, deadline - time.monotonic()))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]

    @staticmethod
    def key(case):
        return ("peer", *case.split(":")[:2])

    @staticmethod
    def start(what, wanted, output):
        return subprocess.Popen([sys.executable, HERE / "peers.py", what, *wanted], stdout=output, stderr=subprocess.DEVNULL, text=True)

    def take(self, line):
        of = ("versions",) if "versions" in line else ("peer", line["peer"], line["shape"])
        if of not in self.data.known:
            self.data.put(of, line)

    def versions(self):
        return self.data.known.get(("versions",), {"versions": {}})["versions"]

    def result(self, peer, shape):
        return self.data.known.get(("peer", peer, shape), {})


def milliseconds(value):
    return "" if value is None else f"{value:.3g}" if value < 10 else f"{value:.1f}"


class Row:
    """One model at one shape: our times, the best peer's, and the floor. Forward and gradient are the halves of a training step, `there` and
    `gradient`; where nothing is kept for the way back, the way there is the model."""

    def __init__(self, name, model, shape, forward, there, gradient, peers):
        self.name, self.model, self.shape = name, model, shape
        self.forward, self.there, self.gradient = forward, there, gradient
        self.peers = [(peer, peers.result(peer, shape)) for peer in model.peers if shape not in DECODED]

    def floor(self, both):
        """The largest of what bytes, exps and products need, and which it is."""
        memory = self.forward["memory"]
        used = memory["tensors"] if self.shape in DECODED else memory["along_time"]
        products, exps = self.forward.get("products", 0), exps_ms(self.model, self.shape)
        if both:
            used, products, exps = used + self.gradient["memory"]["along_time"], products + self.gradient.get("products", 0), 2 * exps
        floors = {"bytes": 1e3 * used / BANDWIDTH, "exps": exps, "products": 1e3 * products / PRODUCTS}
        return max((floor, kind) for kind, floor in floors.items())

    def time(self, both):
        runs = [self.there, self.gradient] if both else [self.forward]
        if any(run is None or "error" in run for run in runs):
            return None
        return sum(run["median_ms"] for run in runs)

    def best_peer(self, both):
        times = [(result["both" if both else "forward"], peer) for peer, result in self.peers if ("both" if both else "forward") in result]
        return min(times) if times else (None, "")

    def error(self, both):
        runs = [self.there, self.gradient] if both else [self.forward]
        return next((run["error"] for run in runs if run and "error" in run), None)

    def cells(self, both):
        ours, (peer, who) = self.time(both), self.best_peer(both)
        ratio = f"{peer / ours:.2f}" if ours and peer else ""
        if ours is None:
            return [self.name, self.shape, self.error(both) or "not measured", "", "", "", milliseconds(peer), who, ratio]
        floor, kind = self.floor(both)
        goal = self.model.goal_both if both else self.model.goal
        floored = ["", "", ""] if self.shape in ("768", "2048", "16x128") else [f"{floor:.3f} {kind}", f"{ours / floor:.2f}", f"{goal:g}"]
        return [self.name, self.shape, milliseconds(ours), *floored, milliseconds(peer), who, ratio]

    def memory(self):
        """MB that a gradient needs beside its tensors: ours, and the peer's with all that forward saves."""
        mine = self.gradient["memory"]
        theirs = [result["memory"] for _, result in self.peers if "memory" in result]
        return (mine["handed"] + mine["kept"] + mine["between"]) / 1e6, min(theirs) / 1e6 if theirs else None


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def tables(rows, peers, gpu):
    head = ["model", "shape", "ms", "floor, ms", "x floor", "goal", "best peer, ms", "peer", "peer / ours"]
    both = [row for row in rows if row.gradient]
    memory = [(row, *row.memory()) for row in both if row.time(True)]
    failed = sorted({f"{peer}: {result['error']}" for row in rows for peer, result in row.peers if "error" in result})
    first = [[row.name, row.shape, f"{row.forward['compile_ms']['to_first_result']:.0f}",
              f"{row.gradient['compile_ms']['to_first_result']:.0f}" if row.time(True) else ""]
             for row in rows if row.shape == row.model.shapes[0] and row.time(False) and not row.forward["cached"]]
    parts = [f"{gpu}, {datetime.date.today()}. " + ", ".join(f"{name} {version}" for name, version in peers.versions().items()) + ".",
             "Forward:", table(head, [row.cells(False) for row in rows]),
             "Forward and gradients of all inputs:", table(head, [row.cells(True) for row in both]),
             "Memory of gradients beside inputs, results and gradients, MB:",
             table(["model", "shape", "ours", "peer's"], [[r.name, r.shape, f"{mine:.0f}", f"{theirs:.0f}" if theirs else ""] for r, mine, theirs in memory]),
             "From the spec's text to the end of the first run, the tensors on the host, ms:", table(["model", "shape", "forward", "gradient"], first)]
    if failed:
        parts += ["Peers that gave no number: " + "; ".join(failed) + "."]
    return "\n\n".join(parts)


def write(path, text):
    """Between the marks of the file, which appears whole."""
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    new = path.with_suffix(".new")
    new.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    os.replace(new, path)


def gpu_name():
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().replace(", ", ", driver ")
    except (OSError, subprocess.CalledProcessError):
        sys.exit("run.py: no NVIDIA GPU here (nvidia-smi does not answer)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rondo", default=os.path.join(HERE, "../../../build/bin/rondo"))
    parser.add_argument("--only", default="", metavar="REGEX", help="models whose name matches")
    parser.add_argument("--shapes", default="", help="by comma; default: all")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--seconds", type=float, default=0.2, help="measure each case for so long")
    parser.add_argument("--limit", type=float, default=60, help="seconds after which a case is given up")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--compile-jobs", type=int, default=0)
    parser.add_argument("--compile-seconds", type=float, default=600, help="for as long; what is left is compiled when it is measured")
    parser.add_argument("--peer-seconds", type=float, default=3600, help="measure peers for so long")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--data", type=Path, help="where measurements are kept, so that a run can go on")
    options = parser.parse_args()
    gpu = gpu_name()
    cases = [(name, model, shape) for name, model in MODELS.items() for shape in model.shapes
             if re.search(options.only, name) and (not options.shapes or shape in options.shapes.split(","))]
    wanted = {f"{peer}:{shape}" + (":gradient" if shape in model.gradients else "")
              for _, model, shape in cases if shape not in DECODED for peer in model.peers}
    order = list(SHAPES)
    by_shape = sorted(wanted, key=lambda case: (order.index(case.split(":")[1]), case))
    data = Data(options.data)
    peers = Peers([] if options.no_peers else by_shape, options, data)
    rows = []
    for name, model, shape in cases:
        forward, there, gradient = data.get(("rondo", name, shape), lambda: bench(options, model, shape)), None, None
        if shape in model.gradients:
            gradient = data.get(("rondo", name, shape, "back"), lambda: bench(options, model, shape, "back"))
            there = forward
            if gradient.get("memory", {}).get("handed"):
                there = data.get(("rondo", name, shape, "there"), lambda: bench(options, model, shape, "there"))
        rows.append(Row(name, model, shape, forward, there, gradient, peers))
        print(" | ".join(rows[-1].cells(False) + (rows[-1].cells(True)[2:] if gradient else [])), flush=True)
    text = tables(rows, peers, gpu)
    print("\n" + text)
    if options.write:
        write(options.write, text)


if __name__ == "__main__":
    main()
