"""Makes a failing spec smaller, as long as it fails in the same way.

Every change is tried on a copy, and kept where the copy is smaller and fails like the original. Changes that leave no spec fail in
another way (the text is refused) and are so undone by themselves; what the trees refuse is not even tried.
"""
import time

import tree
from model import Declaration, Equation, Spec
from tree import Mismatch, REAL


class Shrinker:
    """`fails(spec)` is true where a spec still fails in the same way. At most `tries` calls of it, and `seconds`."""

    def __init__(self, fails, tries=600, seconds=300):
        self.fails, self.tries, self.deadline = fails, tries, time.monotonic() + seconds
        self.seen = set()

    def shrink(self, spec):
        """The smallest spec found."""
        best = plain(spec)
        if not self.accepts(best, None):
            best = spec
        # What takes most away comes first: every try is a compilation.
        steps = [drop_models, drop_outputs, drop_states, drop_equations, shrink_nodes, shrink_sizes, inline_equations,
                 simplify_declarations, turn_forward, single_out]
        before = None
        while before != weight(best) and not self.exhausted():
            before = weight(best)
            for step in steps:
                best = self.descend(step, best)
        return best

    def descend(self, step, best):
        """Applies one kind of change as often as it helps."""
        position = 0
        while not self.exhausted():
            candidates = step(best)
            advanced = False
            for index, candidate in enumerate(candidates):
                if index < position or self.exhausted():
                    continue
                try:
                    changed = candidate()
                except (Mismatch, KeyError, IndexError, AttributeError, StopIteration):
                    continue  # the change leaves no model
                if changed is not None and self.accepts(changed, best):
                    best, position, advanced = changed, index, True
                    break
            if not advanced:
                if position == 0:
                    return best
                position = 0  # what comes first may have become possible
                continue
        return best

    def accepts(self, changed, best):
        changed.prune()
        text = changed.text()
        if text in self.seen or (best is not None and weight(changed) >= weight(best)):
            return False
        self.seen.add(text)
        self.tries -= 1
        return self.fails(changed)

    def exhausted(self):
        return self.tries <= 0 or time.monotonic() > self.deadline


def weight(spec):
    """What has to fall: the size first, then what makes a spec of this size harder to read."""
    extras = 0
    for model in spec.models:
        extras += sum(bool(d.interval) + bool(d.sharing) + (d.kind == "state" and d.initial != "0") + (d.kind == "param")
                      for d in model.declarations)
        extras += sum(1 if size is None else 0.1 * size for size in model.dims.values()) + bool(model.style)
        for value in model.expressions():
            for node in value.walk():
                if node.op == "read" and isinstance(node.tag[1], int):
                    extras += 0.2 * (abs(node.tag[1]) > 1) + 0.1 * (node.tag[1] > 0)
                extras += 0.5 * (node.kind != REAL) + 0.3 * (node.op == "read" and node.tag[1] is None)
    return spec.size() + extras


def plain(spec):
    """The same without the style that it was written in."""
    copy = spec.copy()
    for model in copy.models:
        model.style = 0
    return copy


def drop_models(spec):
    """A layer's model by itself."""
    def only(index):
        return Spec(spec.seed, spec.family, [m for m in spec.copy().models[:index + 1]], spec.copy().functions)
    return [lambda index=index: only(index) for index in range(len(spec.models) - 1)]


def each_model(spec):
    """A copy and one of its models, for every model."""
    return range(len(spec.models))


def drop_outputs(spec):
    def drop(m, name):
        copy = spec.copy()
        copy.models[m].outputs.remove(name)
        return copy

    def only(m, name):
        copy = spec.copy()
        copy.models[m].outputs = [name]
        return copy
    found = []
    for m in each_model(spec):
        outputs = spec.models[m].outputs
        if len(outputs) > 1:
            found += [lambda m=m, n=n: only(m, n) for n in outputs] + [lambda m=m, n=n: drop(m, n) for n in outputs]
    return found


