"""Runs rondo-opt on every ```mlir example of TableGen files: td_examples.py FILE.td..., with rondo-opt on the PATH.

An example whose first line is "// rondo-opt FLAGS" runs with these flags, which name the pass that it stands with; others are parsed,
verified and printed twice. Every op and every pass must have an example. An op that says "Example: see `DIALECT.OP`" has that op's
example, of the same file, where it must occur.
"""
import re
import shlex
import subprocess
import sys

DEFINITION = re.compile(r'^def (?:(?P<dialect>\w+?)_\w+Op : \w+<"(?P<op>\w+)"|\w+ : Pass<"(?P<flag>[\w-]+)")', re.MULTILINE)
REFERENCE = re.compile(r"^ *Example: see `(?P<other>[\w.]+)`\.$", re.MULTILINE)
EXAMPLE = re.compile(r"^( *)```mlir\n(?P<text>.*?)^\1```", re.MULTILINE | re.DOTALL)


def sections(text):
    """Name, pass flag or None, and text of each definition. An op's name has its dialect's in front: "recur.scan"."""
    found = list(DEFINITION.finditer(text))
    for match, following in zip(found, found[1:] + [None]):
        name = match["flag"] or f"{match['dialect'].lower()}.{match['op']}"
        yield name, match["flag"], text[match.end():following.start() if following else None]


def examples_of(name, section, others):
    """An op's own examples, else those that it points to, as far as it occurs in them."""
    reference = REFERENCE.search(section)
    own = [match["text"] for match in EXAMPLE.finditer(section)]
    if own or not reference:
        return own
    pointed = [match["text"] for match in EXAMPLE.finditer(others.get(reference["other"], ""))]
    return [text for text in pointed if re.search(rf"\b{re.escape(name)}\b", text)]


def mistakes(name, flag, section, others):
    """What is wrong with one definition's examples."""
    examples = examples_of(name, section, others)
    if not examples:
        yield f"{name} has no example"
    for example in examples:
        command = re.match(r" *// rondo-opt (.*)\n", example)
        flags = shlex.split(command[1]) if command else ["--verify-roundtrip"]
        if flag and not any(f.split("=")[0] == f"--{flag}" for f in flags):
            yield f"an example of {name} does not run it"
        run = subprocess.run(["rondo-opt", *flags, "-"], input=example, capture_output=True, text=True)
        if run.returncode:
            yield f"example of {name}:\n{example}{run.stderr}"


def main(paths):
    failed = 0
    for path in paths:
        with open(path) as file:
            definitions = list(sections(file.read()))
        others = {name: section for name, _, section in definitions}
        found = [mistake for definition in definitions for mistake in mistakes(*definition, others)]
        for mistake in found:
            print(mistake)
        print(f"{path}: {len(definitions)} definitions, {len(found)} mistakes")
        failed += len(found) + (not definitions)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
