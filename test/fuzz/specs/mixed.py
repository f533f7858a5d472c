"""Models of several strata: a stabiliser under the states that it scales, slots that are read in two passes, chains of families, and
scans in both directions."""
import cells
import elementwise
import matrices
from tree import call, diag, outer


def stabilised(b):
    """A max-plus or log-plus stabiliser m, and states whose gates are exponentials of differences to it: mLSTM, Aaren, RWKV-4."""
    form = b.pick("matrix", "matrix", "key", "vector", "delta")
    rows, columns = b.dim("K"), b.dim("V")
    shape = (rows,) if form in ("key", "vector") else ()
    m = b.state(shape, "-inf", hint="m")
    decay = b.log_gate(shape) if b.chance(0.85) else None
    i = b.signal(shape, "i") if not (decay is None and b.chance(0.5)) else b.signal(shape, "s")
    moved = m.before() if decay is None else decay + m.before()
    smooth = b.chance(0.25)
    b.update(m, call("logaddexp", moved, i) if smooth else call("max", moved, i), "log-plus" if smooth else "max-plus")
    a = b.maybe_define(call("exp", moved - m.now()), "a", 0.5)
    g = b.maybe_define(call("exp", i - m.now()), "g", 0.5)
    if form == "vector":
        return stabilised_vectors(b, m, a, g, rows)
    k, v, q = b.signal((rows,), "k"), b.signal((columns,), "v"), b.signal((rows,), "q")
    state, n = b.state((rows, columns), hint="C"), b.state((rows,), hint="n")
    held = diag(a) @ state.before() if form == "key" else a * state.before()
    written = outer(g * k, v) if form == "key" or b.chance(0.4) else g * outer(k, v)
    if form == "delta":
        k = b.unit(rows)
        held = matrices.reflection(b, k, b.write_rate()) @ held
    kind = {"key": "along the first axis"}.get(form, "scalar")
    b.update(state, held + written, f"{'delta' if form == 'delta' else 'expand'}, decay {kind}")
    b.update(n, a * n.before() + g * k, "linear")
    scale = call("abs", call("dot", q, n.now()))
    floor = call("exp", -m.now()) if form != "key" and b.chance(0.6) else 1
    b.output((q @ state.now()) / call("max", scale, floor))
    if b.chance(0.3):
        b.output(m.now())
    b.offer(call("tanh", q @ state.now()))


def stabilised_vectors(b, m, a, g, size):
    """Numerator and denominator of a running softmax, channel by channel; the denominator is never below a fixed part of one."""
    v = b.signal((size,), "v")
    num, den = b.state((size,), hint="num"), b.state((size,), hint="den")
    b.update(num, a * num.before() + g * v, "linear")
    b.update(den, a * den.before() + g, "linear")
    b.output(num.now() / (0.5 + call("abs", den.now())))
    if b.chance(0.4):  # the bonus of the current token
        u = b.param((size,), hint="u")
        top = b.define(call("max", m.before(), u + v), "top")
        old, new = b.define(call("exp", m.before() - top), "old"), b.define(call("exp", u + v - top), "new")
        b.output((old * num.before() + new * v) / (0.5 + old * call("abs", den.before()) + new))
    b.offer(call("tanh", num.now()))


def slots(b):
    """Two memories of M slots with one forget gate; the softmax of the first readout reads the second."""
    m, k, v = b.dim("M"), b.dim("K"), b.dim("V")
    alpha = b.define(b.gate((m,)), "alpha")
    write = 1 - alpha if b.chance(0.6) else b.gate((m,))
    keys, values = b.state((m, k), hint="KS"), b.state((m, v), hint="VS")
    for state, hint in ((keys, "k"), (values, "v")):
        kind = "none" if b.chance(0.2) else "along the first axis"
        held = state.before() if kind == "none" else diag(alpha) @ state.before()
        b.update(state, held + outer(write, b.signal(state.shape[1:], hint)), f"expand, decay {kind}")
    scores = keys.now() @ b.signal((k,), "q")
    weight = b.maybe_define(call(b.pick("softmax", "softmax", "sigmoid", "relu", "l2norm"), scores), "p", 0.6)
    b.output(weight @ values.now())
    b.offer(b.activated(weight @ values.now()))


CHAIN = [elementwise.linear, elementwise.linear, elementwise.complex_linear, elementwise.max_plus, elementwise.log_plus, elementwise.dense,
         elementwise.delay, matrices.expand, matrices.expand, matrices.complex_expand, matrices.delta, matrices.delta_product, stabilised,
         slots, cells.cell]


def strata(b):
    """Two to four families, each of which may read what the ones before it computed."""
    for _ in range(b.pick(2, 2, 3, 4)):
        b.rng.choice(CHAIN)(b)


def directions(b):
    """Scans from the beginning and from the end in one model; the second may read the first's finished values."""
    b.mild = True
    simple = [elementwise.linear, matrices.expand, cells.cell, elementwise.max_plus]
    if b.chance(0.5):
        b.rng.choice(simple)(b)
    b.step = -b.step
    if b.chance(0.3):
        b.pool.clear()
    b.rng.choice(simple)(b)
    b.step = -b.step
    if b.chance(0.3) or not b.model.outputs:
        b.rng.choice(simple)(b)
