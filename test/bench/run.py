#!/usr/bin/env python3
"""Measures Rondo beside its peers and prints tables in Markdown; `--write FILE` also puts them between FILE's marks.

Every comparison is one process of rondo-bench per number of threads, in which the repetitions of both sides take turns
at random; the tables hold medians. Cold starts are one process per sample. Python's standard library only.
"""
import argparse
import datetime
import json
import os
import platform
import re
import resource
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- tables: made by run.py -->", "<!-- end of tables -->"
COLD = [("gla", ["K=64", "V=64"]), ("lstm_no_peepholes", ["D=512", "H=512"]), ("mamba2", ["N=64", "P=64"])]
QUIET = 0.2  # cores that others may use while something is timed


def call(command, **kwargs):
    return subprocess.run(command, check=True, capture_output=True, text=True, **kwargs).stdout


class Others:
    """How many cores other programs use between two moments: what all use, less what our children do."""

    def __init__(self):
        self.begin, self.busy, self.ours = time.monotonic(), self.busy_seconds(), self.our_seconds()

    @staticmethod
    def busy_seconds():
        fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # all but idle and waiting for disks

    @staticmethod
    def our_seconds():
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def cores(self):
        others = self.busy_seconds() - self.busy - (self.our_seconds() - self.ours)
        return max(0, others / (time.monotonic() - self.begin))


class Quiet:
    """Measures on a machine that others may use: waits for a quiet moment, and takes again what they disturbed."""

    def __init__(self, patience):
        self.deadline, self.worst = time.monotonic() + patience, 0

    def take(self, measurement):
        """What measurement() gives at the quietest of its tries, and how many cores others used then."""
        best = None
        while best is None or (best[0] > QUIET and time.monotonic() < self.deadline):
            self.wait()
            others = Others()
            value = measurement()
            cores = others.cores()
            if best is None or cores < best[0]:
                best = cores, value
        self.worst = max(self.worst, best[0])
        return best[1], best[0]

    def wait(self):
        while time.monotonic() < self.deadline:
            others = Others()
            time.sleep(0.5)
            if others.cores() <= QUIET:
                return


def environment(threads):
    return dict(os.environ, OMP_NUM_THREADS=str(threads))


def peers(arguments):
    """Options of rondo-bench."""
    return [f"--peer={peer}" for peer in arguments.peer]


def cases(program, pattern, options):
    names = call([program, "--benchmark_list_tests", *options]).split("\n")
    found = dict.fromkeys(name.rsplit("/", 2)[0] for name in names if name.count("/") >= 3)
    return [name for name in found if re.search(pattern, name)]


def measure(program, case, threads, arguments):
    """The medians of one comparison, {"rondo": {...}, "<peer>": {...}}, and Google Benchmark's context."""
    out = call([program, *peers(arguments), f"--threads={threads}", f"--benchmark_filter=^{re.escape(case)}/", "--benchmark_format=json",
                f"--benchmark_repetitions={arguments.repetitions}", f"--benchmark_min_time={arguments.min_time}",
                "--benchmark_enable_random_interleaving=true"], env=environment(threads))
    result = json.loads(out)
    sides = {}
    for entry in result["benchmarks"]:
        side = sides.setdefault(entry["run_name"].split("/")[2], {"times": []})
        if entry.get("error_occurred"):
            side["error"] = entry["error_message"]
        elif entry["run_type"] == "iteration":
            side["times"].append(entry["real_time"])
        elif entry["aggregate_name"] == "median":
            side.update(entry)
    return sides, result["context"]


def spread(side):
    """Half the range between the quartiles, in percent of the median."""
    low, middle, high = statistics.quantiles(side["times"], n=4)
    return 50 * (high - low) / middle


def row(case, threads, ours, theirs, others):
    name, sizes = case.split("/")
    head = f"| {name} | {sizes.replace(',', ', ')} | {threads} |"
    for side in (ours, theirs):
        if "error" in side:
            return f"{head} {side['error']} | | | | | | | |"
    return (f"{head} {ours['real_time']:.4g} | {theirs['real_time']:.4g} | "
            f"{theirs['real_time'] / ours['real_time']:.2f} | {ours['flops'] / 1e9:.3g} | "
            f"{theirs['flops'] / 1e9:.3g} | {ours['tokens']:,.0f} | {max(spread(ours), spread(theirs)):.1f} % | "
            f"{others:.1f} |")


