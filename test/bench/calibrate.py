#!/usr/bin/env python3
"""Fits the nanoseconds of compiler/Transforms/PlanCosts.inc to this machine.

Every plan of several models at several sizes is measured on one thread, at shapes that no other table of this folder uses; a line of JSON
for each case goes to --data, and a case that stands there is not measured again. The fit minimises the squared relative error of a plan's
time, weighted by (best time / time)^2 of its case, with no negative nanoseconds. Prints, for each case, how much slower the plan that is
expected to be cheapest is than the best: fitted to all models, and to all others but this one. --write puts the numbers into PlanCosts.inc.
"""
import argparse
import fcntl
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
COSTS = SOURCE / "compiler" / "Transforms" / "PlanCosts.inc"
STEPS_BETTER_BY = float(re.search(r"kStepsBetterBy = ([\d.]+);", (COSTS.parent / "ChoosePlans.cpp").read_text())[1])
MODELS = {"gla": "KV", "retnet": "KV", "gated_delta_net": "KV", "mamba2": "NP", "deltanet": "KV", "hgrn2": "KV", "rwkv6": "KV"}
SIZES = [(16, 16), (24, 40), (32, 32), (48, 48), (64, 32), (32, 96), (64, 64), (96, 96), (128, 64), (128, 128)]
STEPS, HEADS = 768, 1


def tune(rondo, model, dims, call, *more):
    command = [str(rondo), "tune", model, "--dim", dims, "--random", call, "--threads", "1", "--json", "--exhaustive", "--fresh", *more]
    done = subprocess.run(command, env=dict(os.environ, RONDO_RECORDS=""), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def cases_left(options):
    known = {(case["model"], case["dims"]) for case in load(options.data)}
    every = [(model, f"{MODELS[model][0]}={key},{MODELS[model][1]}={value}") for key, value in SIZES for model in options.models.split(",")]
    return [case for case in every if case not in known]


def compile_all(options):
    """Every plan of every case into the compiler's cache, so that nothing is compiled while times are taken."""
    for model, dims in cases_left(options):
        tune(options.rondo, model, dims, "1,B=1,T=16,H=1", "--seconds", "300")
        print("compiled", model, dims, file=sys.stderr, flush=True)


def measure(options):
    """In pieces of --piece seconds, so that others can build in between."""
    while left := cases_left(options):
        with open(options.lock, "w") as lock, open(options.data, "a") as data:
            fcntl.flock(lock, fcntl.LOCK_EX)
            begin = time.monotonic()
            for model, dims in left:
                if time.monotonic() - begin > options.piece:
                    break
                found = tune(options.rondo, model, dims, f"1,B=1,T={STEPS},H={HEADS}", "--seconds", "20")
                data.write(json.dumps({"model": model, "dims": dims, "plans": [
                    {"plan": p["plan"], "ns": 1e6 * p["least_ms"] / (STEPS * HEADS), "noise": p["noise_ms"] / p["ms"], "terms": p["terms"]}
                    for p in found["plans"]]}) + "\n")
                print(model, dims, len(found["plans"]), "plans", f"{found['seconds']:.1f} s", file=sys.stderr, flush=True)
        time.sleep(2)  # for those that wait for the lock


def load(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def fit(cases):
    """Non-negative least squares of relative errors, by coordinates."""
    rows = []
    for case in cases:
        best = min(p["ns"] for p in case["plans"])
        for p in case["plans"]:
            rows.append(([x / p["ns"] for x in p["terms"]], (best / p["ns"]) ** 2))
    count = len(rows[0][0])
    normal = [[sum(w * r[i] * r[j] for r, w in rows) for j in range(count)] for i in range(count)]
    target = [sum(w * r[i] for r, w in rows) for i in range(count)]
    x = [0.0] * count
    for _ in range(200000):
        moved = 0
        for i in range(count):
            if normal[i][i] == 0:
                continue
            new = max(0.0, x[i] + (target[i] - sum(n * v for n, v in zip(normal[i], x))) / normal[i][i])
            moved = max(moved, abs(new - x[i]) * math.sqrt(normal[i][i]))
            x[i] = new
        if moved < 1e-9:
            break
    return x


def expected(plan, costs):
    return sum(a * b for a, b in zip(plan["terms"], costs))


def regret(case, costs):
    chosen = min(case["plans"], key=lambda p: expected(p, costs) * (STEPS_BETTER_BY if "form = step" in p["plan"] else 1))
    return chosen, chosen["ns"] / min(p["ns"] for p in case["plans"])


def short(plan):
    return "step" if "form = step" in plan else re.search(r"chunk = (\d+)", plan)[1]


def report(cases, costs):
    others = {m: fit([c for c in cases if c["model"] != m]) for m in {c["model"] for c in cases}}
    print("| case | best | ns | fitted: chosen | to the best | without this model |\n|---|---|--:|---|--:|--:|")
    for case in cases:
        best = min(case["plans"], key=lambda p: p["ns"])
        chosen, ratio = regret(case, costs)
        print(f"| {case['model']} {case['dims'].replace(',', ' ')} | {short(best['plan'])} | {best['ns']:.0f} | {short(chosen['plan'])} | {ratio:.2f} | "
              f"{regret(case, others[case['model']])[1]:.2f} |")
    errors = sorted(abs(math.log(expected(p, costs) / p["ns"])) for c in cases for p in c["plans"])
    ratios, held = [regret(c, costs)[1] for c in cases], [regret(c, others[c["model"]])[1] for c in cases]
    print(f"\n{len(cases)} cases; plans within 25 %: {sum(r <= 1.25 for r in ratios)}, without the model: {sum(r <= 1.25 for r in held)}; worst "
          f"{max(ratios):.2f} and {max(held):.2f}; median error of an expected time {100 * (math.exp(errors[len(errors) // 2]) - 1):.0f} %")


def write(costs):
    values = iter(costs)
    text = re.sub(r"RONDO_COST\((\w+), [^,]+,", lambda m: f"RONDO_COST({m[1]}, {next(values):.4g},", COSTS.read_text())
    COSTS.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rondo", default=SOURCE / "build" / "bin" / "rondo")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--data", default=SOURCE / "build" / "plan_costs.jsonl")
    parser.add_argument("--lock", default=os.devnull, help="a file to hold while times are taken")
    parser.add_argument("--piece", type=float, default=90, help="seconds that the lock is held at a time")
    parser.add_argument("--compile-only", action="store_true", help="fill the compiler's cache, and measure nothing")
    parser.add_argument("--fit-only", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="put the numbers into PlanCosts.inc")
    options = parser.parse_args()
    if not options.fit_only:
        compile_all(options)
    if options.compile_only:
        return
    if not options.fit_only:
        measure(options)
    cases = load(options.data)
    costs = fit(cases)
    report(cases, costs)
    names = re.findall(r"RONDO_COST\((\w+)", COSTS.read_text())
    print(", ".join(f"{name} {cost:.4g}" for name, cost in zip(names, costs)))
    if options.write:
        write(costs)


if __name__ == "__main__":
    main()
