#!/usr/bin/env bash
# clang-tidy finds nothing in the plain C++ of ours; `make tidy` looks at the MLIR sources too.
exec python3 "$(dirname "$0")/tidy.py" --build "${RONDO_BUILD:?}"
