"""Kernels of others, called through their Python packages.

A peer is a function of a shape's sizes that gives (call, tensors): `call()` runs forward and gives the output, `tensors` are those whose
gradients are wanted, in the layout that the peer wants. Peers get gates and unit keys ready-made, where a spec computes them.

    peers.py --measure 'fla gla:A:gradient' 'fla gla:C' ...    a line of JSON for each
    peers.py --compile 'fla gla:A:gradient' ...                only compiles, in an order of its own: run several beside each other
"""
import argparse
import importlib
import json
import os
import random
import statistics
import time

import torch
import torch.nn.functional as F

from cases import SHAPES

DEVICE, BF16 = "cuda", torch.bfloat16
TUNING = dict(warmup=5, rep=25)  # milliseconds for a configuration of an autotuned kernel; Triton's default is five times that


def normal(*shape, dtype=BF16):
    return torch.randn(*shape, device=DEVICE, dtype=dtype, requires_grad=True)


def uniform(*shape, dtype=BF16):
    return torch.rand(*shape, device=DEVICE).to(dtype).requires_grad_()


def gate(*shape, dtype=torch.float32):
    return (-torch.rand(*shape, device=DEVICE) ** 2 * 0.5).to(dtype).requires_grad_()


def per_head(s):
    return s["B"], s["T"], s["H"]


def rows(s):
    """q, k (of unit length), v in [B, T, H, .]."""
    keys = F.normalize(torch.randn(*per_head(s), s["K"], device=DEVICE), dim=-1).to(BF16).requires_grad_()
    return normal(*per_head(s), s["K"]), keys, normal(*per_head(s), s["V"])


def fla(module, function, **more):
    """One of fla's kernels of q, k, v and, by name, what `more` makes of the sizes."""
    def build(s):
        operator = getattr(importlib.import_module("fla.ops." + module), function)
        tensors, named = rows(s), {name: make(s) for name, make in more.items()}
        wanted = [*tensors, *(n for n in named.values() if torch.is_tensor(n))]
        return lambda: operator(*tensors, scale=1.0, **named)[0], wanted
    return build


def linear_attn(s):
    from fla.ops.linear_attn import chunk_linear_attn
    tensors = rows(s)
    return lambda: chunk_linear_attn(*tensors, scale=1.0, normalize=False)[0], list(tensors)


def rwkv6(s):
    from fla.ops.rwkv6 import chunk_rwkv6
    tensors = [*rows(s), gate(*per_head(s), s["K"], dtype=BF16), normal(s["H"], s["K"])]
    return lambda: chunk_rwkv6(*tensors, scale=1.0)[0], tensors


def rwkv7(s):
    from fla.ops.rwkv7 import chunk_rwkv7
    q, k, v = rows(s)
    a, b = (-k.detach()).requires_grad_(), (k.detach() * torch.rand_like(k)).requires_grad_()
    tensors = [q, gate(*k.shape, dtype=BF16), k, v, a, b]
    return lambda: chunk_rwkv7(*tensors, scale=1.0)[0], tensors


def mamba2(s):
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    batch, time_, heads = per_head(s)
    tensors = [normal(batch, time_, heads, s["V"]), uniform(batch, time_, heads), (-torch.rand(heads, device=DEVICE)).requires_grad_(),
               normal(batch, time_, 1, s["K"]), normal(batch, time_, 1, s["K"])]
    skip = normal(heads, dtype=torch.float32)
    return lambda: mamba_chunk_scan_combined(*tensors, chunk_size=256, D=skip), [*tensors, skip]


def mlstm(s):
    from mlstm_kernels.torch.chunkwise.triton_xl_chunk import mlstm_chunkwise__xl_chunk
    batch, time_, heads = per_head(s)
    q, k, v = (normal(batch, heads, time_, size) for size in (s["K"], s["K"], s["V"]))
    tensors = [q, k, v, normal(batch, heads, time_), normal(batch, heads, time_)]
    return lambda: mlstm_chunkwise__xl_chunk(*tensors, chunk_size=128), tensors


def accelerated_scan(s):
    from accelerated_scan.scalar import scan
    tensors = [uniform(s["B"], s["D"], s["T"]), normal(s["B"], s["D"], s["T"])]
    return lambda: scan(*tensors), tensors


def hgrn(s):
    from fla.ops.hgrn import chunk_hgrn
    tensors = [normal(s["B"], s["T"], s["D"]), gate(s["B"], s["T"], s["D"], dtype=BF16)]
    return lambda: chunk_hgrn(*tensors)[0], tensors


def selective_scan(s):
    from mamba_ssm.ops.selective_scan_interface import selective_scan_cuda, selective_scan_fn
    if selective_scan_cuda is None:
        raise ImportError("selective_scan_cuda is not built")
    batch, time_, d, n = (s[x] for x in "BTDN")
    tensors = [normal(batch, d, time_), uniform(batch, d, time_), (-torch.rand(d, n, device=DEVICE)).requires_grad_(),
               normal(batch, n, time_), normal(batch, n, time_), normal(d, dtype=torch.float32)]
    return lambda: selective_scan_fn(*tensors), tensors


def cudnn(kind, dtype):
    def build(s):
        cell = getattr(torch.nn, kind)(s["D"], s["D"], batch_first=True).to(DEVICE, dtype)
        x = normal(s["B"], s["T"], s["D"], dtype=dtype)
        return lambda: cell(x)[0], [x, *cell.parameters()]
    return build