def single_out(spec):
    """A part of an expression as the only output."""
    def only(m, node, inside):
        copy = spec.copy()
        model = copy.models[m]
        name = next(n for n in ("only", *(f"only{i}" for i in range(1000))) if not model.equation(n))
        model.equations.append(Equation(name, node, True, inside))
        model.outputs = [name]
        return copy
    found = []
    for m in each_model(spec):
        for equation in spec.models[m].equations:
            for node in equation.value.walk():
                if node.args and node.kind != tree.TRUTH and any(lag is not None for _, lag in tree.reads(node)):
                    found.append((node.size, lambda m=m, n=node, i=equation.inside: only(m, n, i)))
    found.sort(key=lambda pair: pair[0])
    return [make for _, make in found]


def leaf_for(model, shape, kind):
    """Something of this shape that needs nothing: an input that there is, a number."""
    for declaration in model.declarations:
        if declaration.kind == "input" and declaration.shape == shape and declaration.element == kind:
            return tree.read(declaration.name, 0, shape, kind)
    for declaration in model.declarations:
        if declaration.kind == "param" and declaration.shape == shape and declaration.element == kind:
            return tree.read(declaration.name, None, shape, kind)
    return None


def leaves(model, node):
    """What may stand in place of a node: parts of it of its own shape, then leaves."""
    found = [arg for arg in node.args if arg.shape == node.shape and arg.kind == node.kind]
    for arg in node.args:
        found += [inner for inner in arg.args if inner.shape == node.shape and inner.kind == node.kind]
    leaf = leaf_for(model, node.shape, node.kind)
    if leaf is not None:
        found.append(leaf)
    if node.kind == REAL:
        found += [tree.number("1"), tree.number("0")] if not node.shape else [tree.fill("ones", node.shape)]
    return [new for new in found if new.size < node.size or new.op == "read" != node.op]


def substitute_name(model, name, make):
    """Every reading of a name exchanged for make(reading)."""
    def change(leaf):
        return make(leaf) if leaf.op == "read" and leaf.tag[0] == name else leaf
    for equation in model.equations:
        equation.value = tree.substitute(equation.value, change)
    for layer in model.layers:
        layer.arguments = {key: tree.substitute(value, change) for key, value in layer.arguments.items()}


def drop_states(spec):
    """A state becomes a leaf, an input, or what its equation says with itself gone."""
    def drop(m, name, how):
        copy = spec.copy()
        model = copy.models[m]
        state, equation = model.find(name), model.equation(name)
        if how == "input":
            state.kind, state.initial = "input", ""
            model.equations.remove(equation)
            model.outputs = [o for o in model.outputs if o != name]
            substitute_name(model, name, lambda leaf: tree.read(name, 0, leaf.shape, leaf.kind))
        else:
            model.declarations.remove(state)
            zero = tree.number("0") if not state.shape else tree.fill("zeros", state.shape)
            substitute_name(model, name, lambda leaf: leaf if leaf.tag[1] == 0 else zero)
        return copy if model.outputs else None
    return [lambda m=m, n=s.name, how=how: drop(m, n, how) for m in each_model(spec) for s in spec.models[m].states()
            for how in ("input", "zero")]


def drop_equations(spec):
    """A value that changes over time becomes an input, another one a param."""
    def drop(m, name):
        copy = spec.copy()
        model = copy.models[m]
        equation = model.equation(name)
        if name in model.outputs or model.find(name) or equation.inside:
            return None
        kind = "input" if equation.timed else "param"
        model.equations.remove(equation)
        model.declarations.append(Declaration(kind, name, equation.value.shape, equation.value.kind))
        return copy
    return [lambda m=m, n=e.name: drop(m, n) for m in each_model(spec) for e in spec.models[m].equations]


def inline_equations(spec):
    """Equations, functions and layers' reads written where they are used."""
    def inline(m, name):
        copy = spec.copy()
        model = copy.models[m]
        equation = model.equation(name)
        if name in model.outputs or model.find(name):
            return None
        model.equations.remove(equation)
        substitute_name(model, name, lambda leaf: equation.value)
        return copy

    def call(name):
        copy = spec.copy()
        function = next(f for f in copy.functions if f.name == name)
        copy.functions.remove(function)
        for model in copy.models:
            for equation in model.equations:
                equation.value = expanded(equation.value, function)
        for other in copy.functions:
            other.body = expanded(other.body, function)
        return copy
    found = [lambda n=f.name: call(n) for f in spec.functions]
    return found + [lambda m=m, n=e.name: inline(m, n) for m in each_model(spec) for e in spec.models[m].equations]


