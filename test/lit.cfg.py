# Text tests: IR in, IR or diagnostics out. The paths come from lit.site.cfg.py, which CMake writes.
import os
import sys

import lit.formats

config.name = "rondo"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["CMakeLists.txt", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.rondo_binary_dir, "test")
config.environment["PATH"] = os.pathsep.join([config.rondo_bin_dir, config.llvm_tools_dir, os.environ["PATH"]])
for name in ("OMP_NUM_THREADS", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
# What tests compile and tune stays with the build.
config.environment["RONDO_CACHE_DIR"] = os.path.join(config.test_exec_root, "cache")
config.environment["RONDO_RECORDS"] = ""
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%rondo_source", config.rondo_source_dir))
