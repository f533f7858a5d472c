#!/usr/bin/env python3
"""Makes the records that come with rondo, for this machine's processor: tunes what CASES lists on one thread and on all, and writes records/FILE.
Holds --lock in pieces of --piece seconds.
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
MODELS = {"gla": "KV", "retnet": "KV", "simple_gla": "KV", "hgrn2": "KV", "rwkv6": "KV", "mamba2": "NP", "deltanet": "KV", "gated_delta_net": "KV", "kda": "KV"}
CASES = [(model, f"{axes[0]}={size},{axes[1]}={size}", call) for model, axes in MODELS.items() for size in (64, 128)
         for call in ("1,B=1,T=1024,H=8", "1,B=4,T=64,H=8")]


def rondo(options, records, *words):
    env = dict(os.environ, RONDO_RECORDS=str(records), RONDO_CACHE_DIR=str(options.cache), RONDO_CACHE_LIMIT="4096")
    done = subprocess.run([str(options.rondo), *words], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"rondo {' '.join(words)}\n{done.stderr}")
    return done.stdout


def words(case, threads, call=None):
    return ["tune", case[0], "--dim", case[1], "--random", call or case[2], "--threads", str(threads)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rondo", default=SOURCE / "build" / "bin" / "rondo")
    parser.add_argument("--out", type=Path, help="default: records/cpu-PROCESSOR.json")
    parser.add_argument("--cache", default=SOURCE / "build" / "records_cache")
    parser.add_argument("--lock", default=os.devnull)
    parser.add_argument("--piece", type=float, default=90)
    options = parser.parse_args()
    threads = sorted({1, os.cpu_count()})
    with tempfile.TemporaryDirectory() as folder:
        scratch, made = f"{folder}/scratch.sqlite", f"{folder}/made.sqlite"
        for case in CASES[::2]:  # the code of a plan does not depend on the call
            rondo(options, scratch, *words(case, threads[-1], "1,B=1,T=16,H=1"), "--seconds", "120", "--exhaustive")
            print("compiled", *case[:2], file=sys.stderr, flush=True)
        left = [(case, count) for case in CASES for count in threads]
        while left:
            with open(options.lock, "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                begin = time.monotonic()
                while left and time.monotonic() - begin < options.piece:
                    case, count = left.pop(0)
                    said = rondo(options, made, *words(case, count), "--seconds", "30")
                    print(*case, count, said.splitlines()[-1], file=sys.stderr, flush=True)
            time.sleep(2)  # for those that wait for the lock
        text = rondo(options, made, "tune", "db", "export", "-")
    device = re.match(r"cpu (\w+)", json.loads(text)["records"][0]["device"])[1]
    out = options.out or SOURCE / "records" / f"cpu-{device}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(text)
    print(f"{len(json.loads(text)['records'])} records in {out}")


if __name__ == "__main__":
    main()
