#!/usr/bin/env python3
"""Runs what prepare.py made: every kernel is held to float64 on small hard cases, then checked and timed at a shape, beside the byte floor.

    run.py DIR [--only SUBSTRING] [--shape A|B|C] [--reps 50] [--profile]   (a machine with a GPU, torch and cupy)
"""
import argparse, json, os, statistics, sys, warnings
import cupy, torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import references

warnings.filterwarnings("ignore", category=DeprecationWarning)

SHAPES = {"A": dict(B=8, H=16, T=2048), "B": dict(B=4, H=16, T=4096), "C": dict(B=1, H=16, T=32768),
          "D": dict(B=8, H=32, T=2048)}
BANDWIDTH = 3.0e12
TOLERANCE = 1e-2  # operands of products are bf16: 2^-9 a rounding, several of them


def load(case, folder):
    module = cupy.RawModule(path=os.path.join(folder, case["file"]))
    kernels = {}
    for name, launch in case["launches"].items():
        kernels[name] = module.get_function(name)
        kernels[name].max_dynamic_shared_size_bytes = launch["shared_bytes"]
    return kernels


def launch_one(kernels, case, name, sizes, batch, pointers, numbers):
    how = case["launches"][name]
    with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        kernels[name]((how["value_blocks"], sizes["H"], batch), (how["threads"], 1, 1),
                      (*[t.data_ptr() for t in pointers], *[cupy.int32(n) for n in numbers]), shared_mem=how["shared_bytes"])


def launch(kernels, case, sizes, inputs, init, outs):
    """The arguments: inputs and parameters, initial values, outputs, final states, then T, H, G. With segments, scratch before the numbers."""
    numbers = [sizes[n] for n in ("T", "H", "G")]
    if not case.get("segments"):
        launch_one(kernels, case, "chunk_scan_0", sizes, sizes["B"], (*inputs, init, *outs), numbers)
        return
    chunk = case["chunk"]
    steps = -(-sizes["T"] // (case["segments"] * chunk)) * chunk
    count = -(-sizes["T"] // steps)
    states = torch.empty(sizes["B"], count, *init.shape[1:], device="cuda")
    decays = torch.empty(sizes["B"], count, sizes["H"], init.shape[2], device="cuda")
    everything = (*inputs, init, *outs, states, decays)
    launch_one(kernels, case, "chunk_scan_0_ends", sizes, sizes["B"] * count, everything, (*numbers, steps, count))
    launch_one(kernels, case, "chunk_scan_0_link_0", sizes, sizes["B"], (init, states, decays, outs[1]), (sizes["H"], count))
    launch_one(kernels, case, "chunk_scan_0_within", sizes, sizes["B"] * count, everything, (*numbers, steps, count))


def problem(case, sizes, seed, hard):
    draw = references.Draw("cuda", seed, hard)
    sizes = {"G": sizes["H"], **sizes, **case["dims"]}
    if case.get("reference") == "mamba2":
        sizes["G"] = 1 if sizes["H"] % 2 else sizes["H"] // 2
    inputs, step = references.MODELS[case.get("reference", case["model"])](sizes, draw)
    keys, values = sizes.get("K", sizes.get("N")), sizes.get("V", sizes.get("P"))
    init = torch.randn(sizes["B"], sizes["H"], keys, values, generator=draw.generator, device="cuda") * (0 if not hard else 1)
    o = torch.full((sizes["B"], sizes["T"], sizes["H"], values), float("nan"), device="cuda", dtype=torch.bfloat16)
    final = torch.full_like(init, float("nan"))
    return sizes, inputs, step, init, o, final


def distance(x, ref):
    return ((x.double() - ref).norm() / ref.norm().clamp_min(1e-30)).item()


def check_small(case, kernel):
    worst = 0.0
    for T, hard in ((1, True), (33, True), (64, True), (129, False), (257, True)):
        sizes, inputs, step, init, o, final = problem(case, dict(B=2, H=3, T=T), seed=T, hard=hard)
        launch(kernel, case, sizes, inputs, init, (o, final))
        torch.cuda.synchronize()
        ref, S = references.run(step, inputs, init, None)
        for got, want in ((o, ref), (final, S)):
            d = distance(got, want)
            worst = max(worst, d if d == d else float("inf"))
    return worst


REFERENCE = {}


def check_and_time(case, kernel, shape, reps):
    sizes, inputs, step, init, o, final = problem(case, SHAPES[shape], seed=7, hard=False)
    launch(kernel, case, sizes, inputs, init, (o, final))
    torch.cuda.synchronize()
    key = (case.get("reference", case["model"]), json.dumps(case["dims"]), shape)
    if key not in REFERENCE:  # the first and the last head of the last batch entry
        part = [i if i.dim() < 3 else i[-1:] for i in inputs]
        REFERENCE[key] = references.run(step, part, init[-1:], None)
    ref, S = REFERENCE[key]
    error = max(distance(o[-1:], ref), distance(final[-1:], S))
    if not torch.isfinite(o.float()).all():
        error = float("inf")
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for i in range(reps + 5):
        flush.zero_()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        launch(kernel, case, sizes, inputs, init, (o, final))
        end.record()
        times.append((start, end))
    torch.cuda.synchronize()
    ms = statistics.median(s.elapsed_time(e) for s, e in times[5:])
    floor = (sum(i.numel() * i.element_size() for i in inputs) + o.numel() * 2) / BANDWIDTH * 1e3
    return error, ms, floor


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--only", default="")
    parser.add_argument("--shape", default="")
    parser.add_argument("--reps", type=int, default=50)
    parser.add_argument("--profile", action="store_true", help="one launch at the shape and nothing else")
    args = parser.parse_args()
    failed = False
    for case in json.load(open(os.path.join(args.folder, "manifest.json"))):
        if args.only and args.only not in case["name"]:
            continue
        shape = args.shape or case.get("shape", "A")
        try:
            kernel = load(case, args.folder)
            if args.profile:
                sizes, inputs, step, init, o, final = problem(case, SHAPES[shape], seed=7, hard=False)
                launch(kernel, case, sizes, inputs, init, (o, final))
                torch.cuda.synchronize()
                continue
            small = check_small(case, kernel)
            error, ms, floor = check_and_time(case, kernel, shape, args.reps)
        except Exception as e:  # a launch that fails leaves the device unusable
            print(f"{case['name']:40} failed: {str(e)[:150]}", flush=True)
            failed = True
            if "illegal" in str(e) or "unspecified" in str(e) or "misaligned" in str(e):
                break
            continue
        right = small < TOLERANCE and error < TOLERANCE
        failed |= not right
        print(f"{case['name']:40} {shape} {ms:8.4f} ms {ms / floor:6.2f} x floor   error {error:.1e} small {small:.1e} "
              f"regs {case['registers']} {'' if right else 'WRONG'}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