def comparisons(arguments, quiet, lines):
    """A table per peer. Returns the context of the last run."""
    program, context, tables, tokens, bandwidths = arguments.build / "bin" / "rondo-bench", {}, {}, {}, {}
    for case in cases(program, arguments.only, peers(arguments)):
        for threads in arguments.threads:
            (sides, context), others = quiet.take(lambda: measure(program, case, threads, arguments))
            ours = sides.pop("rondo")
            (peer, theirs), = sides.items()
            tables.setdefault(peer, []).append(row(case, threads, ours, theirs, others))
            name, sizes = case.split("/")
            if peer == "step form" and "tokens" in ours:
                tokens[name.split(":")[0], sizes, threads] = ours["tokens"], int(re.search(r"H=(\d+)", sizes)[1])
            if name in COPIES and "bytes" in ours:
                bandwidths[name, sizes, threads] = ours["bytes"], theirs["bytes"]
            print(tables[peer][-1], file=sys.stderr, flush=True)
    for peer, rows in tables.items():
        title = f"{peer} {context[peer]}" if peer in context else peer
        lines += ["", f"### Beside {title}", "",
                  f"| spec | sizes | threads | Rondo, ms | {peer}, ms | faster by | "
                  f"Rondo, GFLOP/s | {peer}, GFLOP/s | Rondo, tokens/s | spread | others, cores |",
                  "|---|---|" + "--:|" * 9, *rows]
    lines += [line for peer in ("oneDNN", "ggml") if "not found" in context.get(peer, "") for line in ("", f"{peer}: peer not found.")]
    if tokens or bandwidths:
        ceilings(arguments, tokens, bandwidths, lines)
    return context


# Specs with matrix states, and the share of sgemm's rate to reach: for a decay along the key axis and for the delta rule less of
# the work is products.
SHARES = {"gla": 0.4, "hgrn2": 0.4, "deltanet": 0.4, "gated_delta_net": 0.4, "retnet": 0.6, "mamba2": 0.6}


# Elementwise recurrences: all that takes time is memory, and a copy of as many bytes is the peer.
COPIES = {"scan": 0.8}


def ceilings(arguments, tokens, bandwidths, lines):
    """What was measured, beside what this machine can do at most."""
    program = arguments.build / "bin" / "rondo-bench-ceilings"
    lines += ["", "### Beside OpenBLAS' sgemm, and beside a copy", ""]
    if not program.exists():
        lines.append("OpenBLAS: peer not found.")
        return
    rates = {threads: json.loads(call([program, str(threads)])) for threads in arguments.threads}
    for threads, rate in rates.items():
        lines.append(f"{threads} thread{'s' * (threads > 1)}: 64 x 64 x 64 {rate['sgemm64']} GFLOP/s, 64 x 128 x 128 "
                     f"{rate['sgemm128']} GFLOP/s, copy {rate['copy']} GB/s ({rate['blas']}).  ")
    shares(tokens, rates, lines)
    copies(bandwidths, rates, lines)


