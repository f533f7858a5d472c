"""Other spellings of the same equations: rules of algebra at random places, subexpressions that get a name or become a function,
names that are written out. What a spec means does not change, and neither must what the compiler makes of it.
"""
import itertools

import tree
from model import Equation, Function
from tree import Mismatch, call, diag, identity, outer

LARGEST = 260  # nodes of an equation; respelling stops there


def is_call(node, name):
    return node.op == "call" and node.tag[0] == name


def is_one(node):
    return node.op == "number" and float(node.tag) == 1


# Rules that only move things: also right where a logarithm is -inf.

def swap(node, rng):
    if node.op in ("+", "*"):
        return tree.Node(node.op, node.args[::-1])
    if is_call(node, "max") or is_call(node, "min") or is_call(node, "logaddexp") or is_call(node, "dot"):
        return node.rebuilt(node.args[::-1]) if len(node.args) == 2 else None
    return None


def associate(node, rng):
    if node.op not in ("+", "*", "@"):
        return None
    a, b = node.args
    if b.op == node.op and not (node.op == "@" and len(b.shape) < 1):
        return tree.Node(node.op, (tree.Node(node.op, (a, b.args[0])), b.args[1]))
    if a.op == node.op:
        return tree.Node(node.op, (a.args[0], tree.Node(node.op, (a.args[1], b))))
    return None


def as_negated(node, rng):
    if node.op == "-":
        a, b = node.args
        return a + -b if rng.random() < 0.5 else -(b - a)
    if node.op == "+" and node.args[1].op == "neg":
        return node.args[0] - node.args[1].args[0]
    if node.op == "neg" and node.args[0].op == "-":
        a, b = node.args[0].args
        return b - a
    return None


def twice_negated(node, rng):
    return -(-node) if node.op in ("read", "*", "call") and node.kind != tree.TRUTH and rng.random() < 0.2 else None


def compare_backwards(node, rng):
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    return tree.Node("compare", node.args[::-1], turned[node.tag]) if node.op == "compare" else None


# Rules of fields: right for finite values.

def distribute(node, rng):
    if node.op in ("*", "@"):
        a, b = node.args
        if b.op in ("+", "-"):
            return tree.Node(b.op, (tree.Node(node.op, (a, b.args[0])), tree.Node(node.op, (a, b.args[1]))))
        if a.op in ("+", "-"):
            return tree.Node(a.op, (tree.Node(node.op, (a.args[0], b)), tree.Node(node.op, (a.args[1], b))))
    if node.op == "/" and node.args[0].op in ("+", "-"):
        top, below = node.args
        return tree.Node(top.op, (top.args[0] / below, top.args[1] / below))
    return None


def collect(node, rng):
    """a x + b x is (a + b) x."""
    if node.op not in ("+", "-") or any(arg.op != "*" for arg in node.args):
        return None
    (a, x), (b, y) = node.args[0].args, node.args[1].args
    return tree.Node(node.op, (a, b)) * x if x.same(y) and a.shape == b.shape else None


def lerp(node, rng):
    """(1 - z) h + z x is h + z (x - h), in any order and as the library's function."""
    if node.op != "+" or any(arg.op != "*" for arg in node.args):
        return None
    for first, second in itertools.permutations(node.args):
        for (kept, h), (z, x) in itertools.product(itertools.permutations(first.args), itertools.permutations(second.args)):
            if kept.op != "-" or not is_one(kept.args[0]) or not kept.args[1].same(z) or h.shape != x.shape:
                continue
            if rng.random() < 0.3 and h.kind == x.kind == z.kind == tree.REAL:
                return call("lerp", h, x, z)
            return h + z * (x - h) if rng.random() < 0.5 else h - z * (h - x)
    return None


def scale_inside(node, rng):
    """c (u wᵀ) is (c u) wᵀ; diag(a) (u wᵀ) too; c (A S) is (c A) S."""
    if node.op not in ("*", "@"):
        return None
    a, b = node.args
    if node.op == "*" and not a.shape and is_call(b, "outer"):
        return outer(a * b.args[0], b.args[1]) if rng.random() < 0.5 else outer(b.args[0], b.args[1] * a)
    if node.op == "@" and is_call(a, "diag") and is_call(b, "outer"):
        return outer(a.args[0] * b.args[0], b.args[1])
    if node.op == "*" and not a.shape and b.op == "@":
        return (a * b.args[0]) @ b.args[1] if rng.random() < 0.5 else b.args[0] @ (a * b.args[1])
    return None


def scale_outside(node, rng):
    """(c u) wᵀ is c (u wᵀ)."""
    if not is_call(node, "outer"):
        return None
    u, w = node.args
    for index, part in enumerate((u, w)):
        if part.op == "*" and not part.args[0].shape:
            inner = (part.args[1], w) if index == 0 else (u, part.args[1])
            return part.args[0] * outer(*inner)
    return None


