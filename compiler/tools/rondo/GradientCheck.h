// A gradient against differences of the model itself, both in f64 by the reference interpreter.
//
// For a call with inputs x and cotangents c of the results y, L(x) = Re sum conj(c) y is a number, and the gradient program gives
// dL/dx (dL/dRe + i dL/dIm where x is complex). For each tensor x a direction u of random signs is drawn, and dL/dx . u compared with
//
//   D(h) = (8 (L(x + hu) - L(x - hu)) - (L(x + 2hu) - L(x - 2hu))) / 12h        fourth order in h
//
// relative to ||dL/dx||, which is the size of the left side for random signs. h shrinks from 1e-3 until D(h) and D(h/2) agree to a tenth of the tolerance:
// where |x + hu| crosses a corner (max, abs) they do not, and where they agree by chance another direction does the same work. Tensors
// for which they never agree count as failures. A derivative of less than 1e-9 of L's terms, as by a factor that a norm takes out again,
// is held to be that small, which is what D can resolve.
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

/// A tangent J t of one result y, for a covector w of random signs.
struct TangentDifference {
  std::string tensor; // y
  double error = 0;   // |w . J t - D(h)| / ||J t||, D the difference of w . y along all tangents at once
  double pairing =
      0; // |w . J t - t . (Jᵀ w)|, relative to the sum of ||t|| ||Jᵀ w|| over the model's tensors; 0 where the
         // gradient takes no cotangent of y
  double step = 0; // h
};
constexpr double toleranceOfPairing = 1e-11;

/// `results` are what the linearised model gave for `inputs`; `gradient` is the reference's gradient of `model`.
Result<std::vector<TangentDifference>> checkTangents(const Kernel &model, const Kernel &gradient,
                                                     const NamedBuffers &inputs, const NamedBuffers &results,
                                                     const CallShape &shape, uint64_t seed, int threads);

} // namespace rondo::tool
