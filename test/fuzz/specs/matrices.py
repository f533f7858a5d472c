"""Families with a matrix state: expand with every kind of decay, real and complex, and the delta rules."""
import tree
from tree import COMPLEX, REAL, call, diag, identity, outer

DECAYS = ["none", "constant", "scalar", "key", "value", "both", "full"]
FOUND = {"none": "none", "constant": "scalar", "scalar": "scalar", "key": "along the first axis", "value": "along the second axis",
         "both": "along both axes", "full": "elementwise"}


class Decay:
    """The decay of a matrix state [K, V]: how it acts, and its gates, which what enters may be tied to."""

    def __init__(self, b, kind, shape, element=REAL):
        self.b, self.kind = b, kind
        self.scalar = self.key = self.value = self.full = None

        def draw(part):
            return b.define(b.complex_gate(part) if element == COMPLEX else b.gate(part), "a")
        if kind == "constant":
            self.scalar = b.constant_gate(())
        if kind == "scalar" or (kind in ("key", "value", "both") and b.chance(0.1)):
            self.scalar = draw(())
        if kind in ("key", "both"):
            self.key = draw(shape[:1])
        if kind in ("value", "both"):
            self.value = draw(shape[1:])
        if kind == "full":
            self.full = self.draw_full(shape, element)

    def draw_full(self, shape, element):
        b = self.b
        if element == COMPLEX:
            return b.define(b.complex_gate(shape), "a")
        if b.chance(0.2):  # longhorn's
            e, k = b.define(b.gate(shape[:1]), "e"), b.define(b.unit(shape[1]), "k")
            return b.define(1 - outer(e, k * k), "a")
        return b.define(b.gate(shape), "a")

    def on(self, matrix):
        """The decay applied."""
        b = self.b
        if self.full:
            return self.full * matrix
        if self.key and self.value and b.chance(0.3):
            matrix = outer(self.key, self.value) * matrix
        else:
            if self.key:
                matrix = diag(self.key) @ matrix
            if self.value:
                matrix = matrix @ diag(self.value)
        return self.scalar * matrix if self.scalar else matrix

    def on_key(self, vector):
        """The decay of a vector along the first axis, when it does not vary along the second."""
        if self.value or self.full:
            return None
        vector = self.key * vector if self.key else vector
        return self.scalar * vector if self.scalar else vector


def entering(b, decay, shape, element=REAL):
    """k vᵀ, or more of them, tied to the decay or not; and one of the keys."""
    total, key = None, None
    for _ in range(b.pick(1, 1, 1, 1, 2, 2, 3)):
        k, v = b.signal(shape[:1], "k"), b.signal(shape[1:], "v")
        if decay.key and b.chance(0.35):
            k = 1 - decay.key if b.chance(0.5) else (1 - decay.key) * k
        elif decay.value and b.chance(0.3):
            v = (1 - decay.value) * v
        elif decay.scalar and b.chance(0.3):
            k = (1 - decay.scalar) * k
        if element == COMPLEX and b.chance(0.4):
            k = b.complex_signal(shape[:1], "k")
        k = b.maybe_define(k, "k")
        term = outer(k, v)
        if b.chance(0.15):
            term = b.gate(()) * term
        total, key = term if total is None else total + term, k
    return total, key


def expand(b, element=REAL):
    shape = (b.dim("K"), b.dim("V"))
    kind = b.rng.choice(DECAYS)
    decay = Decay(b, kind, shape, element)
    state = b.state(shape, element=element)
    entered, key = entering(b, decay, shape, element)
    family = f"{'complex ' if element == COMPLEX else ''}expand, decay {FOUND[kind]}"
    if kind == "full" and element == REAL and b.chance(0.15):  # a matrix enters that is no outer product
        entered, family = entered + b.input(shape), "linear"
    b.update(state, decay.on(state.before()) + entered, family)
    read_matrix(b, state, shape, decay, key)


def complex_expand(b):
    expand(b, COMPLEX)


