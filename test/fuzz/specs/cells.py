"""Cells: updates that are not linear in their states. Gated cells as in papers, elementwise ones, and random ones."""
import tree
from tree import call, less, outer


def cell(b):
    return b.pick(lstm, gru, elementwise_cell, random_cell, random_cell, matrix_cell, norm_cell)(b)


def gate_input(b, hidden, h, dense=True):
    """W x + U h + b, or with diagonal U."""
    x = b.trunk
    recurrent = b.param((hidden, hidden), hint="U") @ h if dense else b.param((hidden,), hint="u") * h
    value = b.param((hidden, x.shape[0]), hint="W") @ x + recurrent
    return value + b.param((hidden,), hint="b") if b.chance(0.6) else value


def prepare(b):
    b.trunk = b.signal((b.dim("D"),))
    return b.dim("H")


def squash(b, value, hint="z"):
    return b.maybe_define(call(b.pick("tanh", "tanh", "sin", "softsign", "hard_tanh"), value), hint, 0.7)


def open_gate(b, value, hint="i"):
    kind = b.pick("sigmoid", "sigmoid", "sigmoid", "hard_sigmoid")
    return b.maybe_define(call(kind, value), hint, 0.7)


def lstm(b):
    size = prepare(b)
    h, c = b.state((size,), hint="h"), b.state((size,), hint="c")
    dense = b.chance(0.7)
    peephole = b.chance(0.3)

    def gate(hint, at):
        value = gate_input(b, size, h.before(), dense)
        return open_gate(b, value + b.param((size,), hint="p") * at if peephole else value, hint)
    f = gate("f", c.before())
    i = 1 - f if b.chance(0.25) else gate("i", c.before())
    z = squash(b, gate_input(b, size, h.before(), dense))
    o = None if b.chance(0.15) else gate("o", c.now())
    b.update(c, f * c.before() + i * z, "cell")
    shown = c.now() if b.chance(0.15) else call("tanh", c.now())
    b.update(h, shown if o is None else o * shown, "cell")
    finish(b, h, size)


def gru(b):
    size = prepare(b)
    h = b.state((size,), hint="h")
    dense = b.chance(0.7)
    z = open_gate(b, gate_input(b, size, h.before(), dense), "z")
    r = open_gate(b, gate_input(b, size, h.before(), dense), "r")
    if b.chance(0.5) or not dense:
        n = squash(b, gate_input(b, size, r * h.before(), dense), "n")
    else:
        n = squash(b, b.param((size, b.trunk.shape[0]), hint="W") @ b.trunk + r * (b.param((size, size), hint="U") @ h.before()), "n")
    b.update(h, (1 - z) * n + z * h.before() if b.chance(0.5) else (1 - z) * h.before() + z * n, "cell")
    finish(b, h, size)


def elementwise_cell(b):
    """Channels are independent, so that the Jacobian is diagonal; states of any shape."""
    shape = b.pick((), (b.dim("D"),), (b.dim("D"), b.dim("N")))
    h = b.state(shape, hint="h")
    gates = [call("sigmoid", b.signal(shape) + b.param(b.pick((), shape), hint="u") * h.before()) for _ in range(2)]
    candidate = squash(b, b.signal(shape) + b.param(b.pick((), shape), hint="u") * (gates[0] * h.before()))
    z = b.define(gates[1], "z")
    b.update(h, (1 - z) * h.before() + z * candidate, "cell")
    b.output(h.now())
    b.offer(h.now())


def random_cell(b):
    """A few states, each a bounded function of a random expression of all of them."""
    size = b.dim("H")
    states = [b.state((size,), hint="h") for _ in range(b.pick(1, 1, 2, 3))]
    for index, state in enumerate(states):
        seen = [s.before() for s in states] + [s.now() for s in states[:index] if b.chance(0.5)]
        inner = mixture(b, seen, (size,), 3)
        bounded = squash(b, inner + b.signal((size,)))
        z = b.gate((size,), 2)
        b.update(state, bounded if b.chance(0.4) else z * state.before() + (1 - z) * bounded)
    for state in states:
        if b.chance(0.6) or state is states[-1]:
            b.output(state.now() if b.chance(0.7) else state.before() * state.now())
    b.offer(states[-1].now())


def mixture(b, seen, shape, depth):
    """A random expression of order one of the given values."""
    value = b.rng.choice(seen)
    if depth == 0:
        return value
    share = b.rng.random()
    if share < 0.2:
        return b.param((shape[0], shape[0]), hint="U") @ mixture(b, seen, shape, depth - 1)
    if share < 0.4:
        return call(b.pick("tanh", "sin", "cos", "relu", "sigmoid", "abs", "softplus", "gelu", "leaky_relu", "softsign"),
                    mixture(b, seen, shape, depth - 1))
    other = mixture(b, seen, shape, depth - 1)
    if share < 0.55:
        return call(b.pick("max", "min"), value, other + b.param(shape, hint="b"))
    if share < 0.7:
        return value * call("tanh", other)
    if share < 0.8:
        return call("select", less(b.input(b.pick((), shape)), 0), value, other)
    return value + b.param(b.pick((), shape), hint="u") * other


def matrix_cell(b):
    """A matrix state with a nonlinearity: what a linear memory is not."""
    shape = (b.dim("K"), b.dim("V"))
    state = b.state(shape)
    k, v = b.unit(shape[0]), b.signal(shape[1:], "v")
    form = b.pick("tanh", "gated", "error")
    if form == "tanh":
        value = call("tanh", b.gate(b.pick((), shape)) * state.before() + outer(k, v))
    elif form == "gated":
        z = b.define(call("sigmoid", k @ state.before()), "z")
        value = b.gate(()) * state.before() + outer(k, z * v)
    else:
        value = b.gate(()) * state.before() + b.write_rate() * outer(k, call("tanh", v - k @ state.before()))
    b.update(state, value, "cell")
    b.output(b.signal(shape[:1], "q") @ state.now())
    if b.chance(0.3):
        b.output(call("sum", state.before(), axis=1))


def norm_cell(b):
    """A state that is normalised at every step."""
    size = b.dim("H")
    h = b.state((size,), hint="h")
    x = b.input((size,))
    norm = b.pick("l2norm", "rms_norm", "softmax")
    inner = b.gate(()) * h.before() + x if b.chance(0.6) else b.param((size, size), hint="U") @ h.before() + x
    b.update(h, call(norm, inner), "cell")
    finish(b, h, size)


def finish(b, h, size):
    b.output(h.now())
    if b.chance(0.3):
        b.output(b.param((b.dim("P"), size), hint="C") @ h.now())
    if b.chance(0.2):
        b.output(tree.call("dot", h.now(), b.signal((size,))))
    b.offer(h.now())