def flashrnn(function):
    def build(s):
        from flashrnn import flashrnn as call
        batch, time_, heads = per_head(s)
        tensors = [normal(batch, time_, 4, heads, s["D"]), normal(4, heads, s["D"], s["D"]), normal(4, heads, s["D"])]
        return lambda: call(*tensors, function=function, backend="cuda_fused", dtype="bfloat16")[0], tensors
    return build


def head_gate(s):
    return gate(*per_head(s))


def key_gate(dtype):
    return lambda s: gate(*per_head(s), s["K"], dtype=dtype)


def rates(s):
    return uniform(*per_head(s))


PEERS = {
    "fla linear_attn": linear_attn,
    "fla simple_gla": fla("simple_gla", "chunk_simple_gla", g=head_gate),
    "fla retention": fla("retention", "chunk_retention"),
    "fla gla": fla("gla", "chunk_gla", g=key_gate(BF16)),
    "fla rwkv6": rwkv6,
    "fla delta_rule": fla("delta_rule", "chunk_delta_rule", beta=rates),
    "fla gated_delta_rule": fla("gated_delta_rule", "chunk_gated_delta_rule", g=head_gate, beta=rates),
    "fla kda": fla("kda", "chunk_kda", g=key_gate(torch.float32), beta=rates),
    "fla rwkv7": rwkv7,
    "mamba2 SSD": mamba2,
    "mlstm_kernels": mlstm,
    "accelerated-scan": accelerated_scan,
    "fla hgrn": hgrn,
    "mamba selective_scan": selective_scan,
    "cuDNN LSTM bf16": cudnn("LSTM", BF16),
    "cuDNN LSTM f16": cudnn("LSTM", torch.float16),
    "cuDNN GRU bf16": cudnn("GRU", BF16),
    "cuDNN GRU f16": cudnn("GRU", torch.float16),
    "FlashRNN LSTM": flashrnn("lstm"),
    "FlashRNN sLSTM": flashrnn("slstm"),
}


def tune_by(benchmark):
    """How Triton's autotuner times a configuration."""
    import triton
    triton.runtime.driver.active.get_benchmarker = lambda: benchmark


def in_any_order():
    """Processes that compile the same kernels begin with different configurations; what others compiled is in the cache on disk."""
    from triton.runtime.autotuner import Autotuner
    pruned = Autotuner.prune_configs

    def shuffled(self, *arguments, **keywords):
        configurations = list(pruned(self, *arguments, **keywords))
        random.shuffle(configurations)
        return configurations
    Autotuner.prune_configs = shuffled


def median_ms(call, seconds=0.25):
    """The device's clock, the cache emptied before each run. The device waits before it, so that Python has launched everything in time."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device=DEVICE)
    times, begin = [], time.monotonic()
    while len(times) < 15 or time.monotonic() - begin < seconds:
        flush.zero_()
        torch.cuda._sleep(4_000_000)  # cycles, about 2 ms
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[5:])


def with_gradients(call, tensors):
    cotangent = torch.randn_like(call())
    return lambda: torch.autograd.grad(call(), tensors, cotangent)


def allow_hopper():
    """fla refuses some gradients on this GPU with this Triton, since they may be wrong; as a measure of speed they are run."""
    try:
        import fla.ops.common.chunk_o
        fla.ops.common.chunk_o.IS_NVIDIA_HOPPER = False
    except ImportError:
        pass


def measure(name, shape, gradient):
    torch.manual_seed(0)
    call, tensors = PEERS[name](SHAPES[shape])
    result = {"peer": name, "shape": shape}
    with torch.no_grad():
        call()
        result["forward"] = median_ms(call)
    if gradient:
        allow_hopper()
        both = with_gradients(call, tensors)
        both()
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        both()
        result["memory"] = torch.cuda.max_memory_allocated() - before
        result["both"] = median_ms(both)
    return result


def compile_only(name, shape, gradient):
    allow_hopper()
    call, tensors = PEERS[name](SHAPES[shape])
    call()
    if gradient:
        with_gradients(call, tensors)()


def versions():
    """The packages that are there, with their versions."""
    found = {"torch": torch.__version__, "cuDNN": str(torch.backends.cudnn.version()), "GPU": torch.cuda.get_device_name()}
    for package in ("triton", "fla", "mamba_ssm", "mlstm_kernels", "accelerated_scan", "flashrnn"):
        try:
            found[package] = getattr(importlib.import_module(package), "__version__", "of unknown version")
        except Exception as e:  # a package can fail in any way while it is imported
            found[package] = f"not found ({type(e).__name__}: {e})"[:120]
    return found


def once(call, **_):
    call()
    return 1.0, 1.0, 1.0


def report(**line):
    print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="*", default=[], metavar="PEER:SHAPE[:gradient]")
    parser.add_argument("--compile", nargs="*", default=[], metavar="PEER:SHAPE[:gradient]")
    args = parser.parse_args()
    import triton
    if args.compile:
        os.environ["FLA_CACHE_RESULTS"] = "0"  # read when fla is imported: what `once` chooses is no result
        in_any_order()
        tune_by(once)
        random.shuffle(args.compile)
    else:
        report(versions=versions())
        tune_by(lambda call, **keywords: triton.testing.do_bench(call, **{**keywords, **TUNING}))
    for case in args.compile or args.measure:
        name, shape, *gradient = case.split(":")
        try:
            if args.compile:
                compile_only(name, shape, bool(gradient))
            else:
                report(**measure(name, shape, bool(gradient)))
        except ImportError as e:
            report(peer=name, shape=shape, error=f"peer not found ({e})")
        except Exception as e:  # a peer's failure is a row of the table
            report(peer=name, shape=shape, error=f"{type(e).__name__}: {e}"[:300])
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
