#!/usr/bin/env python3
"""Random specs against the one law: for every spec, reference interpreter = step by step = every parallel form, within the tolerance.

Specs are drawn by seed, many go into one file, `rondo verify` judges the file. What fails is cut out, shrunk and written to a file.
Arguments behind `--` go to `rondo verify`. The exit status is 1 where a spec failed. See README.md.
"""
import argparse
import concurrent.futures
import datetime
import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generate import FAMILIES, generate  # noqa: E402  (the modules of this folder)
from shrink import Shrinker  # noqa: E402
from verifier import Explainer, Verifier, agrees, failure_of  # noqa: E402

SOURCE = HERE.parent.parent.parent
# Times that chunks of 16, 32 and 64 steps do not divide, divide, and exceed by one.
# Of gradients, whose differences run the interpreter some hundred times: a little longer than chunks of 4 to 6 steps.
GRADIENT_TIMES = [1, 2, 5, 7, 9, 11, 13, 14, 17]
TIMES = [1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 67, 100, 127, 128, 129, 150]


@dataclass
class Batch:
    """What became of the specs of one file."""
    seeds: range
    drawn_from: list  # names of families; None: all
    arguments: list
    families: Counter = field(default_factory=Counter)
    parallel: Counter = field(default_factory=Counter)  # families: specs with a parallel form
    checks: int = 0
    redrawn: int = 0
    forms: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)      # (spec, Failure, path)
    disagreements: list = field(default_factory=list)  # (seed, state, meant, found)
    explained: int = 0
    seconds: float = 0.0


