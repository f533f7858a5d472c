"""Runs `rondo verify` on texts of many models and says which of them failed, and how.

A command that is not rondo can stand in for it (fake_verifier.py): it takes the arguments and prints the lines of `rondo verify`.
"""
import os
import re
import shlex
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HEADER = re.compile(r"^(\S+) \(.*\)$")
CHECK = re.compile(r"^  (\S+)\s+(\S.*?)\s+error (\S+)\s+tolerance (\S+)\s+max (\S+)\s+tolerance (\S+) rms\s+(ok|FAILED)")
DIFFERENCE = re.compile(r"^  f64\s+differences of '(\S+)'\s+error (\S+)\s+tolerance (\S+)\s+h \S+\s+FAILED")
DIFFERENCES = re.compile(r"^  f64\s+differences of (\d+) tensors: worst")
FAULT = re.compile(r"^  (\S+)\s+FAILED\s*$")
SUMS = re.compile(r"^(\d+) models, (\d+) checks, (\d+) draws redrawn", re.M)
REFUSED = re.compile(r":\d+:\d+: error: (.*)")
DIED = re.compile(r"(Assertion .*failed|LLVM ERROR.*|UNREACHABLE.*|terminate called.*|.*runtime error:.*|ERROR: AddressSanitizer: \S+)")


@dataclass(frozen=True)
class Failure:
    """`kind`: crash, timeout, refused (the text is no spec), compile (the compiler gives up), mismatch, unjudged (no usable draw),
    silence (nothing was verified).
    `detail` says more, without names and numbers, so that two failures of one cause have one detail."""
    kind: str
    detail: str = ""
    ratio: float = 0.0  # mismatch: the largest error by its tolerance
    log: str = field(default="", compare=False)

    def is_like(self, other):
        """Whether the other one fails in the same way, and about as clearly."""
        if self.kind != other.kind:
            return False
        if self.kind == "mismatch":
            return self.detail == other.detail and other.ratio >= min(self.ratio, 100) / 2
        return self.detail == other.detail

    def line(self):
        return f"{self.kind}: {self.detail}" + (f" ({self.ratio:.1e} times the tolerance)" if self.kind == "mismatch" else "")


@dataclass
class Result:
    """What one process said."""
    status: int
    models: dict = field(default_factory=dict)  # name: the failed lines of its block
    checks: dict = field(default_factory=dict)  # form: how many
    parallel: set = field(default_factory=set)  # models of which another form than by steps was checked
    total: int = 0
    redrawn: int = 0
    complete: bool = False
    out: str = ""
    err: str = ""
    timed_out: bool = False


def normalised(message):
    """A message without what differs between two specs: names, places, numbers."""
    message = re.sub(r"\S*/\S*", "…", message)
    message = re.sub(r"'[^']*'", "'…'", message)
    message = re.sub(r"%\w+|@\w+|0x[0-9a-f]+|\d+", "#", message)
    return message.strip()[:200]