def outer_of_sum(node, rng):
    if not is_call(node, "outer"):
        return None
    u, w = node.args
    if u.op in ("+", "-") and all(arg.shape == u.shape for arg in u.args):
        return tree.Node(u.op, (outer(u.args[0], w), outer(u.args[1], w)))
    if w.op in ("+", "-") and all(arg.shape == w.shape for arg in w.args):
        return tree.Node(w.op, (outer(u, w.args[0]), outer(u, w.args[1])))
    return None


def apply_outer(node, rng):
    """(u wᵀ) S is u (wᵀ S)ᵀ, and back."""
    if node.op != "@":
        return None
    a, b = node.args
    if is_call(a, "outer") and len(b.shape) == 2:
        return outer(a.args[0], a.args[1] @ b)
    if is_call(b, "outer") and len(a.shape) == 2:
        return outer(a @ b.args[0], b.args[1])
    if is_call(a, "outer") and len(b.shape) == 1:
        return a.args[0] * call("dot", a.args[1], b)
    return None


def as_diagonal(node, rng):
    """a x is diag(a) x; c S is (c I) S; and back."""
    if node.op == "*":
        a, b = node.args
        if len(a.shape) == 1 and len(b.shape) == 1:
            return diag(a) @ b if rng.random() < 0.5 else b @ diag(a)
        if not a.shape and b.shape:
            return (a * identity(b.shape[0])) @ b
    if node.op == "@" and is_call(node.args[0], "diag") and len(node.shape) == 1:
        return node.args[0].args[0] * node.args[1]
    return None


def diagonals(node, rng):
    """diag(a) diag(b) is diag(a b), and sums likewise; diag(a) S is (a 1ᵀ) ∘ S."""
    if node.op in ("+", "-", "@") and all(is_call(arg, "diag") for arg in node.args):
        a, b = (arg.args[0] for arg in node.args)
        return diag(a * b if node.op == "@" else tree.Node(node.op, (a, b)))
    if is_call(node, "diag") and node.args[0].op in ("+", "-") and all(arg.shape for arg in node.args[0].args):
        return tree.Node(node.args[0].op, [diag(arg) for arg in node.args[0].args])
    if node.op == "@" and len(node.shape) == 2 and is_call(node.args[0], "diag") and rng.random() < 0.3:
        return outer(node.args[0].args[0], tree.fill("ones", node.shape[1:])) * node.args[1]
    return None


def dot_product(node, rng):
    if is_call(node, "dot") and len(node.args[0].shape) == 1:
        return node.args[0] @ node.args[1] if rng.random() < 0.5 else call("sum", node.args[0] * node.args[1])
    if node.op == "@" and not node.shape:
        return call("dot", *node.args)
    return None


def transposed(node, rng):
    """q S is Sᵀ q."""
    if node.op == "@" and len(node.args[0].shape) == 1 and len(node.args[1].shape) == 2 and not tree.is_structured(node.args[1]):
        return call("transpose", node.args[1]) @ node.args[0]
    if node.op == "@" and len(node.args[0].shape) == 2 and len(node.args[1].shape) == 1 and not tree.is_structured(node.args[0]):
        return node.args[1] @ call("transpose", node.args[0])
    return None


def exponentials(node, rng):
    if is_call(node, "exp") and node.args[0].op == "+":
        return call("exp", node.args[0].args[0]) * call("exp", node.args[0].args[1])
    if node.op == "*" and all(is_call(arg, "exp") for arg in node.args):
        return call("exp", node.args[0].args[0] + node.args[1].args[0])
    return None


def scaled_twice(node, rng):
    """x is 2 (x / 2), exactly."""
    if node.op in ("read", "*") and node.kind != tree.TRUTH and rng.random() < 0.2:
        return 2 * (node / 2) if rng.random() < 0.5 else (node * 0.5) + (node * 0.5)
    return None


def squared(node, rng):
    if node.op == "^" and node.tag == 2:
        return node.args[0] * node.args[0]
    if node.op == "*" and node.args[0].same(node.args[1]):
        return node.args[0] ** 2
    return None


def quotient(node, rng):
    if node.op == "/" and node.args[1].op != "number":
        return node.args[0] * (1 / node.args[1])
    return None


def sigmoid_form(node, rng):
    """1 - σ(x) is σ(-x)."""
    if node.op == "-" and is_one(node.args[0]) and is_call(node.args[1], "sigmoid"):
        return call("sigmoid", -node.args[1].args[0])
    return None


MOVES = [swap, associate, as_negated, twice_negated, compare_backwards]
RULES = MOVES + [distribute, distribute, collect, lerp, lerp, lerp, scale_inside, scale_outside, outer_of_sum, apply_outer, as_diagonal,
                 diagonals, dot_product, transposed, exponentials, scaled_twice, squared, quotient, sigmoid_form]