def drawn_arguments(number, given, grad):
    """Element types and call shapes of a batch, by its number, where the caller did not choose them."""
    arguments = []
    if grad:
        arguments += ["--grad"] + ["--dtype", "f64"] * ("--dtype" not in given)
        arguments += ["--dtype", ["f32", "bf16"][number // 4 % 2]] * ("--dtype" not in given and number % 4 == 3)
        if "--random" not in given:
            time_steps = GRADIENT_TIMES[number * 5 % len(GRADIENT_TIMES)]
            arguments += ["--random", f"{number},B={1 + number % 2},T={time_steps},H={1 + (number + 1) % 2}"]
        arguments += ["--chunk", str(4 + number % 3)] * ("--chunk" not in given) + ["--interval", str(1 + number % 2)]
    elif "--dtype" not in given:
        arguments += ["--dtype", "f64", "--dtype", ["f32", "bf16", "f32", "f16"][number % 4]]
    if not grad and "--random" not in given and "--form" not in given and number % 4 == 3:
        time_steps = TIMES[number * 7 % len(TIMES)]
        arguments += ["--random", f"{number},B={1 + number % 3},T={time_steps},H={1 + number % 2}"]
        arguments += ["--default-inits"] if number % 2 else []
    if "--threads" not in given:
        arguments += ["--threads", "1"]
    return arguments + given


def without(arguments, option):
    """Arguments without an option and its values."""
    kept, drop = [], 0
    for argument in arguments:
        drop = 2 if argument == option else max(drop - 1, 0)
        kept += [] if drop else [argument]
    return kept


class Campaign:
    """Batches of specs, judged side by side."""

    def __init__(self, options):
        self.options = options
        self.command = options.command.split() if options.command else [str(options.rondo), "verify"]
        self.explainer = None if options.command or options.grad else Explainer(str(options.rondo))  # is asked about models
        self.lock = threading.Lock()

    def judge(self, seeds, families):
        """Verifies the specs of some seeds in one process; bisects where it does not end well."""
        start = time.monotonic()
        batch = Batch(seeds, families, drawn_arguments(seeds[0] // self.options.batch, self.options.verify, self.options.grad))
        specs = [generate(seed, families) for seed in seeds]
        for spec in specs:
            batch.families[spec.family] += 1
        verifier = Verifier(self.command, batch.arguments)
        for spec in self.failing(verifier, specs, batch):
            self.examine(verifier, spec, batch)
        if self.explainer:
            self.explain(specs[:: self.options.explain_every], batch)
        batch.seconds = time.monotonic() - start
        return batch

    def failing(self, verifier, specs, batch):
        """The specs that do not pass. A process that dies, or refuses the file, is split until one spec is left."""
        result = verifier.run("".join(spec.text() for spec in specs), len(specs))
        if result.complete and result.models and not result.timed_out and len(result.models) >= len(specs):
            batch.checks += result.total
            batch.redrawn += result.redrawn
            batch.forms.update(result.checks)
            batch.parallel.update(spec.family for spec in specs if any(model.name in result.parallel for model in spec.models))
            bad = [spec for spec in specs if any(result.models.get(model.name) for model in spec.models)]
            if result.status == 0 or bad:
                return bad
        if len(specs) == 1:
            return specs
        half = len(specs) // 2
        return self.failing(verifier, specs[:half], batch) + self.failing(verifier, specs[half:], batch)

    def examine(self, verifier, spec, batch):
        """Says how a spec fails, shrinks it, and writes both down."""
        failure = verifier.failure(spec.text())
        if failure is None:  # only among others: a failure of the whole file
            batch.failures.append((spec, failure_of(verifier.run(spec.text())), None))
            self.say(f"seed {spec.seed}: fails in its batch only, {batch.seeds[0]}:{batch.seeds[-1] + 1}")
            return
        small = spec
        if not self.options.no_shrink:
            focus = self.focus(verifier, spec.text(), failure)

            def fails(candidate):
                other = focus.failure(candidate.text())
                return other is not None and failure.is_like(other)
            small = Shrinker(fails, self.options.shrink_tries, self.options.shrink_seconds).shrink(spec)
        path = self.write(spec, small, failure, verifier)
        batch.failures.append((spec, failure, path))
        self.say(f"seed {spec.seed} ({spec.family}): {failure.line()}\n{small.text()}  written to {path}")

    def focus(self, verifier, text, failure):
        """The cheapest verifier under which the spec fails in the same way: shrinking runs it hundreds of times."""
        types = [line.split()[0] for line in failure.log.splitlines() if line.startswith("  ") and "FAILED" in line]
        rest = without(verifier.arguments, "--dtype")
        if "--dtype" in self.options.verify or failure.kind != "mismatch" or not types or types[0] not in ("f64", "f32", "bf16", "f16"):
            return verifier
        rest = ["--dtype", "f64" if "f64" in types else types[0], *rest]
        trials = [rest]
        if "--random" not in rest and "--form" not in rest:
            form = failure.detail.split()[0]
            trials = [[*rest, "--form", form, "--random", "1,B=2,T=17,H=1"], [*rest, "--form", form], rest]
        for arguments in trials:
            cheaper = Verifier(self.command, arguments)
            other = cheaper.failure(text)
            if other is not None and failure.is_like(other):
                return cheaper
        return verifier

    def write(self, spec, small, failure, verifier):
        folder = Path(self.options.found)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (f"{spec.family}-{spec.seed}.rondo" if self.options.per_family else f"{spec.seed}.rondo")
        lines = [f"// seed {spec.seed}, family {spec.family}: {failure.line()}", f"// {verifier.shell(path.name)}"]
        original = ["// as it was drawn:"] + ["//   " + line for line in spec.text().splitlines()]
        path.write_text("\n".join(lines) + "\n" + small.text() + "\n".join(original) + "\n")
        path.with_suffix(".log").write_text(failure.log)
        return path

    def explain(self, specs, batch):
        """Compares what the generator meant with what the analysis finds. A difference is no failure."""
        for spec in specs:
            expected = spec.expected_names()
            if not expected:
                continue
            found = self.explainer.families(spec.text(), spec.main.name)
            for state, family in expected.items():
                batch.explained += 1
                if not agrees(family, found.get(state, "")):
                    batch.disagreements.append((spec.seed, state, family, found.get(state, "nothing")))

    def say(self, message):
        with self.lock:
            print(message, flush=True)


def commit():
    def git(*arguments):
        try:
            return subprocess.run(["git", *arguments], cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
        except OSError:  # not every machine has it
            return ""
    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD").strip() or "unknown") + changed


def record(path, batch, at):
    """One line of JSON for a batch, appended whole."""
    line = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": at,
            "seeds": [batch.seeds[0], batch.seeds[-1] + 1], "families": batch.drawn_from, "arguments": batch.arguments,
            "models": dict(sorted(batch.families.items())), "parallel": dict(sorted(batch.parallel.items())),
            "checks": batch.checks, "forms": dict(sorted(batch.forms.items())), "redrawn": batch.redrawn,
            "failures": [{"seed": s.seed, "family": s.family, "how": f.line() if f else "in its batch only"} for s, f, _ in batch.failures],
            "explained": batch.explained, "disagreements": len(batch.disagreements), "seconds": round(batch.seconds, 1)}
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(line) + "\n")


def key(seeds, families, grad):
    """What tells the batches of a log apart: first seed and end, the families that they are drawn from, and whether gradients."""
    return (seeds[0], seeds[-1] + 1, tuple(families or ()), grad)


def logged(path):
    """Keys of the batches in a log."""
    if not path or not os.path.exists(path):
        return set()
    with open(path, encoding="ascii") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    return {key(range(*line["seeds"]), line.get("families"), "--grad" in line["arguments"]) for line in lines}


def summary(batches, seconds):
    """The last lines: per family, per form, in all."""
    families, parallel, forms, failed, kinds = (Counter() for _ in range(5))
    for batch in batches:
        families.update(batch.families)
        parallel.update(batch.parallel)
        forms.update(batch.forms)
        failed.update(spec.family for spec, _, _ in batch.failures)
        kinds.update(failure.kind if failure else "batch" for _, failure, _ in batch.failures)
    for family in sorted(families):
        print(f"  {family:<16} {families[family]:5} specs, {parallel[family]:4} with a parallel form, {failed[family]} failed")
    print("  checks by form:", ", ".join(f"{form} {count}" for form, count in sorted(forms.items())))
    explained, disagreements = sum(b.explained for b in batches), [d for b in batches for d in b.disagreements]
    if explained:
        print(f"  rondo explain agrees with the generator on {explained - len(disagreements)} of {explained} states")
    kinds_of = {}
    for seed, _, meant, found in disagreements:
        kinds_of.setdefault((meant, re.sub(r" at \d+:\d+", "", found)), []).append(seed)
    for (meant, found), seeds in sorted(kinds_of.items(), key=lambda item: -len(item[1])):
        print(f"    meant {meant}, found {found}: {len(seeds)}, e.g. seed {min(seeds)}")
    if kinds:
        print("  failures:", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    checks, redrawn = sum(b.checks for b in batches), sum(b.redrawn for b in batches)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    if families.total():
        print(f"  {(usage.ru_utime + usage.ru_stime) / families.total():.2f} core-seconds a spec")
    print(f"{families.total()} specs, {checks} checks, {redrawn} draws redrawn, {failed.total()} failed, {seconds:.0f} s")
    return failed.total()


def parse_arguments(given):
    verify = given[given.index("--") + 1:] if "--" in given else []
    given = given[:given.index("--")] if "--" in given else given
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="Arguments behind -- go to rondo verify.")
    parser.add_argument("--seeds", default="0:200", help="A:B, which seeds; B is left out")
    parser.add_argument("--grad", action="store_true", help="the gradients of the specs, see rondo verify --grad")
    parser.add_argument("--per-family", type=int, metavar="N", help="seeds 0:N of each family, instead of --seeds")
    parser.add_argument("--families", help="by comma; default: all (" + ", ".join(FAMILIES) + ")")
    parser.add_argument("--batch", type=int, default=10, help="specs a file and process")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    parser.add_argument("--rondo", type=Path, default=SOURCE / "build/bin/rondo", help="the program")
    parser.add_argument("--command", help="stands in for 'rondo verify'")
    parser.add_argument("--found", default=str(SOURCE / "build/test/fuzz/found/specs"), help="folder for failing specs")
    parser.add_argument("--log", help="append one line of JSON a batch to this file")
    parser.add_argument("--resume", action="store_true", help="leave out the batches that are in the log")
    parser.add_argument("--explain-every", type=int, default=5, help="compare every n-th spec with rondo explain")
    parser.add_argument("--no-shrink", action="store_true", help="write failing specs as they were drawn")
    parser.add_argument("--shrink-tries", type=int, default=600, help="candidates for each failing spec")
    parser.add_argument("--shrink-seconds", type=float, default=300, help="time for each failing spec")
    parser.add_argument("--print", action="store_true", help="print the specs and verify nothing")
    options = parser.parse_args(given)
    options.verify = verify
    options.families = options.families.split(",") if options.families else None
    if "--grad" in verify:
        options.grad = True
        verify.remove("--grad")
    unknown = set(options.families or ()) - set(FAMILIES)
    if unknown:
        parser.error(f"there is no family {', '.join(sorted(unknown))}")
    if not options.command and not options.print and not os.access(options.rondo, os.X_OK):
        parser.error(f"there is no program {options.rondo}; build it, or name it by --rondo")
    options.rondo = options.rondo.resolve()
    first, _, end = options.seeds.partition(":")
    options.seeds = range(int(first), int(end or int(first) + 1))
    return options


def plan(options):
    """Seeds and families of each batch. Those of the families take turns, so that a run that is cut off has seen them all."""
    seeds, draws = options.seeds, [options.families]
    if options.per_family:
        seeds, draws = range(options.per_family), [[family] for family in options.families or FAMILIES]
    return [(seeds[i:i + options.batch], families) for i in range(0, len(seeds), options.batch) for families in draws]


def main():
    options = parse_arguments(sys.argv[1:])
    if options.print:
        for seeds, families in plan(options):
            for spec in (generate(seed, families) for seed in seeds):
                print(f"// seed {spec.seed}, family {spec.family}; meant: {spec.expected_names()}\n{spec.text()}")
        return 0
    campaign, done, start, at = Campaign(options), [], time.monotonic(), commit()
    known = logged(options.log) if options.resume else set()
    batches = [(seeds, families) for seeds, families in plan(options) if key(seeds, families, options.grad) not in known]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(campaign.judge, *batch) for batch in batches]):
            batch = future.result()
            done.append(batch)
            if options.log:
                record(options.log, batch, at)
    return 1 if summary(done, time.monotonic() - start) or not done else 0


if __name__ == "__main__":
    sys.exit(main())
