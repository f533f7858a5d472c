#!/usr/bin/env python3
"""Tests of the tester: the generator, and the driver and its shrinker against a verifier that fails on purpose (fake_verifier.py).

Each test is a function below. The last line is "N passed, N failed".
"""
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import tree  # noqa: E402  (the modules of this folder)
from generate import FAMILIES, generate  # noqa: E402
from model import Spec  # noqa: E402
from shrink import Shrinker, plain  # noqa: E402
from tree import Mismatch  # noqa: E402
from verifier import Failure, Verifier, agrees, failure_of, parse  # noqa: E402


def drive(*arguments):
    """The driver with the fake verifier: exit status, output, the specs that it wrote by seed."""
    with tempfile.TemporaryDirectory(prefix="rondo-selftest-") as found:
        command = [sys.executable, str(HERE / "run.py"), "--found", found, "--jobs", "2", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=300, check=False)
        specs = {int(path.stem): body(path.read_text()) for path in Path(found).glob("*.rondo")}
        return done.returncode, done.stdout.decode(), specs


def fake(how, pattern):
    return f"{sys.executable} {HERE / 'fake_verifier.py'} {how} {pattern}"


def body(text):
    return "".join(line + "\n" for line in text.splitlines() if not line.startswith("//"))


def parts(text):
    """How many equations, declarations and outputs a spec has."""
    return len(re.findall(r"^ .* = |^ +(?:input|param|output|init) ", text, re.M))


def expect_minimal(how, pattern, kind, families, largest):
    """The driver finds the specs with the pattern, and shrinks each of them to one that has little else."""
    seeds = range(0, 20)
    bad = {seed for seed in seeds if re.search(pattern, generate(seed, families.split(",")).text())}
    assert 2 <= len(bad) <= 15, f"{len(bad)} of the seeds have {pattern}: the test shows nothing"
    status, out, specs = drive("--seeds", "0:20", "--families", families, "--command", fake(how, pattern))
    assert status == 1 and set(specs) == bad, f"status {status}, {sorted(specs)} are not {sorted(bad)}\n{out}"
    assert f"{len(bad)} {kind}" in out, out
    for seed, text in specs.items():
        assert re.search(pattern, text), f"seed {seed}: shrunk to what does not fail\n{text}"
        assert parts(text) <= largest and text.count("model") == 1, f"seed {seed}: not minimal\n{text}"


def test_mismatches_are_shrunk():
    expect_minimal("mismatch", "softmax", "mismatch", "slots,delta", 3)


def test_crashes_are_bisected_and_shrunk():
    expect_minimal("crash", r"transpose\(", "crash", "delta,expand", 4)


def test_refusals_are_shrunk():
    expect_minimal("compile", r"logaddexp", "compile", "log-plus,linear", 4)


# Is stopped for longer than it may take, and goes on.
STOPPED = """
import os, signal, subprocess
subprocess.Popen(["sh", "-c", f"sleep 5; kill -CONT {os.getpid()}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
os.kill(os.getpid(), signal.SIGSTOP)
print("m (batch.rondo)\\n1 models, 1 checks, 0 draws redrawn: all within tolerance")
"""


def test_timeouts_of_one_spec_are_told_from_crashes():
    endless = Verifier([sys.executable, "-c", "while True: pass"], [], seconds_per_model=-59)
    assert endless.failure("model m {}\n").kind == "timeout"
    asleep = Verifier([sys.executable, "-c", "import time; time.sleep(600)"], [], seconds_per_model=-58)
    assert asleep.failure("model m {}\n").kind == "timeout"
    stopped = Verifier([sys.executable, "-c", STOPPED], [], seconds_per_model=-59)
    assert stopped.failure("model m {}\n") is None
    assert failure_of(parse(-11, "", "")).detail == "SIGSEGV"
    assert failure_of(parse(1, "", "x: Assertion `n == 3' failed.")).kind == "crash"


def test_all_pass_where_nothing_fails():
    status, out, specs = drive("--seeds", "0:20", "--command", fake("mismatch", "no_such_word"))
    assert status == 0 and not specs and "20 specs" in out and " 0 failed" in out, out


def test_a_verifier_that_drops_models_is_noticed():
    status, out, specs = drive("--seeds", "0:6", "--no-shrink", "--command", fake("silence", "model"))
    assert status == 1 and len(specs) == 6, out


def test_the_log_resumes():
    with tempfile.TemporaryDirectory(prefix="rondo-selftest-") as folder:
        log = f"{folder}/log.jsonl"
        command = ("--command", fake("mismatch", "no_such_word"), "--log", log, "--batch", "5")
        assert drive("--seeds", "0:10", *command)[0] == 0
        status, out, _ = drive("--seeds", "0:15", "--resume", *command)
        assert status == 0 and "5 specs" in out.splitlines()[-1], out
        lines = Path(log).read_text().splitlines()
        assert len(lines) == 3 and all(line.startswith("{") and line.endswith("}") for line in lines), lines


def test_a_seed_is_one_spec():
    for seed in range(60):
        assert generate(seed).text() == generate(seed).text()


def test_every_family_is_drawn():
    assert {generate(seed).family for seed in range(400)} == set(FAMILIES)
    for family in FAMILIES:
        assert generate(3, [family]).family == family


