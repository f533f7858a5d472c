"""Layers: a model of any family inside another one, with projections around it, per head or not."""
import builder
import mixed
import tree
from model import Equation, Layer
from tree import COMPLEX, call, read


def block(b, models):
    """Makes `b` a layer around a model that it draws, which is added to `models`."""
    inner = builder.Builder(b.rng, f"{b.model.name}_inner")
    inner.step, inner.lag, inner.mild = b.step, b.lag, b.mild
    b.rng.choice(mixed.CHAIN)(inner)
    models.append(inner.model)
    for declaration in inner.model.declarations:
        declaration.sharing = "" if declaration.sharing == "per group" else declaration.sharing
    heads = "" if b.chance(0.35) else b.dim("H", 0)
    b.model.heads = heads
    dims = {}
    for name, bound in inner.model.dims.items():
        if heads and bound == 1:  # H*1 is H, of which split makes a scalar
            bound = inner.model.dims[name] = 2
        dims[name] = outer_dim(b, name, bound)
    if not heads:  # outside of a scope for heads nothing can differ between them
        for declaration in inner.model.declarations:
            declaration.sharing = ""
    x = b.input((b.dim("E", 0),))
    b.model.find(x.tag[0]).sharing = ""
    layer = Layer("layer0", inner.model.name, dims, {}, inside=bool(heads))
    for declaration in inner.model.declarations:
        if declaration.kind == "input":
            layer.arguments[declaration.name] = argument(b, x, declaration, dims, heads)
    b.model.layers.append(layer)
    results(b, inner, dims, heads, x)
    if heads:
        for declaration in b.model.declarations:  # they all stand outside
            declaration.sharing = ""


def outer_dim(b, name, bound):
    new = b.fresh(f"L{name}")
    b.model.dims[new] = bound
    return new


def renamed(size, dims):
    """Sizes of the layer's model as the block calls them; those of concatenations are tuples of sizes."""
    return tuple(renamed(part, dims) for part in size) if isinstance(size, tuple) else dims.get(size, size)


def argument(b, x, declaration, dims, heads):
    """An expression for an input of the layer that lies in the input's interval."""
    shape = renamed(declaration.shape, dims)
    value = projected(b, x, shape, heads)
    if declaration.element == COMPLEX:
        return call("complex", value, projected(b, x, shape, heads))
    return into(declaration.interval, value)


def projected(b, x, shape, heads):
    """A value of this shape made of x: per head, of a part of a projection."""
    rows = (heads, shape[0]) if heads and shape else heads if heads else shape[0] if shape else None
    if len(shape) > 1:
        value = tree.outer(b.param((shape[0], x.shape[0]), hint="W") @ x, b.param((shape[1], x.shape[0]), hint="W") @ x)
        tree.require(len(shape) == 2, "deep input")
        return b.define(value, "p")
    if rows is None:
        return b.define(call("dot", b.param(x.shape), x), "p")
    value = b.define(b.param((rows, x.shape[0]), hint="W") @ x, "p")
    return call("split", value, axis=heads) if heads else value


def into(interval, value):
    """Maps a value into a declared interval."""
    low, high = {"<= 0": (None, 0), "< 0": (None, 0), ">= 0": (0, None)}.get(interval, (None, None))
    if low is None and high == 0:
        return call("log_sigmoid", value)
    if low == 0:
        return call("softplus", value)
    if not interval:
        return value
    low, high = (float(part) for part in interval[4:-1].split(","))
    return low + (high - low) * call("sigmoid", value)


def results(b, inner, dims, heads, x):
    """Outputs of the block: the layer's own, merged and projected."""
    for name in inner.model.outputs[:2]:
        shape, kind = output_type(inner.model, name)
        value = read(f"layer0.{name}", 0, renamed(shape, dims), kind)
        if kind == COMPLEX:
            value = call("real", value)
        if heads and not value.shape:  # a scalar per head stays inside
            inside = Equation(b.fresh("per_head"), value, True, True)
            b.model.equations.append(inside)
            b.model.outputs.append(inside.name)
            continue
        if heads:
            value = call("merge", value, axis=heads)
        if len(value.shape) == 1 and b.chance(0.6):
            value = b.param((x.shape[0], value.shape[0]), hint="Wo") @ value
            value = x + value if b.chance(0.6) else value * call("silu", x)
        b.output(value)
        b.offer(b.activated(value) if value.shape else call("tanh", value))


def output_type(model, name):
    declaration = model.find(name)
    if declaration:
        return declaration.shape, declaration.element
    value = model.equation(name).value
    return value.shape, value.kind
