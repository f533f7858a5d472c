#!/usr/bin/env python3
"""Runs every test of a build tree and sums the runners' own counts: Catch2's test cases, lit's tests, the checks of test/house, the
specs of examples/ that `rondo verify` holds to the reference, their gradients and other derivatives, their kernels for GPUs on an
emulator, random specs, and the fuzz targets.

The build writes which runners there are to BUILD/test/runners.json (test/CMakeLists.txt). Each runner has a line when it ends, below
the logs of what failed; the last line is "N passed, N failed[, N skipped]", which is also written to BUILD/test/counts.txt. The exit
status is 1 where a test failed or nothing was run.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
SPECS = SOURCE / "test" / "fuzz" / "specs"
SKIPPED = 77  # a check of test/house exits with this where the machine lacks what it needs


@dataclass
class Outcome:
    """What one runner counted. `log` is shown where something failed, its last line where something was skipped, `note` always."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    log: str = ""
    note: str = ""
    seconds: float = 0.0


def execute(command, build, timeout, **environment):
    """Exit status and merged output of a command that runs in the source tree."""
    env = dict(os.environ, RONDO_SOURCE=str(SOURCE), RONDO_BUILD=str(build), **environment)
    # What tests compile and tune stays with the build.
    env.setdefault("RONDO_CACHE_DIR", str(Path(build) / "test" / "cache"))
    env.setdefault("RONDO_RECORDS", "")
    # MLIR's own libraries are not instrumented, so a container that crosses the border looks overrun to ASan.
    env.setdefault("ASAN_OPTIONS", "detect_container_overflow=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    try:
        done = subprocess.run([str(c) for c in command], cwd=SOURCE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=timeout)
        log = done.stdout.decode("utf-8", "replace")
        return done.returncode, log + (f"ended by signal {-done.returncode}\n" if done.returncode < 0 else "")
    except subprocess.TimeoutExpired as expired:
        return 1, (expired.stdout or b"").decode("utf-8", "replace") + f"\nstopped after {timeout} s\n"
    except OSError as error:
        return 1, f"{command[0]}: {error}\n"


def run_unit(program, build):
    """One Catch2 program; its console summary names the counts."""
    status, log = execute([program], build, 1200)
    everything = re.search(r"^All tests passed \(.* in (\d+) test cases?\)", log, re.M)
    some = re.search(r"^test cases:(.*)$", log, re.M)
    if everything:
        outcome = Outcome(passed=int(everything[1]), log=log)
    elif some:
        outcome = Outcome(log=log)
        for count, word in re.findall(r"(\d+) (passed|failed)(?! as expected)", some[1]):
            setattr(outcome, word, int(count))
    else:
        outcome = Outcome(failed=1, log=log)
    if status != 0 and outcome.failed == 0:  # it died after or beside its summary
        outcome.failed = 1
    return outcome


def run_lit(command, build, jobs):
    """All lit tests; lit's JSON report has one code per test."""
    report = build / "test" / "lit.json"
    report.unlink(missing_ok=True)
    status, log = execute([sys.executable, *command, "-s", "-v", "--no-progress-bar", "-j", jobs, "-o", report, build / "test"], build, 1500)
    if not report.exists():
        return Outcome(failed=1, log=log)
    outcome = Outcome(log=log)
    for test in json.loads(report.read_text())["tests"]:
        if test["code"] in ("PASS", "XFAIL", "FLAKYPASS"):
            outcome.passed += 1
        elif test["code"] in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            outcome.skipped += 1
        else:
            outcome.failed += 1
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
    return outcome


def run_check(program, build):
    """One check of test/house: its exit status is its result."""
    status, log = execute([program], build, 900)
    if status == SKIPPED:
        return Outcome(skipped=1, log=log)
    return Outcome(passed=int(status == 0), failed=int(status != 0), log=log)


def run_fuzz(target, build, seconds):
    """One libFuzzer target, from its seed corpus. What it finds anew stays in the build tree, and so does a crashing input."""
    found = build / "test" / "fuzz" / "found" / target["name"]
    found.mkdir(parents=True, exist_ok=True)
    command = [target["program"], f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={found.parent}/{target['name']}-", found, *target["seeds"]]
    if target.get("dictionary"):
        command.insert(1, f"-dict={target['dictionary']}")
    status, log = execute(command, build, seconds + 120)
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", log)
    note = f"{executed[1] if executed else '?'} inputs in {seconds} s" + (", no crash, no leak" if status == 0 else "")
    return Outcome(passed=int(status == 0), failed=int(status != 0), log=log, note=note)


def verify_spec(program, spec, build, options, environment):
    """`rondo verify` of one example: every type, size and form of every model in it."""
    # One thread each: the specs run side by side, and most of the time is LLVM's. Threads are tested by the runtime's own tests.
    # glibc fills what it hands out with 0x7f, large numbers: what is read of a temporary before it is written shows.
    status, log = execute([program, "verify", "--threads", "1", *options, spec], build, 600, OMP_WAIT_POLICY="passive",
                          MALLOC_PERTURB_="128", **environment)
    return status, log


def run_verify(verify, build, jobs, options=(), **environment):
    """All examples, or with `--grad` their gradients; each spec is a test. The longest come first, so that none is left alone at the end."""
    specs = sorted(map(Path, verify["specs"]), key=lambda spec: (-spec.stat().st_size, spec))
    outcome, checks, redrawn = Outcome(), 0, 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for spec, (status, log) in zip(specs, pool.map(lambda spec: verify_spec(verify["program"], spec, build, options, environment),
                                                        specs)):
            sums = re.search(r"(\d+) checks, (\d+) draws redrawn", log)
            if status != 0 or not sums:
                outcome.failed += 1
                outcome.log += f"{spec.name}: exit status {status}\n{log}\n"
                continue
            outcome.passed += 1
            checks, redrawn = checks + int(sums[1]), redrawn + int(sums[2])
    outcome.note = f"{checks} checks within tolerance, {redrawn} draws redrawn"
    return outcome


def of_family(verify, words):
    """The part of the examples in which analysis finds a family that one of the words begins."""
    listed = subprocess.run([str(verify["program"]), "list", "--families"], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {line.split("]")[0][3:] for line in listed.splitlines() if re.search(rf": (?:complex )?(?:{words})", line)}
    return dict(verify, specs=[spec for spec in verify["specs"] if Path(spec).stem in names])


SLOW = {"stabilised_delta_block"}  # its reference takes minutes for a call that is cut into segments
# Gradients that the emulator runs: all kinds of kernels. Those of all examples take too long, and a block's 6 GB.
EMULATED_GRADIENTS = {"deltanet", "gated_delta_net", "gateloop", "gla", "gru", "hgrn", "hgrn2", "kda", "lstm_no_peepholes", "mamba2", "min_gru",
                      "mlstm", "retnet", "rwkv6", "rwkv7", "selective_scan", "simple_gla", "slstm", "stabilised_vector_delta"}
# Models whose products may be of warpgroups: scalar decays, decays along the keys, delta rules, a normaliser.
WARPGROUPS = {"deltanet", "gated_delta_net", "gla", "kda", "linear_attention", "retnet", "rwkv7", "simple_gla"}
WARPGROUP_PLAN = ["--form", "chunk", "--dim", "K=64", "V=128", "--plan", "<chunk = 32, warpgroups = true>", "--random", "3,B=2,T=140,H=2"]
LONG = {"gla", "gated_delta_net"}  # of the rest, `rondo verify --grad --long` takes too long for every run


def only(verify, keep):
    return dict(verify, specs=[spec for spec in verify["specs"] if keep(Path(spec).stem)])


def run_derivatives(verify, build, jobs):
    """What the gradients' runner leaves out: gradients of gradients, forward mode, and 4096 steps."""
    one = ["--dtype", "f64", "--random", "5,B=2,T=6,H=1"]
    yield "derivatives/second", timed(run_verify, of_family(verify, "linear|expand|delta"), build, jobs, ["--grad", "--grad", *one])
    yield "derivatives/tangents", timed(run_verify, verify, build, jobs, ["--jvp", *one])
    yield "derivatives/long", timed(run_verify, only(verify, lambda name: name in LONG), build, jobs, ["--grad", "--long"])


def run_emulated(runners, build, jobs):
    """The kernels for NVIDIA's GPUs, on the emulator. In bf16, which goes by matrix instructions where a model can; `rondo verify` without
    --dtype takes the others, too."""
    options, path = ["--target", "cuda", "--dtype", "bf16"], {"LD_LIBRARY_PATH": runners["emulator"]}
    quick = only(runners["verify"], lambda name: name not in SLOW)
    yield "emulated/verify", timed(lambda: run_verify(quick, build, jobs, options, **path))
    warpgroups = only(runners["verify"], lambda name: name in WARPGROUPS)
    yield "emulated/warpgroups", timed(lambda: run_verify(warpgroups, build, jobs, [*options, *WARPGROUP_PLAN], **path))
    gradients = only(runners["verify"], lambda name: name in EMULATED_GRADIENTS)
    yield "emulated/gradients", timed(lambda: run_verify(gradients, build, jobs, [*options, "--grad"], **path))


def run_specs(program, build, jobs, seeds, *options):
    """Random specs of a range of seeds, each of them a test. What fails is shrunk and stays in the build tree."""
    status, log = execute([sys.executable, SPECS / "run.py", "--rondo", program, "--seeds", seeds, "--jobs", jobs, "--found",
                           build / "test" / "fuzz" / "found" / "specs", "--shrink-seconds", 60, *options], build, 1200)
    sums = re.search(r"^(\d+) specs, (\d+) checks, (\d+) draws redrawn, (\d+) failed", log, re.M)
    if not sums or (status != 0 and sums[4] == "0"):
        return Outcome(failed=1, log=log)
    failed = int(sums[4])
    return Outcome(passed=int(sums[1]) - failed, failed=failed, log=log,
                   note=f"seeds {seeds}: {sums[2]} checks within tolerance, {sums[3]} draws redrawn")


def run_specs_selftest(build):
    """The tests of the fuzzer of specs itself."""
    status, log = execute([sys.executable, SPECS / "selftest.py"], build, 600)
    sums = re.search(r"^(\d+) passed, (\d+) failed$", log, re.M)
    if not sums or (status != 0 and sums[2] == "0"):
        return Outcome(failed=1, log=log)
    return Outcome(passed=int(sums[1]), failed=int(sums[2]), log=log)


def report(name, outcome):
    """Prints a runner's line, and before it the log of what failed in it."""
    if outcome.failed:
        print(f"---- {name} ----\n{outcome.log[-20000:].rstrip()}\n")
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    counts += f", {outcome.skipped} skipped" if outcome.skipped else ""
    note = outcome.note or (outcome.log.strip().splitlines() or [""])[-1] * bool(outcome.skipped)
    print(f"{name:<28} {counts:<34} {outcome.seconds:7.1f} s  {note}".rstrip(), flush=True)


def timed(function, *arguments):
    start = time.monotonic()
    outcome = function(*arguments)
    outcome.seconds = time.monotonic() - start
    return outcome


def runs(runners, only, build, jobs, fuzz_seconds, spec_seeds):
    """Name and outcome of every runner, as they end."""
    # Programs that use every core themselves come one after another; fuzz targets have one thread each and run side by side.
    if "house" in only:
        yield from ((f"house/{Path(p).stem}", timed(run_check, p, build)) for p in runners["house"])
    if "unit" in only:
        yield from ((f"unit/{u['name']}", timed(run_unit, u["program"], build)) for u in runners["unit"])
    if "lit" in only and runners["lit"]:
        yield "lit", timed(run_lit, runners["lit"], build, jobs)
    if "verify" in only:
        yield "verify", timed(run_verify, runners["verify"], build, jobs)
    if "gradients" in only:
        yield "gradients", timed(run_verify, runners["verify"], build, jobs, ["--grad"])
    if "derivatives" in only:
        yield from run_derivatives(runners["verify"], build, jobs)
    if "emulated" in only:
        yield from run_emulated(runners, build, jobs)
    if "specs" in only:
        yield "specs/selftest", timed(run_specs_selftest, build)
        yield "specs/random", timed(run_specs, runners["verify"]["program"], build, jobs, spec_seeds)
        yield "specs/gradients", timed(run_specs, runners["verify"]["program"], build, jobs, "0:40", "--grad")
    if "fuzz" in only:
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            running = [(f["name"], pool.submit(timed, run_fuzz, f, build, fuzz_seconds)) for f in runners["fuzz"]]
            yield from ((f"fuzz/{name}", future.result()) for name, future in running)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="build tree")
    parser.add_argument("--only", default="house,unit,lit,verify,gradients,derivatives,emulated,specs,fuzz", help="which runners, by comma")
    parser.add_argument("--fuzz-seconds", type=int, default=25, help="seconds of each fuzz target")
    parser.add_argument("--spec-seeds", default="0:200", help="seeds of the random specs, A:B")
    options = parser.parse_args()
    build = Path(options.build).resolve()
    runners = json.loads((build / "test" / "runners.json").read_text())
    start = time.monotonic()

    total, failing = Outcome(), []
    for name, outcome in runs(runners, options.only.split(","), build, os.cpu_count() or 1, options.fuzz_seconds,
                              options.spec_seeds):
        report(name, outcome)
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += outcome.skipped
        failing += [name] if outcome.failed else []

    print(f"{time.monotonic() - start:.0f} s in all")
    if failing:
        print("failures in", ", ".join(failing))
    counts = f"{total.passed} passed, {total.failed} failed"
    counts += f", {total.skipped} skipped" if total.skipped else ""
    (build / "test" / "counts.txt").write_text(counts + "\n")
    print(counts)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