def read_matrix(b, state, shape, decay=None, key=None):
    """One to three readouts of a matrix state, after or before its update, and what may follow them."""
    results = []
    for _ in range(b.pick(1, 1, 1, 2, 2, 3)):
        at = state.now() if b.chance(0.75) else state.before()
        results.append(readout(b, at, state, shape, decay, key))
    if decay is not None and key is not None and key.kind == REAL and state.element == REAL and b.chance(0.25):
        results.append(normalised(b, state, shape, decay, key))
    for value in results:
        value = call("real", value) if value.kind == COMPLEX and b.chance(0.8) else value
        b.output(value if value.kind == COMPLEX else followed(b, value))
    vectors = [value for value in results if len(value.shape) == 1]
    if b.chance(0.12):
        b.output(joined(b, vectors, state.now()))
    if vectors:
        b.offer(b.activated(vectors[0]))


def joined(b, vectors, matrix):
    """Vectors one after another, or the state beside a matrix."""
    if vectors and b.chance(0.6):
        return call("concat", *vectors, b.signal((b.dim("P"),)))
    axis = b.pick(0, 1)
    shape = (b.dim("P"), matrix.shape[1]) if axis == 0 else (matrix.shape[0], b.dim("P"))
    return call("concat", *b.rng.sample([matrix, b.input(shape)], 2), axis=axis)


def readout(b, at, state, shape, decay, key):
    form = b.pick("row", "row", "row", "row", "column", "column", "both", "sum", "weighted", "whole", "element", "bonus", "bonus",
                  "transposed", "decayed")
    q = b.signal(shape[:1], "q")
    if form == "column":
        return at @ b.signal(shape[1:], "q")
    if form == "both":
        return q @ at @ b.signal(shape[1:], "r")
    if form == "sum":
        return call("sum", at, axis=b.pick(0, 1))
    if form == "weighted":
        return call("sum", b.param(shape, hint="C") * at, axis=b.pick(0, 1))
    if form == "whole":
        return at
    if form == "element":
        return tree.Node("element", (at,), 0) * b.signal(shape[1:])
    if form == "bonus":
        k, v = key if key is not None and key.shape == shape[:1] else b.signal(shape[:1], "k"), b.signal(shape[1:], "v")
        u = b.param(b.pick((), shape[:1]), hint="u")
        if b.chance(0.5):
            return q @ (state.before() + (diag(u) @ outer(k, v) if u.shape else u * outer(k, v)))
        return q @ state.before() + call("dot", q * u, k) * v
    if form == "transposed":
        return call("transpose", at) @ q
    if form == "decayed" and decay is not None:
        return q @ decay.on(state.before())
    return q @ at


def normalised(b, state, shape, decay, key):
    """q S / |q n| with a normaliser that shares the decay."""
    n = b.state(shape[:1], hint="n")
    moved = decay.on_key(n.before())
    if moved is None:
        moved = b.gate(b.pick((), shape[:1])) * n.before()
    b.update(n, moved + key, "linear")
    q = b.signal(shape[:1], "q")
    scale = call("abs", call("dot", q, n.now()))
    return (q @ state.now()) / b.pick(call("max", scale, 1), scale + 1)


def followed(b, value):
    """Norms, gates and skips behind a readout."""
    share = b.rng.random()
    if len(value.shape) != 1 or share < 0.5:
        return value
    if share < 0.6:
        return call("rms_norm", value) * b.param(value.shape, hint="gain")
    if share < 0.7:
        return value * call("silu", b.signal(value.shape, "z"))
    if share < 0.8:
        return value + b.param(b.pick((), value.shape), hint="skip") * b.signal(value.shape)
    if share < 0.9:
        return b.param((b.dim("E"), value.shape[0]), hint="Wo") @ value
    return call("tanh", value)


# Delta rules. With unit keys and rates in [0, 1] (scalars: [0, 2]) their transitions do not expand.

def rate(b, size):
    """A scalar or a vector of learning rates."""
    if b.chance(0.25):
        return b.define(b.gate((size,), 1), "b")
    form = b.rng.random()
    if form < 0.4:
        return b.write_rate()
    if form < 0.6:
        return b.write_rate(2)
    if form < 0.8:
        return b.define(2 * b.gate((), 1) if b.chance(0.3) else b.gate((), 1), "b")
    return b.define(call("sigmoid", b.signal((), "b")), "b")


