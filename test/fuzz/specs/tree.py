"""Expressions of the language as trees, with the shape and the element kind of every node.

Generated specs are kept as trees and not as text, so that they can be respelled and shrunk. A node is never changed. Building one
infers its shape by the language's own rules and raises Mismatch where the language would refuse it, so that a mistake of the
generator shows where it is made, and the shrinker can try any replacement.

A shape is a tuple of sizes: a dimension's name, a whole number, a tuple of them, which is their product, or a tuple that begins with
"+", which is their sum.
"""

REAL, COMPLEX, TRUTH = "real", "complex", "truth"

# Elementwise, and defined for complex numbers too.
PLAIN = {"exp", "log", "sqrt", "tanh", "sin", "cos", "neg"}
# Elementwise, for real numbers; the built-in ones first, then those of the library.
REAL_ONLY = {"expm1", "log1p", "erf", "sign", "floor", "sigmoid", "log_sigmoid", "softplus", "silu", "swish", "gelu", "gelu_tanh", "relu",
             "relu2", "relu6", "leaky_relu", "elu", "elu_plus_one", "selu", "hard_sigmoid", "hard_tanh", "hard_swish", "softsign", "mish",
             "soft_cap", "clamp"}
TO_REAL = {"real", "imag", "abs"}
PAIRS = {"max", "min", "pow", "logaddexp"}  # elementwise, real
REDUCTIONS = {"sum", "prod", "max", "min", "mean", "norm2", "logsumexp", "variance"}
SAME_SHAPE = {"l2norm", "rms_norm", "layer_norm", "softmax", "log_softmax", "conj"}


class Mismatch(Exception):
    """What the language would refuse."""


def require(condition, message):
    if not condition:
        raise Mismatch(message)


