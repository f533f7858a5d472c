# Makes and checks .npz files for the command line's tests, with nothing but the standard library: a bare machine has no NumPy.
import math
import random
import struct
import sys
import zipfile

B, T, H, K, V = 2, 5, 3, 6, 4
LETTERS = {"<f4": "f", "<f8": "d", "<i4": "i", "|b1": "?"}
OFFSETS, RESETS = [0, 3, 3, 7], [False, True, False, False, False, True, False]


def save(path, tensors):
    with zipfile.ZipFile(path, "w") as archive:
        for name, (dtype, shape, values) in tensors.items():
            dims = "(" + "".join(f"{n}, " for n in shape) + ")"
            header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {dims}, }}"
            header += " " * (63 - (len(header) + 10) % 64) + "\n"
            data = struct.pack("<%d%s" % (len(values), LETTERS[dtype]), *values)
            archive.writestr(name + ".npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def load(path):
    tensors = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            data = archive.read(entry)
            wide = data[6] > 1
            (length,) = struct.unpack("<I" if wide else "<H", data[8:12] if wide else data[8:10])
            start = (12 if wide else 10) + length
            header = eval(data[12 if wide else 10 : start])
            count = math.prod(header["shape"])
            letter = LETTERS[header["descr"]]
            tensors[entry[:-4]] = (header["descr"], header["shape"], struct.unpack("<%d%s" % (count, letter), data[start:]))
    return tensors


def draw(dtype, shape, sign=0):
    values = [random.gauss(0, 1) for _ in range(math.prod(shape))]
    return dtype, shape, [sign * abs(x) if sign else x for x in values]


def gla(dtype="<f4", heads=(H,), k=K):
    lead = (B, T) + heads
    return {"q": draw(dtype, lead + (K,)), "k": draw(dtype, lead + (k,)), "v": draw(dtype, lead + (V,)),
            "g": draw(dtype, lead + (K,), -1)}


def make(folder):
    random.seed(1)
    full = gla()
    save(folder + "/in.npz", full)
    save(folder + "/headless.npz", gla(heads=()))
    save(folder + "/wide.npz", gla("<f8"))
    save(folder + "/missing.npz", {n: t for n, t in full.items() if n != "k"})
    save(folder + "/novalue.npz", {n: t for n, t in full.items() if n != "v"})
    save(folder + "/extra.npz", {**full, "w": full["v"]})
    save(folder + "/shape.npz", {**full, "k": gla(k=K + 1)["k"]})
    save(folder + "/promise.npz", {**full, "g": ("<f4", full["g"][1], [1.0] * (B * T * H * K))})


def recurrence(tensors, begin, end, h, heads, resets, o):
    """GLA by the book over rows [begin, end) of time in row-major lists: o [time, heads, V] is filled, S [K, V] returned."""
    q, k, v, g = (tensors[name][2] for name in "qkvg")
    S = [[0.0] * V for _ in range(K)]
    for t in range(begin, end):
        if resets[t]:
            S = [[0.0] * V for _ in range(K)]
        at = t * heads + h
        for i in range(K):
            for j in range(V):
                S[i][j] = math.exp(g[at * K + i]) * S[i][j] + k[at * K + i] * v[at * V + j]
        for j in range(V):
            o[at * V + j] = sum(q[at * K + i] * S[i][j] for i in range(K))
    return [x for row in S for x in row]


def check(inputs, outputs, tolerance, offsets, resets, heads):
    """offsets cut batch and time, seen as one axis, into sequences."""
    tensors, got = load(inputs), load(outputs)
    o, states = [0.0] * (offsets[-1] * heads * V), []
    for begin, end in zip(offsets, offsets[1:]):
        for h in range(heads):
            states += recurrence(tensors, begin, end, h, heads, resets, o)
    assert sorted(got) == ["S", "o"], sorted(got)
    assert got["o"][1] == tensors["v"][1] and got["S"][1] == (len(offsets) - 1, heads, K, V)
    for name, want in {"o": o, "S": states}.items():
        error = max(abs(a - b) for a, b in zip(want, got[name][2])) / max(map(abs, want))
        assert error < tolerance, f"{name}: {error}"


def packed(folder):
    random.seed(2)
    lead = (1, 7, 2)
    drawn = {name: draw("<f4", lead + (V if name == "v" else K,), -1 if name == "g" else 0) for name in "qkvg"}
    save(folder + "/packed.npz", {**drawn, "offsets": ("<i4", (4,), OFFSETS), "resets": ("|b1", (1, 7), RESETS)})
    save(folder + "/falling.npz", {**drawn, "offsets": ("<i4", (4,), [0, 3, 2, 7])})


if sys.argv[1] == "make":
    make(sys.argv[2])
elif sys.argv[1] == "packed":
    packed(sys.argv[2])
elif sys.argv[1] == "check-packed":
    check(sys.argv[2], sys.argv[3], float(sys.argv[4]), OFFSETS, RESETS, 2)
else:
    check(sys.argv[2], sys.argv[3], float(sys.argv[4]), [T * b for b in range(B + 1)], [False] * B * T, H)
