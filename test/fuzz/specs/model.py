"""Models as data: declarations, equations and layers, and the text of a spec made of them.

The names inside are the generator's own and stay what they are; what the text calls them is decided when it is written (Names), so
that renaming is a matter of style. A Spec is a list of models of which the last is the one that is meant, the others are its layers.
"""
import copy
import random
from dataclasses import dataclass, field

import tree
from tree import Node, REAL

# Names for values. Some are words that have a meaning elsewhere in the language, which must not matter.
WORDS = ("a alpha b beta c cell decay e f forget g gain gate h hidden k key l m mem n o out p phi q r rate s u v val w x y z lam mu nu "
         "theta S C M KS h0 x_1 _y Wx per head group over complex sum max exp sigmoid dot axis time step batch T zeros diag").split()
DIM_WORDS = "K V D H N M P E R Q d_model dk dv n L heads_ A".split()


@dataclass
class Declaration:
    kind: str  # input, param, init, state
    name: str
    shape: tuple
    element: str = REAL
    interval: str = ""  # as it is written: "<= 0"
    sharing: str = ""   # "per head", "per group"
    initial: str = ""   # of a state: a constant's text or the name of an init
    inside: bool = False  # of the heads scope


@dataclass
class Equation:
    name: str
    value: Node
    timed: bool = True
    inside: bool = False


@dataclass
class Layer:
    name: str
    model: str
    dims: dict       # of the layer's model: a size of this one
    arguments: dict  # its inputs and params: expressions
    inside: bool = False


@dataclass
class Function:
    name: str
    params: list
    body: Node


@dataclass
class Model:
    name: str
    dims: dict = field(default_factory=dict)  # name: a number that is written instead, or None
    declarations: list = field(default_factory=list)
    equations: list = field(default_factory=list)
    layers: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    heads: str = ""      # the dimension of the heads scope
    axes: int = 1        # of time
    style: int = 0       # seed of how it is written; 0 is plainly

    def states(self):
        return [d for d in self.declarations if d.kind == "state"]

    def find(self, name):
        return next((d for d in self.declarations if d.name == name), None)

    def equation(self, name):
        return next((e for e in self.equations if e.name == name), None)

    def expressions(self):
        return [e.value for e in self.equations] + [a for layer in self.layers for a in layer.arguments.values()]

    def is_inside(self, name):
        return any(each.inside for each in self.declarations + self.equations + self.layers if each.name == name)

    def prune(self):
        """Drops what no output and no state needs, and keeps one input, without which there is no time."""
        needed, todo = set(), list(self.outputs) + [s.name for s in self.states()]
        owners = {e.name: [e.value] for e in self.equations}
        owners.update({layer.name: list(layer.arguments.values()) for layer in self.layers})
        while todo:
            name = todo.pop().split(".")[0]
            if name in needed:
                continue
            needed.add(name)
            for value in owners.get(name, []):
                todo += [read[0] for read in tree.reads(value)]
        initials = {s.initial for s in self.states()}
        self.equations = [e for e in self.equations if e.name in needed]
        self.layers = [layer for layer in self.layers if layer.name in needed]
        self.declarations = [d for d in self.declarations if d.name in needed or (d.kind == "init" and d.name in initials)]
        if not any(d.kind == "input" for d in self.declarations):
            self.declarations.insert(0, Declaration("input", "tick", ()))
        used = {size for d in self.declarations for size in flat(d.shape)} | ({self.heads} if self.heads else set())
        for layer in self.layers:
            used |= {size for value in layer.dims.values() for size in flat((value,))}
        for value in self.expressions():
            for node in value.walk():
                used |= set(flat(node.shape)) | ({node.tag} if node.op == "dimension" else set())
        self.dims = {name: size for name, size in self.dims.items() if name in used}


@dataclass
class Spec:
    seed: int
    family: str
    models: list
    functions: list = field(default_factory=list)
    expected: dict = field(default_factory=dict)  # states of the last model: the family that the generator meant

    @property
    def main(self):
        return self.models[-1]

    def copy(self):
        """As deep as it is changed: trees are shared."""
        twin = copy.copy(self)
        twin.models = []
        for model in self.models:
            other = copy.copy(model)
            for part in ("declarations", "equations", "layers"):
                setattr(other, part, [copy.copy(item) for item in getattr(model, part)])
            for layer in other.layers:
                layer.arguments, layer.dims = dict(layer.arguments), dict(layer.dims)
            other.outputs, other.dims = list(model.outputs), dict(model.dims)
            twin.models.append(other)
        twin.functions = [copy.copy(f) for f in self.functions]
        return twin

    def size(self):
        """What the shrinker makes smaller: nodes, then declarations."""
        nodes = sum(value.size for model in self.models for value in model.expressions()) + sum(f.body.size for f in self.functions)
        parts = sum(len(m.declarations) + len(m.equations) + len(m.outputs) + 2 * len(m.layers) + len(m.dims) for m in self.models)
        return nodes + 2 * parts + 2 * len(self.functions) + 5 * len(self.models)

    def prune(self):
        for model in self.models:  # layers come before the models that have them
            for layer in model.layers:
                inner = next(m for m in self.models if m.name == layer.model)
                layer.arguments = {name: value for name, value in layer.arguments.items() if inner.find(name)}
                layer.dims = {name: size for name, size in layer.dims.items() if name in inner.dims}
            model.prune()
        used, todo = set(), [self.main.name]
        while todo:
            name = todo.pop()
            used.add(name)
            todo += [layer.model for m in self.models if m.name == name for layer in m.layers]
        self.models = [m for m in self.models if m.name in used]
        called = {n.tag for m in self.models for value in m.expressions() for n in value.walk() if n.op == "fn"}
        self.functions = [f for f in self.functions if f.name in called]

    def names(self):
        """What the text calls the values of each model, by model."""
        return {model.name: Names(model, self) for model in self.models}

    def text(self):
        names, parts = self.names(), []
        for function in self.functions:
            parts.append(function_text(function))
        for model in self.models:
            parts.append(model_text(model, names))
        return "".join(parts)

    def expected_names(self):
        """`expected` by the names in the text."""
        names = self.names()[self.main.name]
        return {names.of(state): family for state, family in self.expected.items()}


