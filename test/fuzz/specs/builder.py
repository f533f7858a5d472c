"""What the families build their models with: declarations under fresh names, drawn sizes, signals and gates.

Everything drawn here is scaled so that states stay bounded for the inputs that `rondo verify` draws: signals are of order one, gates
lie in [0, 1]. A spec that left that range would be redrawn and in the end refused, and would test nothing.
"""
import tree
from model import Declaration, Equation, Model
from tree import COMPLEX, REAL, call, diag, less, number, outer

SMALL = [1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9]
ACTIVATIONS = ["tanh", "silu", "relu", "gelu", "elu", "sin", "cos", "softsign", "leaky_relu", "hard_tanh", "elu_plus_one", "mish",
               "softplus", "sigmoid", "abs", "hard_swish", "erf", "gelu_tanh", "selu", "swish", "relu2", "log_sigmoid"]
BOUNDED = ["tanh", "sin", "softsign", "hard_tanh", "erf", "sigmoid", "cos"]


class State:
    """A state under construction: its value before this step, and after it."""

    def __init__(self, builder, name, shape, element):
        self.builder, self.name, self.shape, self.element = builder, name, shape, element

    def before(self, distance=1):
        return tree.read(self.name, self.builder.step * distance, self.shape, self.element)

    def neighbour(self, axis):
        """The state beside it along one of two axes of time."""
        return tree.read(self.name, (-1, 0) if axis == 0 else (0, -1), self.shape, self.element)

    def now(self):
        return tree.read(self.name, 0, self.shape, self.element)


