#!/usr/bin/env python3
"""Makes gla_demo.npz, the input of `make demo`, from passage.txt (the opening of Jane Austen's Pride and Prejudice, 1813, in
the public domain). Needs numpy; run it in this folder. The file is committed, so that the demo needs no Python.

Gated linear attention is used as a memory of the text it has read: at every character it stores the character under the one
before it (head 0) or the two before it (head 1), and asks what followed earlier occurrences of this context. Ends of sentences
make it forget. Sixteen channels are far too few to predict text well; the point is input that is real and correlated.

Layout [B=1, T=512, H=2, K=V=16], float32:
  code(n)  16 numbers of unit norm: sin and cos of n times 8 fixed frequencies, square roots of primes in turns
  k, v     code of the context before character t, code of character t
  q        code of the context that ends with character t
  g        log of the decay: -2 at the end of a sentence, -1/4 at a comma or semicolon, else -(j + 1)/1024 for channel j
"""
import re
import numpy as np

T, H, K = 512, 2, 16
PRIMES = np.array([2.0, 3, 5, 7, 11, 13, 17, 19])


def code(n):
    """Unit code vectors of integers, shape n.shape + (16,)."""
    frequency = 2 * np.pi * np.mod(np.sqrt(PRIMES), 1.0)
    angle = n[..., None] * frequency
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1) / np.sqrt(K // 2)


def main():
    text = re.sub(r"\s+", " ", open("passage.txt").read())[:T]
    assert len(text) == T
    byte = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64)
    before = np.concatenate([[32], byte[:-1]])
    before2 = np.concatenate([[32, 32], byte[:-2]])

    context = np.stack([before, 31 * before2 + before], axis=1)  # [T, H]
    asked = np.stack([byte, 31 * before + byte], axis=1)
    ends = np.array([c in ".?!" and text[i + 1 : i + 2] in (" ", '"', "") for i, c in enumerate(text)])
    pauses = np.array([c in ",;" for c in text])
    slow = -(np.arange(K) + 1) / 1024.0
    g = np.where(ends[:, None], -2.0, np.where(pauses[:, None], -0.25, slow))

    tensors = {
        "q": code(asked)[None],
        "k": code(context)[None],
        "v": np.repeat(code(byte)[None, :, None], H, axis=2),
        "g": np.repeat(g[None, :, None], H, axis=2),
    }
    np.savez("gla_demo.npz", **{name: value.astype(np.float32) for name, value in tensors.items()})


if __name__ == "__main__":
    main()