def test_a_failure_shrinks_only_to_its_like():
    far, near = Failure("mismatch", "chunk", 1e9), Failure("mismatch", "chunk", 3)
    assert far.is_like(Failure("mismatch", "chunk", 400)) and not far.is_like(near)
    assert not far.is_like(Failure("mismatch", "step", 1e9)) and not far.is_like(Failure("compile", "chunk"))
    assert near.is_like(Failure("mismatch", "chunk", 2))


def test_parsing_of_what_verify_prints():
    good = "m1 (x)\n  f64   step   error 3.2e-16  tolerance 1.0e-12  max 1.4e-15  tolerance 1.0e-11 rms  ok  K=7 T=1\n"
    bad = "m2 (x)\n  f32   chunk 16  error nan  tolerance 1.0e-06  max 1.4e-15  tolerance 1.0e-05 rms  FAILED  K=7\n"
    sums = "2 models, 2 checks, 0 draws redrawn: 1 FAILED\n"
    result = parse(1, good + bad + sums, "")
    assert result.checks == {"step": 1, "chunk": 1} and not result.models["m1"] and len(result.models["m2"]) == 1
    assert failure_of(result).is_like(Failure("mismatch", "chunk", float("inf")))
    assert failure_of(parse(0, good + "1 models, 1 checks, 0 draws redrawn: all within tolerance\n", "")) is None
    refused = parse(1, "0 models, 1 checks, 0 draws redrawn: 1 FAILED\n", "b.rondo:3:4: error: there is no 'x' here [unknown-name]\n")
    assert failure_of(refused).kind == "refused" and "'…'" in failure_of(refused).detail
    unjudged = parse(1, "m (x)\n  f32 FAILED\n" + sums, "error: no draw of inputs for 'm' can be judged (40 redrawn)\n")
    assert failure_of(unjudged).kind == "unjudged"
    given_up = parse(1, "m (x)\n  f32 FAILED\n" + sums, "error: cannot lower 'recur.scan' 7\n")
    assert failure_of(given_up) == Failure("compile", "cannot lower '…' #")


def test_parsing_of_differences():
    head = "m1 (x)\n  f64   differences of 'q'  error inf  tolerance 1.0e-06  h 0e+00  FAILED  K=7 T=1\n"
    step = "  f64   step   error 3.2e-16  tolerance 1.0e-11  max 1.4e-15  tolerance 1.0e-10 rms  ok  K=7 T=1\n"
    text = head + "  f64   differences of 5 tensors: worst inf, tolerance 1.0e-06\n" + step
    result = parse(1, text + "1 models, 6 checks, 0 draws redrawn: 1 FAILED\n", "")
    assert result.checks == {"differences": 5, "step": 1} and len(result.models["m1"]) == 1
    assert failure_of(result).is_like(Failure("mismatch", "differences", float("inf")))


def test_every_family_gets_its_number_of_gradients():
    with tempfile.TemporaryDirectory(prefix="rondo-selftest-") as folder:
        log = f"{folder}/log.jsonl"
        command = ("--command", fake("mismatch", "no_such_word"), "--log", log, "--batch", "4", "--per-family")
        assert drive(*command, "4")[0] == 0  # not gradients: other batches
        status, out, _ = drive(*command, "4", "--grad", "--resume")
        assert status == 0 and f"{4 * len(FAMILIES)} specs" in out.splitlines()[-1], out
        assert all(re.search(rf"^  {family} +4 specs", out, re.M) for family in FAMILIES), out
        status, out, _ = drive(*command, "8", "--grad", "--resume")
        assert status == 0 and f"{4 * len(FAMILIES)} specs" in out.splitlines()[-1], out
        assert all(("--grad" in line) == (number >= len(FAMILIES)) for number, line in enumerate(Path(log).read_text().splitlines()))


def test_agreement_allows_additions_only():
    assert agrees("linear", "linear, time-invariant") and agrees("linear", "linear") and agrees("cell", "cell: not linear")
    assert not agrees("linear", "linearised") and not agrees("complex linear", "linear")


def test_trees_refuse_what_the_language_refuses():
    a, b = tree.read("a", 0, ("K",)), tree.read("b", 0, ("V",))
    for wrong in (lambda: a + b, lambda: a @ b, lambda: tree.call("diag", tree.outer(a, b)), lambda: 2 @ a):
        try:
            wrong()
        except (Mismatch, TypeError, AttributeError):
            continue
        raise AssertionError("accepted")
    assert tree.outer(a, b).shape == ("K", "V") and (a @ tree.outer(a, b)).shape == ("V",)


def test_a_sum_of_sizes_is_a_factor_in_parentheses():
    class Plain:
        def size(self, dim):
            return dim
    part = tree.call("concat", tree.read("a", 0, ("V",)), tree.read("b", 0, (8,)))
    merged = tree.call("merge", part, axis="H")
    assert [tree.size_text(value.shape[0], Plain()) for value in (part, merged)] == ["V + 8", "H*(V + 8)"]


def test_shrinking_without_a_reason_gives_the_smallest_model():
    for seed in (1, 12, 40):
        small = Shrinker(lambda spec: True).shrink(generate(seed))
        assert isinstance(small, Spec) and small.size() <= 16, small.text()
        assert small.size() <= plain(generate(seed)).size()


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    for name, test in tests:
        try:
            test()
        except Exception:  # noqa: BLE001  (whatever it is, it is the test's result)
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