def reflection(b, k, beta):
    """I - beta k kᵀ."""
    return identity(k.shape[0]) - (outer(beta * k, k) if beta.shape or b.chance(0.3) else beta * outer(k, k))


def delta(b):
    size, other = b.dim("K"), b.dim("V")
    kind = b.pick("none", "scalar", "constant", "key", "key", "value", "both", "full")
    element = COMPLEX if b.chance(0.06) else REAL
    right = b.chance(0.25)  # the state is [V, K], the rule acts on its second axis
    shape = (other, size) if right else (size, other)
    drawn = {"key": "value", "value": "key"}.get(kind, kind) if right else kind
    decay = Decay(b, drawn, shape, element)
    state = b.state(shape, element=element)
    k, beta = b.unit(size), rate(b, size)
    v = b.signal((other,), "v")
    value, found = transition(b, state, decay, k, beta, v, right), FOUND[b.removal or drawn]
    b.update(state, value, f"{'complex ' if element == COMPLEX else ''}delta, decay {found}")
    read_matrix(b, state, shape, decay, None)


def transition(b, state, decay, k, beta, v, right):
    """The update of a delta rule in one of its forms."""
    def act(matrix, on):
        return on @ call("transpose", matrix) if right and b.chance(0.2) else on @ matrix if right else matrix @ on

    def product(a, c):
        return outer(c, a) if right else outer(a, c)

    def removed(on):
        return on @ k if right else k @ on
    form = b.pick("after decay", "after decay", "before decay", "residual", "decayed residual", "two", "two", "sum of two", "removal")
    reflect = reflection(b, k, beta)
    before = state.before()
    write = product(beta * k, v) if b.chance(0.7) else product(b.signal(k.shape, "k"), v)
    if right and beta.shape:  # (I - (beta k) kᵀ) acts from the right transposed
        reflect = identity(k.shape[0]) - outer(k, beta * k)
    if form == "after decay":
        return act(reflect, decay.on(before)) + write
    if form == "before decay":
        return decay.on(act(reflect, before)) + write
    if form == "residual":
        return decay.on(before) + 0.5 * product(beta * k, v - 0.5 * removed(before))
    if form == "decayed residual":
        held = decay.on(before)
        return held + product(beta * k, v - removed(held))
    if form == "removal":  # RWKV-7's, with a decay of its own that is not too strong
        b.removal = "value" if right else "key"
        w = b.define(call("exp", -0.6 * call("sigmoid", b.signal(k.shape, "d"))), "w")
        inner = diag(w) - outer(k, 0.5 * beta * k) if right else diag(w) - outer(0.5 * beta * k, k)
        return (before @ inner if right else inner @ before) + write
    second, other_rate = b.unit(k.shape[0]), rate(b, k.shape[0])
    if form == "two":
        inner = reflection(b, second, other_rate) if not (right and other_rate.shape) else \
            identity(k.shape[0]) - outer(second, other_rate * second)
        return act(inner, act(reflect, decay.on(before))) + write
    both = identity(k.shape[0]) - 0.5 * outer(k, k) - 0.5 * outer(second, second)
    return (decay.on(before) @ both if right else both @ decay.on(before)) + write


def delta_product(b):
    """Several delta steps a token: the transition is a product of reflections, each step writes too."""
    size, other = b.dim("K"), b.dim("V")
    decay = Decay(b, b.pick("none", "scalar", "constant", "key"), (size, other))
    state = b.state((size, other))
    value = decay.on(state.before())
    steps = b.pick(2, 2, 3)
    rows = b.input((steps, size), hint="k") if b.chance(0.5) else None
    for i in range(steps):
        k = b.define(call("l2norm", tree.Node("element", (rows,), i)), "kh") if rows else b.unit(size)
        beta = b.write_rate(b.pick(1, 2))
        value = reflection(b, k, beta) @ value + beta * outer(k, b.signal((other,), "v"))
        if i + 1 < steps:
            value = b.maybe_define(value, "P", 0.6)
    b.update(state, value, f"delta, decay {FOUND[decay.kind]}")
    read_matrix(b, state, (size, other))
