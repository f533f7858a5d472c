#!/usr/bin/env python3
"""The peer beside run.py: forward of flash-linear-attention's chunk kernels, with their own autotune lists, timed as run.py times.

    peers.py [--shape A] [--only SUBSTRING]     (fla on PYTHONPATH)
"""
import argparse, statistics, time
import torch

SHAPES = {"A": dict(B=8, H=16, T=2048, K=128, V=128), "B": dict(B=4, H=16, T=4096, K=64, V=128),
          "C": dict(B=1, H=16, T=32768, K=128, V=128)}


def median_ms(call, reps=50):
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for _ in range(reps + 5):
        flush.zero_()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        times.append((start, end))
    torch.cuda.synchronize()
    return statistics.median(s.elapsed_time(e) for s, e in times[5:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="A")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    s = SHAPES[args.shape]
    b, h, t, k, v = (s[n] for n in "BHTKV")
    def normal(*shape):
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)
    q, key, value = normal(b, t, h, k) * k**-0.5, torch.nn.functional.normalize(normal(b, t, h, k), dim=-1), normal(b, t, h, v)
    g = -torch.rand(b, t, h, device="cuda") ** 2 * 0.5
    gk = (-torch.rand(b, t, h, k, device="cuda") ** 2 * 0.5).bfloat16()
    beta = torch.rand(b, t, h, device="cuda", dtype=torch.bfloat16)
    from fla.ops.simple_gla import chunk_simple_gla
    from fla.ops.gla import chunk_gla
    from fla.ops.delta_rule import chunk_delta_rule
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule
    calls = {
        "simple_gla": lambda: chunk_simple_gla(q, key, value, g=g, scale=1.0),
        "gla": lambda: chunk_gla(q, key, value, gk, scale=1.0),
        "delta_rule": lambda: chunk_delta_rule(q, key, value, beta, scale=1.0),
        "gated_delta_rule": lambda: chunk_gated_delta_rule(q, key, value, g=g, beta=beta, scale=1.0),
    }
    for name, call in calls.items():
        if args.only and args.only not in name:
            continue
        began = time.time()
        try:
            with torch.no_grad():
                call()
                torch.cuda.synchronize()
                warm = time.time() - began
                print(f"peer fla {name:20} {args.shape} {median_ms(call):8.4f} ms   (first call {warm:.0f} s)", flush=True)
        except Exception as e:
            print(f"peer fla {name:20} failed: {str(e)[:200]}", flush=True)


if __name__ == "__main__":
    main()
