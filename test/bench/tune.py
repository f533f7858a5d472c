#!/usr/bin/env python3
"""How good the untuned and the tuned plans are: three models at three sizes and seven more models, held against every plan of their pruned
space, and what every fixed size of a chunk would lose. --write puts the two tables into PLANS.md, at the mark of the --target.

Every plan is compiled first. Then, holding --lock in pieces of --piece seconds so that others can build in between, every plan is measured by
`rondo tune --exhaustive`, and a search with the usual limits starts from nothing, with an empty cache of compiled code. A plan's
time is that of the exhaustive measurement, for the chosen and the default one too, so that all columns have one scale. A line of JSON for
each case goes to --data; a case that stands there is not measured again. Spaces that have fewer than 200 plans are measured whole;
of larger ones, 200 drawn at random beside the default.
"""
import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PAGE = SOURCE / "test" / "bench" / "PLANS.md"
SHAPES = [("K=64,V=64", "1,B=1,T=2048,H=4"), ("K=128,V=128", "1,B=1,T=512,H=2"), ("K=32,V=32", "1,B=4,T=256,H=4")]
CASES = [(model, dims, call) for model in ("gla", "gated_delta_net", "retnet") for dims, call in SHAPES]
CASES += [("hgrn2", "K=64,V=64", "1,B=1,T=1024,H=4"), ("mamba2", "N=64,P=64", "1,B=1,T=1024,H=4"), ("deltanet", "K=64,V=64", "1,B=1,T=1024,H=4"),
          ("rwkv6", "K=64,V=64", "1,B=1,T=1024,H=4"), ("kda", "K=64,V=64", "1,B=1,T=1024,H=4"), ("mlstm", "K=64,V=64", "1,B=1,T=1024,H=4"),
          ("gsa", "K=64,V=64,M=32", "1,B=1,T=1024,H=4")]
GPU_SHAPES = [("K=128,V=128", "1,B=8,T=2048,H=16"), ("K=64,V=128", "1,B=4,T=4096,H=16"), ("K=128,V=128", "1,B=1,T=32768,H=16")]
GPU_CASES = [(model, dims, call) for model in ("gla", "gated_delta_net", "simple_gla") for dims, call in GPU_SHAPES]
GPU_CASES += [(model, "N=128,P=128" if model == "mamba2" else "K=128,V=128", "1,B=8,T=2048,H=16")
              for model in ("retnet", "hgrn2", "mamba2", "deltanet", "rwkv6", "kda", "mlstm")]
OF_TARGET = {"cpu": (CASES, []), "cuda": (GPU_CASES, ["--target", "cuda", "--dtype", "bf16"])}
MOST = 200  # plans of a space that are measured


