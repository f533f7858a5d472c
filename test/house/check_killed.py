#!/usr/bin/env python3
"""Processes that are killed while they compile into the cache and tune into the records, two at once: nothing is corrupt afterwards, and
nothing is lost but what was under way. `--kills 200` is the long version; make check has a short one.

A record that a search has reported is one that must be there: the child prints when it is done, and only those that got there count.
"""
import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(os.environ.get("RONDO_BUILD", "build")).resolve()
RONDO = BUILD / "bin" / "rondo"
SIZES = [5, 6, 7, 8, 9, 10]  # of a dimension: each is another key


def start(env, command, k):
    words = {"run": ["run", "gla", "--dim", f"K={k},V=6", "--random", "1,T=16"],
             "tune": ["tune", "gla", "--dim", f"K={k},V=6", "--random", "1,T=16,H=1", "--seconds", "1"]}[command]
    return subprocess.Popen([RONDO, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check(env, folder, finished):
    """What must hold at any time; returns the faults."""
    faults = []
    listed = subprocess.run([RONDO, "cache", "list"], env=env, capture_output=True, text=True)
    if listed.returncode != 0 or "(damaged)" in listed.stdout:
        faults.append(f"the cache: {listed.stdout}{listed.stderr}")
    records = folder / "records.sqlite"
    if records.exists():
        with sqlite3.connect(records) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                faults.append("the records are damaged")
            if finished:
                there = connection.execute("SELECT count(*) FROM records").fetchone()[0]
                if there < len(finished):
                    faults.append(f"{len(finished)} searches were done, {there} records are there")
    if (folder / "records.sqlite.damaged").exists():
        faults.append("records were set aside as damaged")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    folder = BUILD / "test" / "killed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    env = dict(os.environ, RONDO_CACHE_DIR=str(folder / "cache"), RONDO_CACHE_LIMIT="1", RONDO_RECORDS=str(folder / "records.sqlite"),
               OMP_NUM_THREADS="1")
    begin = time.monotonic()
    whole = start(env, "tune", SIZES[0])
    whole.communicate()
    longest = 1.2 * (time.monotonic() - begin)  # kills fall anywhere into a search, and some come too late
    killed, finished, faults = 0, {SIZES[0]}, []
    while killed < options.kills and not faults:
        children = [(command, k, start(env, command, k)) for command, k in
                    [(rng.choice(["run", "tune", "tune"]), rng.choice(SIZES)) for _ in range(2)]]
        time.sleep(longest * rng.random())
        for command, k, child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
            out, errors = child.communicate()
            if child.returncode == -signal.SIGKILL:
                killed += 1
            elif child.returncode != 0:
                faults.append(f"{command} K={k}: {errors}")
            elif command == "tune":
                finished.add(k)
        if killed % 10 < 2:
            faults += check(env, folder, finished)
    faults += check(env, folder, finished)
    # And it goes on from there.
    last = start(env, "tune", SIZES[0])
    _, errors = last.communicate()
    if last.returncode != 0:
        faults.append(f"the search after all: {errors}")
    for fault in faults:
        print(fault)
    print(f"{killed} killed, {len(finished)} kinds of searches finished in between, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