class Node:
    """An operation `op` on `args`; `tag` is what the operation needs beside them (a name and a lag, a number's text, an axis)."""
    __slots__ = ("op", "args", "tag", "shape", "kind", "size")

    def __init__(self, op, args=(), tag=None, shape=None, kind=None):
        self.op, self.args, self.tag = op, tuple(args), tag
        self.shape, self.kind = (tuple(shape), kind or REAL) if shape is not None else infer(op, self.args, tag)
        self.size = 1 + sum(arg.size for arg in self.args)

    def rebuilt(self, args):
        """The same operation on other operands."""
        if not self.args:
            return self
        if self.op == "fn":  # its shape is known from where it was made
            require([a.shape for a in args] == [a.shape for a in self.args], "argument of another shape")
            require([a.kind for a in args] == [a.kind for a in self.args], "argument of another kind")
            return Node(self.op, args, self.tag, self.shape, self.kind)
        return Node(self.op, args, self.tag)

    def __add__(self, other):
        return Node("+", (self, lift(other)))

    def __radd__(self, other):
        return Node("+", (lift(other), self))

    def __sub__(self, other):
        return Node("-", (self, lift(other)))

    def __rsub__(self, other):
        return Node("-", (lift(other), self))

    def __mul__(self, other):
        return Node("*", (self, lift(other)))

    def __rmul__(self, other):
        return Node("*", (lift(other), self))

    def __truediv__(self, other):
        return Node("/", (self, lift(other)))

    def __rtruediv__(self, other):
        return Node("/", (lift(other), self))

    def __matmul__(self, other):
        return Node("@", (self, other))

    def __neg__(self):
        return Node("neg", (self,))

    def __pow__(self, exponent):
        return Node("^", (self,), exponent)

    def walk(self):
        """Every node below and including this one, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.args))

    def same(self, other):
        return (self.op == other.op and self.tag == other.tag and self.size == other.size and self.shape == other.shape
                and all(a.same(b) for a, b in zip(self.args, other.args)))


def elementwise(args):
    """The common shape and kind of operands, of which scalars fit to all."""
    shape = ()
    for arg in args:
        require(arg.kind != TRUTH, "truth value")
        if arg.shape:
            require(not shape or arg.shape == shape, f"{shape} with {arg.shape}")
            shape = arg.shape
    return shape, COMPLEX if any(arg.kind == COMPLEX for arg in args) else REAL


def product_shape(a, b):
    require(a.shape and b.shape, "'@' of a scalar")
    require(a.kind != TRUTH and b.kind != TRUTH, "truth value")
    require(a.shape[-1] == b.shape[0], f"{a.shape} @ {b.shape}")
    return a.shape[:-1] + b.shape[1:]


def infer(op, args, tag):
    """Shape and kind of an operation."""
    if op in ("+", "-", "*", "/", "neg", "^"):
        return elementwise(args)
    if op == "@":
        return product_shape(*args), elementwise([Node("leaf", (), None, (), a.kind) for a in args])[1]
    if op == "compare":
        shape, kind = elementwise(args)
        require(kind == REAL, "complex order")
        return shape, TRUTH
    if op == "array":
        shape, kind = elementwise(args)
        require(all(arg.shape == shape for arg in args), "elements of one array")
        return (len(args),) + shape, kind
    if op == "element":
        require(args[0].shape and args[0].kind != TRUTH, "element of a scalar")
        return args[0].shape[1:], args[0].kind
    if op == "slice":
        first, last = tag
        require(args[0].shape and isinstance(args[0].shape[0], int) and 0 <= first < last <= args[0].shape[0], "slice")
        return (last - first,) + args[0].shape[1:], args[0].kind
    require(op == "call", f"unknown operation {op}")
    return infer_call(tag[0], args, tag[1])


def infer_call(name, args, axis):
    """Shape and kind of a call of a built-in or library function; `axis` as in `axis = 0`, or None."""
    if name in REDUCTIONS and len(args) == 1:
        return infer_reduction(name, args[0], axis)
    if name in PLAIN or name in SAME_SHAPE or name in ("lerp",):
        require(name == "conj" or name in PLAIN or elementwise(args)[1] == REAL, f"complex {name}")
        require(name not in SAME_SHAPE or args[0].shape, f"{name} of a scalar")
        return elementwise(args)
    if name in REAL_ONLY or name in PAIRS:
        shape, kind = elementwise(args)
        require(kind == REAL, f"complex {name}")
        return shape, REAL
    if name in TO_REAL or name == "complex":
        shape, kind = elementwise(args)
        require(name != "complex" or kind == REAL, "complex of complex")
        return shape, COMPLEX if name == "complex" else REAL
    return infer_array_call(name, args, axis)


def infer_reduction(name, arg, axis):
    require(arg.shape and arg.kind != TRUTH, f"{name} of a scalar")
    require(arg.kind == REAL or name in ("sum", "mean", "prod"), f"complex {name}")
    if axis is None:
        return (), arg.kind
    require(name in ("sum", "prod", "max", "min") and -len(arg.shape) <= axis < len(arg.shape), "axis")
    axis %= len(arg.shape)
    return arg.shape[:axis] + arg.shape[axis + 1:], arg.kind


def infer_array_call(name, args, axis):
    kind = COMPLEX if any(a.kind == COMPLEX for a in args) else REAL
    if name == "select":
        require(args[0].kind == TRUTH, "select of a number")
        shape, kind = elementwise(args[1:])
        require(not args[0].shape or args[0].shape == shape, "select of another shape")
        return shape, kind
    require(all(a.kind != TRUTH for a in args), "truth value")
    if name == "outer":
        require(len(args[0].shape) == 1 and len(args[1].shape) == 1, "outer of no vectors")
        return args[0].shape + args[1].shape, kind
    if name == "diag":
        require(len(args[0].shape) == 1, "diag of no vector")
        return args[0].shape * 2, kind
    if name == "transpose":
        require(len(args[0].shape) == 2, "transpose of no matrix")
        return args[0].shape[::-1], kind
    if name == "dot":
        require(args[0].shape == args[1].shape and args[0].shape, "dot of different shapes")
        return (), kind
    if name == "split":
        head, shape = axis, args[0].shape
        require(shape and isinstance(shape[0], tuple) and shape[0][0] == head or shape[:1] == (head,), "split")
        return (shape[0][1:] if isinstance(shape[0], tuple) else ()) + shape[1:], kind
    if name == "merge":
        require(args[0].shape, "merge of a scalar")
        return ((axis, args[0].shape[0]),) + args[0].shape[1:], kind
    require(name == "concat" and all(len(a.shape) > (axis or 0) for a in args), f"unknown function {name}")
    rest = [a.shape[:axis or 0] + a.shape[(axis or 0) + 1:] for a in args]
    require(all(r == rest[0] for r in rest), "concat of different shapes")
    shape = list(args[0].shape)
    sizes = [a.shape[axis or 0] for a in args]
    shape[axis or 0] = sum(sizes) if all(isinstance(size, int) for size in sizes) else ("+", *sizes)
    return tuple(shape), kind


def lift(value):
    """A node as it is, a number as a node."""
    if isinstance(value, Node):
        return value
    return -lift(-value) if value < 0 else number(f"{value:g}")


def number(text):
    return Node("number", (), text, ())


def read(name, lag, shape, kind=REAL):
    """A value `lag` steps from now, or with None one that does not change over time."""
    return Node("read", (), (name, lag), shape, kind)


def identity(size):
    return Node("identity", (), None, (size, size))


def fill(name, shape):
    """zeros(K, V) or ones(K, V)."""
    return Node("fill", (), name, shape)


def size_of(dim):
    """A dimension as a number in an expression."""
    return Node("dimension", (), dim, ())


def call(name, *args, axis=None):
    return Node("call", [lift(arg) for arg in args], (name, axis))


def outer(a, b):
    return call("outer", a, b)


def diag(a):
    return call("diag", a)


def less(a, b, op="<"):
    return Node("compare", (lift(a), lift(b)), op)


def replace(node, old, new):
    """The tree with one node, found by identity, exchanged. Raises Mismatch where the rest does not fit any more."""
    if node is old:
        return new
    if not node.args or node.size <= old.size:
        return node
    args = [replace(arg, old, new) for arg in node.args]
    return node if all(a is b for a, b in zip(args, node.args)) else node.rebuilt(args)


def substitute(node, change):
    """The tree with change(leaf) in place of each of its leaves."""
    if not node.args:
        return change(node)
    args = [substitute(arg, change) for arg in node.args]
    return node if all(a is b for a, b in zip(args, node.args)) else node.rebuilt(args)


def is_structured(node):
    """True for a matrix that the language keeps as it is written: sums and products of I, diag and outer."""
    if node.op == "identity" or node.op == "call" and node.tag[0] in ("diag", "outer"):
        return True
    return len(node.shape) == 2 and node.op in ("+", "-", "*", "/", "neg", "@") and any(
        is_structured(arg) for arg in node.args if len(arg.shape) == 2)


def reads(node):
    """Names that an expression reads, with their lags."""
    return [n.tag for n in node.walk() if n.op == "read"]


# How tightly an operator binds; operands that bind less need parentheses.
COMPARE, SUM, PRODUCT, UNARY, POWER, PRIMARY = range(6)
BINDING = {"compare": COMPARE, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT, "neg": UNARY, "^": POWER}


def size_text(size, names):
    if isinstance(size, tuple) and size[0] == "+":
        return " + ".join(size_text(part, names) for part in size[1:])
    if isinstance(size, tuple):
        return "*".join(f"({size_text(part, names)})" if isinstance(part, tuple) and part[0] == "+" else size_text(part, names) for part in size)
    return names.size(size) if isinstance(size, str) else str(size)


def text(node, names, binding=COMPARE):
    """The expression as a spec has it. `names` knows what a value, a size and the time axis are called (model.Names)."""
    written = text_of(node, names)
    if BINDING.get(node.op, PRIMARY) < binding or (node.args and names.adds_parentheses()):
        return f"({written})"
    return written


def text_of(node, names):
    op, args, tag = node.op, node.args, node.tag
    if op in ("+", "-", "*", "/", "@"):
        level = BINDING[op]
        return f"{text(args[0], names, level)} {op} {text(args[1], names, level + 1)}"
    if op == "neg":
        return "-" + text(args[0], names, UNARY)
    if op == "^":
        return f"{text(args[0], names, PRIMARY)}^{tag if tag >= 0 else f'({tag})'}"
    if op == "compare":
        return f"{text(args[0], names, SUM)} {tag} {text(args[1], names, SUM)}"
    if op == "array":
        return "[" + ", ".join(text(arg, names) for arg in args) + "]"
    if op in ("element", "slice"):
        inner = text(args[0], names, PRIMARY) if args[0].op in ("read", "element") else f"({text(args[0], names)})"
        return inner + (f"[{tag}]" if op == "element" else f"[{tag[0]}:{tag[1]}]")
    if op == "call":
        return call_text(node, names)
    if op == "fn":
        return f"{tag}({', '.join(text(arg, names) for arg in args)})"
    return leaf_text(node, names)


def call_text(node, names):
    name, axis = node.tag
    args = [text(arg, names) for arg in node.args]
    if name == "split":
        args.append(size_text(axis, names))
    elif axis is not None and name != "merge":
        args.append(f"axis = {axis}")
    return f"{name}({', '.join(args)})"


def leaf_text(node, names):
    if node.op == "number":
        return node.tag
    if node.op == "identity":
        return "I"
    if node.op == "fill":
        return f"{node.tag}({', '.join(size_text(size, names) for size in node.shape)})"
    if node.op == "dimension":
        return size_text(node.tag, names)
    return names.reading(*node.tag)
