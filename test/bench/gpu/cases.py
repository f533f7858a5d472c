"""What is measured on a GPU: models and shapes, the goals, and which peers compute the same."""
from dataclasses import dataclass, field

BANDWIDTH = 3.0e12  # bytes a second, a device copy on an H100 80GB HBM3
EXPS = 16 * 132 * 1.755e9  # a second: 16 a clock and multiprocessor
PRODUCTS = 797e12 / 2  # bf16 multiply-adds a second, a large product of matrices

SHAPES = {
    "A": dict(B=8, H=16, T=2048, K=128, V=128),
    "S1": dict(B=8, H=1, T=4096, D=2048, N=16),
    "S2": dict(B=8, H=1, T=2048, D=2048, N=16),
    "S3": dict(B=1, H=1, T=65536, D=2048, N=16),
    "768": dict(B=16, H=1, T=1024, D=768),
    "2048": dict(B=8, H=1, T=2048, D=2048),
    "16x128": dict(B=8, H=16, T=2048, D=128),
    "C": dict(B=1, H=16, T=32768, K=128, V=128),
    "B": dict(B=4, H=16, T=4096, K=64, V=128),
    "D": dict(B=8, H=32, T=2048, K=64, V=64),
    "token": dict(B=1, H=16, T=1, K=128, V=128),
    "64 tokens": dict(B=64, H=16, T=1, K=128, V=128),
}
DECODED = ["token", "64 tokens"]
KV, CELL, CELLS = {"K": "K", "V": "V"}, {"D": "D", "H": "D"}, ["768", "2048"]
SCANS = ["S1", "S2", "S3"]


@dataclass
class Model:
    spec: str                                      # an example, or a file in ../specs
    dims: dict                                     # a dimension of the spec: the shape's size that it takes
    shapes: list = field(default_factory=lambda: ["A", "B", "C"])
    gradients: list = field(default_factory=lambda: ["A", "C"])  # shapes whose gradient is measured, too
    goal: float = 2                                # times the floor: forward
    goal_both: float = 4                           # forward and gradient
    peers: list = field(default_factory=list)      # names in peers.py
    wrt: list = field(default_factory=list)        # whose gradients are wanted, where the peers have none of the others; default: all
    exps: list = field(default_factory=list)       # sizes whose product is how many exps a token and head needs; where they are few: none


MODELS = {
    "linear attention, no normaliser": Model("sum_attention.rondo", KV, peers=["fla linear_attn"]),
    "retnet": Model("retnet", KV, peers=["fla retention"], wrt=["q,k,v"]),  # the decays are fixed
    "simple_gla": Model("simple_gla", KV, ["A", "B", "C", "D"], peers=["fla simple_gla"]),
    "mamba2": Model("mamba2", {"N": "K", "P": "V"}, peers=["mamba2 SSD"]),
    "mlstm": Model("mlstm", KV, peers=["mlstm_kernels"]),
    "gla": Model("gla", KV, ["A", "B", "C", *DECODED], peers=["fla gla"]),
    "hgrn2": Model("hgrn2", KV, peers=["fla gla"]),
    "rwkv6": Model("rwkv6", KV, peers=["fla rwkv6"]),
    "deltanet": Model("deltanet", KV, ["A", "B", "C", *DECODED], goal=3, goal_both=6, peers=["fla delta_rule"]),
    "gated_delta_net": Model("gated_delta_net", KV, ["A", "B", "C", *DECODED], goal=3, goal_both=6, peers=["fla gated_delta_rule"]),
    "kda": Model("kda", KV, goal=3, goal_both=6, peers=["fla kda"]),
    "rwkv7": Model("rwkv7", KV, ["A", "B", "C", "D", *DECODED], ["A", "C", "D"], 3, 6, ["fla rwkv7"]),
    "stabilised_vector_delta": Model("stabilised_vector_delta", KV, ["A", "C"], goal=3, goal_both=6),
    "h = a h + b": Model("scan.rondo", {"D": "D"}, SCANS, SCANS, 1.15, 1.15, ["accelerated-scan", "fla hgrn"]),
    "selective_scan": Model("selective_scan", {"D": "D", "N": "N"}, SCANS, ["S2"], 1.5, 3, ["mamba selective_scan"], exps=["D", "N"]),
    "lstm_no_peepholes": Model("lstm_no_peepholes", CELL, CELLS, CELLS, peers=["cuDNN LSTM bf16", "cuDNN LSTM f16"]),
    "gru": Model("gru", CELL, CELLS, CELLS, peers=["cuDNN GRU bf16", "cuDNN GRU f16"]),
    "lstm, a matrix per head": Model("lstm_heads.rondo", {"D": "D"}, ["16x128"], ["16x128"], peers=["FlashRNN LSTM"]),
    "slstm": Model("slstm", {"H": "D"}, ["16x128"], [], peers=["FlashRNN sLSTM"]),
}


def exps_ms(model, shape):
    """Milliseconds that the exps of a forward pass take at least."""
    sizes = SHAPES[shape]
    count = sizes["B"] * sizes["T"] * sizes["H"] if model.exps else 0
    for name in model.exps:
        count *= sizes[name]
    return 1e3 * count / EXPS