def expanded(node, function):
    """The tree with the function's calls written out."""
    if not node.args:
        return node
    args = [expanded(arg, function) for arg in node.args]
    if node.op == "fn" and node.tag == function.name:
        given = dict(zip(function.params, args))
        return tree.substitute(function.body, lambda leaf: given[leaf.tag[0]] if leaf.op == "read" else leaf)
    return node.rebuilt(args)


def shrink_sizes(spec):
    """Dimensions become 1, 2, or a little less than they are; one dimension takes another's place."""
    def bind(m, name, size):
        copy = spec.copy()
        copy.models[m].dims[name] = size
        for model in copy.models:
            for layer in model.layers:
                if layer.model == copy.models[m].name and isinstance(layer.dims.get(name), str):
                    model.dims[layer.dims[name]] = size
        return copy
    found = []
    for m in each_model(spec):
        for name, bound in spec.models[m].dims.items():
            sizes = [1, 2, 3, 4, 5, 8, 16] if bound is None else sorted({1, 2, 3, 4, bound // 2, bound - 1})
            found += [lambda m=m, n=name, s=s: bind(m, n, s) for s in sizes if 0 < s and (bound is None or s < bound)]
    return found


def shrink_nodes(spec):
    """A part of an expression becomes a part of itself, or a leaf."""
    def change(m, where, old, new):
        copy = spec.copy()
        model = copy.models[m]
        kind, key = where
        if kind == "equation":
            equation = model.equation(key)
            equation.value = tree.replace(equation.value, old, new)
        elif kind == "function":
            function = next(f for f in copy.functions if f.name == key)
            function.body = tree.replace(function.body, old, new)
        else:
            layer = next(one for one in model.layers if one.name == kind)
            layer.arguments[key] = tree.replace(layer.arguments[key], old, new)
        return copy
    found = []
    for m in each_model(spec):
        model = spec.models[m]
        places = [(("equation", e.name), e.value) for e in model.equations]
        places += [((one.name, key), value) for one in model.layers for key, value in one.arguments.items()]
        for where, value in places:
            for node in value.walk():
                found += [(node.size, lambda m=m, w=where, o=node, n=new: change(m, w, o, n)) for new in leaves(model, node)]
    found.sort(key=lambda pair: -pair[0])
    return [make for _, make in found]


def simplify_declarations(spec):
    """Intervals, sharing and initial values go; params become inputs."""
    def change(m, name, field, value):
        copy = spec.copy()
        setattr(copy.models[m].find(name), field, value)
        return copy

    def as_input(m, name):
        copy = spec.copy()
        declaration = copy.models[m].find(name)
        declaration.kind, declaration.sharing = "input", ""
        substitute_name(copy.models[m], name, lambda leaf: tree.read(name, 0, leaf.shape, leaf.kind))
        for equation in copy.models[m].equations:
            equation.timed = equation.timed or any(lag is not None for _, lag in tree.reads(equation.value))
        return copy
    found = []
    for m in each_model(spec):
        for d in spec.models[m].declarations:
            if d.sharing:
                found.append(lambda m=m, n=d.name: change(m, n, "sharing", ""))
            if d.interval:
                found.append(lambda m=m, n=d.name: change(m, n, "interval", ""))
            if d.kind == "state" and d.initial != "0":
                found.append(lambda m=m, n=d.name: change(m, n, "initial", "0"))
            if d.kind == "param":
                found.append(lambda m=m, n=d.name: as_input(m, n))
    return found


def turn_forward(spec):
    """Scans from the end become scans from the beginning; distances in time become 1."""
    def change(leaf_lag):
        copy = spec.copy()
        for model in copy.models:
            def moved(leaf):
                if leaf.op != "read" or not leaf.tag[1] or isinstance(leaf.tag[1], tuple):
                    return leaf
                return tree.read(leaf.tag[0], leaf_lag(leaf.tag[1]), leaf.shape, leaf.kind)
            for equation in model.equations:
                equation.value = tree.substitute(equation.value, moved)
        return copy
    if any(model.axes > 1 for model in spec.models):
        return []
    return [lambda: change(lambda lag: -abs(lag)), lambda: change(lambda lag: 1 if lag > 0 else -1)]
