"""Families whose states are computed element by element, or mixed by a dense matrix: linear, complex linear, max-plus, log-plus,
dense linear, delay. Every function adds states and outputs to a builder and offers what it computed to what comes after it."""
import tree
from tree import COMPLEX, call, diag, less, number, size_of


def state_shape(b):
    share = b.rng.random()
    if share < 0.12:
        return ()
    if share < 0.75:
        return (b.dim("D"),)
    if share < 0.95:
        return (b.dim("D"), b.dim("N"))
    return (b.dim("D"), b.dim("N"), b.dim("P"))


def scaled(b, a, x):
    """a * x, where `a` is a scalar, has x's shape, or is a vector along one axis of it."""
    if len(a.shape) == 1 and len(x.shape) == 1 and b.chance(0.3):
        return diag(a) @ x if b.chance(0.5) else x @ diag(a)
    return a * x if b.chance(0.5) else x * a


def linear(b):
    shape = state_shape(b)
    state = b.state(shape, hint="h")
    distance = b.pick(1, 1, 1, 1, 2, 3)
    before = state.before(distance)
    x = b.signal(shape)
    form = b.pick("plain", "plain", "tied", "tied", "input gate", "two lags", "cumulative", "root", "signed")
    if form == "cumulative":
        value = before + x
    elif form == "two lags" and distance == 1:
        a = b.gate(b.pick((), shape))
        value = scaled(b, 0.6 * a, before) + scaled(b, number("0.4") * b.gate(b.pick((), shape), 2), state.before(2)) + x
    else:
        a = b.define(b.gate(b.pick((), shape, shape)), "a")
        value = with_decay(b, form, a, before, x, shape)
    b.update(state, value, "linear" if len(shape) != 2 else None)  # a matrix into which an outer product enters is expand
    finish(b, state, shape)


def with_decay(b, form, a, before, x, shape):
    if form == "tied":
        return scaled(b, a, before) + (1 - a) * x
    if form == "input gate":
        return scaled(b, a, before) + b.gate(b.pick((), shape)) * x
    if form == "root":
        return scaled(b, a, before) + call("sqrt", 1 - 0.9 * a ** 2) * x
    if form == "signed":
        return scaled(b, 2 * a - 1, before) + x
    return scaled(b, a, before) + x


def finish(b, state, shape):
    """Outputs of an elementwise state: itself, an activation, a projection, a reduction."""
    h = state.now() if b.chance(0.8) else state.before()
    outputs = [h]
    if b.chance(0.5):
        outputs.append(b.activated(h))
    if len(shape) == 1 and b.chance(0.3):
        outputs.append(b.param((b.dim("P"), shape[0]), hint="C") @ h)
    if len(shape) >= 2 and b.chance(0.5):
        axis = b.rng.randrange(len(shape))
        outputs.append(call("sum", b.param(shape, hint="C") * h, axis=axis))
    if len(shape) == 1 and b.chance(0.3):
        outputs.append(b.signal(shape) * h + b.param(b.pick((), shape)) * b.signal(shape))
    b.rng.shuffle(outputs)
    for value in outputs[:b.pick(1, 1, 2, 3)]:
        b.output(value)
    b.offer(b.activated(h))


def complex_linear(b):
    shape = state_shape(b)[:2]
    state = b.state(shape, element=COMPLEX, hint="h")
    a = b.define(b.complex_gate(b.pick((), shape)), "a")
    x = b.complex_signal(shape) if b.chance(0.6) or len(shape) != 1 else \
        b.param((shape[0], b.dim("D")), element=COMPLEX, hint="B") @ b.signal((b.dim("D"),))
    if x.shape != shape:
        x = b.complex_signal(shape)
    form = b.pick("plain", "plain", "modulus", "tied")
    drive = call("sqrt", 1 - 0.9 * call("abs", a) ** 2) * x if form == "modulus" else (1 - a) * x if form == "tied" else x
    b.update(state, scaled(b, a, state.before()) + drive, "complex linear")
    h = state.now()
    if b.chance(0.3):
        b.output(h)
    if len(shape) == 1 and b.chance(0.5):
        b.output(call("real", b.param((b.dim("P"), shape[0]), element=COMPLEX, hint="C") @ h))
    b.output(call(b.pick("real", "imag"), h))
    b.offer(b.activated(h))


def max_plus(b):
    shape = state_shape(b)[:2]
    state = max_plus_state(b, shape)
    read_maximum(b, state, shape)


def max_plus_state(b, shape):
    """m = max(shift + m, x), in several forms."""
    state = b.state(shape, b.pick("-inf", "-inf", "-inf", "0"), hint="m")
    x, before = b.signal(shape, "i"), state.before()
    shift = b.log_gate(b.pick((), shape)) if b.chance(0.7) else b.signal(b.pick((), shape)) * 0.2
    forms = [lambda: call("max", shift + before, x), lambda: call("max", x, before + shift), lambda: call("max", before, x),
             lambda: call("max", call("max", before + shift, x), b.signal(shape)), lambda: call("max", before, x) + shift,
             lambda: call("max", before - b.param(b.pick((), shape), ">= 0"), x)]
    b.update(state, b.rng.choice(forms)(), "max-plus")
    return state