class Infinities:
    """Which values of a model may be -inf: states that start there, and what is computed from them before an exponential."""

    def __init__(self, model):
        self.names = {s.name for s in model.states() if "inf" in s.initial}
        before = -1
        while before != len(self.names):
            before = len(self.names)
            self.names |= {e.name for e in model.equations if self.reach(e.value)}

    def reach(self, node):
        if node.op == "read":
            return node.tag[0] in self.names
        return not is_call(node, "exp") and any(self.reach(arg) for arg in node.args)


def respell(spec, rng, steps):
    """Applies about `steps` changes to the models of a spec, in place."""
    for _ in range(steps):
        model = rng.choice(spec.models)
        if not model.equations:
            continue
        share = rng.random()
        if share < 0.72:
            rewrite(model, rng)
        elif share < 0.84:
            name_part(model, rng)
        elif share < 0.92:
            write_out(model, rng)
        else:
            make_function(spec, model, rng)


def rewrite(model, rng):
    """One rule at one place, an equation of a state being the likelier one."""
    states = {s.name for s in model.states()}
    equation = rng.choice([e for e in model.equations if e.name in states or rng.random() < 0.5] or model.equations)
    infinities = Infinities(model)
    for _ in range(30):
        place = rng.choice(list(equation.value.walk()))
        rule = rng.choice(RULES)
        if rule not in MOVES and any(infinities.reach(n) for n in place.walk()):
            continue
        try:
            new = rule(place, rng)
            if new is None or new.shape != place.shape or new.kind != place.kind:
                continue
            value = tree.replace(equation.value, place, new)
        except Mismatch:
            continue
        if value.size <= LARGEST:
            equation.value = value
            return


def unused_name(spec_or_model, hint, rng):
    taken = {item.name for item in spec_or_model.declarations + spec_or_model.equations + spec_or_model.layers}
    name = hint
    while name in taken:
        name = f"{hint}{rng.randrange(10000)}"
    return name


def name_part(model, rng):
    """A subexpression gets an equation of its own."""
    equation = rng.choice(model.equations)
    # An I whose size nothing beside it tells cannot stand alone.
    parts = [n for n in equation.value.walk() if n.args and n.kind != tree.TRUTH and n is not equation.value
             and not (tree.is_structured(n) and any(m.op == "identity" for m in n.walk()))]
    if not parts:
        return
    part = rng.choice(parts)
    if any(n.op == "call" and n.tag[0] in ("split", "merge") for n in part.walk()):
        return
    timed = any(lag is not None for _, lag in tree.reads(part))
    new = Equation(unused_name(model, "part", rng), part, timed, equation.inside)
    equation.value = tree.replace(equation.value, part, tree.read(new.name, 0 if timed else None, part.shape, part.kind))
    model.equations.append(new)


def write_out(model, rng):
    """An equation is written where it is read."""
    states = {s.name for s in model.states()}
    candidates = [e for e in model.equations if e.name not in states and e.name not in model.outputs]
    if not candidates:
        return
    gone = rng.choice(candidates)

    def change(leaf):
        return gone.value if leaf.op == "read" and leaf.tag[0] == gone.name else leaf
    changed = [(e, tree.substitute(e.value, change)) for e in model.equations if e is not gone]
    if any(value.size > LARGEST for _, value in changed):
        return
    for equation, value in changed:
        equation.value = value
    for layer in model.layers:
        layer.arguments = {name: tree.substitute(value, change) for name, value in layer.arguments.items()}
    model.equations.remove(gone)


def make_function(spec, model, rng):
    """A subexpression becomes a function of what it reads."""
    equation = rng.choice(model.equations)
    parts = [n for n in equation.value.walk() if n.args and n.kind != tree.TRUTH and 3 <= n.size <= 40]
    rng.shuffle(parts)
    for part in parts[:8]:
        if any(n.op in ("dimension", "fill", "identity", "fn") or n.op == "call" and n.tag[0] in ("split", "merge", "concat")
               or n.op in ("element", "slice") for n in part.walk()):
            continue  # a function sees no dimensions but those of its arguments
        leaves = {}
        for node in part.walk():
            if node.op == "read":
                leaves.setdefault(node.tag, node)
        if not 1 <= len(leaves) <= 5:
            continue
        params = {tag: f"p{index}" for index, tag in enumerate(leaves)}
        body = tree.substitute(part, lambda leaf: tree.read(params[leaf.tag], None, leaf.shape, leaf.kind) if leaf.op == "read" else leaf)
        name = f"f{spec.seed}_{len(spec.functions)}"
        spec.functions.append(Function(name, list(params.values()), body))
        equation.value = tree.replace(equation.value, part, tree.Node("fn", list(leaves.values()), name, part.shape, part.kind))
        return
