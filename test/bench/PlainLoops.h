// The peer without a compiler of recurrences: each spec's equations as the C++ that one would write first. This
// folder's CMakeLists compiles it with -O3 -march=native and without -ffast-math.
#pragma once
#include "Case.h"

namespace rondo::bench {

/// Arguments of a plain loop. Tensors are contiguous, [B, T, H, ...], by the spec's names.
struct PlainCall {
  const Arrays *arrays;
  float *output; // the spec's first output
  Shape shape;
  int threads;
  const float *operator[](const std::string &name) const { return arrays->at(name).as<float>(); }
};

using PlainLoop = void (*)(const PlainCall &);

// State sizes are compile-time constants, as they are for Rondo. 64 and 128 are instantiated.
template <int K, int V> void plainGla(const PlainCall &call);
template <int K, int V> void plainRetnet(const PlainCall &call);
template <int K, int V> void plainHgrn2(const PlainCall &call);
template <int K, int V> void plainDeltanet(const PlainCall &call);
template <int K, int V> void plainGatedDeltaNet(const PlainCall &call);
template <int N, int P> void plainMamba2(const PlainCall &call); // one group
// D = 1024; N = 16; H = 1024.
void plainScan(const PlainCall &call);
void plainSelectiveScan(const PlainCall &call);
void plainMinGru(const PlainCall &call);

} // namespace rondo::bench