class Verifier:
    """`command` is the program with its subcommand, `arguments` go behind the file. A process has 60 s of processor time and
    `seconds_per_model` more for each model. A process that sleeps for so long by the clock, and does nothing, hangs; one that waits for a
    processor, or that somebody has stopped, does not."""

    def __init__(self, command, arguments, seconds_per_model=30):
        self.command, self.arguments, self.seconds = command, arguments, seconds_per_model

    def run(self, text, count=1, extra=()):
        """One process on one text with `count` specs."""
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", NO_COLOR="1")
        with tempfile.TemporaryDirectory(prefix="rondo-specs-") as folder:
            path = os.path.join(folder, "batch.rondo")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            limit = 60 + self.seconds * count
            limited = ["sh", "-c", 'ulimit -S -t "$0"; exec "$@"', str(limit), *self.command, path, *self.arguments, *extra]
            process = subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       stdin=subprocess.DEVNULL, env=environment, cwd=folder, start_new_session=True)
            before = None
            while True:
                try:
                    out, err = process.communicate(timeout=limit)
                    break
                except subprocess.TimeoutExpired:
                    now = activity(process.pid)
                    if now is None or now != before:
                        before = now
                        continue
                    os.killpg(process.pid, signal.SIGKILL)
                    out, err = process.communicate()
                    return Result(1, timed_out=True, out=out.decode("utf-8", "replace"), err=err.decode("utf-8", "replace"))
        return parse(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def failure(self, text, extra=()):
        """How the one spec of a text fails; None where it passes."""
        return failure_of(self.run(text, 1, extra))

    def shell(self, path, extra=()):
        """The command as it would be typed."""
        return shlex.join([*self.command, path, *self.arguments, *extra])


def activity(pid):
    """The processor time that a process's threads have used; None where one of them has something to do, or is stopped."""
    used = 0
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if fields[0] in "RTtD":
            return None
        used += int(fields[11]) + int(fields[12])
    return used


def parse(status, out, err):
    result = Result(status, out=out, err=err, timed_out=status == -signal.SIGXCPU)
    current = None
    for line in out.splitlines():
        header = HEADER.match(line)
        if header:
            current = header[1]
            result.models[current] = []
            continue
        check = CHECK.match(line)
        if check:
            form = form_of(check[2])
            result.checks[form] = result.checks.get(form, 0) + 1
            if form.split()[0] not in ("step", "decode"):
                result.parallel.add(current)
        differences = DIFFERENCES.match(line)
        if differences:
            result.checks["differences"] = result.checks.get("differences", 0) + int(differences[1])
        if current is not None and ((check and check[7] == "FAILED") or DIFFERENCE.match(line) or FAULT.match(line)):
            result.models[current].append(line)
    sums = SUMS.search(out)
    if sums:
        result.total, result.redrawn, result.complete = int(sums[2]), int(sums[3]), True
    return result


def form_of(written):
    """A form without its numbers: chunks of 16 and of 64 steps are one form."""
    return re.sub(r"\s*\d+", "", written)


def failure_of(result):
    """The gravest of what a process on one spec said."""
    log = result.out + result.err
    if result.timed_out:
        return Failure("timeout", log=log)
    if result.status < 0 or result.status >= 128 or not result.complete:
        number = -result.status if result.status < 0 else result.status - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"exit status {result.status}"
        died = DIED.search(result.err)
        return Failure("crash", f"{name} {normalised(died[1]) if died else ''}".strip(), log=log)
    if result.status == 0:
        return None if result.models else Failure("silence", "no model was verified", log=log)
    refused = REFUSED.search(result.err)
    if refused and not any(CHECK.match(line) or DIFFERENCE.match(line) for line in result.out.splitlines()):
        return Failure("refused", normalised(refused[1]), log=log)
    errors = re.findall(r"^(?:.*:\d+:\d+: )?error: (.*)$", result.err, re.M)
    given_up = [e for e in errors if "no draw of inputs" not in e]
    if given_up:
        return Failure("compile", normalised(given_up[0]), log=log)
    worst, forms = 0.0, set()
    for lines in result.models.values():
        for line in lines:
            check = CHECK.match(line)
            if check:
                forms.add(form_of(check[2]))
                worst = max(worst, ratio(check[3], check[4]), ratio(check[5], check[6]))
            difference = DIFFERENCE.match(line)
            if difference:
                forms.add("differences")
                worst = max(worst, ratio(difference[2], difference[3]))
    if forms:
        # A wrong reference is wrong in itself, and a wrong step is wrong in every form.
        form = next((first for first in ("differences", "step") if first in forms), sorted(forms)[0])
        return Failure("mismatch", form, worst, log=log)
    if errors:
        return Failure("unjudged", re.sub(r"'[^']*'|\d+", "#", errors[0])[:200], log=log)
    return Failure("compile", normalised(result.err or "exit status without a reason"), log=log)


def ratio(error, tolerance):
    """How far an error is beyond its tolerance; NaN is infinitely far."""
    value = float(error) / float(tolerance)
    return value if value == value else float("inf")


class Explainer:
    """`rondo explain`: which family was found for each state of a model."""

    def __init__(self, program):
        self.program = program

    def families(self, text, model):
        """Family by state, as explain has it; empty where it fails."""
        with tempfile.TemporaryDirectory(prefix="rondo-specs-") as folder:
            path = os.path.join(folder, "spec.rondo")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            done = subprocess.run([self.program, "explain", path, "--model", model], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, timeout=60, check=False)
        found = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            match = re.match(r"    (\S.*?) (?:is|are) (\S.*)$", line)
            if match:
                for state in match[1].split(", "):
                    found[state] = match[2]
        return found


def agrees(expected, found):
    """Whether explain says what the generator meant. It may say more behind it."""
    return found == expected or found.startswith((expected + ",", expected + ":", expected + " "))
