"""The recurrences in float64, step by step, with torch on whatever device the inputs are on; inputs for them, with hard gates.

A model is a function (sizes, draw) -> (inputs in the order of the spec's arguments, step), where step(S, t, inputs) gives the next
state and the output.
"""
import math

import torch


class Draw:
    def __init__(self, device, seed, hard=False):
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.device, self.hard = device, hard

    def normal(self, *shape, scale=1.0):
        return (torch.randn(*shape, generator=self.generator, device=self.device) * scale).to(torch.bfloat16)

    def uniform(self, *shape, low=0.0, high=1.0):
        return (torch.rand(*shape, generator=self.generator, device=self.device) * (high - low) + low).to(torch.bfloat16)

    def log_decay(self, *shape):
        """Logs of decays: mostly near 1; hard ones hold exact 0s and decays that vanish."""
        g = -torch.rand(*shape, generator=self.generator, device=self.device) ** 2 * 0.5
        if self.hard:
            u = torch.rand(*shape, generator=self.generator, device=self.device)
            g = torch.where(u < 0.05, torch.full_like(g, -float("inf")), g)
            g = torch.where((u > 0.05) & (u < 0.1), torch.full_like(g, -60.0), g)
            g = torch.where(u > 0.9, torch.zeros_like(g), g)
        return g.to(torch.bfloat16)


def qkv(s, draw):
    b, t, h, k, v = s["B"], s["T"], s["H"], s["K"], s["V"]
    return [draw.normal(b, t, h, k, scale=k**-0.5), draw.normal(b, t, h, k), draw.normal(b, t, h, v)]


def outer(x, y):
    return x[..., :, None] * y[..., None, :]


def read(q, S):
    return torch.einsum("bhk,bhkv->bhv", q, S)


def simple_gla(s, draw):
    def step(S, t, x):
        q, k, v, g = (i[:, t] for i in x)
        S = g.exp()[..., None, None] * S + outer(k, v)
        return S, read(q, S)
    return qkv(s, draw) + [draw.log_decay(s["B"], s["T"], s["H"])], step


def retnet(s, draw):
    gamma = (1 - 2.0 ** (-5 - torch.arange(s["H"], device=draw.device))).to(torch.bfloat16)
    def step(S, t, x):
        q, k, v = (i[:, t] for i in x[:3])
        S = x[3][None, :, None, None] * S + outer(k, v)
        return S, read(q, S)
    return qkv(s, draw) + [gamma], step


def mamba2(s, draw):
    b, t, h, n, p, g = s["B"], s["T"], s["H"], s["N"], s["P"], s["G"]
    inputs = [draw.normal(b, t, h, p), draw.uniform(b, t, h, low=0.01, high=0.2), draw.normal(b, t, g, n),
              draw.normal(b, t, g, n, scale=n**-0.5), -draw.uniform(h, low=1.0, high=8.0), draw.normal(h)]
    def step(S, t, x):
        xt, dt, B, C = (i[:, t] for i in x[:4])
        B, C = (i.repeat_interleave(h // g, dim=1) for i in (B, C))
        S = (dt * x[4]).exp()[..., None, None] * S + outer(dt[..., None] * B, xt)
        return S, read(C, S) + x[5][None, :, None] * xt
    return inputs, step


def linear_attention_plain(s, draw):
    def step(S, t, x):
        q, k, v = (i[:, t] for i in x)
        S = S + outer(k, v)
        return S, read(q, S)
    return qkv(s, draw), step


def gla(s, draw):
    def step(S, t, x):
        q, k, v, g = (i[:, t] for i in x)
        S = g.exp()[..., None] * S + outer(k, v)
        return S, read(q, S)
    return qkv(s, draw) + [draw.log_decay(s["B"], s["T"], s["H"], s["K"])], step


def deltanet(s, draw):
    def step(S, t, x):
        q, k, v, beta = (i[:, t] for i in x)
        k = k / (k.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        S = S + outer(beta[..., None] * k, v - read(k, S))
        return S, read(q, S)
    return qkv(s, draw) + [draw.uniform(s["B"], s["T"], s["H"])], step


def gated_delta_net(s, draw):
    def step(S, t, x):
        q, k, v, g, beta = (i[:, t] for i in x)
        k = k / (k.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        S = g.exp()[..., None, None] * S
        S = S + outer(beta[..., None] * k, v - read(k, S))
        return S, read(q, S)
    return qkv(s, draw) + [draw.log_decay(s["B"], s["T"], s["H"]), draw.uniform(s["B"], s["T"], s["H"])], step


def l2norm(k):
    return k / (k.square().sum(-1, keepdim=True) + 1e-6).sqrt()


def kda(s, draw):
    def step(S, t, x):
        q, k, v, g, beta = (i[:, t] for i in x)
        k = l2norm(k)
        S = g.exp()[..., None] * S
        S = S + outer(beta[..., None] * k, v - read(k, S))
        return S, read(q, S)
    return qkv(s, draw) + [draw.log_decay(s["B"], s["T"], s["H"], s["K"]), draw.uniform(s["B"], s["T"], s["H"])], step


def hgrn2(s, draw):
    q, f, v = qkv(s, draw)
    if draw.hard:
        f = torch.where(draw.uniform(*f.shape) < 0.1, torch.full_like(f, -200.0), f)
    lower = draw.uniform(s["H"], s["K"]) * (0 if draw.hard else 1)
    def step(S, t, x):
        q, f, v = (i[:, t] for i in x[:3])
        a = x[3] + (1 - x[3]) * f.sigmoid()
        S = a[..., None] * S + outer(1 - a, v)
        return S, read(q, S)
    return [q, f + 3, v, lower], step


def rwkv6(s, draw):
    r, k, v = qkv(s, draw)
    w = draw.normal(*r.shape) - 3
    if draw.hard:
        w = torch.where(draw.uniform(*w.shape) < 0.1, torch.full_like(w, 10.0), w)
    def step(S, t, x):
        r, k, w, v = (i[:, t] for i in x[:4])
        o = read(r, S + outer(x[4] * k, v))
        return (-w.exp()).exp()[..., None] * S + outer(k, v), o
    return [r, k, w, v, draw.normal(s["H"], s["K"])], step


def rwkv7(s, draw):
    r, k, v = qkv(s, draw)
    param = lambda: draw.normal(s["H"], s["K"], scale=0.5)
    def step(S, t, x):
        r, k, d, v, a = (i[:, t] for i in x[:5])
        xi, alpha, rho = x[5:]
        w = (-math.exp(-0.5) * d.sigmoid()).exp()
        kh = l2norm(xi * k)
        kt = k * (1 + (a - 1) * alpha)
        S = w[..., None] * S - outer(a * kh, read(kh, S)) + outer(kt, v)
        return S, read(r, S) + (r * rho * kt).sum(-1, keepdim=True) * v
    return [r, k, draw.normal(*k.shape), v, draw.uniform(*k.shape), param(), param(), param()], step


MODELS = {f.__name__: f for f in (simple_gla, retnet, mamba2, linear_attention_plain, gla, deltanet, gated_delta_net,
                                     kda, hgrn2, rwkv6, rwkv7)}


def run(step, inputs, S, heads_out):
    """All steps in float64. Returns the outputs [B, T, H, V] and the final state."""
    x = [i.double() for i in inputs]
    S = S.double()
    outs = []
    for t in range(x[0].shape[1]):
        S, o = step(S, t, x)
        outs.append(o)
    return torch.stack(outs, 1), S
