"""A seed's spec: the family, a model of it, other spellings, and how it is written."""
import random

import blocks
import cells
import elementwise
import matrices
import mixed
import respell
from builder import Builder
from model import Spec
from tree import Mismatch

# What the generator draws from, and how often.
FAMILIES = {
    "linear": (elementwise.linear, 9), "complex-linear": (elementwise.complex_linear, 5), "max-plus": (elementwise.max_plus, 4),
    "log-plus": (elementwise.log_plus, 3), "dense": (elementwise.dense, 5), "delay": (elementwise.delay, 3),
    "expand": (matrices.expand, 18), "complex-expand": (matrices.complex_expand, 5), "delta": (matrices.delta, 12),
    "delta-product": (matrices.delta_product, 4), "cell": (cells.cell, 9), "stabilised": (mixed.stabilised, 8), "slots": (mixed.slots, 4),
    "strata": (mixed.strata, 8), "directions": (mixed.directions, 4), "block": (None, 6), "grid": (elementwise.grid, 2),
}


def generate(seed, families=None):
    """The spec of a seed; `families` are the names of those to draw from. A draw that the language would refuse (a shape that does not
    fit) is drawn again."""
    rng = random.Random(f"rondo {seed}")
    chosen = sorted(families or FAMILIES)
    family = rng.choices(chosen, [FAMILIES[name][1] for name in chosen])[0]
    for _ in range(100):
        try:
            spec = draw(rng, seed, family)
        except Mismatch:
            continue
        if 3 <= spec.size() < 3000:
            return spec
    raise RuntimeError(f"seed {seed}: no spec of family {family} in 100 draws")


def draw(rng, seed, family):
    b = Builder(rng, f"m{seed}")
    inner = []
    if family == "block":
        blocks.block(b, inner)
    else:
        FAMILIES[family][0](b)
    spec = Spec(seed, family, inner + [b.model], [], dict(b.expected))
    respell.respell(spec, rng, rng.choice([0, 2, 5, 10, 20]))
    spec.prune()
    if rng.random() < 0.85:
        for model in spec.models:
            model.style = rng.randrange(1, 1 << 30)
    # What is not there any more was expected of nothing.
    known = {d.name for d in b.model.declarations}
    spec.expected = {name: found for name, found in spec.expected.items() if name.split(".")[0] in known}
    return spec
