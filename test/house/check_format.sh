#!/usr/bin/env bash
# Every C++ file is as clang-format-22 writes it with .clang-format; `make format` mends it.
cd "${RONDO_SOURCE:-$(dirname "$0")/../..}" || exit 1
complaints=$(make -s format-check 2>&1) && exit 0
grep -oE '^[^:]+:[0-9]+:[0-9]+: error: .*' <<<"$complaints" | cut -d: -f1 | sort | uniq -c
grep -vE '^[^:]+:[0-9]+:[0-9]+: error: code should be' <<<"$complaints" | grep -E 'error:|not found' | head -5
echo "these files are not as clang-format-22 writes them: run make format"
exit 1
