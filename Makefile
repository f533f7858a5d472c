# The few commands that a newcomer needs; each one works from a fresh clone. The build itself is CMake's (CMakePresets.json).
PRESET ?= dev
JOBS ?= $(shell nproc)
BUILD := build
SOURCES := $(shell find compiler dialects frontend runtime test examples \( -name '*.cpp' -o -name '*.h' \) 2>/dev/null)
# libFuzzer's seconds for each target, in `make check` and in `make fuzz`.
CHECK_FUZZ_SECONDS ?= 25
FUZZ_SECONDS ?= 600

.PHONY: help setup build demo check test fuzz bench asan release install format format-check tidy clean

help:
	@echo 'make demo          install packages, build, run examples/gla.rondo on the CPU beside the reference'
	@echo 'make check         the same, then every test'
	@echo 'make test          every test, without set-up and demo'
	@echo 'make fuzz          ten minutes of libFuzzer on the front end and on the tensor-file readers'
	@echo 'make bench         the benchmarks of test/bench'
	@echo 'make asan          the unit and lit tests again, under the address and undefined-behaviour sanitizers'
	@echo 'make release       one relocatable binary, build-release/bin/rondo'
	@echo 'make install       into PREFIX=/usr/local'
	@echo 'make format, tidy  clang-format in place; clang-tidy on the plain C++'

setup:
	@.ci/setup

build: setup
	@cmake --preset $(PRESET) --log-level=WARNING >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

demo: build
	@$(BUILD)/bin/rondo run examples/gla.rondo --inputs examples/data/gla_demo.npz --out $(BUILD)/gla_out.npz \
	  --dim K=16 --dim V=16 --compare reference

check: demo
	@python3 test/run_all.py --build $(BUILD) --fuzz-seconds $(CHECK_FUZZ_SECONDS)

test: build
	@python3 test/run_all.py --build $(BUILD) --fuzz-seconds $(CHECK_FUZZ_SECONDS)

fuzz: build
	@python3 test/run_all.py --build $(BUILD) --fuzz-seconds $(FUZZ_SECONDS) --only fuzz

bench: build
	@python3 test/bench/run.py --build $(BUILD)

asan: setup
	@cmake --preset asan --log-level=WARNING >/dev/null
	@cmake --build build-asan -j $(JOBS)
	@python3 test/run_all.py --build build-asan --only unit,lit

release: setup
	@cmake --preset release --log-level=WARNING >/dev/null
	@cmake --build --preset release -j $(JOBS)

PREFIX ?= /usr/local
install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@clang-format-22 -i $(SOURCES)

format-check:
	@clang-format-22 --dry-run --Werror $(SOURCES)

tidy: build
	@python3 test/house/tidy.py --build $(BUILD) --all

clean:
	rm -rf $(BUILD) build-asan build-release
