// A gradient against differences of the model itself, both in f64 by the reference interpreter.
//
// For a call with inputs x and cotangents c of the results y, L(x) = Re sum conj(c) y is a number, and the gradient program gives
// dL/dx (dL/dRe + i dL/dIm where x is complex). For each tensor x a direction u of random signs is drawn, and dL/dx . u compared with
//
//   D(h) = (8 (L(x + hu) - L(x - hu)) - (L(x + 2hu) - L(x - 2hu))) / 12h        fourth order in h
//
// relative to ||dL/dx||, which is the size of the left side for random signs. h shrinks from 1e-3 until the error of D(h/2), by Richardson's
// estimate |D(h) - D(h/2)| / 15, and the rounding of L are both below a tenth of the tolerance, as is |D(h/2) - D(h/4)|. The last is for corners.
// Where x + su crosses one (max, abs) the three differ. Where it crosses one of the derivative (x / (1 + |x|), elu) at s = r, by which
// L'' jumps by J, D is off by J h phi(r/h) / 24 with
//
//   phi(a) = 4 - 12a + 7a^2 for a <= 1,   -(2 - a)^2 for 1 <= a <= 2,   0 from there on
//
// so that D converges in h, not in h^4, D(h) = D(h/2) at a = sqrt(2/7), and two differences alone bound no error; of three that agree as above,
// D(h/2) is off by at most 2.95 tenths of the tolerance, for any r. Where they agree by chance another direction does the same work. Tensors
// for which they never agree count as failures.
//
// A derivative of less than 1e-9 of L's terms is held to be that small. Between that and 1e-5 of them, as by a factor that a norm takes out
// again but for its epsilon, the rounding of L hides a tenth of the tolerance: then D(h), D(h/2) and the gradient must agree to 256 roundings
// of L at the largest h, which is all that D can resolve.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Kernel.h"
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace rondo::tool {

constexpr double toleranceOfDifferences = 1e-6;

struct GradientDifference {
  std::string tensor;  // of the model
  double error = 0;    // |dL/dx . u - D(h)| / ||dL/dx||; infinite where differences do not settle
  double step = 0;     // h
  bool hidden = false; // unsettled, but in agreement as far as rounding lets it, in every draw
  bool settled() const { return std::isfinite(error); }
  bool passed() const { return settled() ? error <= toleranceOfDifferences : hidden; }
  /// Another draw decides where this one has not settled.
  void replaceBy(const GradientDifference &other) {
    if (!settled())
      *this = {tensor, other.error, other.step, hidden && other.hidden};
  }
};

/// `inputs` are those of `gradient`, and `gradients` what it gave; `prefix` is what it puts before names ("d_").
Result<std::vector<GradientDifference>> checkDifferences(const Kernel &model, const NamedBuffers &inputs,
                                                         const NamedBuffers &gradients, const std::string &prefix,
                                                         const CallShape &shape, uint64_t seed, int threads);

constexpr double toleranceOfPairing = 1e-11;

/// A tangent J t of one result y, for a covector w of random signs.
struct TangentDifference
    : GradientDifference { // |w . J t - D(h)| / ||J t||, D the difference of w . y along all tangents at once
  /// |w . J t - t . (Jᵀ w)|, relative to the sum of ||t|| ||Jᵀ w|| over the model's tensors; 0 where the gradient takes no cotangent of y.
  double pairing = 0;
  bool isAdjoint() const { return pairing <= toleranceOfPairing; }
};

/// `results` are what the linearised model gave for `inputs`; `gradient` is the reference's gradient of `model`.
Result<std::vector<TangentDifference>> checkTangents(const Kernel &model, const Kernel &gradient,
                                                     const NamedBuffers &inputs, const NamedBuffers &results,
                                                     const CallShape &shape, uint64_t seed, int threads);

} // namespace rondo::tool
