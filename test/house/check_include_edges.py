#!/usr/bin/env python3
"""Every `#include "..."` of ours follows the table "Allowed include edges" of compiler/README.md, which this script reads.

A row `| frontend | dialects, rondo |` lets files under frontend/ include files under frontend/ itself, dialects/ and the public
headers (`rondo` or single ones: `rondo/Tensor.h`). The longest row that fits a file counts. A folder without a row may include
nothing but itself.
"""
import os
import re
import sys
from pathlib import Path

SOURCE = Path(os.environ.get("RONDO_SOURCE", Path(__file__).resolve().parents[2]))
ROOMS = ("compiler", "dialects", "frontend", "runtime")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_table(text):
    """Folder → folders and headers that it may include, from the README's table."""
    section = text.split("## Allowed include edges", 1)[1].split("\n## ", 1)[0]
    table = {}
    for line in section.splitlines():
        cells = [c.strip().replace("`", "") for c in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) < 2 or cells[0] in ("folder", "") or set(cells[0]) <= set("-: "):
            continue
        targets = [t.strip().rstrip("/") for t in cells[1].split(",")]
        table[cells[0].rstrip("/")] = [t for t in targets if t and t != "nothing"]
    return table


def resolve(name, file):
    """The path, from the root, of what an include names; TableGen's outputs lie beside the folder that they mirror."""
    if name.startswith("rondo/"):
        return name
    if name.startswith(tuple(f"{room}/" for room in ROOMS)):
        return name
    return str(Path(file).parent / name)  # beside the file


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def offences(files, table):
    """`file: reason` for each include that the table does not allow. `files` maps paths from the root to texts."""
    found = []
    for file, text in sorted(files.items()):
        rows = [row for row in table if within(file, row)]
        own = max(rows, key=len, default=str(Path(file).parent))
        for name in INCLUDE.findall(text):
            target = resolve(name, file)
            if not any(within(target, folder) for folder in [own, *table.get(own, [])]):
                line = text[:text.index(f'"{name}"')].count("\n") + 1
                found.append(f"{file}:{line}: error: '{own}' may not include '{target}'")
    return found


def self_test():
    """The checker sees an edge that is not allowed, and lets pass one that is."""
    table = read_table("## Allowed include edges\n| folder | may include |\n|---|---|\n| `frontend` | `dialects` |\n"
                       "| `runtime/core` | `rondo` |\n## Next\n")
    assert table == {"frontend": ["dialects"], "runtime/core": ["rondo"]}, table
    good = {"frontend/A.cpp": '#include "frontend/A.h"\n#include "dialects/R.h"\n', "runtime/core/T.cpp": '#include "rondo/T.h"\n'}
    assert offences(good, table) == []
    bad = {"frontend/A.cpp": '#include "compiler/Driver/Compiler.h"\n', "runtime/core/T.cpp": '#include "frontend/A.h"\n'}
    assert len(offences(bad, table)) == 2


def main():
    self_test()
    table = read_table((SOURCE / "compiler" / "README.md").read_text())
    files = {}
    for room in ROOMS:
        for path in (SOURCE / room).rglob("*"):
            if path.suffix in (".h", ".cpp", ".td"):
                files[str(path.relative_to(SOURCE))] = path.read_text()
    for row in table:
        if not (SOURCE / row).is_dir():
            print(f"compiler/README.md: error: the table names '{row}', which is no folder")
            return 1
    found = offences(files, table)
    for line in found:
        print(line)
    print(f"{len(files)} files, {len(table)} rows, {len(found)} edges that are not allowed")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
