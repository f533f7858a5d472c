// A gradient against differences of the model itself, both in f64 by the reference interpreter.
//
// For a call with inputs x and cotangents c of the results y, L(x) = Re sum conj(c) y is a number, and the gradient program gives
// dL/dx (dL/dRe + i dL/dIm where x is complex). For each tensor x a direction u of random signs is drawn, and dL/dx . u compared with
//
//   D(h) = (8 (L(x + hu) - L(x - hu)) - (L(x + 2hu) - L(x - 2hu))) / 12h        fourth order in h
//
// relative to ||dL/dx||, which is the size of the left side for random signs. h shrinks from 1e-3 until D(h) and D(h/2) agree to a tenth of the tolerance:
// where |x + hu| crosses a corner (max, abs) they do not, and where they agree by chance another direction does the same work. Tensors
// for which they never agree count as failures.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Kernel.h"
#include <cstdint>
#include <string>
#include <vector>

namespace rondo::tool {

constexpr double toleranceOfDifferences = 1e-6;

struct GradientDifference {
  std::string tensor; // of the model
  double error = 0;   // |dL/dx . u - D(h)| / ||dL/dx||; infinite where differences do not settle
  double step = 0;    // h
};

/// `inputs` are those of `gradient`, and `gradients` what it gave; `prefix` is what it puts before names ("d_").
Result<std::vector<GradientDifference>> checkDifferences(const Kernel &model, const NamedBuffers &inputs,
                                                         const NamedBuffers &gradients, const std::string &prefix,
                                                         const CallShape &shape, uint64_t seed, int threads);

} // namespace rondo::tool