def tune(options, case, call, cache, *more, records=""):
    model, dims, _ = case
    command = [str(options.rondo), "tune", model, "--dim", dims, "--random", call, "--threads", str(options.threads), "--json", "--fresh",
               *OF_TARGET[options.target][1], *more]
    env = dict(os.environ, RONDO_RECORDS=records, RONDO_CACHE_DIR=str(cache), RONDO_CACHE_LIMIT="4096")
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def load(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def cases_left(options):
    known = {tuple(found["case"]) for found in load(options.data)}
    return [case for case in OF_TARGET[options.target][0] if case not in known and (not options.examples or case[0] in options.examples.split(","))]


def measure(options):
    whole = ("--exhaustive", "--sample", str(MOST))
    for case in cases_left(options):
        tune(options, case, "1,B=1,T=16,H=1", options.cache, "--seconds", "600", *whole)
        print("compiled", *case[:2], file=sys.stderr, flush=True)
    while left := cases_left(options):
        with open(options.lock, "w") as lock, open(options.data, "a") as data, tempfile.TemporaryDirectory() as fresh:
            fcntl.flock(lock, fcntl.LOCK_EX)
            begin = time.monotonic()
            for number, case in enumerate(left):
                if time.monotonic() - begin > options.piece:
                    break
                every = tune(options, case, case[2], options.cache, "--seconds", "60", *whole)
                found = tune(options, case, case[2], f"{fresh}/{number}", "--seconds", str(options.seconds), records=options.records)
                data.write(json.dumps({"case": case, "every": every, "found": {k: v for k, v in found.items() if k != "plans"}}) + "\n")
                print(row(case, every, found), file=sys.stderr, flush=True)
        time.sleep(2)  # for those that wait for the lock


def short(plan):
    parts = []
    for part in plan.split("; "):
        form, chunk = re.search(r"form = (\w+)", part)[1], re.search(r"chunk = (\d+)", part)[1]
        tiles = re.search(r"value_tile = (\d+), warps = (\d+)", part)
        parts.append("/".join([chunk, *(tiles.groups() if tiles else []), *(["ahead"] if "ahead = true" in part else []),
                               *(["wg"] if "warpgroups = true" in part else [])])
                     if form == "chunk" else form)
    return ", ".join(parts)


def where(case):
    return f"{case[0]} {case[1].replace(',', ' ')}, {case[2][2:].replace(',', ' ')}"


def row(case, every, found):
    times = {p["plan"]: p["ms"] for p in every["plans"]}
    best = every["plans"][0]

    def beside(plan):
        return f"{short(plan)}: {times[plan] / best['ms']:.2f}" if plan in times else f"{short(plan)}: not measured"
    return (f"| {where(case)} | {every['space']} | {short(best['plan'])} | {best['ms']:.3g} ± {best['noise_ms']:.1g} | {beside(every['default'])} | "
            f"{beside(found['chosen'])} | {found['compiled']} | {found['seconds']:.1f} |")


def uniform(plan):
    """The one size of all of a plan's chunks, "step" where all scans go by steps (on one thread, by an associative operator too); a scan that
    has no chunks does not count."""
    sizes = {re.match(r"\w+", part)[0] for part in short(plan).replace("scan", "step").split(", ")}
    return sizes.pop() if len(sizes) == 1 else (sizes - {"step"}).pop() if len(sizes) == 2 and "step" in sizes else None


def losses(every):
    """By size: the time beside the best, and the noise of it."""
    best, by = every["plans"][0], {}
    for p in every["plans"]:
        size = uniform(p["plan"])
        if size and (size not in by or p["ms"] < by[size][0]):
            by[size] = (p["ms"], p["noise_ms"])
    return {size: (ms / best["ms"], noise / best["ms"]) for size, (ms, noise) in by.items()}


def tables(results):
    lines = ["| model and call | plans | best | ms | default, to the best | tuned, to the best | compiled | search, s |",
             "|---|--:|---|--:|---|---|--:|--:|"]
    lines += [row(r["case"], r["every"], r["found"]) for r in results]
    ratio = {"default": [], "chosen": []}
    for r in results:
        times = {p["plan"]: p["ms"] for p in r["every"]["plans"]}
        for what, plan in (("default", r["every"]["default"]), ("chosen", r["found"]["chosen"])):
            ratio[what].append(times.get(plan, float("inf")) / r["every"]["plans"][0]["ms"])
    lines += ["", f"The default is within 25 % of the best in {sum(r <= 1.25 for r in ratio['default'])} of {len(results)}, the tuned plan within "
              f"5 % in {sum(r <= 1.05 for r in ratio['chosen'])}; the longest search took {max(r['found']['seconds'] for r in results):.1f} s.", ""]
    sizes = ["step"] + sorted({s for r in results for s in losses(r["every"]) if s != "step"}, key=int)
    lines += ["| model and call | chosen | " + " | ".join(sizes) + " |", "|---|---|" + "--:|" * len(sizes)]
    for r in results:
        lost = losses(r["every"])
        cells = [f"{lost[s][0]:.2f} ± {lost[s][1]:.2f}" if s in lost else "-" for s in sizes]
        lines.append(f"| {where(r['case'])} | {short(r['found']['chosen'])} | " + " | ".join(cells) + " |")
    worst = [max((losses(r["every"]).get(s, (float("inf"),))[0] for r in results), default=0) for s in sizes]
    lines.append("| the most that it loses | | " + " | ".join("-" if w == float("inf") else f"{w:.2f}" for w in worst) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rondo", default=SOURCE / "build" / "bin" / "rondo")
    parser.add_argument("--examples", help="some of the models, by comma")
    parser.add_argument("--target", choices=list(OF_TARGET), default="cpu")
    parser.add_argument("--records", default="", help="where the searches put what they find; default: nowhere")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="that a search may take")
    parser.add_argument("--data", default=SOURCE / "build" / "plans.jsonl")
    parser.add_argument("--cache", default=SOURCE / "build" / "plans_cache")
    parser.add_argument("--lock", default=os.devnull, help="a file to hold while times are taken")
    parser.add_argument("--piece", type=float, default=60, help="seconds that the lock is held at a time, and one case more")
    parser.add_argument("--write", action="store_true", help="put the tables into PLANS.md")
    options = parser.parse_args()
    measure(options)
    text = tables(load(options.data))
    print(text)
    if options.write:
        page = PAGE.read_text()
        mark = re.compile(rf"(<!-- tables: {options.target} -->\n).*?(<!-- end of tables -->)", re.S)
        PAGE.write_text(mark.sub(lambda m: m[1] + text + "\n" + m[2], page))


if __name__ == "__main__":
    main()