def flat(shape):
    """Dimensions' names in a shape, those in products too."""
    for size in shape:
        if isinstance(size, tuple):
            yield from flat(size)
        elif isinstance(size, str) and size != "+":
            yield size


class Names:
    """What a model's values, sizes and time axis are called in its text; with a style they are drawn."""

    def __init__(self, model, spec):
        self.model, self.spec = model, spec
        self.random = random.Random(model.style)
        self.axes, self.known, self.sizes = ["t"] if model.axes == 1 else ["r", "c"], {}, {}
        for name in model.dims:
            self.sizes[name] = name
        if model.style:
            self.draw()

    def draw(self):
        taken = {"inf", "pi", "I"}
        if self.model.axes == 1:
            self.axes = [self.random.choice(["t", "t", "t", "s", "n", "step"])]
        taken.update(self.axes)
        for name in self.model.dims:
            self.sizes[name] = self.take(DIM_WORDS, taken)
        mine = self.model.declarations + self.model.equations + self.model.layers
        for name in dict.fromkeys(item.name for item in mine):
            self.known[name] = self.take(WORDS, taken)

    def take(self, words, taken):
        name = self.random.choice(words)
        while name in taken:
            name = f"{self.random.choice(words)}{self.random.randrange(100)}"
        taken.add(name)
        return name

    def of(self, name):
        first, dot, rest = name.partition(".")
        written = self.known.get(first, first)
        if not dot:
            return written
        layer = next((layer for layer in self.model.layers if layer.name == first), None)
        if layer is None:
            return written + dot + rest  # x.lag
        return written + dot + self.inner(layer).of(rest)

    def inner(self, layer):
        return Names(next(m for m in self.spec.models if m.name == layer.model), self.spec)

    def size(self, dim):
        bound = self.model.dims.get(dim)
        return str(bound) if bound else self.sizes.get(dim, dim)

    def reading(self, name, lag):
        if lag is None:
            return self.of(name)
        lags = lag if isinstance(lag, tuple) else (lag,) * len(self.axes)
        times = [axis + (f"{each:+d}" if each else "") for axis, each in zip(self.axes, lags)]
        return f"{self.of(name)}[{', '.join(times)}]"

    def adds_parentheses(self):
        return bool(self.model.style) and self.random.random() < 0.04


class FunctionNames:
    """Inside a function, names stand for themselves."""

    def size(self, dim):
        return dim

    def reading(self, name, lag):
        return name

    def adds_parentheses(self):
        return False


def function_text(function):
    return f"fn {function.name}({', '.join(function.params)}) = {tree.text(function.body, FunctionNames())}\n"


def type_text(declaration, names):
    kind = "complex " if declaration.element == tree.COMPLEX else ""
    return f"{kind}[{', '.join(tree.size_text(size, names) for size in declaration.shape)}]"


def declaration_text(declaration, names):
    written = f"{declaration.kind} {names.of(declaration.name)}: {type_text(declaration, names)}"
    if declaration.kind == "state":
        known = any(d.name == declaration.initial for d in names.model.declarations)
        return f"{written} = {names.of(declaration.initial) if known else declaration.initial}"
    return " ".join(part for part in (written, declaration.interval, declaration.sharing) if part)


def layer_text(layer, names):
    inner = names.inner(layer)
    dims = [f"{inner.size(name)} = {tree.size_text(size, names)}" for name, size in layer.dims.items() if not inner.model.dims.get(name)]
    arguments = [f"{inner.of(name)} = {tree.text(value, names)}" for name, value in layer.arguments.items()]
    return f"layer {names.of(layer.name)} = {layer.model}{f'<{chr(44).join(dims)}>' if dims else ''}({', '.join(arguments)})"


def equation_text(equation, names):
    left = names.reading(equation.name, 0 if equation.timed else None)
    return f"{left} = {tree.text(equation.value, names)}"


def model_text(model, names):
    mine = names[model.name]
    dims = [mine.sizes[name] for name, bound in model.dims.items() if not bound]
    over = f" over {mine.axes[0]}" if len(mine.axes) == 1 else f" over ({', '.join(mine.axes)})"
    axis = over if mine.axes != ["t"] else ""
    lines = [f"model {model.name}{f'<{chr(44).join(dims)}>' if dims else ''}{axis} {{"]
    lines += ["  " + line for line in item_lines(model, mine, False)]
    if model.heads:
        lines += [f"  heads {tree.size_text(model.heads, mine)} {{"]
        lines += ["    " + line for line in item_lines(model, mine, True)] + ["  }"]
    return "\n".join(lines) + "\n}\n"


def item_lines(model, names, inside):
    """The items of the model or of its heads scope, in the order of their kinds or, with a style, in any."""
    lines = [declaration_text(d, names) for d in model.declarations if d.inside == inside]
    lines += [layer_text(layer, names) for layer in model.layers if layer.inside == inside]
    lines += [equation_text(e, names) for e in model.equations if e.inside == inside]
    lines += [f"output {names.of(name)}" for name in model.outputs if model.is_inside(name) == inside]
    if model.style:
        random.Random(model.style + 1).shuffle(lines)
    return lines