class Builder:
    """One model in the making. `step` is where a state finds its last value: -1, or +1 in a scan from the end; `mild` keeps gates away
    from 0 and 1.

    Verification cannot run by steps what reads later values, and takes the growth of errors in it sqrt(T) times larger. Gates within
    1e-3 of an end, where what is written to a state is 1 - gate, are then too ill-conditioned to be judged."""

    def __init__(self, rng, name):
        self.rng, self.model, self.step = rng, Model(name), -1
        self.pool, self.expected, self.used = [], {}, {}
        self.trunk = None  # what all gates of a cell see
        self.removal = None  # the axis of a delta rule's decay, where it is not the one that was drawn
        if rng.random() < 0.12:
            self.step = 1
        self.lag = -self.step if rng.random() < 0.08 else self.step  # of short convolutions
        self.mild = self.step > 0 or self.lag > 0

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, *choices):
        return self.rng.choice(choices)

    def fresh(self, hint):
        self.used[hint] = self.used.get(hint, -1) + 1
        return f"{hint}{self.used[hint] or ''}"

    # Sizes

    def dim(self, hint="K", reuse=0.2):
        """A dimension: an old one, a new one with a name, or a new one that the text gives as a number."""
        if self.model.dims and self.chance(reuse):
            return self.rng.choice(list(self.model.dims))
        name = self.fresh(hint)
        share = self.rng.random()
        self.model.dims[name] = None if share < 0.45 else self.rng.choice(SMALL) if share < 0.93 else self.rng.choice([16, 17, 32, 33])
        return name

    # Declarations

    def declare(self, kind, hint, shape, element=REAL, **rest):
        name = self.fresh(hint)
        self.model.declarations.append(Declaration(kind, name, tuple(shape), element, **rest))
        return tree.read(name, 0 if kind == "input" else None, tuple(shape), element)

    def input(self, shape, interval="", hint="x", element=REAL):
        sharing = "per group" if element == REAL and self.chance(0.06) else ""
        return self.declare("input", hint, shape, element, interval=interval, sharing=sharing)

    def param(self, shape, interval="", hint="w", element=REAL):
        return self.declare("param", hint, shape, element, interval=interval, sharing="per head" if self.chance(0.2) else "")

    def state(self, shape, initial="0", element=REAL, hint="S"):
        if initial == "0" and self.chance(0.2):
            initial = self.fresh("init_")
            self.model.declarations.append(Declaration("init", initial, tuple(shape), element))
        elif initial == "0" and element == REAL and self.chance(0.05):
            initial = self.pick("1", "0.5", "-1")
        name = self.fresh(hint)
        self.model.declarations.append(Declaration("state", name, tuple(shape), element, initial=initial))
        return State(self, name, tuple(shape), element)

    # Equations

    def define(self, value, hint="e"):
        """Gives a value a name; the name's reading."""
        name = self.fresh(hint)
        timed = any(lag is not None for _, lag in tree.reads(value))
        self.model.equations.append(Equation(name, value, timed))
        return tree.read(name, 0 if timed else None, value.shape, value.kind)

    def maybe_define(self, value, hint="e", share=0.3):
        return self.define(value, hint) if value.args and self.chance(share) else value

    def update(self, state, value, family=None):
        tree.require(value.shape == state.shape, f"{state.name}: {state.shape} is given {value.shape}")
        self.model.equations.append(Equation(state.name, value))
        if family:
            self.expected[state.name] = family

    def output(self, value, hint="o"):
        """Names a value as an output."""
        if not any(lag is not None for _, lag in tree.reads(value)):
            value = value + 0 * self.input(())
        declared = value.op == "read" and self.model.find(value.tag[0])
        if value.op != "read" or value.tag[1] != 0 or "." in value.tag[0] or (declared and declared.kind == "input"):
            value = self.define(value, hint)
        if value.tag[0] not in self.model.outputs:
            self.model.outputs.append(value.tag[0])

    def offer(self, value):
        """Makes a value that is of order one available to what comes after it."""
        self.pool.append(value)

    # Signals

    def signal(self, shape, hint="x"):
        """A real value of order one that changes over time."""
        share = self.rng.random()
        fitting = [value for value in self.pool if value.shape == tuple(shape)]
        if fitting and self.chance(0.5):
            return self.rng.choice(fitting)
        if share < 0.5 or len(shape) > 2:
            return self.input(shape, hint=hint)
        if share < 0.65:
            return self.maybe_define(call(self.rng.choice(ACTIVATIONS), self.input(shape, hint=hint)), hint)
        if share < 0.8 and len(shape) == 1:
            return self.maybe_define(self.projection(shape), hint)
        if share < 0.9 and len(shape) < 2:
            return self.maybe_define(self.convolution(shape, hint), hint, 0.8)
        if len(shape) == 2:
            return outer(self.signal(shape[:1]), self.signal(shape[1:]))
        return self.input(shape, hint=hint) * self.param(self.pick((), shape))

    def projection(self, shape):
        """W x of a pooled or a new vector."""
        vectors = [value for value in self.pool if len(value.shape) == 1]
        x = self.rng.choice(vectors) if vectors and self.chance(0.7) else self.input((self.dim("D"),))
        value = self.param((shape[0], x.shape[0]), hint="W") @ x
        return value + self.param(shape, hint="b") if self.chance(0.4) else value

    def convolution(self, shape, hint="x"):
        """A short convolution of an input over time, sometimes through an activation."""
        x = self.input(shape, hint=hint)
        width = self.pick(2, 3, 4)
        weights = self.param((width,) + tuple(shape), hint="W") if self.chance(0.5) else None
        total = None
        for tap in range(width):
            weight = tree.Node("element", (weights,), tap) if weights else self.param(self.pick((), shape))
            term = weight * tree.read(x.tag[0], self.lag * tap, x.shape)
            total = term if total is None else total + term
        self.expected.setdefault(f"{x.tag[0]}.{'lag' if self.lag < 0 else 'lead'}", "delay")
        return call(self.pick("silu", "tanh"), total) if self.chance(0.5) else total

    def unit(self, size, hint="k"):
        """A vector of length at most one."""
        k = self.signal((size,), hint)
        if self.chance(0.8):
            return self.define(call("l2norm", k), hint + "h")
        return self.define(k / (1 + call("norm2", k)) if self.chance(0.5) else k / call("sqrt", 1 + call("dot", k, k)), hint + "h")

    # Gates

    def gate(self, shape, depth=0, tiny=True):
        """A value in [0, 1] for the decay of a state; where not `tiny`, it is no power of a small number. Of 1 - (1 - 1e-13) no digit is
        left in f32, which the growth of perturbed inputs does not show."""
        kinds = [self.gate_of_sigmoid, self.gate_in_interval, self.gate_in_interval, self.gate_of_lower_bound, self.constant_gate]
        if tiny:
            kinds += self.tiny_gates(shape, depth)
        return self.maybe_define(self.rng.choice(kinds)(tuple(shape), depth), "a", 0.35)

    def tiny_gates(self, shape, depth):
        kinds = [self.gate_of_log, self.gate_of_log, self.gate_of_step, self.gate_of_log_sigmoid]
        if depth < 2:
            kinds += [self.complement_gate, self.product_gate, self.chosen_gate, self.shared_gate]
        if len(shape) == 2 and depth < 2:
            kinds += [self.outer_gate, self.outer_gate]
        return kinds

    def gate_of_sigmoid(self, shape, depth):
        return call("sigmoid", self.signal(shape, "f"))

    def gate_of_sigmoid_input(self, shape):
        return call("sigmoid", self.input(shape, hint="f"))

    def gate_of_log(self, shape, depth):
        return call("exp", self.input(shape, self.interval("<= 0", "<= 0", "< 0", "in [-4, 0]", inner="in [-4, -0.1]"), "g"))

    def gate_in_interval(self, shape, depth):
        return self.input(shape, self.interval("in [0, 1]", "in [0, 1]", "in (0, 1)", "in [0.5, 1]", "in [0, 1)", inner="in [0.1, 0.9]"),
                          "f")

    def interval(self, *choices, inner):
        return inner if self.mild else self.rng.choice(choices)

    def write_rate(self, most=1):
        """How much of the new a delta rule writes: an input."""
        return self.input((), self.interval(f"in [0, {most}]", inner=f"in [0.2, {most}]"), "beta")

    def gate_of_lower_bound(self, shape, depth):
        lower = self.param(shape, self.interval("in [0, 1]", inner="in [0, 0.9]"), "lower")
        return lower + (1 - lower) * call("sigmoid", self.signal(shape, "f"))

    def gate_of_step(self, shape, depth):
        """exp(dt A), Mamba's. Not both factors come near 0: with dt A of 1e-6, 1 - exp(dt A) has no digit left in f32, which the growth of
        perturbed inputs does not show."""
        along = () if self.chance(0.4) or len(shape) != 2 else shape[:1]
        dt = self.input(along, self.interval(">= 0", inner="in [0.1, 4]"), "dt")
        rate = self.param(shape, self.interval("<= -0.1", inner="in [-3, -0.1]"), "A") if self.chance(0.6) else \
            -call("exp", self.param(shape, hint="A"))
        return call("exp", diag(dt) @ rate if dt.shape else dt * rate)

    def gate_of_log_sigmoid(self, shape, depth):
        x = self.signal(shape, "f")
        forms = [call("exp", -call("softplus", x)), call("exp", -call("exp", x)), call("exp", call("log_sigmoid", x) / 16),
                 call("sigmoid", x) ** 2, 1 / (1 + call("exp", -x)), call("exp", -8 * call("sigmoid", x))]
        return self.rng.choice(forms)

    def constant_gate(self, shape, depth=0):
        if not shape and self.chance(0.4):
            return self.pick(number("0.9"), number("0.5"), 1 - number("2") ** -5, call("exp", number("0.1") * -1))
        if self.chance(0.6):
            return self.param(shape, self.interval("in [0, 1]", inner="in [0.1, 0.9]"), "a")
        return call("sigmoid", self.param(shape)) if self.chance(0.5) else call("exp", -call("exp", 0.5 * self.param(shape)))

    def complement_gate(self, shape, depth):
        return 1 - self.gate(shape, depth + 1, tiny=False)

    def product_gate(self, shape, depth):
        return self.gate(shape, depth + 1) * self.gate(self.pick((), shape), depth + 1)

    def chosen_gate(self, shape, depth):
        a, b = self.gate(shape, depth + 1), self.gate(shape, depth + 1)
        if self.chance(0.5):
            return call(self.pick("max", "min"), a, b)
        return call("select", less(self.input(shape), 0, self.pick("<", ">=")), a, b)

    def shared_gate(self, shape, depth):
        """f / (f + i), minLSTM's."""
        f, i = call("sigmoid", self.signal(shape, "f")), call("sigmoid", self.signal(shape, "i"))
        return f / (f + i)

    def outer_gate(self, shape, depth):
        tiny = self.chance(0.7)
        a, b = self.gate(shape[:1], depth + 1, tiny), self.gate(shape[1:], depth + 1, tiny)
        return outer(a, b) if tiny else 1 - outer(a, b)

    def log_gate(self, shape):
        """The logarithm of a gate, at most 0 and finite."""
        if self.chance(0.4):
            return self.input(shape, "<= 0", "g")
        x = self.signal(shape, "f")
        return self.maybe_define(call("log_sigmoid", x) if self.chance(0.7) else -call("softplus", x), "lf")

    def phase(self, shape):
        """A complex value of modulus one."""
        angle = self.signal(shape, "theta") if self.chance(0.6) else self.param(shape, hint="theta")
        turn = call("complex", call("cos", angle), call("sin", angle))
        return self.maybe_define(turn if self.chance(0.7) else call("exp", call("complex", 0 * angle, angle)), "turn")

    def complex_gate(self, shape):
        """A complex value of modulus at most one."""
        if self.chance(0.25):
            decay = call("exp", call("complex", -call("exp", self.param(shape, hint="nu")), self.param(shape, hint="theta")))
            return self.maybe_define(decay, "a")
        return self.maybe_define(self.gate(self.pick((), shape)) * self.phase(shape), "a")

    def complex_signal(self, shape, hint="x"):
        if self.chance(0.4):
            return self.input(shape, hint=hint, element=COMPLEX)
        return call("complex", self.signal(shape, hint), self.signal(shape, hint)) if self.chance(0.5) else \
            self.signal(shape, hint) * self.phase(shape)

    def activated(self, value):
        """A value of order one of an unbounded one."""
        if value.kind == COMPLEX:
            value = call("real", value)
        if len(value.shape) == 1 and self.chance(0.5):
            return self.define(call(self.pick("rms_norm", "softmax", "l2norm"), value), "y")
        return self.define(call(self.rng.choice(BOUNDED), value), "y")
