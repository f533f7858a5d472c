#!/usr/bin/env bash
# examples/embed, built from an install tree as a stranger's project would be, prints what the recurrence gives by hand.
set -euo pipefail
build=${RONDO_BUILD:?} work=${RONDO_BUILD:?}/test/embed
if grep -q '^RONDO_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
  echo "an install tree with sanitizers serves no stranger"
  exit 77
fi
rm -rf "$work"
cmake --install "$build" --prefix "$work/prefix" >/dev/null
# The project's own folders must not be on the way: the example is copied out of the tree.
cp -r "${RONDO_SOURCE:?}/examples/embed" "$work/source"
cmake -G Ninja -S "$work/source" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 >"$work/build.log"
cmake --build "$work/build" >>"$work/build.log" || { cat "$work/build.log"; exit 1; }
cat >"$work/expected.txt" <<'END'
o[0] = 1 2 3
o[1] = 5.5 8 10.5
o[2] = 1.25 2.5 3.75
o[3] = 6.875 10 13.125
END
RONDO_CACHE_DIR= "$work/build/embed" | tee "$work/out.txt"
diff "$work/expected.txt" "$work/out.txt"
# What was compiled ahead of time computes the same, and needs none of our libraries.
"$work/build/ahead" | diff "$work/expected.txt" -
if ldd "$work/build/ahead" | grep -E 'LLVM|MLIR|rondo|omp|stdc'; then
  echo "a program in C that links an object needs more than the C library"
  exit 1
fi
if grep -E '#include [<"](mlir|llvm)' -r "$work/prefix/include"; then
  echo "a public header includes LLVM"
  exit 1
fi