def copies(bandwidths, rates, lines):
    """Bytes a second read and written, beside those of a copy."""
    if not bandwidths:
        return
    lines += ["", "Bytes of the tensors read and written a second, beside a copy's:", "",
              "| spec | sizes | threads | Rondo, GB/s | plain C++, GB/s | copy, GB/s | share | to reach |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for (name, sizes, threads), (ours, theirs) in bandwidths.items():
        copy = rates[threads]["copy"]
        lines.append(f"| {name} | {sizes.replace(',', ', ')} | {threads} | {ours / 1e9:.1f} | {theirs / 1e9:.1f} | {copy} | "
                     f"{ours / 1e9 / copy:.2f} | {COPIES[name]} |")


def shares(tokens, rates, lines):
    """Tokens a second beside sgemm's rate divided by the products of a token at chunks of 64 steps."""
    if not tokens:
        return
    lines += ["", "A token of one head needs 4 K V + 128 (K + V) operations in products where a chunk has 64 steps; share: "
              "these, times tokens a second, beside sgemm's rate.", "",
              "| spec | sizes | threads | Rondo, tokens/s and head | share | to reach |", "|---|---|--:|--:|--:|--:|"]
    for (name, sizes, threads), (rate, heads) in tokens.items():
        numbers = [int(n) for n in re.findall(r"[KVNP]=(\d+)", sizes)]
        if name not in SHARES or len(numbers) != 2:
            continue
        k, v = numbers
        ceiling = 1e9 * rates[threads]["sgemm64" if k == 64 else "sgemm128"]
        share = rate * heads * (4 * k * v + 128 * (k + v)) / ceiling
        lines.append(f"| {name} | {sizes.replace(',', ', ')} | {threads} | {rate * heads:,.0f} | {share:.2f} | "
                     f"{SHARES[name]} |")


def cold_samples(command, count):
    samples = []
    for _ in range(count):
        begin = time.perf_counter()
        sample = json.loads(call(command))
        samples.append(sample | {"process": 1e3 * (time.perf_counter() - begin)})
    return samples


def cold_starts(arguments, quiet, lines):
    program = arguments.build / "bin" / "rondo-bench-cold"
    lines += ["", "### Cold start, ms", "",
              "| spec | sizes | front end | passes | machine code | text to first result | least | most | process | "
              "others, cores |", "|---|---|" + "--:|" * 8]
    for example, dims in COLD:
        command = [program, SOURCE / "examples" / f"{example}.rondo", *dims]
        samples, others = quiet.take(lambda: cold_samples(command, arguments.cold))
        middle = {key: statistics.median(s[key] for s in samples) for key in samples[0]}
        results = [s["first_result"] for s in samples]
        lines.append(f"| {example} | {', '.join(dims)} | {middle['frontend']:.1f} | {middle['passes']:.1f} | "
                     f"{middle['codegen']:.1f} | {middle['first_result']:.0f} | {min(results):.0f} | "
                     f"{max(results):.0f} | {middle['process']:.0f} | {others:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)


def machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    flags = set(re.search(r"flags\s*: (.*)", text).group(1).split())
    widest = next((f for f in ("avx512f", "avx2", "avx") if f in flags), "no AVX")
    ghz = re.search(r"cpu MHz\s*: (.*)", text)
    name = model.group(1) if model else platform.processor()
    return (f"{name}, {os.cpu_count()} cores, {float(ghz.group(1)) / 1e3:.2f} GHz nominal, {widest}, "
            f"Linux {platform.release().split('-')[0]}")


def revision():
    try:
        name = call(["git", "-C", SOURCE, "rev-parse", "--short", "HEAD"]).strip()
        changed = call(["git", "-C", SOURCE, "status", "--porcelain", "--", "compiler", "runtime", "frontend"])
        return name + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def preamble(context, arguments):
    return [f"{datetime.date.today()}; {machine()}.",
            f"Rondo {revision()}; plain C++ by {context.get('compiler', '?')}; oneDNN {context.get('oneDNN', '?')}; ggml {context.get('ggml', '?')}.",
            f"Medians of {arguments.repetitions} repetitions of at least {arguments.min_time} s each ({arguments.cold} "
            "processes for cold starts); spread: half the distance between the quartiles, of the worse side; others: "
            "cores that other programs used meanwhile (0 on a quiet machine).",
            f"Command: `{shlex.join(['python3', *sys.argv])}`"]


def write(path, text):
    page = path.read_text()
    before, rest = page.split(BEGIN, 1)
    path.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END, 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=SOURCE / "build", help="the build tree")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases to measure; default: all")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peer", action="append", default=[], metavar="ggml=PATH", help="a library to measure beside, by its libggml.so")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--min-time", type=float, default=0.1, metavar="SECONDS", help="of one repetition")
    parser.add_argument("--cold", type=int, default=15, metavar="N", help="processes per cold start; 0 leaves them out")
    parser.add_argument("--patience", type=float, default=900, metavar="SECONDS",
                        help="how long to wait for a quiet machine and to repeat what others disturbed")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between FILE's marks")
    arguments = parser.parse_args()
    if not (arguments.build / "bin" / "rondo-bench").exists():
        sys.exit(f"error: {arguments.build}/bin/rondo-bench is not there; "
                 "it needs Debian's libbenchmark-dev (.ci/setup) and `make build`")
    quiet, lines = Quiet(arguments.patience), []
    context = comparisons(arguments, quiet, lines)
    if arguments.cold:
        cold_starts(arguments, quiet, lines)
    if quiet.worst > QUIET:
        print(f"warning: others used {quiet.worst:.1f} cores: these timings are worth little", file=sys.stderr)
    text = "\n".join(preamble(context, arguments) + lines)
    if arguments.write:
        write(arguments.write, text)
    print(text)


if __name__ == "__main__":
    main()