def read_maximum(b, state, shape):
    """What models read off a stabiliser: how much it rose, and itself."""
    m = state.now()
    if b.chance(0.6):
        b.output(m)
    b.output(call("exp", state.before() - m) if b.chance(0.6) else call("tanh", m))
    b.offer(call("sin", m))


def log_plus(b):
    shape = state_shape(b)[:2]
    state = log_plus_state(b, shape)
    b.output(state.now())
    if b.chance(0.5):
        b.output(call("exp", state.before() - state.now()))
    b.offer(call("tanh", state.now()))


def log_plus_state(b, shape):
    """l = log(exp(l + shift) + exp(x))."""
    state = b.state(shape, "-inf", hint="l")
    x, before = b.signal(shape), state.before()
    shift = b.log_gate(b.pick((), shape)) if b.chance(0.8) else None
    moved = before if shift is None else before + shift
    if b.chance(0.6):
        value = call("logaddexp", *b.rng.sample([moved, x], 2))
    else:  # lightnet's: the larger exponent is taken out
        m = b.define(call("max", moved, x), "m")
        value = m + call("log", call("exp", moved - m) + call("exp", x - m))
    b.update(state, value, "log-plus")
    return state


def dense(b):
    """States that are mixed by a matrix, or that read each other."""
    form = b.pick("matrix", "matrix", "data", "rotation", "rotation", "momentum", "matrix state", "leaky", "register")
    n = b.dim("N")
    if form == "register":
        return register(b)
    if form in ("rotation", "momentum"):
        return coupled(b, form, n)
    shape = (n, b.dim("V")) if form == "matrix state" else (n,)
    state = b.state(shape, hint="h")
    before, x = state.before(), b.signal(shape)
    if form == "data":
        a = b.define(call("tanh", b.input((n, n), hint="A")) / size_of(n), "A")
    else:
        a = b.param((n, n), hint="A")
    moved = before @ a if form != "matrix state" and b.chance(0.3) else a @ before
    if form == "leaky":
        rate = b.gate(())
        moved = (1 - rate) * before + rate * moved
    b.update(state, moved + x, "dense linear")
    finish(b, state, shape)



def register(b):
    """A state that shifts by one element at every step: slices of a state in its own update."""
    length = b.pick(2, 3, 5, 8)
    state = b.state((length,), hint="h")
    first = tree.Node("array", (b.signal(()),))
    rest = tree.Node("slice", (state.before(),), (0, length - 1))
    b.update(state, call("concat", first, rest) if b.chance(0.5) else call("concat", first, b.gate(()) * rest), "dense linear")
    b.output(state.now() if b.chance(0.5) else b.signal((length,)) @ state.now())
    b.output(tree.Node("element", (state.before(),), length - 1))


def grid(b):
    """A model over two axes of time, whose states read their neighbours."""
    b.model.axes, b.step, b.lag = 2, -1, -1
    shape = b.pick((), (b.dim("D"),), (b.dim("K"), b.dim("V")))
    state = b.state(shape, hint="h")
    up, left, x = state.neighbour(0), state.neighbour(1), b.input(shape)
    form = b.pick("linear", "linear", "max", "cell", "one")
    f, g = b.gate_of_sigmoid_input(b.pick((), shape)), b.gate_of_sigmoid_input(b.pick((), shape))
    if form == "linear":
        value = 0.5 * f * up + 0.5 * g * left + x
    elif form == "max":
        value = call("max", call("max", up - f, left - g), x)
    elif form == "one":
        value = f * b.pick(up, left) + (1 - f) * x
    else:
        value = call("tanh", 0.8 * f * up + b.param(b.pick((), shape)) * left + x)
    b.update(state, value)
    b.output(state.now())
    if b.chance(0.5):
        b.output(up * left)


def coupled(b, form, n):
    """Two states that are linear in one another: a damped rotation, or a step with momentum."""
    h, g = b.state((n,), hint="h"), b.state((n,), hint="g")
    if form == "rotation":
        r, angle = b.gate(b.pick((), (n,))), b.param((n,), hint="theta") if b.chance(0.6) else b.signal((n,))
        c, s = b.define(call("cos", angle), "c"), b.define(call("sin", angle), "s")
        b.update(h, r * (c * h.before() - s * g.before()) + b.signal((n,)), "dense linear")
        b.update(g, r * (s * h.before() + c * g.before()) + b.signal((n,)), "dense linear")
    else:
        eta, rate = b.gate(()), b.gate(())
        b.update(g, 0.5 * eta * g.before() - 0.5 * rate * (h.before() - b.signal((n,))), "dense linear")
        b.update(h, (1 - 0.5 * rate) * h.before() + (g.now() if b.chance(0.6) else g.before()), "dense linear")
    b.output(h.now())
    if b.chance(0.5):
        b.output(g.now() * b.signal((n,)))
    b.offer(b.activated(h.now()))


def delay(b):
    """Inputs of other steps, and states that only shift."""
    shape = b.pick((b.dim("D"),), ())
    value = b.convolution(shape)
    if b.chance(0.6):
        state = b.state(shape, hint="d")
        b.update(state, b.signal(shape), "delay")
        value = value + state.before(b.pick(1, 2, 3)) * b.signal(shape)
    b.output(value)
    if shape and b.chance(0.4):
        b.output(call("select", less(b.input(shape), 0), b.convolution(shape), value))
    b.offer(b.activated(value) if shape else call("tanh", value))
